//! Random programs on a file system over a store in memory, against the reference model.

mod system;

use std::time::Duration;

use fs::{Ttl, Writes};
use model::{Ages, How, Judged, Restart, Rules, Step};

use crate::mount::config;
use system::Driven;

/// Cases of one run of the tests; `make test-model` runs [`ALL`].
const SOME: u32 = 200;
const ALL: u32 = 10_000;
/// Steps of one program, at most.
const LENGTH: usize = 60;

/// A mount as the bits of `variant` have it, and what is to be expected of it.
fn mount(variant: u64, cached: bool) -> (Driven, Rules) {
    let [minimal, overwrite, no_delete] = [0, 1, 2].map(|bit| variant >> bit & 1 == 1);
    // Mostly, objects may be deleted.
    let delete = !(no_delete && variant >> 3 & 1 == 1);
    let (ttl, ages) = match minimal {
        true => {
            let (open, name) = (Duration::from_millis(100), Duration::from_millis(1100));
            (Ttl::Minimal, Ages { open, name })
        }
        false => {
            let age = Duration::from_secs(10);
            (Ttl::For(age), Ages { open: age, name: age })
        }
    };
    let writes = Writes {
        allow_overwrite: overwrite,
        allow_delete: delete,
        part_size: 5 << 20,
        ..Writes::default()
    };
    let system = Driven::new(fs::Config { writes, ..config(ttl) }, cached);
    let remembers = cached && !minimal;
    (system, Rules { overwrite, delete, ages, remembers, heals: false })
}

fn run(steps: &[Step], variant: u64, cached: bool) -> Result<Judged, String> {
    let (mut system, rules) = mount(variant, cached);
    let judged = model::compare(&mut system, rules, steps)?;
    match system.open_uploads() {
        left if !left.is_empty() && !system.died => Err(format!("uploads are left: {left:?}")),
        _ => Ok(judged),
    }
}

#[test]
fn what_is_done_here_is_seen_at_once_and_what_others_do_within_the_mode_s_age() {
    model::check("without a cache", (SOME, LENGTH), |steps, variant| run(steps, variant, false));
}

#[test]
fn a_cache_changes_no_answer() {
    model::check("with a cache", (SOME, LENGTH), |steps, variant| run(steps, variant, true));
}

#[test]
#[ignore = "takes minutes: make test-model"]
fn ten_thousand_programs_without_a_cache() {
    model::check("without a cache", (ALL, LENGTH), |steps, variant| run(steps, variant, false));
}

#[test]
#[ignore = "takes minutes: make test-model"]
fn ten_thousand_programs_with_a_cache() {
    model::check("with a cache", (ALL, LENGTH), |steps, variant| run(steps, variant, true));
}

/// One program that was found to differ once, in every kind of mount.
#[track_caller]
fn agrees(steps: &[Step]) {
    for (variant, cached) in (0..4).flat_map(|variant| [(variant, false), (variant, true)]) {
        if let Err(why) = run(steps, variant, cached) {
            panic!("variant {variant}, cached: {cached}: {why}");
        }
    }
}

#[test]
fn a_file_that_was_written_is_there_after_a_restart_although_it_was_listed_as_absent() {
    for how in [Restart::Clean, Restart::Ended, Restart::Killed, Restart::Succeeded] {
        let wrote = [Step::Open(0, How::New), Step::Write(0, 3), Step::Close(0)];
        agrees(&[&wrote[..], &[Step::Restart(how), Step::Stat(0), Step::List(0)]].concat());
    }
}

#[test]
fn a_file_that_was_removed_is_not_there_after_a_restart_although_it_was_listed() {
    for how in [Restart::Clean, Restart::Killed, Restart::Succeeded] {
        let removed = [Step::Put(2), Step::List(1), Step::Unlink(2)];
        agrees(&[&removed[..], &[Step::Restart(how), Step::Stat(2), Step::Cat(2)]].concat());
    }
}

#[test]
fn an_object_beside_a_file_that_is_not_published_is_there_for_a_successor() {
    let begun = [Step::Open(0, How::New), Step::Put(0), Step::Settle, Step::List(0)];
    let asked = [Step::Restart(Restart::Succeeded), Step::Stat(0), Step::List(0), Step::Cat(0)];
    agrees(&[begun, asked].concat());
}
