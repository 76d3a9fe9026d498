//! The command line: what was typed ([`LowArgs`]) and what it means ([`Config`]). The rest of
//! the program never sees the words.

pub mod announce;
pub mod cache;
pub mod config;
pub mod environment;
pub mod help;
mod lab;
pub mod low;
pub mod parse;
pub mod status;
mod suggest;
pub mod table;
pub mod umount;
pub mod units;
pub mod uploads;
mod value;
pub mod warm;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use config::{
    Access, CacheConfig, Config, Limits, LogConfig, LogTarget, MaskedFeatures, PartSize,
    SourceConfig, Ttl, ViewConfig, WriteConfig,
};
pub use environment::Environment;
pub use low::LowArgs;

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Mount a bucket.
    Mount(Box<Config>),
    /// Unmount a directory.
    Umount(umount::UmountArgs),
    /// Mark a Kubernetes node as ready.
    Announce(announce::AnnounceArgs),
    /// Say how mounts are.
    Status(status::StatusArgs),
    /// Fetch files of a mount into its cache.
    Warm(warm::WarmArgs),
    /// Look into a node cache, or tidy it.
    Cache(cache::CacheArgs),
    /// Show uploads that were not ended, or throw them away.
    Uploads(Box<uploads::UploadsArgs>),
    /// Run the embedded S3 server.
    Lab(Box<::lab::Options>),
    /// Print this text and end.
    Print(String),
}

/// A command line that makes no sense; exit code 2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Usage {
    /// The words cannot be told apart.
    #[error("{0}")]
    Malformed(String),
    /// No such flag.
    #[error("there is no flag `{typed}`{}", near.map(|n| format!("; did you mean `--{n}`?")).unwrap_or_default())]
    Unknown {
        /// As it was typed.
        typed: String,
        /// The flag that may have been meant.
        near: Option<&'static str>,
    },
    /// A flag of AWS's Mountpoint that this version does not have.
    #[error("`--{flag}` is not supported yet")]
    NotYet {
        /// The flag's long name.
        flag: &'static str,
        /// What to do until then.
        instead: &'static str,
    },
    /// A flag stands without its value.
    #[error("`--{flag}` needs a value")]
    ValueMissing {
        /// The flag's long name.
        flag: &'static str,
    },
    /// A value makes no sense.
    #[error("`--{flag}`: {why}")]
    BadValue {
        /// The flag's long name.
        flag: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// Two flags exclude each other.
    #[error("`--{0}` and `--{1}` exclude each other")]
    Conflict(&'static str, &'static str),
    /// A word that is empty or blank.
    #[error("one of the words is blank")]
    BlankWord,
    /// A word too many.
    #[error("`{0}` is one word too many")]
    ExtraWord(String),
    /// A word that must be there is not.
    #[error("{0} is missing")]
    WordMissing(&'static str),
    /// A relative path was typed in a directory that was deleted.
    #[error("`{0}` is meant from the current directory, which does not exist any more")]
    Nowhere(String),
    /// The bucket and the directory were typed in the wrong order.
    #[error("`{directory}` stands where the bucket belongs")]
    Swapped {
        /// What was typed first.
        directory: String,
        /// What was typed second.
        bucket: String,
    },
    /// The first word names no bucket.
    #[error("`{word}` is no bucket: {why}")]
    BadBucket {
        /// What was typed.
        word: String,
        /// What is wrong with it.
        why: String,
    },
    /// The environment holds a value that makes no sense.
    #[error("the environment variable {name}: {why}")]
    BadVariable {
        /// The variable.
        name: &'static str,
        /// What is wrong with its value.
        why: String,
    },
}

impl Usage {
    /// What to do about it: a sentence or a command.
    pub fn fix(&self) -> String {
        match self {
            Usage::NotYet { instead, .. } => (*instead).to_owned(),
            Usage::BlankWord => "a backslash continues a line only when nothing follows it: in \
                `\\  # comment` the shell passes on a blank word and ends the command there; \
                remove the comment and the blanks behind the backslash"
                .into(),
            Usage::Swapped { directory, bucket } => {
                format!("the bucket comes first: mount-s3 {bucket} {directory}")
            }
            Usage::Nowhere(_) => "cd / and give an absolute path".into(),
            Usage::WordMissing(_) => "mount-s3 BUCKET DIRECTORY; see mount-s3 --help".into(),
            Usage::BadBucket { .. } => {
                "give a bucket name, or s3://BUCKET/PREFIX/; aws s3 ls shows your buckets".into()
            }
            Usage::Conflict(_, second) => format!("drop one of them, for example --{second}"),
            Usage::BadVariable { name, .. } => format!("unset {name}"),
            Usage::BadValue { flag, .. } => format!("mount-s3 --help tells what --{flag} takes"),
            Usage::Malformed(_)
            | Usage::Unknown { .. }
            | Usage::ValueMissing { .. }
            | Usage::ExtraWord(_) => "mount-s3 --help lists all flags".into(),
        }
    }
}

/// Reads a whole command line, without the program's name. `here` is the current directory,
/// against which relative paths are meant; `None` when it does not exist.
///
/// The very first word may be a subcommand; buckets of those names are mounted as `s3://umount`
/// and the like.
///
/// # Errors
/// What makes no sense about it.
pub fn command(
    words: Vec<OsString>,
    environment: &Environment,
    here: Option<&Path>,
) -> Result<Command, Usage> {
    match words.first().and_then(|word| word.to_str()) {
        Some("umount") => umount::command(words.into_iter().skip(1), here),
        Some("announce") => announce::command(words.into_iter().skip(1), here),
        Some("status") => status::command(words.into_iter().skip(1), here),
        Some("warm") => warm::command(words.into_iter().skip(1), here),
        Some("cache") => cache::command(words.into_iter().skip(1), here),
        Some("uploads") => uploads::command(words.into_iter().skip(1), environment, here),
        Some("lab") => lab::command(words.into_iter().skip(1)),
        _ => {
            let args = parse::parse(table::FLAGS, words)?;
            match args.special {
                Some(special) => Ok(Command::Print(help::answer(special))),
                None => config::resolve(args, environment, here)
                    .map(|config| Command::Mount(Box::new(config))),
            }
        }
    }
}

/// `path` as meant by whoever stands in `here`.
fn absolute(here: Option<&Path>, path: &Path) -> Result<PathBuf, Usage> {
    match here {
        Some(here) => Ok(here.join(path)),
        None if path.is_absolute() => Ok(path.to_owned()),
        None => Err(Usage::Nowhere(path.display().to_string())),
    }
}

#[cfg(test)]
mod tests;
