//! `mount-s3 cache`: looks into a node cache, and tidies it.
//!
//! Exit codes: 0 done; 1 it could not be done, or `verify` found damage; 2 usage.

use std::fmt::Display;
use std::process::ExitCode;

use cache::{Census, CensusError, Dropped, Entry, Keys, Seen, Totals, Verification};
use serde::Serialize;

use crate::flags::cache::{Action, CacheArgs};
use crate::message::Problem;
use crate::savings::Bytes;

/// Does what `args` say.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: &CacheArgs) -> Result<ExitCode, Problem> {
    inspect(args).map_err(|error| Problem {
        what: format!("the cache in {} cannot be used", args.directory.display()),
        why: error.to_string(),
        fix: format!("see what is there: ls -la {}", args.directory.display()),
    })
}

fn inspect(args: &CacheArgs) -> Result<ExitCode, CensusError> {
    let out = Out { json: args.json };
    if args.action == Action::Clear {
        let cleared = Census::clear(&args.directory)?;
        out.tell(&cleared, || {
            let left = match (cleared.left, cleared.in_use) {
                (0, _) => String::new(),
                (left, true) => format!("; {left} are in use by a mount"),
                (left, false) => format!("; {left} could not be removed"),
            };
            format!("{} files removed, {}{left}", cleared.files, Bytes(cleared.bytes))
        });
        return Ok(ExitCode::SUCCESS);
    }
    let keys = match Keys::matching(&args.patterns) {
        Ok(keys) => keys,
        Err(bad) => return Err(std::io::Error::other(bad.to_string()).into()),
    };
    let census = Census::open(&args.directory)?;
    match args.action {
        Action::List => list(&census, &keys, args.patterns.is_empty(), &out)?,
        Action::Stat => {
            let totals = census.totals()?;
            out.tell(&totals, || summary(&totals));
        }
        Action::Verify => return verify(&census, &out),
        Action::Pin | Action::Unpin => {
            let pin = args.action == Action::Pin;
            let word = if pin { "pinned" } else { "unpinned" };
            census.pin(&keys, pin, |entry| out.tell(entry, || format!("{word} {}", entry.key)))?;
        }
        Action::Evict => {
            let freed = census.evict(&keys, |entry, removed| {
                let word = if removed { "removed" } else { "kept (pinned)" };
                out.tell(entry, || format!("{word} {}", entry.key));
            })?;
            if !out.json {
                out.line(format_args!("{} free", Bytes(freed)));
            }
        }
        Action::Clear => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn list(census: &Census, keys: &Keys, all: bool, out: &Out) -> Result<(), CensusError> {
    if !out.json {
        out.line("      SIZE  CACHED  LAST USE    MARKS  BUCKET  KEY");
    }
    for seen in census.entries()? {
        match seen? {
            Seen::Object(entry) if all || keys.contains(&entry.key) => {
                out.tell(&entry, || row(&entry));
            }
            Seen::Object(_) => {}
            Seen::Damaged(identity) => {
                tracing::debug!("{identity} is damaged");
            }
        }
    }
    Ok(())
}

fn row(entry: &Entry) -> String {
    let mark = |set: bool, letter: char| if set { letter } else { '-' };
    format!(
        "{:>10}  {:>5.1}%  {:>10}  {}{}{}    {}  {}",
        entry.size,
        entry.resident_fraction * 100.0,
        entry.last_use,
        mark(entry.pinned, 'p'),
        mark(entry.protected, 'u'),
        mark(entry.sealed, 's'),
        entry.bucket,
        crate::log::one_line(&entry.key),
    )
}

fn verify(census: &Census, out: &Out) -> Result<ExitCode, CensusError> {
    let told = |_: &Verification, dropped: Option<&Dropped>| {
        if let Some(dropped) = dropped {
            out.tell(dropped, || {
                let key = dropped.key.as_deref().unwrap_or(&dropped.identity);
                format!("dropped {}: damaged", crate::log::one_line(key))
            });
        }
    };
    let verified = census.verify(told)?;
    out.tell(&verified, || {
        format!(
            "{} objects, {} blocks, {} checked; {} dropped",
            verified.objects,
            verified.blocks,
            Bytes(verified.bytes),
            verified.dropped
        )
    });
    Ok(if verified.dropped == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn summary(totals: &Totals) -> String {
    format!(
        "{} objects, {} complete, {} pinned, {} used again, {} damaged\n\
         {} of {} cached; {} on the disk, which has {} free of {}",
        totals.objects,
        totals.complete,
        totals.pinned,
        totals.protected,
        totals.damaged,
        Bytes(totals.resident),
        Bytes(totals.size),
        Bytes(totals.allocated),
        Bytes(totals.disk_free),
        Bytes(totals.disk),
    )
}

/// Where answers go: a line of text, or of JSON.
struct Out {
    json: bool,
}

impl Out {
    fn tell(&self, value: &impl Serialize, text: impl FnOnce() -> String) {
        match self.json {
            true => self.line(serde_json::to_string(value).unwrap_or_default()),
            false => self.line(text()),
        }
    }

    fn line(&self, text: impl Display) {
        crate::say(&format!("{text}\n"));
    }
}
