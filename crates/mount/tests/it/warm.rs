//! `mount-s3 warm`: files are in the cache before anybody reads them, and the mount says so.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lab::{Fault, Rule};
use mount::control::Client;
use mount::control::protocol::{Answer, Ask};
use serde_json::Value;
use tempfile::TempDir;
use testkit::exerciser::check_whole;
use testkit::reader::Means;
use testkit::{Bucket, Mount, Ran, Server, Signal, kill, run, run_within, until};

use crate::cache::{cached, gets};
use crate::harness::{MIB, busy, counted, passes_through, quiet, target};

/// Five JARs, 670 million bytes: 82 parts of 8 MiB.
const JARS: [u64; 5] = [10_000_000, 40_000_000, 90_000_000, 180_000_000, 350_000_000];
const BYTES: u64 = 670_000_000;
const PARTS: u64 = 82;
const PART: u64 = 8 * MIB;
const SOON: Duration = Duration::from_secs(10);

fn put_jars(bucket: &Bucket<'_>) {
    for (number, size) in (1..).zip(JARS) {
        bucket.put_synthetic(&format!("jars/jar{number}.jar"), size, 1);
    }
}

/// `mount-s3 warm` with these words, the directory first.
fn warm(mount: &Mount, directory: &Path, words: &[&str]) -> Ran {
    let mut command = mount.start().bare();
    command.arg("warm").arg(directory).args(words);
    run_within(&mut command, Duration::from_secs(120))
}

/// The objects that it wrote, one a line.
fn objects(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The control socket of a mount, found as anybody can.
fn socket(mount: &Mount) -> PathBuf {
    let device = std::fs::metadata(mount.directory()).map(|m| {
        use std::os::unix::fs::MetadataExt as _;
        rustix::fs::minor(m.dev())
    });
    PathBuf::from(format!("/run/mount-s3/{}.sock", device.unwrap()))
}

fn status(mount: &Mount) -> serde_json::Map<String, Value> {
    let mut client = Client::connect(&socket(mount)).unwrap();
    client.ask(&Ask::Status {}).unwrap();
    match client.answer().unwrap() {
        Some(Answer::Status(status)) => status,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(ran: &Ran, code: i32, said: &[&str]) {
    assert_eq!(ran.code, Some(code), "{ran:#?}");
    for said in said {
        assert!(ran.stderr.contains(said), "{said:?} is not in {ran:#?}");
    }
}

#[test]
fn five_jars_cost_their_parts_once_and_are_then_read_for_nothing() {
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("jars");
    put_jars(&bucket);
    let cache = TempDir::new().unwrap();
    let mount = cached(&bucket, cache.path(), &["--metadata-ttl", "indefinite"]);
    let said = warm(&mount, mount.directory(), &["jars/*.jar"]).ok();
    assert!(said.contains("5 of 5 files are in the cache, 639.0 MiB of 639.0 MiB"), "{said}");
    assert_eq!(gets(&server), (PARTS, BYTES));
    // Again, by another way of saying the same.
    warm(&mount, &mount.path("jars"), &[]).ok();
    assert_eq!(gets(&server), (0, 0));
    for (number, size) in (1..).zip(JARS) {
        let target = target(&mount, &format!("jars/jar{number}.jar"), 1, size);
        check_whole(&target, Means::Pread, 1 << 20);
    }
    assert_eq!(gets(&server), (0, 0));
    let savings = &status(&mount)["savings"];
    assert_eq!(savings["s3"]["gets"], PARTS, "{savings}");
    if passes_through() {
        // Every file was on the disk and sealed when the command returned.
        assert_eq!(savings["opens"]["passed_through"], 5, "{savings}");
        assert_eq!(savings["opens"]["reads"], 0, "{savings}");
    }
}

#[test]
fn a_warm_and_its_readers_fetch_nothing_twice() {
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("jars");
    put_jars(&bucket);
    let cache = TempDir::new().unwrap();
    let mount = cached(&bucket, cache.path(), &[]);
    std::thread::scope(|scope| {
        scope.spawn(|| warm(&mount, mount.directory(), &["--quiet"]).ok());
        for (number, size) in (1..).zip(JARS) {
            let target = target(&mount, &format!("jars/jar{number}.jar"), 1, size);
            scope.spawn(move || check_whole(&target, Means::Pread, 1 << 20));
        }
    });
    let (requests, bytes) = gets(&server);
    assert_eq!(bytes, BYTES, "{requests} GETs");
}

#[test]
fn check_says_what_is_there_by_its_exit_code_and_fetches_nothing() {
    let server = Server::lab();
    let bucket = server.bucket("jars");
    bucket.put_synthetic("a.jar", 3 * PART + 5, 1);
    bucket.put_synthetic("b.jar", 1000, 1);
    bucket.put("empty", b"".as_slice());
    let cache = TempDir::new().unwrap();
    let mount = cached(&bucket, cache.path(), &[]);
    let check = |words: &[&str]| warm(&mount, mount.directory(), &[&["--check"], words].concat());
    assert_eq!(check(&[]).code, Some(1));
    assert_eq!(gets(&server), (0, 0));
    warm(&mount, &mount.path("b.jar"), &["--pin"]).ok();
    assert_eq!((check(&["b.jar"]).code, check(&[]).code), (Some(0), Some(1)));
    let found = objects(&check(&["--json"]));
    let told = |path: &str| found.iter().find(|one| one["path"] == path).unwrap().clone();
    assert_eq!(
        (&told("b.jar")["complete"], &told("b.jar")["pinned"]),
        (&true.into(), &true.into())
    );
    assert_eq!(
        (&told("a.jar")["resident"], &told("a.jar")["size"]),
        (&0.into(), &25_165_829.into())
    );
    assert_eq!(told("empty")["complete"], true);
    let last = found.last().unwrap();
    assert_eq!(
        (&last["event"], &last["files"], &last["files_done"]),
        (&"done".into(), &3.into(), &2.into())
    );
    warm(&mount, mount.directory(), &[]).ok();
    let all = check(&[]);
    assert!(all.stdout.contains("100 %") && all.stdout.contains("b.jar  pinned"), "{all:?}");
    assert_eq!(all.code, Some(0));
}

#[test]
fn a_list_names_files_and_one_that_fails_stops_no_other() {
    let server = Server::lab();
    let bucket = server.bucket("jars");
    bucket.put_synthetic_many("d/f", 50, 10_000);
    bucket.put_synthetic("d/broken", 10_000, 1);
    server.lab_itself().rules().add(Rule::new("GetObject", Fault::Deny).on("d/broken"));
    let cache = TempDir::new().unwrap();
    let mount = cached(&bucket, cache.path(), &[]);
    let list = cache.path().join("list");
    let mut text = String::from("# all of them, and more\n\nd/broken\nd/missing\nd\n");
    (0..50).for_each(|n| text.push_str(&format!("{}/d/f{n:07}\n", mount.directory().display())));
    std::fs::write(&list, &text).unwrap();
    let ran = warm(&mount, mount.directory(), &["--from", list.to_str().unwrap()]);
    refused(&ran, 1, &["d/broken", "d/missing: no such file", "d: is a directory"]);
    assert!(ran.stdout.contains("50 of 53 files"), "{ran:#?}");
    assert_eq!(gets(&server).0, 51);
    let mut piped = mount.start().bare();
    piped.arg("warm").arg(mount.path("d")).args(["--from", "-", "--check", "--quiet"]);
    piped.stdin(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"f0000007\n").unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn small_files_are_fetched_many_at_a_time() {
    let _turn = quiet();
    let server = Server::lab();
    let bucket = server.bucket("jars");
    bucket.put_synthetic_many("f", 256, 10_000);
    let cache = TempDir::new().unwrap();
    let mount = cached(&bucket, cache.path(), &[]);
    server.lab_itself().rules().add(Rule::new("GetObject", Fault::Latency { ms: 200 }));
    let begun = Instant::now();
    warm(&mount, mount.directory(), &[]).ok();
    let took = begun.elapsed();
    assert_eq!(gets(&server).0, 256);
    // One after the other: 51 s.
    assert!(took < Duration::from_secs(15), "{took:?}");
}

#[test]
fn ctrl_c_loses_nothing_that_is_complete() {
    let server = Server::lab();
    let bucket = server.bucket("jars");
    bucket.put_synthetic_many("small", 20, 100_000);
    bucket.put_synthetic("large", 200 * MIB, 1);
    let cache = TempDir::new().unwrap();
    let mount = cached(&bucket, cache.path(), &[]);
    let bare = mount.start().bare();
    // What runs in the background of a shell, as this test may, has been told to ignore Ctrl-C.
    let mut command = Command::new("env");
    command.arg("--default-signal=INT").arg(bare.get_program());
    command.envs(bare.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.arg("warm").arg(mount.directory()).args(["--limit-rate", "8MiB"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the large file is begun", SOON, || gets_so_far(&server) > 20);
    kill(child.id(), Signal::INT);
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.wait().unwrap()), Some(2));
    until("the daemon has stopped", SOON, || {
        status(&mount)["warming"].as_array().unwrap().iter().all(|job| job["running"] == false)
    });
    warm(&mount, mount.directory(), &["--check", "small*"]).ok();
    assert_eq!(warm(&mount, mount.directory(), &["--check", "large"]).code, Some(1));
    warm(&mount, mount.directory(), &[]).ok();
    let (requests, bytes) = gets(&server);
    assert_eq!((requests, bytes), (20 + 25, 20 * 100_000 + 200 * MIB));
}

fn gets_so_far(server: &Server) -> u64 {
    server.count("GetObject")
}

#[test]
fn a_rate_is_kept() {
    let _turn = quiet();
    let server = Server::lab();
    let bucket = server.bucket("jars");
    bucket.put_synthetic("a", 24 * MIB, 1);
    bucket.put_synthetic_many("small", 64, 250_000);
    let cache = TempDir::new().unwrap();
    let mount = cached(&bucket, cache.path(), &[]);
    let ran = warm(&mount, mount.directory(), &["--json", "--limit-rate", "8MiB/s"]);
    let done = objects(&ran).pop().unwrap();
    let number = |name: &str| done[name].as_u64().unwrap() as f64;
    let rate = number("bytes_fetched") / number("elapsed_ms") * 1000.0 / MIB as f64;
    assert!((8.0 * 0.7..8.0 * 1.3).contains(&rate), "{rate} MiB/s: {done}");
}

#[test]
fn in_the_background_it_goes_on_without_the_command() {
    let server = Server::lab();
    let bucket = server.bucket("jars");
    put_jars(&bucket);
    let cache = TempDir::new().unwrap();
    let mount = cached(&bucket, cache.path(), &[]);
    server.lab_itself().rules().add(Rule::new("GetObject", Fault::Latency { ms: 100 }));
    let said = warm(&mount, mount.directory(), &["--background"]).ok();
    assert!(said.contains("5 files are fetched in the background"), "{said}");
    let jobs = || status(&mount)["warming"].clone();
    assert_eq!(jobs()[0]["background"], true);
    until("all are fetched", Duration::from_secs(60), || jobs()[0]["running"] == false);
    assert_eq!((&jobs()[0]["files_done"], &jobs()[0]["bytes_fetched"]), (&5.into(), &BYTES.into()));
    warm(&mount, mount.directory(), &["--check"]).ok();
}

#[test]
fn what_does_not_fit_is_told_and_not_fetched_in_vain() {
    let server = Server::lab();
    let bucket = server.bucket("jars");
    bucket.put_synthetic("large", 200 * MIB, 1);
    let cache = TempDir::new().unwrap();
    let words = ["--cache", cache.path().to_str().unwrap(), "--max-cache-size", "64MiB"];
    let mount = counted(&bucket, &words);
    let ran = warm(&mount, mount.directory(), &[]);
    refused(&ran, 1, &["large"]);
    let (_, bytes) = gets(&server);
    assert!(bytes <= 100 * MIB, "{bytes} bytes for a cache of 64 MiB");
}

#[test]
fn what_cannot_be_warmed_is_refused_with_the_reason_and_the_fix() {
    let server = Server::lab();
    let bucket = server.bucket("jars");
    bucket.put_synthetic("a.jar", 1000, 1);
    let cache = TempDir::new().unwrap();
    let mount = cached(&bucket, cache.path(), &[]);
    let at = |directory: &Path, words: &[&str]| warm(&mount, directory, words);
    let ours = mount.directory();
    refused(&at(cache.path(), &[]), 1, &["does not lie in a mount of ours", "findmnt"]);
    refused(&at(Path::new("/proc"), &[]), 1, &["does not lie in a mount of ours"]);
    refused(&at(&mount.path("no/where"), &[]), 1, &["does not exist"]);
    refused(&at(ours, &["*.zip"]), 1, &["no file matches `*.zip`", "quote"]);
    refused(&at(ours, &["["]), 1, &["is no pattern"]);
    refused(&at(ours, &["--from", "/no/list"]), 1, &["/no/list cannot be read"]);
    refused(&at(ours, &["--limit-rate", "fast"]), 2, &["--limit-rate"]);
    refused(&at(ours, &["--check", "--pin"]), 2, &["exclude each other"]);
    refused(&run(mount.start().bare().arg("warm")), 2, &["the directory to warm"]);
    let plain = counted(&bucket, &[]);
    refused(&warm(&plain, plain.directory(), &[]), 1, &["has no cache", "--cache DIRECTORY"]);
    assert_eq!(status(&plain)["cache"], Value::Null);
}

#[test]
fn a_mount_that_hangs_or_has_no_socket_keeps_nobody_waiting() {
    let server = Server::lab();
    let bucket = server.bucket("jars");
    bucket.put_synthetic("a.jar", 1000, 1);
    let cache = TempDir::new().unwrap();
    let mount = cached(&bucket, cache.path(), &[]);
    let daemon = mount.daemon();
    kill(daemon, Signal::STOP);
    let hung = warm(&mount, mount.directory(), &[]);
    kill(daemon, Signal::CONT);
    refused(&hung, 1, &["does not answer", "mount-s3 umount"]);
    // Somebody who listens and says nothing.
    let socket = socket(&mount);
    std::fs::remove_file(&socket).unwrap();
    let gone = warm(&mount, mount.directory(), &[]);
    refused(&gone, 1, &["control socket", "cannot be used"]);
    let mute = UnixListener::bind(&socket).unwrap();
    refused(&warm(&mount, mount.directory(), &[]), 1, &["did not answer for 10 seconds"]);
    drop(mute);
    std::fs::remove_file(&socket).unwrap();
}

#[test]
fn the_socket_goes_with_its_mount_however_it_ends() {
    let server = Server::lab();
    let bucket = server.bucket("jars");
    let cache = TempDir::new().unwrap();
    let mount = cached(&bucket, cache.path(), &[]);
    let path = socket(&mount);
    assert!(path.exists());
    drop(mount);
    assert!(!path.exists());
    let mut mount = cached(&bucket, cache.path(), &[]);
    let path = socket(&mount);
    mount.leave_to_the_test();
    kill(mount.daemon(), Signal::KILL);
    until("the socket is gone", SOON, || !path.exists());
}

#[test]
fn sigusr1_writes_the_account_and_so_does_the_end() {
    let server = Server::lab();
    let bucket = server.bucket("jars");
    bucket.put_synthetic("a.jar", 3 * PART, 1);
    let cache = TempDir::new().unwrap();
    let mut mount = cached(&bucket, cache.path(), &[]);
    warm(&mount, mount.directory(), &[]).ok();
    let told = || mount.start().log().matches("asked of S3: 3 GETs").count();
    // Whoever sends it to everything of our name reaches the keeper too.
    kill(mount.keeper(), Signal::USR1);
    kill(mount.daemon(), Signal::USR1);
    until("the account is in the log", SOON, || told() == 1);
    let log = mount.start().log();
    for said in
        ["24.0 MiB received", "cache: 24.0 MiB kept", "at the guide's $0.0004 for 1000 GETs"]
    {
        assert!(log.contains(said), "{said:?} is not in {log}");
    }
    mount.leave_to_the_test();
    run(mount.start().bare().arg("umount").arg(mount.directory())).ok();
    assert_eq!(mount.start().log().matches("asked of S3: 3 GETs").count(), 2);
}

#[test]
fn the_status_has_every_field() {
    let server = Server::lab();
    let bucket = server.bucket("jars");
    let cache = TempDir::new().unwrap();
    let mount = cached(&bucket, cache.path(), &[]);
    let status = status(&mount);
    for field in [
        "version",
        "pid",
        "bucket",
        "prefix",
        "directory",
        "read_only",
        "cache",
        "savings",
        "warming",
    ] {
        assert!(status.contains_key(field), "{field} is not in {status:?}");
    }
    assert_eq!(status["pid"], mount.daemon());
    assert_eq!(status["directory"], mount.directory().to_str().unwrap());
    for part in ["s3", "opens", "cache", "avoided"] {
        assert!(status["savings"][part].is_object(), "{part} is not in {status:?}");
    }
    // A line that is none is answered, and hurts nobody.
    let mut nonsense = UnixStream::connect(socket(&mount)).unwrap();
    nonsense.write_all(b"\xff{]\n").unwrap();
    let mut said = String::new();
    nonsense.read_to_string(&mut said).unwrap();
    assert!(said.contains("refused"), "{said}");
}
