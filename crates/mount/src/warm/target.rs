//! Which mount of ours a path lies in.

use std::io;
use std::path::{Path, PathBuf};

use fuse::mount::table::{self, Connection, MountEntry};

use crate::control::Client;
use crate::message::Problem;
use crate::mountpoint::KIND;
use crate::mountpoint::probe::{self, Finding};
use crate::state::Records;

/// A file or directory in a mount of ours that answers.
#[derive(Debug)]
pub(super) struct Target {
    /// It, absolute and without symbolic links.
    pub(super) path: PathBuf,
    /// Whether it is a file.
    pub(super) is_file: bool,
    /// Its path below the mount; empty for the mount itself.
    inside: String,
    mount: PathBuf,
    connection: Connection,
}

impl Target {
    /// Looks at `path` without ever waiting for whoever serves it.
    ///
    /// # Errors
    /// It does not lie in a mount of ours, or that does not answer.
    pub(super) fn find(path: &Path, records: &Records, what: &str) -> Result<Self, Problem> {
        let problem = |why: String, fix: String| Problem { what: what.to_owned(), why, fix };
        let shown = path.display();
        let look = format!("ls -ld {shown}");
        let found = probe::ask(path).map_err(|error| problem(error.to_string(), look.clone()))?;
        let mounts = table::mounts().map_err(|error| problem(error.to_string(), look.clone()))?;
        let entry = above(mounts, &found.path);
        let ours = entry.filter(|entry| entry.kind == KIND);
        let Some((entry, connection)) = ours.and_then(|e| e.connection().map(|c| (e, c))) else {
            return Err(match found.finding {
                Finding::Missing => problem("it does not exist".into(), look),
                _ => problem(
                    "it does not lie in a mount of ours".into(),
                    "findmnt -t fuse.mountpoint-s3 shows them".into(),
                ),
            });
        };
        let mount = entry.path;
        let again = format!("mount-s3 umount {}, and mount it again", mount.display());
        let is_file = match found.finding {
            Finding::Directory => false,
            Finding::File => true,
            Finding::Missing => return Err(problem("it does not exist".into(), look)),
            Finding::Dead => return Err(problem("nobody serves the mount any more".into(), again)),
            Finding::Silent => return Err(problem("the mount does not answer".into(), again)),
            Finding::Error(why) => return Err(problem(why, look)),
        };
        let inside = found.path.strip_prefix(&mount).ok().and_then(Path::to_str);
        let inside = inside.map(str::to_owned);
        let inside = inside.ok_or_else(|| problem("its name is not UTF-8".into(), look))?;
        let target = Self { path: found.path, is_file, inside, mount, connection };
        match records.read(connection) {
            Some(_) => Ok(target),
            None => Err(target.unknown(what)),
        }
    }

    /// A connection to the daemon.
    ///
    /// # Errors
    /// It has no control socket, or nobody listens.
    pub(super) fn connect(&self, records: &Records, what: &str) -> Result<Client, Problem> {
        let socket = records.socket(self.connection).map_err(|error| self.closed(what, &error))?;
        Client::connect(&socket).map_err(|error| self.closed(what, &error))
    }

    /// `paths` below the target as paths below the mount.
    pub(super) fn paths(&self, paths: Vec<String>) -> Vec<String> {
        let inside = |path: String| match (self.inside.as_str(), path.as_str()) {
            ("", _) => path,
            (inside, "") => inside.to_owned(),
            (inside, path) => format!("{inside}/{path}"),
        };
        paths.into_iter().map(inside).collect()
    }

    fn unknown(&self, what: &str) -> Problem {
        Problem {
            what: what.to_owned(),
            why: format!("no record of the mount at {} can be read", self.mount.display()),
            fix:
                "run this as the user who mounted it, on the same machine or in the same container"
                    .into(),
        }
    }

    fn closed(&self, what: &str, error: &io::Error) -> Problem {
        Problem {
            what: what.to_owned(),
            why: format!(
                "the control socket of the mount at {} cannot be used: {error}",
                self.mount.display()
            ),
            fix: "see the mount's log for why it has none; mount it again once that is mended"
                .into(),
        }
    }
}

/// The topmost of the mounts that `path` lies in.
fn above(mounts: Vec<MountEntry>, path: &Path) -> Option<MountEntry> {
    // The last of those that are equally deep lies on top.
    mounts
        .into_iter()
        .filter(|mount| path.starts_with(&mount.path))
        .max_by_key(|mount| mount.path.components().count())
}
