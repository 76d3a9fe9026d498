//! The words of `mount-s3 uploads`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use object::Key;

use crate::flags::config::{SourceConfig, bucket, chosen, source};
use crate::flags::help;
use crate::flags::low::{Connection, Connects};
use crate::flags::parse::{Typed, parse};
use crate::flags::table::connection::Rows;
use crate::flags::table::{Flag, Group};
use crate::flags::units::duration;
use crate::flags::value::{path, some, text};
use crate::flags::{Command, Environment, Usage, absolute};

/// What is to be done with uploads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// List them.
    List,
    /// Throw these away.
    Abort {
        /// The key that the object would have.
        key: Key,
        /// The store's names of the uploads.
        ids: Vec<String>,
    },
    /// Throw away those that are older than this.
    AbortOlder(Duration),
}

/// What was typed after `mount-s3 uploads`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadsArgs {
    /// What to do.
    pub action: Action,
    /// Where the uploads are; the prefix is any beginning of keys.
    pub source: SourceConfig,
    /// The cache of the mounts whose journals are looked at too.
    pub cache: Option<PathBuf>,
    /// Where a user other than root keeps what must outlive the boot.
    pub state_directory: Option<PathBuf>,
    /// Answer in JSON, one object a line.
    pub json: bool,
}

#[derive(Default)]
struct Words {
    words: Vec<OsString>,
    connection: Connection,
    prefix: Option<String>,
    key: Option<String>,
    ids: Vec<String>,
    older: Option<Duration>,
    cache: Option<PathBuf>,
    json: bool,
    help: bool,
}

type Row = Flag<Words>;

static FLAGS: &[Row] = &[
    Row::value(Group::Bucket, "prefix", "PREFIX", "Only keys that begin with this", |a, v| {
        a.prefix = Some(v.to_str().ok_or("the value is not UTF-8")?.to_owned());
        Ok(())
    })
    .doc("Needed by `abort --older-than`; there, '' is the whole bucket."),
    Row::value(Group::Write, "key", "KEY", "The key of the uploads to abort", |a, v| {
        some(&mut a.key, text(v))
    }),
    Row::value(Group::Write, "upload-id", "ID", "An upload to abort; may be repeated", |a, v| {
        a.ids.push(text(v)?);
        Ok(())
    }),
    Row::value(Group::Write, "older-than", "AGE", "Abort those that are older", |a, v| {
        some(&mut a.older, text(v).and_then(|t| duration(&t)))
    })
    .doc(
        "Such as 2d or 12h. Those of a mount on this node that lives are kept. Uploads of others \
         are not: whoever still writes to one that old will fail.",
    ),
    Row::value(Group::Cache, "cache", "DIR", "The --cache of the node's mounts", |a, v| {
        some(&mut a.cache, path(v))
    })
    .doc("Where mounts with this cache have written down their uploads."),
    Row::switch(Group::Run, "json", "Answer in JSON, one object a line", |a| a.json = true),
    Row::switch(Group::Run, "help", "Print help", |a| a.help = true).short('h'),
];

static TABLES: &[&[Row]] = &[Rows::<Words>::FLAGS, FLAGS];

const ABOUT: &str = "Shows uploads in parts that were begun and not ended, and throws them away.\n\
    Their bytes cost money, and nobody sees them. No mount needs to run.\n\n\
    Usage: mount-s3 uploads ls [OPTIONS] BUCKET\n       \
    mount-s3 uploads abort [OPTIONS] BUCKET --key KEY --upload-id ID...\n       \
    mount-s3 uploads abort [OPTIONS] BUCKET --older-than AGE --prefix PREFIX\n\n\
    Arguments:\n  \
    BUCKET  A bucket, or s3://BUCKET/PREFIX.\n\n  \
    ls      all of them, whoever began them; HERE tells those that mounts of this user on\n          \
    this node have written down: `live` while the mount lives, `dead` when the next\n          \
    mount of the bucket will throw them away\n  \
    abort   throws away those that are named\n\n\
    Exit codes: 0 done, 1 some of it could not be done, 2 usage.\n\n\
    Examples:\n  \
    mount-s3 uploads ls my-jars\n  \
    mount-s3 uploads abort my-jars --older-than 7d --prefix builds/\n";

impl Connects for Words {
    fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl Typed for Words {
    fn place(&mut self, word: OsString) -> Result<(), OsString> {
        if self.words.len() == 2 {
            return Err(word);
        }
        self.words.push(word);
        Ok(())
    }

    fn short_help(&mut self) {
        self.help = true;
    }
}

pub(super) fn command(
    words: impl Iterator<Item = OsString>,
    environment: &Environment,
    here: Option<&Path>,
) -> Result<Command, Usage> {
    let mut typed = parse(TABLES, words)?;
    if typed.help {
        return Ok(Command::Print(help::page(ABOUT, TABLES)));
    }
    let mut words = std::mem::take(&mut typed.words).into_iter();
    let what = words.next().ok_or(Usage::WordMissing("what to do: ls or abort"))?;
    let word = words.next();
    let action = action(&what, &mut typed)?;
    let word = word.ok_or(Usage::WordMissing("the bucket"))?;
    let (bucket, in_uri) = bucket(&word)?;
    let prefix = chosen(&word, in_uri, typed.prefix)?;
    Ok(Command::Uploads(Box::new(UploadsArgs {
        action,
        source: source((bucket, prefix), typed.connection, environment, here)?,
        cache: typed.cache.map(|cache| absolute(here, &cache)).transpose()?,
        state_directory: environment.state_directory.clone(),
        json: typed.json,
    })))
}

fn action(word: &OsStr, typed: &mut Words) -> Result<Action, Usage> {
    let ids = std::mem::take(&mut typed.ids);
    match (word.to_str(), typed.key.take(), typed.older) {
        (Some("ls"), None, None) if ids.is_empty() => Ok(Action::List),
        (Some("ls"), Some(_), _) => Err(only_abort("key")),
        (Some("ls"), _, Some(_)) => Err(only_abort("older-than")),
        (Some("ls"), ..) => Err(only_abort("upload-id")),
        (Some("abort"), Some(_), Some(_)) => Err(Usage::Conflict("key", "older-than")),
        (Some("abort"), _, Some(_)) if !ids.is_empty() => {
            Err(Usage::Conflict("upload-id", "older-than"))
        }
        (Some("abort"), Some(key), None) => {
            if typed.prefix.is_some() {
                return Err(Usage::Conflict("key", "prefix"));
            }
            let bad = |why: object::BadKey| Usage::BadValue { flag: "key", why: why.to_string() };
            let key = Key::new(&key).map_err(bad)?;
            match ids.is_empty() {
                true => Err(Usage::WordMissing("--upload-id")),
                false => Ok(Action::Abort { key, ids }),
            }
        }
        (Some("abort"), None, Some(older)) => match typed.prefix {
            Some(_) => Ok(Action::AbortOlder(older)),
            None => Err(Usage::WordMissing("--prefix")),
        },
        (Some("abort"), None, None) => {
            Err(Usage::WordMissing("which ones: --key and --upload-id, or --older-than"))
        }
        _ => Err(Usage::ExtraWord(word.to_string_lossy().into_owned())),
    }
}

fn only_abort(flag: &'static str) -> Usage {
    Usage::BadValue { flag, why: "only `mount-s3 uploads abort` takes it".into() }
}

#[cfg(test)]
mod tests;
