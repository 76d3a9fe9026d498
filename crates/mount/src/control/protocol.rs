//! What is said on the control socket: JSON, one value a line.
//!
//! A connection carries one question. Its first line is an [`Ask`]; for those about files each
//! further line is a path below the mount as a string, and `null` ends them. The daemon says
//! [`Answer`]s until it closes the connection, the last one being [`Answer::Status`],
//! [`Answer::Accepted`], [`Answer::Done`] or [`Answer::Refused`].

use std::collections::HashSet;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// The longest line, in bytes: a path of the longest key, every byte of it escaped, fits.
pub(crate) const LINE_MAX: usize = 16 * 1024;
/// The most bytes of paths in one question.
pub(crate) const PATHS_MAX: usize = 16 << 20;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// What the mount is and has done.
    Status {},
    /// Fetch the files into the cache.
    Warm(Order),
    /// Which of the files are in the cache.
    Resident {},
}

/// How files are to be fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Order {
    /// Keep them from being evicted.
    pub pin: bool,
    /// At most so many bytes a second.
    pub rate: Option<u64>,
    /// Go on when the connection is closed.
    pub background: bool,
}

/// What a daemon says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Answer {
    /// What the mount is and has done.
    Status(serde_json::Map<String, serde_json::Value>),
    /// The files are fetched in the background.
    Accepted {
        /// How many there are.
        files: u64,
    },
    /// How far it is.
    Progress(Progress),
    /// About one file, which could be looked at, or fetched.
    File(FileState),
    /// One file could not be.
    Failed {
        /// Its path below the mount.
        path: String,
        /// Why.
        why: String,
    },
    /// Nothing more will come.
    Done(Progress),
    /// The question is not answered.
    Refused {
        /// Why.
        why: String,
        /// What to do about it.
        fix: String,
    },
}

/// One file and the cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    /// Its path below the mount.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Bytes of it that are in the cache.
    pub resident: u64,
    /// Whether that is all of it.
    pub complete: bool,
    /// Whether it is kept from being evicted.
    pub pinned: bool,
}

/// How far the work on some files is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Files to look at.
    pub files: u64,
    /// Of them, those that were looked up: `bytes` counts these.
    pub files_known: u64,
    /// Those that are in the cache to the last byte, and on the disk.
    pub files_done: u64,
    /// Those that could not be fetched.
    pub files_failed: u64,
    /// Size of all in bytes.
    pub bytes: u64,
    /// Bytes of them that are in the cache.
    pub bytes_resident: u64,
    /// Of these, the ones that were not when it began.
    pub bytes_fetched: u64,
    /// How long it has taken, in milliseconds.
    pub elapsed_ms: u64,
    /// Whether it goes on without a connection.
    pub background: bool,
    /// Whether it still goes on.
    pub running: bool,
}

/// A line that is not what it must be.
#[derive(Debug, thiserror::Error)]
pub enum BadLine {
    /// It is longer than allowed.
    #[error("a line is longer than {LINE_MAX} bytes")]
    TooLong,
    /// The connection ended in it.
    #[error("the connection ended within a line")]
    Cut,
    /// It is not the JSON that belongs there.
    #[error("not understood: {0}")]
    Json(#[from] serde_json::Error),
    /// All paths together are longer than allowed.
    #[error("the paths together are longer than {PATHS_MAX} bytes")]
    TooMany,
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// The value of the next line; nothing at the end.
pub(crate) async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncBufRead + Unpin),
) -> Result<Option<T>, BadLine> {
    let mut line = Vec::new();
    from.take(LINE_MAX as u64).read_until(b'\n', &mut line).await?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(serde_json::from_slice(&line)?)),
        Some(_) if line.len() == LINE_MAX => Err(BadLine::TooLong),
        Some(_) => Err(BadLine::Cut),
    }
}

/// The paths that follow a question, each once.
pub(crate) async fn read_paths(
    from: &mut (impl AsyncBufRead + Unpin),
) -> Result<Vec<String>, BadLine> {
    let (mut paths, mut seen, mut bytes) = (Vec::new(), HashSet::new(), 0);
    loop {
        match read::<Option<String>>(from).await? {
            None => return Err(BadLine::Cut),
            Some(None) => return Ok(paths),
            Some(Some(path)) => {
                bytes += path.len() + 1;
                if bytes > PATHS_MAX {
                    return Err(BadLine::TooMany);
                }
                if seen.insert(path.clone()) {
                    paths.push(path);
                }
            }
        }
    }
}

/// `value` as a line.
pub(crate) fn line(value: &impl Serialize) -> Result<Vec<u8>, BadLine> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}
