//! `mount-s3 umount DIRECTORY`: ends a mount of ours in whatever state it is.
//!
//! Exit codes: 0 unmounted and its processes ended; 1 it could not be (nothing there, not ours,
//! in use); 2 usage.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::flags::Environment;
use crate::flags::umount::UmountArgs;
use crate::message::{Cause, Problem};
use crate::mountpoint::probe::Finding;
use crate::mountpoint::{self, Found, Occupant, UnmountError};
use crate::roles::Deadline;
use crate::state::{Process, Records};

/// How long the processes of a mount may take to end. More than the keeper lets them have.
const PATIENCE: Duration = Duration::from_secs(15);

/// Unmounts what `args` name.
///
/// # Errors
/// Why it could not be unmounted.
pub fn run(args: &UmountArgs, environment: &Environment) -> Result<ExitCode, Problem> {
    let directory = &args.directory;
    let uid = rustix::process::geteuid().as_raw();
    let records = Records::of_user(uid, environment.runtime_directory.as_deref());
    let what = format!("{} cannot be unmounted", directory.display());
    unmount(directory, args.lazy, &records).map_err(|cause| cause.problem(&what, directory))?;
    Ok(ExitCode::SUCCESS)
}

fn unmount(directory: &Path, lazy: bool, records: &Records) -> Result<(), Cause> {
    let found = match mountpoint::look(directory, records)? {
        Occupant::Ours(found) => *found,
        Occupant::Foreign(entry) => {
            let source = entry.source.to_string_lossy().into_owned();
            return Err(Cause::ForeignMount { kind: entry.kind, source });
        }
        Occupant::Nobody(_) => return Err(Cause::NotMounted),
    };
    match found.finding {
        Finding::Dead | Finding::Silent => enforce(&found)?,
        _ => {
            if let Some(busy) = ask(&found, lazy)? {
                crate::say(&busy);
                return Ok(());
            }
        }
    }
    wait(&found, records)
}

/// Unmounts a mount that answers. What is to be said when it lives on unseen is given back.
fn ask(found: &Found, lazy: bool) -> Result<Option<String>, Cause> {
    let directory = found.path.display();
    match mountpoint::unmount(&found.path) {
        Ok(()) => Ok(None),
        Err(UnmountError::Busy) if lazy => {
            mountpoint::detach(&found.path).map_err(Cause::UnmountFailed)?;
            Ok(Some(format!(
                "{directory} is unmounted; files that are still open in it are served until \
                 they are closed\n"
            )))
        }
        Err(UnmountError::Busy) => Err(Cause::Busy(users(&found.path))),
        Err(UnmountError::Other(why)) => Err(Cause::UnmountFailed(why)),
    }
}

/// Ends a mount that nobody serves, or whose daemon hangs: who waits for it gets an error.
fn enforce(found: &Found) -> Result<(), Cause> {
    // Without fusectl, or once it is gone, detaching is what counts.
    let _ = found.connection.abort();
    mountpoint::detach(&found.path).map_err(Cause::UnmountFailed)?;
    if let Some(record) = &found.record {
        // A daemon that hangs does not see that its mount is gone; its keeper sees it die.
        kill(record.daemon);
    }
    Ok(())
}

/// Waits until the processes of a mount have ended; the record must not outlive them.
fn wait(found: &Found, records: &Records) -> Result<(), Cause> {
    let Some(record) = &found.record else { return Ok(()) };
    let deadline = Deadline::after(PATIENCE);
    let left: Vec<u32> = [record.daemon, record.keeper]
        .into_iter()
        .filter(|process| !ended(*process, deadline))
        .map(|process| process.pid)
        .collect();
    if !left.is_empty() {
        return Err(Cause::ProcessesStay(left));
    }
    // A mount that followed may have taken over number and record.
    if records.read(found.connection).as_ref() == Some(record) {
        records.remove(found.connection);
    }
    Ok(())
}

/// Waits for the end of a process; `false` when the deadline comes first.
fn ended(process: Process, deadline: Deadline) -> bool {
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else { return true };
    match pidfd_open(pid, PidfdFlags::empty()) {
        // Looked at after the descriptor was opened: it stands for this very process.
        Ok(pidfd) if process.is_alive() => deadline.readable(&[&pidfd]).unwrap_or(false),
        _ => !process.is_alive(),
    }
}

fn kill(process: Process) {
    let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid.filter(|_| process.is_alive()) {
        // It may have ended by itself meanwhile.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// The processes that stand in `mount` or have files of it open, at most a handful.
fn users(mount: &Path) -> Vec<String> {
    const NAMED_MAX: usize = 8;
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    processes
        .flatten()
        .filter(|process| process.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit))
        .filter(|process| uses(&process.path(), mount))
        .map(|process| {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            format!("{} (pid {})", name.trim(), process.file_name().display())
        })
        .take(NAMED_MAX)
        .collect()
}

/// Whether the process under `/proc` that is `process` uses `mount`. Links are read, never
/// followed, so that a hung mount does not hold us up.
fn uses(process: &Path, mount: &Path) -> bool {
    let inside = |link: PathBuf| fs::read_link(link).is_ok_and(|target| target.starts_with(mount));
    if ["cwd", "root", "exe"].iter().any(|name| inside(process.join(name))) {
        return true;
    }
    let Ok(files) = fs::read_dir(process.join("fd")) else { return false };
    files.flatten().any(|file| inside(file.path()))
}
