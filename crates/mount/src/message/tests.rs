use std::io;
use std::path::Path;

use fuse::mount::MountError;
use object::{Error, ErrorKind};

use super::{Cause, Problem, explain};
use crate::flags::{Command, Config, Environment, command};

fn config(line: &[&str]) -> Config {
    let words = line.iter().map(Into::into).collect();
    match command(words, &Environment::default(), Some(Path::new("/"))) {
        Ok(Command::Mount(config)) => *config,
        other => panic!("{other:?}"),
    }
}

fn store(kind: ErrorKind, flags: &[&str]) -> Problem {
    let config = config(&[&["jars", "/mnt/s3"], flags].concat());
    let error = Error::caused(kind, "the store's words", Some("REQ1".into()), None);
    explain(&anyhow::Error::new(error).context("while asking"), &config)
}

fn is_whole(problem: &Problem) {
    for part in [&problem.what, &problem.why, &problem.fix] {
        assert!(!part.is_empty() && !part.contains('\n'), "{problem:?}");
    }
    assert_eq!(problem.to_string().lines().count(), 3, "{problem}");
}

#[test]
fn who_names_the_owner_of_the_bucket_is_told_that_it_may_be_another() {
    let problem = store(ErrorKind::Denied, &["--expected-bucket-owner", "111122223333"]);
    is_whole(&problem);
    assert!(problem.why.contains("--expected-bucket-owner"), "{problem}");
    assert!(problem.fix.contains("s3:ListBucket"), "{problem}");
}

#[test]
fn every_meaning_of_the_stores_failures_has_what_why_and_fix() {
    use ErrorKind::{
        Abandoned, Archived, Changed, Corrupt, Credentials, Denied, Invalid, NoSuchBucket,
        NotFound, Server, Throttled, Timeout, Unreachable, WrongRegion,
    };
    for (kind, part) in [
        (NoSuchBucket, "does not exist"),
        (NotFound, "does not exist"),
        (Denied, "s3:ListBucket on arn:aws:s3:::jars"),
        (Credentials, "aws configure"),
        (WrongRegion, "drop --region"),
        (Unreachable, "curl"),
        (Timeout, "did not answer"),
        (Throttled, "slow down"),
        (Server, "try again"),
        (Corrupt, "--endpoint-url"),
        (Invalid, "--force-path-style"),
        (Archived, "refused"),
        (Changed, "refused"),
        (Abandoned, "refused"),
    ] {
        let problem = store(kind, &[]);
        is_whole(&problem);
        let text = problem.to_string();
        assert!(text.contains(part), "{kind:?}: {text}");
        assert!(text.contains("the store's words (request id REQ1)"), "{text}");
        assert!(text.contains("jars") && text.contains("/mnt/s3"), "{text}");
    }
}

#[test]
fn fixes_fit_the_words_that_were_typed() {
    let fix = |kind, flags| store(kind, flags).fix;
    assert!(fix(ErrorKind::Denied, &["--no-sign-request"]).contains("drop --no-sign-request"));
    assert!(fix(ErrorKind::Credentials, &["--profile", "work"]).contains("--profile work"));
    let url = ["--endpoint-url", "http://h:9"];
    assert!(fix(ErrorKind::NoSuchBucket, &url).contains("--endpoint-url http://h:9"));
    assert!(fix(ErrorKind::Unreachable, &url).contains("curl -v http://h:9"));
    assert!(fix(ErrorKind::Unreachable, &["--endpoint-url", "https://h"]).contains("--ca-bundle"));
}

#[test]
fn every_cause_around_a_mount_has_what_why_and_fix() {
    let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let fusermount = |message: &str| MountError::Fusermount {
        program: "fusermount3".into(),
        message: message.into(),
    };
    for (cause, part) in [
        (Cause::DirectoryMissing, "mkdir -p /mnt/s3"),
        (Cause::NotADirectory, "not a directory"),
        (Cause::DirectoryUnusable("x".into()), "ls -ld"),
        (Cause::ForeignMount { kind: "ext4".into(), source: "/dev/sda".into() }, "type ext4"),
        (Cause::OtherMount("the bucket is a, not b".into()), "the bucket is a, not b"),
        (Cause::UnknownMount, "mount-s3 umount /mnt/s3"),
        (Cause::HungMount, "mount-s3 umount /mnt/s3"),
        (Cause::DeadMountStays("EPERM".into()), "umount -l"),
        (Cause::NotMounted, "nothing is mounted"),
        (Cause::Busy(vec!["java (pid 7)".into()]), "java (pid 7)"),
        (Cause::Busy(Vec::new()), "--lazy"),
        (Cause::UnmountFailed("x".into()), "umount -l"),
        (Cause::ProcessesStay(vec![1, 2]), "kill -9 1 2"),
        (Cause::Mount(MountError::Device(missing())), "modprobe fuse"),
        (Cause::Mount(MountError::Device(denied())), "--device /dev/fuse"),
        (Cause::Mount(MountError::MountPoint(missing())), "ls -ld"),
        (Cause::Mount(MountError::Refused(denied())), "SYS_ADMIN"),
        (Cause::Mount(fusermount("option allow_other: user_allow_other")), "/etc/fuse.conf"),
        (Cause::Mount(fusermount("No such file")), "install fuse3"),
        (Cause::NoFuse, "modprobe fuse"),
        (Cause::FuseDenied("x".into()), "--device /dev/fuse"),
        (Cause::NotStarted("x".into()), "ulimit"),
        (Cause::TooSlow(30), "within 30 seconds"),
        (Cause::DaemonDied("signal: 9".into()), "signal: 9"),
    ] {
        let problem = cause.problem("it cannot be mounted", Path::new("/mnt/s3"));
        is_whole(&problem);
        assert!(problem.to_string().contains(part), "{cause:?}: {problem}");
    }
}

#[test]
fn a_problem_on_its_way_through_other_errors_is_told_as_it_is() {
    let problem = Cause::NoFuse.problem("what", Path::new("/mnt"));
    let error = anyhow::Error::new(problem.clone()).context("outer");
    assert_eq!(explain(&error, &config(&["jars", "/mnt"])), problem);
}

#[test]
fn what_is_not_ours_cannot_break_the_lines_of_a_message() {
    let error = Error::new(ErrorKind::Server, "first\nmount-s3: forged\u{1b}[2J");
    let problem = explain(&error.into(), &config(&["jars", "/mnt"]));
    let text = problem.to_string();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}
