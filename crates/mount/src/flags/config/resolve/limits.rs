//! What a mount may use, from what was typed.

use std::time::Duration;

use crate::flags::units::show_size;
use crate::flags::{Limits, LowArgs, Usage};

const MIB: u64 = 1 << 20;
/// The least memory a mount works in.
const MEMORY_LEAST: u64 = 64 * MIB;
const MEMORY_DEFAULT: u64 = 192 * MIB;
/// S3's bounds of one part (S3 User Guide, "Multipart upload limits").
const PART_LEAST: u64 = 5 * MIB;
const PART_MOST: u64 = 5 * 1024 * MIB;
pub(super) const PART_DEFAULT: u64 = 8 * MIB;
const DEADLINE_DEFAULT: Duration = Duration::from_secs(30);
const DEADLINE_LEAST: Duration = Duration::from_secs(1);
const DEADLINE_MOST: Duration = Duration::from_secs(3600);

/// What the words let the mount use.
pub(super) fn limits(args: &LowArgs, notes: &mut Vec<String>) -> Result<Limits, Usage> {
    let memory_target = args.memory_target.unwrap_or(MEMORY_DEFAULT);
    if memory_target < MEMORY_LEAST {
        let why = format!(
            "{} is too little, at least 64 MiB (a bare number is MiB)",
            show_size(memory_target)
        );
        return Err(Usage::BadValue { flag: "memory-target", why });
    }
    let (flag, part) = match (args.part_size, args.read_part_size) {
        (Some(_), Some(_)) => return Err(Usage::Conflict("part-size", "read-part-size")),
        (Some(part), None) => ("part-size", part),
        (None, part) => ("read-part-size", part.unwrap_or(PART_DEFAULT)),
    };
    plausible_part(flag, part)?;
    let read_part_size = part_within(part, memory_target, args.memory_target.is_some())
        .map_err(|why| Usage::BadValue { flag, why })?;
    if read_part_size != part {
        notes.push(format!(
            "--{flag} is reduced to {} to fit into {} of memory; --memory-target gives it more",
            show_size(read_part_size),
            show_size(memory_target)
        ));
    }
    let read_deadline = args.read_deadline.unwrap_or(DEADLINE_DEFAULT);
    if !(DEADLINE_LEAST..=DEADLINE_MOST).contains(&read_deadline) {
        let why = "it takes from 1 second to 1 hour (a bare number is seconds)".into();
        return Err(Usage::BadValue { flag: "read-deadline", why });
    }
    let max_threads = args.max_threads.unwrap_or(16);
    if max_threads > 1024 {
        let why = format!("{max_threads} threads are more than the 1024 that can be useful");
        return Err(Usage::BadValue { flag: "max-threads", why });
    }
    let max_threads = max_threads as usize;
    Ok(Limits { max_threads, memory_target, read_part_size, read_deadline })
}

/// Whether the store would take a part of this size.
pub(super) fn plausible_part(flag: &'static str, part: u64) -> Result<(), Usage> {
    if !(PART_LEAST..=PART_MOST).contains(&part) {
        let why =
            format!("{} is not between 5 MiB and 5 GiB (a bare number is bytes)", show_size(part));
        return Err(Usage::BadValue { flag, why });
    }
    Ok(())
}

/// A part that leaves room for a second one. Where both sizes were typed they must fit; where
/// the memory is our default, the part gives way.
pub(super) fn part_within(part: u64, memory: u64, typed: bool) -> Result<u64, String> {
    let most = memory / 2;
    if part <= most {
        Ok(part)
    } else if typed {
        Err(format!(
            "two parts of {} do not fit into the {} of --memory-target",
            show_size(part),
            show_size(memory)
        ))
    } else {
        Ok(most)
    }
}
