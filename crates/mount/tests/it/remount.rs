//! What a mount finds in a cache that an earlier one filled, and the commands that look into it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use testkit::{Bucket, Mount, Server, run};

use crate::cache::{BYTES, PARTS, cached, gets, killed, put_jars, read_all, unmounted};
use crate::harness::busy;

/// All that was asked of the server since the last call.
fn asked(server: &Server) -> u64 {
    let counters = server.lab_itself().counters();
    let all = ["GetObject", "HeadObject", "ListObjectsV2"];
    let sum = all.iter().map(|name| counters.operation(name).requests).sum();
    server.lab_itself().reset_counters();
    sum
}

fn list(mount: &Mount) -> String {
    run(Command::new("ls").arg("-l").arg(mount.directory())).ok()
}

#[test]
fn a_mount_that_comes_after_fetches_nothing_and_asks_for_no_name() {
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("jars");
    put_jars(&bucket);
    let cache = tempfile::tempdir().unwrap();
    let for_ever = ["--metadata-ttl", "indefinite"];
    let again = |bucket: &Bucket<'_>| cached(bucket, cache.path(), &for_ever);

    let first = again(&bucket);
    let listed = list(&first);
    read_all(&first, 10, BYTES);
    assert_eq!(gets(&server), (PARTS, BYTES));
    unmounted(first);

    // Its own look at the bucket is behind it when the counters begin.
    let second = again(&bucket);
    assert_eq!(list(&second), listed);
    read_all(&second, 10, BYTES);
    assert_eq!(asked(&server), 0, "after an unmount");
    killed(second);

    let third = again(&bucket);
    assert_eq!(list(&third), listed);
    read_all(&third, 10, BYTES);
    assert_eq!(asked(&server), 0, "after kill -9");
}

/// `mount-s3 cache ACTION DIRECTORY PATTERN…`.
fn command(action: &str, directory: &Path, patterns: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mount-s3"));
    command.args(["cache", action]).arg(directory).args(patterns);
    command
}

/// What it answers in JSON, line by line.
#[track_caller]
fn cache(action: &str, directory: &Path, patterns: &[&str]) -> Vec<Value> {
    let answer = run(command(action, directory, patterns).arg("--json")).ok();
    answer.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_cache_can_be_listed_checked_pinned_and_emptied() {
    let server = Server::lab();
    let bucket = server.bucket("bucket");
    bucket.put_synthetic("jars/a.jar", 3_000_000, 1);
    bucket.put_synthetic("jars/b.jar", 5_000_000, 1);
    let directory = tempfile::tempdir().unwrap();
    let mount = cached(&bucket, directory.path(), &[]);
    for name in ["jars/a.jar", "jars/b.jar"] {
        std::fs::read(mount.path(name)).unwrap();
    }
    unmounted(mount);
    let dir = directory.path();

    let mut entries = cache("ls", dir, &[]);
    entries.sort_by_key(|entry| entry["size"].as_u64());
    let sizes: Vec<_> = entries.iter().map(|e| (e["key"].clone(), e["resident"].clone())).collect();
    assert_eq!(
        sizes,
        [("jars/a.jar".into(), 3_000_000.into()), ("jars/b.jar".into(), 5_000_000.into())]
    );
    assert!(entries.iter().all(|entry| entry["sealed"] == true), "{entries:?}");

    let totals = cache("stat", dir, &[]).remove(0);
    assert_eq!((&totals["objects"], &totals["resident"]), (&2.into(), &8_000_000.into()));
    assert_eq!(cache("pin", dir, &["jars/a*"]).len(), 1);
    let checked = cache("verify", dir, &[]).pop().unwrap();
    assert_eq!((&checked["objects"], &checked["dropped"]), (&2.into(), &0.into()));

    // What is pinned stays.
    assert_eq!(cache("evict", dir, &["**"]).len(), 2);
    let left = cache("ls", dir, &[]);
    assert_eq!(left.len(), 1);
    assert_eq!((&left[0]["key"], &left[0]["pinned"]), (&"jars/a.jar".into(), &true.into()));
    cache("clear", dir, &[]);
    assert!(cache("ls", dir, &[]).is_empty());

    let nowhere = run(&mut command("ls", Path::new("/nowhere"), &[]));
    assert_eq!(nowhere.code, Some(1));
    assert!(nowhere.stderr.contains("there is no cache"), "{}", nowhere.stderr);
}
