use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use fuse::mount::table::Connection;

use super::{Identity, Process, Record, Records, parse_stat};

const NUMBER: Connection = Connection { number: 77 };

fn identity() -> Identity {
    Identity {
        bucket: "jars".into(),
        prefix: "a/".into(),
        endpoint: None,
        read_only: true,
        overwrite: false,
        delete: false,
    }
}

fn record(process: Process) -> Record {
    Record {
        keeper: process,
        daemon: process,
        directory: "/mnt/s3".into(),
        identity: identity(),
        region: Some("eu-west-1".into()),
    }
}

fn ourselves() -> Process {
    Process::of(std::process::id()).unwrap()
}

fn gone() -> Process {
    Process { started: ourselves().started + 1, ..ourselves() }
}

#[test]
fn a_process_is_known_by_number_and_start() {
    assert!(ourselves().is_alive());
    assert!(!gone().is_alive());
}

#[test]
fn a_process_that_ended_and_was_not_waited_for_is_not_alive() {
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let process = Process::of(child.id()).unwrap();
    assert!(process.is_alive());
    child.kill().unwrap();
    // Not reaped: waitid leaves it a zombie.
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    let options = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
    rustix::process::waitid(rustix::process::WaitId::Pid(pid), options).unwrap();
    assert!(!process.is_alive());
    child.wait().unwrap();
}

#[test]
fn names_with_blanks_and_parentheses_do_not_confuse_the_start_time() {
    let line = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2";
    assert_eq!(parse_stat(line), Some(('S', 987_654)));
    assert_eq!(parse_stat("42 (a) S 1"), None);
    assert_eq!(parse_stat(""), None);
}

#[test]
fn a_record_reads_back_and_is_removed() {
    let parent = tempfile::tempdir().unwrap();
    let records = Records::in_directory(parent.path().join("run"));
    assert_eq!(records.read(NUMBER), None);
    records.write(NUMBER, &record(ourselves())).unwrap();
    let mode = fs::metadata(parent.path().join("run")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(records.read(NUMBER), Some(record(ourselves())));
    records.remove(NUMBER);
    assert_eq!(records.read(NUMBER), None);
}

#[test]
fn records_of_the_dead_are_swept_away_and_others_stay() {
    let parent = tempfile::tempdir().unwrap();
    let records = Records::in_directory(parent.path().join("run"));
    let [dead, living, mounted] = [1, 2, 3].map(|number| Connection { number });
    records.write(dead, &record(gone())).unwrap();
    records.write(living, &record(ourselves())).unwrap();
    records.write(mounted, &record(gone())).unwrap();
    fs::write(parent.path().join("run/notes.txt"), "mine").unwrap();
    records.sweep(&[mounted]);
    assert_eq!(records.read(dead), None);
    assert!(records.read(living).is_some() && records.read(mounted).is_some());
    assert!(parent.path().join("run/notes.txt").exists());
}

#[test]
fn a_directory_that_others_can_write_to_is_not_believed() {
    let parent = tempfile::tempdir().unwrap();
    let run = parent.path().join("run");
    let records = Records::in_directory(run.clone());
    records.write(NUMBER, &record(ourselves())).unwrap();
    fs::set_permissions(&run, fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(records.read(NUMBER), None);
    assert!(records.write(NUMBER, &record(ourselves())).is_err());
}

#[test]
fn torn_and_foreign_files_are_no_records() {
    let parent = tempfile::tempdir().unwrap();
    let records = Records::in_directory(parent.path().join("run"));
    records.write(NUMBER, &record(ourselves())).unwrap();
    fs::write(parent.path().join("run/77.json"), "{\"keeper\":{\"pid\":1").unwrap();
    assert_eq!(records.read(NUMBER), None);
}

#[test]
fn differences_are_named() {
    let mounted = identity();
    assert_eq!(mounted.difference(&identity()), None);
    let other = Identity {
        bucket: "logs".into(),
        prefix: String::new(),
        endpoint: Some("http://h:1".into()),
        read_only: false,
        overwrite: false,
        delete: false,
    };
    let told = mounted.difference(&other).unwrap();
    for part in ["jars, not logs", "`a/`, not none", "AWS, not http://h:1", "read-only, not"] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn mounts_that_allow_different_changes_differ() {
    let mounted = Identity { read_only: false, ..identity() };
    let wanted = Identity { overwrite: true, delete: true, ..mounted.clone() };
    assert_eq!(
        mounted.difference(&wanted).unwrap(),
        "overwriting is refused, not allowed; deleting is refused, not allowed"
    );
}
