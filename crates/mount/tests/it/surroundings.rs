//! What the command is started from: descriptors, directories, others like it.

use std::io;
use std::process::{Command, Stdio};

use testkit::{Server, run};

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
