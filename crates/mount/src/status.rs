//! `mount-s3 status`: whether mounts serve, and what they have done.
//!
//! Exit codes: 0 all of them serve; 1 one does not; 2 usage.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fuse::mount::table;
use serde_json::{Map, Value, json};

use crate::control::Client;
use crate::control::protocol::{Answer, Ask};
use crate::flags::Environment;
use crate::flags::status::StatusArgs;
use crate::message::{Cause, Problem};
use crate::mountpoint::probe::Finding;
use crate::mountpoint::{self, Found, KIND, Occupant};
use crate::state::Records;

/// How a mount is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It answers.
    Serving,
    /// Nobody serves it any more.
    Dead,
    /// Whoever serves it does not answer.
    Hung,
    /// Nothing of ours is mounted there.
    NotMounted,
    /// It cannot be looked at, and why.
    Unknown(String),
}

/// A directory, and how the mount on it is.
#[derive(Debug)]
pub struct Report {
    /// The directory, absolute.
    pub directory: PathBuf,
    /// How the mount is.
    pub state: State,
    /// What the daemon tells of itself; nothing where it was not asked or does not answer.
    pub told: Option<Map<String, Value>>,
}

/// Says how the mounts that `args` name are.
///
/// # Errors
/// Why nothing can be said.
pub fn run(args: &StatusArgs, environment: &Environment) -> Result<ExitCode, Problem> {
    let uid = rustix::process::geteuid().as_raw();
    let records = Records::of_user(uid, environment.runtime_directory.as_deref());
    let directories = match args.directories.is_empty() {
        true => mounts().map_err(|cause| cause.problem("mounts cannot be listed", "/".as_ref()))?,
        false => args.directories.clone(),
    };
    let mut all_serve = true;
    for directory in &directories {
        let report = look(directory, &records, !args.quiet).map_err(|cause| {
            cause.problem(&format!("{} cannot be looked at", directory.display()), directory)
        })?;
        all_serve &= report.state == State::Serving;
        match (args.json, args.quiet && report.state == State::Serving) {
            (true, _) => crate::say(&format!("{}\n", report.json())),
            (false, false) => crate::say(&report.text()),
            (false, true) => {}
        }
    }
    Ok(if all_serve { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All mounts of ours that are seen from here, each once.
fn mounts() -> Result<Vec<PathBuf>, Cause> {
    let mounts = table::mounts().map_err(|e| Cause::DirectoryUnusable(e.to_string()))?;
    let ours = mounts.into_iter().filter(|mount| mount.kind == KIND);
    let mut paths: Vec<PathBuf> = ours.map(|mount| mount.path).collect();
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// Looks at the mount on `directory`, never longer than a few seconds, and asks its daemon about
/// itself where that is wanted.
///
/// # Errors
/// Neither the mount table nor a child process can be used.
pub fn look(directory: &Path, records: &Records, ask: bool) -> Result<Report, Cause> {
    let report = |state, told| Report { directory: directory.to_owned(), state, told };
    let found = match mountpoint::look(directory, records)? {
        Occupant::Ours(found) => *found,
        Occupant::Foreign(_) | Occupant::Nobody(_) => return Ok(report(State::NotMounted, None)),
    };
    let state = match &found.finding {
        Finding::Directory | Finding::File => State::Serving,
        Finding::Dead => State::Dead,
        Finding::Silent => State::Hung,
        Finding::Missing => State::NotMounted,
        Finding::Error(why) => State::Unknown(why.clone()),
    };
    let told = (ask && state == State::Serving).then(|| asked(&found, records)).flatten();
    Ok(report(state, told))
}

/// What the daemon says of itself. One without a control socket, or of another user, serves too.
fn asked(found: &Found, records: &Records) -> Option<Map<String, Value>> {
    let socket = records.socket(found.connection).ok()?;
    let mut client = Client::connect(&socket).ok()?;
    client.ask(&Ask::Status {}).ok()?;
    match client.answer().ok()?? {
        Answer::Status(told) => Some(told),
        _ => None,
    }
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Dead => "dead",
            Self::Hung => "hung",
            Self::NotMounted => "not mounted",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Why it does not serve, and what to do, in one line.
    pub fn trouble(&self, directory: &Path) -> Option<String> {
        let d = directory.display();
        Some(match self {
            Self::Serving => return None,
            Self::Dead => format!(
                "nobody serves it any more; mounting there again takes it away, and so does \
                 mount-s3 umount {d}"
            ),
            Self::Hung => {
                format!("its daemon does not answer; mount-s3 umount {d}, and mount it again")
            }
            Self::NotMounted => {
                "no mount of ours is there; findmnt -t fuse.mountpoint-s3 shows all".into()
            }
            Self::Unknown(why) => why.clone(),
        })
    }
}

impl Report {
    fn json(&self) -> Value {
        let mut object = self.told.clone().unwrap_or_default();
        object.remove("summary");
        object.insert("directory".into(), json!(self.directory.to_string_lossy()));
        object.insert("state".into(), json!(self.state.name()));
        if let Some(trouble) = self.state.trouble(&self.directory) {
            object.insert("trouble".into(), json!(trouble));
        }
        Value::Object(object)
    }

    fn text(&self) -> String {
        let mut text = format!("{}: {}", self.directory.display(), self.state.name());
        if let Some(trouble) = self.state.trouble(&self.directory) {
            let _ = write!(text, ": {trouble}");
        }
        let told = |name: &str| self.told.as_ref().and_then(|told| told.get(name));
        let word = |name: &str| told(name).and_then(Value::as_str);
        if let Some(bucket) = word("bucket") {
            let _ = write!(text, " s3://{bucket}/{}", word("prefix").unwrap_or_default());
        }
        if let Some(cache) = word("cache") {
            let _ = write!(text, ", cache {cache}");
        }
        text.push('\n');
        let lines = told("summary").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for line in lines.iter().filter_map(Value::as_str) {
            let _ = writeln!(text, "  {line}");
        }
        text
    }
}

#[cfg(test)]
mod tests;
