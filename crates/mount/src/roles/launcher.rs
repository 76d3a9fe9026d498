//! What the user typed.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, ExitCode, Stdio};
use std::time::Duration;

use rustix::process::{Resource, getrlimit};

use super::{Assignment, Deadline, Place, keeper, start, sys};
use crate::flags::Config;
use crate::log::FileName;
use crate::message::{Cause, Problem, cannot_mount};
use crate::mountpoint::{self, Site};
use crate::state::{Identity, Records};

/// Longer than the keeper waits for the daemon: it is the keeper that says what went wrong, and
/// only one that hangs is killed.
const PATIENCE: Duration = Duration::from_secs(keeper::START_SECONDS + 5);

/// Open files without which a mount would fail in the middle of its work: connections to the
/// store, twice as many as the most GETs at once, and a hundred of all other kinds.
const OPEN_FILES_FEWEST: u64 = 256;

/// Mounts what `config` asks for; `words` are the command line, for the processes to come.
///
/// # Errors
/// Why it cannot be mounted. What the daemon found out it has said itself.
pub fn run(mut config: Config, words: Vec<OsString>) -> Result<ExitCode, Problem> {
    enough_files().map_err(|cause| cannot_mount(&cause, &config))?;
    sys::keep_descriptors_to_ourselves();
    let wanted = Identity::of(&config);
    let uid = rustix::process::geteuid().as_raw();
    let records = Records::of_user(uid, config.runtime_directory.as_deref());
    let mut site = mountpoint::prepare(&config.directory, &wanted, &records);
    if config.create_directory && matches!(site, Err(Cause::DirectoryMissing)) {
        site = create(&config.directory)
            .and_then(|()| mountpoint::prepare(&config.directory, &wanted, &records));
    }
    match site.map_err(|cause| cannot_mount(&cause, &config))? {
        Site::Served(_) => {
            let directory = config.directory.display();
            crate::say(&format!("{} is already mounted at {directory}\n", config.subject()));
            return Ok(ExitCode::SUCCESS);
        }
        Site::Free { path, cleared } => {
            if cleared {
                let path = path.display();
                crate::complain(format!("mount-s3: a dead mount was taken away from {path}\n"));
            }
            config.directory = path;
        }
    }
    device_is_there().map_err(|cause| cannot_mount(&cause, &config))?;
    for note in &config.notes {
        crate::complain(format!("mount-s3: {note}\n"));
    }
    let place = Place::new(config.directory.clone(), FileName::now());
    if config.foreground {
        return Ok(keeper::run_in_foreground(&config, &place, words));
    }
    launch(&config, place, words).map_err(|cause| cannot_mount(&cause, &config))
}

/// Makes the directory to mount on, and what is missing above it.
fn create(directory: &Path) -> Result<(), Cause> {
    std::fs::create_dir_all(directory).map_err(|error| Cause::DirectoryUnusable(error.to_string()))
}

/// Whether as many files may be open as a mount needs. The daemon raises the soft limit itself.
fn enough_files() -> Result<(), Cause> {
    match getrlimit(Resource::Nofile).maximum {
        Some(allowed) if allowed < OPEN_FILES_FEWEST => {
            Err(Cause::FewFiles { allowed, needed: OPEN_FILES_FEWEST })
        }
        _ => Ok(()),
    }
}

/// Whether there is FUSE at all, before anybody is asked anything.
fn device_is_there() -> Result<(), Cause> {
    match fuse::Device::open() {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(Cause::FuseDenied(error.to_string()))
        }
        Err(_) => Err(Cause::NoFuse),
    }
}

/// Starts the keeper and waits for its word.
fn launch(config: &Config, place: Place, words: Vec<OsString>) -> Result<ExitCode, Cause> {
    let not_started = |error: io::Error| Cause::NotStarted(error.to_string());
    let mut keeper = start(&Assignment::Keeper(place), "mount-s3-keeper", words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(not_started)?;
    match word(&mut keeper).map_err(not_started)? {
        Word::Serving => {
            let directory = config.directory.display();
            crate::say(&format!("{} is mounted at {directory}\n", config.subject()));
            Ok(ExitCode::SUCCESS)
        }
        // Keeper or daemon have said why.
        Word::Failed => {
            let _ = keeper.wait();
            Ok(ExitCode::FAILURE)
        }
        Word::Nothing => {
            let _ = keeper.kill();
            Err(Cause::TooSlow(PATIENCE.as_secs()))
        }
    }
}

/// What the keeper said.
enum Word {
    Serving,
    Failed,
    Nothing,
}

fn word(keeper: &mut Child) -> io::Result<Word> {
    let Some(mut pipe) = keeper.stdout.take() else { return Ok(Word::Failed) };
    if !Deadline::after(PATIENCE).readable(&[&pipe])? {
        return Ok(Word::Nothing);
    }
    let mut byte = [0];
    Ok(if pipe.read(&mut byte)? == 1 { Word::Serving } else { Word::Failed })
}
