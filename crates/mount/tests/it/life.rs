//! From the command to the mount, and back to nothing.

use std::process::Command;
use std::time::{Duration, Instant};

use testkit::{Bucket, Mount, Server, Signal, Start, is_mounted, kill, mount_line, run, until};

use crate::harness::{mount, program, quiet, start};

const SOON: Duration = Duration::from_secs(5);

fn bucket(server: &Server) -> Bucket<'_> {
    let bucket = server.bucket("alive");
    bucket.put("file", "content");
    bucket
}

/// The command line of a start as one shell command.
fn typed(start: &Start, bucket: &str) -> String {
    let command = start.command(bucket);
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| format!("'{}'", word.to_str().unwrap())).collect::<Vec<_>>().join(" ")
}

/// A shell with the environment of a start.
fn shell(start: &Start, script: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-ec", script]);
    for (name, value) in start.bare().get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    shell
}

/// The test ends this mount in its own way; then nothing of it may be left.
#[track_caller]
fn ends_by(end: impl FnOnce(&Mount)) {
    let server = Server::lab();
    let bucket = bucket(&server);
    let mut mount = mount(&bucket, &[]);
    assert_eq!(std::fs::read(mount.path("file")).unwrap(), b"content");
    mount.leave_to_the_test();
    end(&mount);
    until("the mount is gone", SOON, || !is_mounted(mount.directory()));
    mount.start().assert_nothing_is_left();
    assert_eq!(std::fs::read_dir(mount.directory()).unwrap().count(), 0);
}

#[test]
fn the_command_returns_from_a_command_substitution_and_says_one_line() {
    let server = Server::lab();
    let bucket = bucket(&server);
    let start = start(&server);
    let script = format!("out=$({}); echo \"$out\"", typed(&start, &bucket.name));
    let ran = run(&mut shell(&start, &script)).ok();
    let expected = format!("bucket alive is mounted at {}\n", start.directory().display());
    assert_eq!(ran, expected);
    run(&mut program(&["umount"], start.directory())).ok();
    start.assert_nothing_is_left();
}

#[test]
fn the_mount_table_shows_what_the_guide_promises() {
    let server = Server::lab();
    let bucket = bucket(&server);
    let line = |mount: Mount| mount_line(mount.directory()).unwrap();
    let shown = line(start(&server).words(&["--allow-other"]).mount(&bucket.name));
    let words: Vec<&str> = shown.split(' ').collect();
    assert_eq!((words[0], words[2]), ("mountpoint-s3", "fuse.mountpoint-s3"), "{shown}");
    let options: Vec<&str> = words[3].split(',').collect();
    let promised = [
        "rw",
        "nosuid",
        "nodev",
        "relatime",
        "user_id=0",
        "group_id=0",
        "default_permissions",
        "allow_other",
    ];
    for option in promised {
        assert!(options.contains(&option), "{option} is not in {shown}");
    }
    let shown = line(mount(&bucket, &[]));
    assert!(shown.contains(" ro,") && !shown.contains("allow_other"), "{shown}");
}

#[test]
fn umount_from_outside_ends_it() {
    ends_by(|mount| drop(run(&mut program(&["umount"], mount.directory())).ok()));
}

#[test]
fn our_own_umount_ends_it_and_returns_when_all_is_gone() {
    ends_by(|mount| {
        run(mount.start().bare().arg("umount").arg(mount.directory())).ok();
        assert!(!is_mounted(mount.directory()));
        assert_eq!(mount.start().processes(), Vec::<u32>::new());
    });
}

#[test]
fn sigterm_to_the_daemon_ends_it() {
    ends_by(|mount| kill(mount.daemon(), Signal::TERM));
}

#[test]
fn sigterm_to_the_keeper_ends_it() {
    ends_by(|mount| kill(mount.keeper(), Signal::TERM));
}

#[test]
fn our_umount_of_a_busy_mount_names_who_is_in_it() {
    let server = Server::lab();
    let bucket = bucket(&server);
    let mount = mount(&bucket, &[]);
    let file = std::fs::File::open(mount.path("file")).unwrap();
    let ran = run(mount.start().bare().arg("umount").arg(mount.directory()));
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert!(ran.stderr.contains("in use") && ran.stderr.contains("--lazy"), "{ran:#?}");
    assert!(ran.stderr.contains(&std::process::id().to_string()), "names this process: {ran:#?}");
    drop(file);
    run(mount.start().bare().arg("umount").arg(mount.directory())).ok();
}

#[test]
fn our_umount_refuses_what_is_not_ours() {
    let server = Server::lab();
    let start = start(&server);
    for directory in [start.directory(), std::path::Path::new("/proc")] {
        let ran = run(start.bare().arg("umount").arg(directory));
        assert_eq!(ran.code, Some(1), "{ran:#?}");
        assert!(ran.stderr.contains("why:") && ran.stderr.contains("fix:"), "{ran:#?}");
    }
}

#[test]
fn a_killed_daemon_is_detached_within_a_second() {
    let _turn = quiet();
    ends_by(|mount| {
        let _open = std::fs::File::open(mount.path("file")).unwrap();
        kill(mount.daemon(), Signal::KILL);
        let limit = Duration::from_secs(1);
        until("the dead mount is detached", limit, || !is_mounted(mount.directory()));
    });
}

#[test]
fn the_guides_health_loop_heals_a_killed_daemon_under_set_e() {
    let server = Server::lab();
    let bucket = bucket(&server);
    let mount = mount(&bucket, &[]);
    let directory = mount.directory().display();
    // One round of the guide's loop; it sleeps a minute between two.
    let round = format!(
        "set -e\nif ! mountpoint -q {directory}; then mkdir -p {directory}; {}; fi",
        typed(mount.start(), &bucket.name)
    );
    assert_eq!(run(&mut shell(mount.start(), &round)).ok(), "", "healthy: nothing to do");
    let before = mount.daemon();
    kill(before, Signal::KILL);
    until("the dead mount is detached", SOON, || !is_mounted(mount.directory()));
    let healed = run(&mut shell(mount.start(), &round)).ok();
    assert!(healed.contains("is mounted at"), "{healed}");
    assert_ne!(mount.daemon(), before);
    assert_eq!(std::fs::read(mount.path("file")).unwrap(), b"content");
}

#[test]
fn a_dead_mount_is_replaced() {
    let server = Server::lab();
    let bucket = bucket(&server);
    let mount = mount(&bucket, &[]);
    let (keeper, daemon) = (mount.keeper(), mount.daemon());
    kill(keeper, Signal::STOP);
    kill(daemon, Signal::KILL);
    kill(keeper, Signal::KILL);
    until("both are gone", SOON, || mount.start().processes().is_empty());
    assert!(is_mounted(mount.directory()), "the dead mount has to be there");
    // What is asked while the device closes ends with another error.
    until("the dead mount says ENOTCONN", SOON, || {
        std::fs::metadata(mount.directory()).unwrap_err().raw_os_error() == Some(107)
    });

    let ran = run(&mut mount.start().command(&bucket.name));
    assert!(ran.code == Some(0) && ran.stderr.contains("dead"), "{ran:#?}");
    assert_eq!(std::fs::read(mount.path("file")).unwrap(), b"content");
    assert!(mount_line(mount.directory()).unwrap().contains("fuse.mountpoint-s3"));
}

#[test]
fn our_umount_takes_a_dead_mount_away() {
    ends_by(|mount| {
        let (keeper, daemon) = (mount.keeper(), mount.daemon());
        kill(keeper, Signal::STOP);
        kill(daemon, Signal::KILL);
        kill(keeper, Signal::KILL);
        until("both are gone", SOON, || mount.start().processes().is_empty());
        run(mount.start().bare().arg("umount").arg(mount.directory())).ok();
    });
}

#[test]
fn the_same_mount_again_says_so_and_succeeds() {
    let server = Server::lab();
    let bucket = bucket(&server);
    let mount = mount(&bucket, &[]);
    let daemon = mount.daemon();
    let again = run(&mut mount.start().command(&bucket.name));
    assert!(again.code == Some(0) && again.text().contains("already mounted"), "{again:#?}");
    assert_eq!(mount.daemon(), daemon);
}

#[test]
fn another_mount_on_top_is_refused_and_the_difference_named() {
    let server = Server::lab();
    let bucket = bucket(&server);
    server.bucket("other");
    let mount = mount(&bucket, &[]);
    let on_top = |start: Start, bucket: &str| {
        let ran = run(&mut start.at(mount.directory()).command(bucket));
        assert_eq!(ran.code, Some(1), "{ran:#?}");
        ran.stderr
    };
    let read_only = || start(&server).words(&["--read-only"]);
    let said = on_top(read_only(), "other");
    assert!(said.contains("the bucket is alive, not other"), "{said}");
    let said = on_top(read_only().words(&["--prefix", "p/"]), "alive");
    assert!(said.contains("the prefix") && said.contains("p/"), "{said}");
    let said = on_top(start(&server), "alive");
    assert!(said.contains("read-only") && said.contains("read-write"), "{said}");
    let elsewhere = Server::lab();
    let said = on_top(start(&elsewhere).words(&["--read-only"]), "alive");
    assert!(said.contains("the endpoint"), "{said}");
    assert_eq!(std::fs::read(mount.path("file")).unwrap(), b"content");
}

#[test]
fn a_foreign_file_system_is_left_alone() {
    let server = Server::lab();
    let bucket = bucket(&server);
    let start = start(&server).at(std::path::Path::new("/proc"));
    let ran = run(&mut start.command(&bucket.name));
    assert!(ran.code == Some(1) && ran.stderr.contains("type proc"), "{ran:#?}");
    assert!(mount_line(std::path::Path::new("/proc")).unwrap().contains(" proc "));
}

#[test]
fn in_the_foreground_it_serves_until_interrupted() {
    let server = Server::lab();
    let bucket = bucket(&server);
    let start = start(&server).words(&["--foreground"]);
    let mut child = start
        .command(&bucket.name)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until("it is mounted", SOON, || is_mounted(start.directory()));
    assert_eq!(std::fs::read(start.directory().join("file")).unwrap(), b"content");
    assert!(child.try_wait().unwrap().is_none(), "the command goes on");
    kill(child.id(), Signal::INT);
    until("the command ends", SOON, || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    start.assert_nothing_is_left();
}

#[test]
fn a_prefix_becomes_the_root() {
    let server = Server::lab();
    let bucket = server.bucket("prefixed");
    bucket.put("a/b/inside", "in");
    bucket.put("a/outside", "out");
    let by_uri = start(&server).mount("s3://prefixed/a/b/");
    let by_flag = start(&server).words(&["--prefix", "a/b/"]).mount("prefixed");
    for mount in [by_uri, by_flag] {
        let names: Vec<_> = std::fs::read_dir(mount.directory()).unwrap().collect();
        assert_eq!(names.len(), 1);
        assert_eq!(std::fs::read(mount.path("inside")).unwrap(), b"in");
        assert!(!mount.path("../outside").exists());
    }
}

#[test]
fn owner_and_modes_are_what_was_asked_for() {
    use std::os::unix::fs::MetadataExt as _;
    let server = Server::lab();
    let bucket = bucket(&server);
    let words = ["--uid", "1234", "--gid", "2345", "--file-mode", "0550", "--dir-mode", "0750"];
    let mount = mount(&bucket, &words);
    let file = std::fs::metadata(mount.path("file")).unwrap();
    let root = std::fs::metadata(mount.directory()).unwrap();
    assert_eq!((file.uid(), file.gid(), file.mode()), (1234, 2345, 0o100_550));
    assert_eq!((root.uid(), root.gid(), root.mode()), (1234, 2345, 0o040_750));
}

#[test]
fn changes_that_are_not_allowed_are_refused_at_once_and_without_a_request() {
    let server = Server::lab();
    let bucket = bucket(&server);
    let read_only = mount(&bucket, &[]);
    let read_write = start(&server).mount(&bucket.name);
    server.lab_itself().reset_counters();
    // EROFS; and EPERM, of a rename too, as who is left to copy could not delete.
    for (mount, change) in [(&read_only, 30), (&read_write, 1)] {
        let begun = Instant::now();
        let code = |result: std::io::Result<()>| result.unwrap_err().raw_os_error().unwrap();
        assert_eq!(code(std::fs::write(mount.path("file"), "x")), change);
        assert_eq!(code(std::fs::remove_file(mount.path("file"))), change);
        assert_eq!(code(std::fs::rename(mount.path("file"), mount.path("elsewhere"))), change);
        assert!(begun.elapsed() < SOON);
    }
    for change in
        [std::fs::write(read_only.path("new"), "x"), std::fs::create_dir(read_only.path("d"))]
    {
        assert_eq!(change.unwrap_err().raw_os_error(), Some(30));
    }
    let writes = ["PutObject", "CreateMultipartUpload", "DeleteObject", "CopyObject"];
    assert_eq!(writes.map(|operation| server.count(operation)), [0; 4]);
}

#[test]
fn status_tells_a_serving_a_hung_and_a_dead_mount_apart_within_seconds() {
    let server = Server::lab();
    let bucket = bucket(&server);
    let mount = mount(&bucket, &[]);
    let status = |words: &[&str]| {
        let begun = Instant::now();
        let ran = run(mount.start().bare().arg("status").args(words).arg(mount.directory()));
        assert!(begun.elapsed() < Duration::from_secs(6), "it took {:?}", begun.elapsed());
        ran
    };
    let told = status(&[]).ok();
    assert!(told.contains(": serving s3://alive/") && told.contains("asked of S3: "), "{told}");
    assert_eq!(status(&["--quiet"]).ok(), "");
    let json: serde_json::Value = serde_json::from_str(&status(&["--json"]).ok()).unwrap();
    assert_eq!((&json["state"], &json["bucket"]), (&"serving".into(), &"alive".into()));
    let all = run(mount.start().bare().arg("status")).text();
    assert!(all.contains(mount.directory().to_str().unwrap()), "{all}");

    // A mount serves also while S3 is away.
    drop(bucket);
    drop(server);
    assert_eq!(status(&["--quiet"]).ok(), "");

    let (keeper, daemon) = (mount.keeper(), mount.daemon());
    kill(daemon, Signal::STOP);
    let hung = status(&["--quiet"]);
    assert!(hung.code == Some(1) && hung.text().contains(": hung: "), "{hung:#?}");
    kill(keeper, Signal::STOP);
    kill(daemon, Signal::KILL);
    kill(keeper, Signal::KILL);
    until("both are gone", SOON, || mount.start().processes().is_empty());
    until("it is dead", SOON, || status(&[]).text().contains(": dead: "));
    run(mount.start().bare().arg("umount").arg(mount.directory())).ok();
    let gone = status(&[]);
    assert!(gone.code == Some(1) && gone.text().contains(": not mounted: "), "{gone:#?}");
}

#[test]
fn a_directory_that_does_not_exist_is_made_where_that_is_asked_for() {
    let server = Server::lab();
    let bucket = bucket(&server);
    let start = start(&server);
    std::fs::remove_dir(start.directory()).unwrap();
    let refused = run(&mut start.command(&bucket.name));
    assert!(refused.code == Some(1) && refused.stderr.contains("mkdir -p"), "{refused:#?}");
    let start = start.words(&["--create-directory"]);
    run(&mut start.command(&bucket.name)).ok();
    assert_eq!(std::fs::read(start.directory().join("file")).unwrap(), b"content");
    run(&mut program(&["umount"], start.directory())).ok();
    assert!(start.directory().is_dir());
}
