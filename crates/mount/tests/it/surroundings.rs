//! What the command is started from: descriptors, directories, others like it.

use std::io;
use std::process::{Command, Stdio};
use std::thread;

use testkit::{Server, mount_line, run};

use crate::harness::{program, start};

/// Makes standard error a pipe that nobody reads.
fn unheard(command: &mut Command) -> &mut Command {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer)
}

#[test]
fn a_pipe_that_nobody_reads_changes_no_exit_code() {
    let server = Server::lab();
    server.bucket("bucket");
    let start = start(&server);
    let code = |command: &mut Command| unheard(command).status().unwrap().code();
    // Not `--read-only`, so that there is a note to say.
    assert_eq!(code(&mut start.command("bucket")), Some(0));
    run(&mut program(&["umount"], start.directory())).ok();
    start.assert_nothing_is_left();
    assert_eq!(code(&mut start.command("no-such-bucket")), Some(1));
    assert_eq!(code(start.bare().arg("umount").arg(start.directory())), Some(1));
    assert_eq!(code(start.bare().arg("--bogus")), Some(2));
}

#[test]
fn a_relative_path_in_a_deleted_directory_is_refused_and_not_taken_from_the_root() {
    let server = Server::lab();
    server.bucket("bucket");
    let start = start(&server);
    let gone = tempfile::tempdir().unwrap();
    let relative = start.directory().strip_prefix("/").unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "cd \"$1\" && rmdir \"$1\" && shift && exec \"$@\"", "sh"]);
    command.arg(gone.path()).arg(start.bare().get_program()).arg("bucket").arg(relative);
    let ran = run(&mut command);
    assert_eq!(ran.code, Some(2), "{ran:#?}");
    assert!(ran.stderr.contains("does not exist any more"), "{ran:#?}");
    start.assert_nothing_is_left();
}

#[test]
fn of_commands_that_race_for_a_directory_one_mounts() {
    let server = Server::lab();
    server.bucket("bucket");
    let start = start(&server);
    let racers: Vec<_> = (0..4)
        .map(|_| {
            let mut command = start.command("bucket");
            thread::spawn(move || run(&mut command))
        })
        .collect();
    let ran: Vec<_> = racers.into_iter().map(|racer| racer.join().unwrap()).collect();
    let told = |text| ran.iter().filter(|ran| ran.text().contains(text)).count();
    assert_eq!(told("is mounted at"), 1, "{ran:#?}");
    assert_eq!(told("is already mounted at") + told("has just mounted there"), 3, "{ran:#?}");
    run(&mut program(&["umount"], start.directory())).ok();
    assert_eq!(mount_line(start.directory()), None);
    start.assert_nothing_is_left();
}

#[test]
fn a_profile_that_was_typed_comes_before_keys_in_the_environment() {
    let server = Server::lab();
    server.bucket("bucket");
    let ran = start(&server).words(&["--profile", "no-such-profile"]).refused("bucket");
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert!(ran.stderr.contains("no-such-profile"), "{ran:#?}");
}

#[test]
fn a_log_directory_or_bundle_that_cannot_be_used_is_named_with_its_flag() {
    let server = Server::lab();
    server.bucket("bucket");
    for flag in ["--log-directory", "--ca-bundle"] {
        let start = start(&server);
        let mut command = start.bare();
        command.arg("bucket").arg(start.directory()).args(["--endpoint-url", server.endpoint()]);
        let ran = run(command.args(["--force-path-style", flag, "/dev/null/x"]));
        assert_eq!(ran.code, Some(1), "{ran:#?}");
        assert!(ran.stderr.contains("/dev/null/x"), "{ran:#?}");
        let fix = ran.stderr.lines().find(|line| line.contains("fix:")).unwrap();
        assert!(fix.contains(flag), "{ran:#?}");
        start.assert_nothing_is_left();
    }
}
