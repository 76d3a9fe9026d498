//! `mount-s3 uploads`: shows uploads that were not ended, and throws them away.
//!
//! Exit codes: 0 done; 1 some of it could not be done; 2 usage.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use cache::Scope;
use object::{Clock, Key, Sink, Time, Upload};
use serde::Serialize;
use tokio::runtime::Builder;

use super::leftovers::known;
use super::place::Place;
use super::record::Entry;
use crate::flags::uploads::{Action, UploadsArgs};
use crate::message::{self, Problem};

/// The most time that one request takes, retries included.
const DEADLINE: Duration = Duration::from_secs(30);

/// Does what `args` say.
///
/// # Errors
/// Why it could not be done at all.
pub fn run(args: &UploadsArgs) -> Result<ExitCode, Problem> {
    let source = &args.source;
    let what = format!("the uploads of bucket {} cannot be seen to", source.bucket);
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| Problem {
        what: what.clone(),
        why: error.to_string(),
        fix: "see ulimit -u".into(),
    })?;
    let clock = Clock::start();
    let done = runtime.block_on(async {
        let connected = crate::store::connect(source, DEADLINE, &clock).await?;
        let desk = Desk {
            sink: connected,
            known: Known::of(args),
            now: clock.now(),
            json: args.json,
            tell: &|line| crate::say(&format!("{line}\n")),
        };
        desk.work(args).await
    });
    let trouble = |error| message::of_store(&error, &what, source);
    match done.map_err(trouble)? {
        0 => Ok(ExitCode::SUCCESS),
        _ => Ok(ExitCode::FAILURE),
    }
}

/// What the journals of this node say, by the ids of the uploads.
struct Known {
    scope: Scope,
    entries: BTreeMap<String, (Entry, bool)>,
}

impl Known {
    fn of(args: &UploadsArgs) -> Self {
        let mut entries = BTreeMap::new();
        for place in Place::there(args.cache.as_deref(), args.state_directory.as_deref()) {
            match place.and_then(|place| known(&place)) {
                Ok(found) => entries.extend(found),
                Err(error) => {
                    crate::complain(format_args!("mount-s3: a journal cannot be read: {error}\n"));
                }
            }
        }
        Self { scope: args.source.scope(), entries }
    }

    fn owner(&self, upload: &Upload) -> Owner {
        match self.entries.get(&*upload.id) {
            Some((entry, alive)) if entry.scope == self.scope => {
                if *alive {
                    Owner::Live
                } else {
                    Owner::Dead
                }
            }
            _ => Owner::Unknown,
        }
    }
}

/// Whose upload it is, as far as this node knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Owner {
    /// A mount's on this node that lives.
    Live,
    /// A mount's that was on this node.
    Dead,
    /// Anybody's.
    Unknown,
}

/// One upload as it is told.
#[derive(Serialize)]
struct Row<'a> {
    key: &'a str,
    upload_id: &'a str,
    /// Seconds since the epoch.
    begun: u64,
    here: Owner,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a str>,
}

struct Desk<'a> {
    sink: Arc<dyn Sink>,
    known: Known,
    now: Time,
    json: bool,
    tell: &'a (dyn Fn(&dyn Display) + Sync),
}

impl Desk<'_> {
    /// How many uploads could not be thrown away.
    async fn work(&self, args: &UploadsArgs) -> object::Result<usize> {
        let prefix = &args.source.prefix;
        match &args.action {
            Action::List => {
                self.list(prefix).await?;
                Ok(0)
            }
            Action::Abort { key, ids } => {
                let named = ids.iter().map(|id| named(key, id));
                Ok(self.abort(named.collect()).await)
            }
            Action::AbortOlder(age) => {
                let mut old = self.open(prefix).await?;
                old.retain(|upload| self.now.since(upload.begun) > *age);
                let (kept, old): (Vec<_>, Vec<_>) =
                    old.into_iter().partition(|upload| self.known.owner(upload) == Owner::Live);
                for upload in &kept {
                    self.told(upload, "kept: its mount lives");
                }
                Ok(self.abort(old).await)
            }
        }
    }

    /// The uploads below `prefix` that are open. There are stores that list those of a key, and of
    /// no prefix: what the journals name is looked for by its key where the store does not list it.
    async fn open(&self, prefix: &str) -> object::Result<Vec<Upload>> {
        let mut open = self.sink.uploads(prefix).await?;
        let listed: BTreeSet<Box<str>> = open.iter().map(|upload| upload.id.clone()).collect();
        let entries = self.known.entries.values().map(|(entry, _)| entry);
        let hidden: BTreeSet<&str> = entries
            .filter(|entry| entry.scope == self.known.scope && entry.key.starts_with(prefix))
            .filter(|entry| !listed.contains(&*entry.id))
            .map(|entry| entry.key.as_str())
            .collect();
        for key in hidden {
            let of_key = self.sink.uploads(key).await?.into_iter();
            open.extend(
                of_key.filter(|upload| upload.key.as_str() == key && !listed.contains(&upload.id)),
            );
        }
        Ok(open)
    }

    async fn list(&self, prefix: &str) -> object::Result<()> {
        let uploads = self.open(prefix).await?;
        if !self.json {
            (self.tell)(&"     AGE  HERE     KEY  UPLOAD ID");
        }
        for upload in &uploads {
            let here = match self.known.owner(upload) {
                Owner::Live => "live",
                Owner::Dead => "dead",
                Owner::Unknown => "-",
            };
            let key = crate::log::one_line(upload.key.as_str());
            let id = crate::log::one_line(&upload.id);
            let age = age(self.now.since(upload.begun));
            let text = format!("{age:>8}  {here:<7}  {key}  {id}");
            self.row(upload, None, &text);
        }
        Ok(())
    }

    async fn abort(&self, uploads: Vec<Upload>) -> usize {
        let mut failed = 0;
        for upload in &uploads {
            match self.sink.abort(upload).await {
                Ok(()) => self.told(upload, "aborted"),
                Err(error) => {
                    failed += 1;
                    self.told(upload, &format!("failed: {error}"));
                }
            }
        }
        failed
    }

    fn told(&self, upload: &Upload, result: &str) {
        let key = crate::log::one_line(upload.key.as_str());
        let text = format!("{key}  {}  {result}", crate::log::one_line(&upload.id));
        self.row(upload, Some(result), &text);
    }

    fn row(&self, upload: &Upload, result: Option<&str>, text: &str) {
        let row = Row {
            key: upload.key.as_str(),
            upload_id: &upload.id,
            begun: upload.begun.secs(),
            here: self.known.owner(upload),
            result,
        };
        match self.json {
            true => (self.tell)(&serde_json::to_string(&row).unwrap_or_default()),
            false => (self.tell)(&text),
        }
    }
}

fn named(key: &Key, id: &str) -> Upload {
    Upload { key: key.clone(), id: id.into(), begun: Time::default() }
}

/// A time in the largest unit that it reaches.
fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    match units.into_iter().find(|(unit, _)| seconds >= *unit) {
        Some((unit, name)) => format!("{}{name}", seconds / unit),
        None => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests;
