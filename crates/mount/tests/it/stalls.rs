//! While S3 stalls: whoever is killed leaves, whoever waits is told in time, and what is
//! known already goes on being served.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lab::{Fault, Rule};
use testkit::exerciser::in_processes;
use testkit::reader::Means;
use testkit::{Bucket, Mount, Server, run_within, until};

use crate::harness::{MIB, mount, quiet, seed, target, task};

const SOON: Duration = Duration::from_secs(5);

fn stall(server: &Server, operation: &str) {
    server.lab_itself().rules().add(Rule::new(operation, Fault::Stall));
}

/// Waits until a process sleeps in the kernel for an answer of the file system.
fn wait_until_it_waits(pid: u32) {
    until("the program waits for the mount", SOON, || {
        let place = std::fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
        place.contains("fuse")
            || place.contains("request_wait")
            || place.contains("folio_wait")
            || place.contains("direct")
    });
}

/// Starts a program that hangs, kills it when it waits, and measures how long it stays.
fn killed(mut command: Command) -> Duration {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until_it_waits(child.id());
    let begun = Instant::now();
    child.kill().unwrap();
    child.wait().unwrap();
    begun.elapsed()
}

/// Kills a hundred programs; all but one have to be gone within 50 ms.
#[track_caller]
fn killed_programs_leave_at_once(what: &str, program: impl Fn(usize) -> Command) {
    let mut times: Vec<Duration> = (0..100).map(|number| killed(program(number))).collect();
    times.sort();
    let (median, p99, max) = (times[49], times[98], times[99]);
    println!("{what}: median {median:?}, p99 {p99:?}, max {max:?}");
    assert!(p99 <= Duration::from_millis(50), "{what}: {times:?}");
}

fn with(words: &[&str], path: std::path::PathBuf) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg(path);
    command
}

/// A mount with listed directories and a stalling server behind it.
fn stalled<'a>(bucket: &Bucket<'a>) -> Mount {
    bucket.put_synthetic_many("d/f", 100, 10 * MIB);
    for number in 0..100 {
        bucket.put_synthetic(&format!("e{number}/f"), 10, 1);
    }
    let mount = mount(bucket, &["--metadata-ttl", "60"]);
    run_within(&mut with(&["ls", "-l"], mount.path("d")), SOON).ok();
    run_within(&mut with(&["ls", "-l"], mount.directory().to_owned()), SOON).ok();
    stall(bucket.server, "*");
    mount
}

#[test]
fn killed_programs_are_gone_within_50_ms() {
    let _turn = quiet();
    let server = Server::lab();
    let bucket = server.bucket("stalled");
    let mount = stalled(&bucket);
    killed_programs_leave_at_once("stat", |number| {
        with(&["stat"], mount.path(&format!("e{number}/missing")))
    });
    killed_programs_leave_at_once("open", |number| {
        with(&["cat"], mount.path(&format!("e{number}/f")))
    });
    killed_programs_leave_at_once("readdir", |number| {
        with(&["ls", "-f"], mount.path(&format!("e{number}")))
    });
    server.lab_itself().rules().clear();
    // Opening with O_DIRECT asks for the newest version: now only the reads wait.
    stall(&server, "GetObject");
    killed_programs_leave_at_once("read with O_DIRECT", |number| {
        let file = mount.path(&format!("d/f{number:07}")).display().to_string();
        let mut dd = Command::new("dd");
        dd.args(["iflag=direct", "bs=1M", "of=/dev/null", &format!("if={file}")]);
        dd
    });
    killed_programs_leave_at_once("read", |number| {
        with(&["cat"], mount.path(&format!("d/f{number:07}")))
    });
    server.lab_itself().rules().clear();
    let works = target(&mount, "d/f0000007", 1, 10 * MIB);
    testkit::exerciser::check_whole(&works, Means::Pread, 1 << 20);
}

#[test]
fn a_timer_signal_is_never_seen_as_an_error() {
    let _turn = quiet();
    let server = Server::lab();
    let bucket = server.bucket("timer");
    bucket.put_synthetic_many("f", 40, 300_000);
    server.lab_itself().rules().add(Rule::new("*", Fault::Latency { ms: 40 }));
    for words in [&["--metadata-ttl", "minimal"], &["--metadata-ttl", "60"]] {
        let mount = mount(&bucket, words);
        let targets = (0..40).map(|n| target(&mount, &format!("f{n:07}"), 1, 300_000)).collect();
        let mut task = task(seed(), targets);
        task.alarm_ms = 5;
        task.forget_pages = true;
        let tally = in_processes(vec![task]);
        tally.assert_all_right();
        assert!(tally.alarms > 100, "the timer has to ring: {tally:?}");
    }
}

#[test]
fn a_read_ends_with_eio_at_its_deadline() {
    let _turn = quiet();
    let server = Server::lab();
    let bucket = server.bucket("deadline");
    bucket.put_synthetic("small", 1000, 1);
    bucket.put_synthetic("large", 50 * MIB, 1);
    let mount = mount(&bucket, &["--metadata-ttl", "60", "--read-deadline", "3"]);
    assert_eq!(std::fs::read_dir(mount.directory()).unwrap().count(), 2);
    // Opening with O_DIRECT asks for the newest version; here it is the read that waits.
    stall(&server, "GetObject");
    for (key, means) in [
        ("small", Means::Pread),
        ("large", Means::Pread),
        ("small", Means::Direct),
        ("large", Means::Direct),
        ("large", Means::Mmap),
        ("large", Means::Sendfile),
    ] {
        let size = if key == "small" { 1000 } else { 50 * MIB };
        let reader = testkit::reader::Reader::open(&mount.path(key), means, size).unwrap();
        let begun = Instant::now();
        let error = reader.read(0, 1000).unwrap_err();
        let took = begun.elapsed();
        // A page of a mapping that cannot be read is EFAULT.
        let code = error.raw_os_error();
        assert!([Some(5), Some(14)].contains(&code), "{means:?} of {key}: {error}");
        // When reading ahead for a map has failed, the kernel asks for the one page once more.
        let most = if means == Means::Mmap { 8500 } else { 5500 };
        let bounds = Duration::from_millis(2500)..Duration::from_millis(most);
        assert!(bounds.contains(&took), "{means:?} of {key} took {took:?}");
    }
    server.lab_itself().rules().clear();
    testkit::exerciser::check_whole(&target(&mount, "large", 1, 50 * MIB), Means::Pread, 1 << 20);
}

#[test]
fn what_is_known_goes_on_being_served_and_the_rest_works_again() {
    let _turn = quiet();
    let server = Server::lab();
    let bucket = server.bucket("known");
    bucket.put_synthetic("read", 20 * MIB, 1);
    bucket.put_synthetic("unread", 20 * MIB, 1);
    let mount = mount(&bucket, &["--metadata-ttl", "300"]);
    assert_eq!(std::fs::read_dir(mount.directory()).unwrap().count(), 2);
    let read = target(&mount, "read", 1, 20 * MIB);
    let use_what_is_known = |limit| {
        run_within(&mut with(&["ls", "-l"], mount.directory().to_owned()), limit).ok();
        run_within(&mut with(&["stat"], mount.path("unread")), limit).ok();
        run_within(&mut with(&["sha256sum"], mount.path("read")), limit).ok();
    };
    testkit::exerciser::check_whole(&read, Means::Pread, 1 << 20);
    // The programs have to be in memory too: a busy disk takes seconds to start one.
    use_what_is_known(Duration::from_secs(60));
    stall(&server, "*");
    // Somebody waits for what is not there; nobody else has to.
    let mut waiting = with(&["cat"], mount.path("unread"));
    let mut waiting = waiting.stdout(Stdio::null()).spawn().unwrap();
    wait_until_it_waits(waiting.id());
    use_what_is_known(SOON);
    testkit::exerciser::check_whole(&read, Means::Mmap, 1 << 20);
    assert!(waiting.try_wait().unwrap().is_none());
    server.lab_itself().rules().clear();
    until("the waiting reader ends", Duration::from_secs(40), || {
        waiting.try_wait().unwrap().is_some()
    });
    let unread = target(&mount, "unread", 1, 20 * MIB);
    testkit::exerciser::check_whole(&unread, Means::Pread, 1 << 20);
}

/// The threads of a daemon that take requests from the kernel.
fn workers(daemon: u32) -> usize {
    let names = std::fs::read_dir(format!("/proc/{daemon}/task")).unwrap();
    let names = names.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")));
    let is_one = |name: &str| {
        let number = name.trim_end().strip_prefix("fuse-");
        number.is_some_and(|number| number.parse::<usize>().is_ok())
    };
    names.filter(|name| name.as_ref().is_ok_and(|name| is_one(name))).count()
}

#[test]
fn one_thread_serves_any_number_of_waiting_programs() {
    /// More than the requests that the kernel lets wait in the background.
    const WAITING: usize = 80;
    let _turn = quiet();
    let server = Server::lab();
    let bucket = server.bucket("waiting");
    bucket.put_synthetic_many("d/f", WAITING as u64, 1000);
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(workers(mount(&bucket, &[]).daemon()), cores.clamp(2, 16));
    let mount = mount(&bucket, &["--metadata-ttl", "300", "--max-threads", "1"]);
    assert_eq!(workers(mount.daemon()), 1);
    run_within(&mut with(&["ls", "-l"], mount.path("d")), SOON).ok();
    stall(&server, "*");
    let path = |number: usize| mount.path(&format!("d/f{number:07}"));
    let cat = |number| with(&["cat"], path(number)).stdout(Stdio::null()).spawn().unwrap();
    let mut waiting: Vec<_> = (0..WAITING).map(cat).collect();
    waiting.iter().for_each(|program| wait_until_it_waits(program.id()));
    run_within(&mut with(&["ls", "-l"], mount.path("d")), SOON).ok();
    run_within(&mut with(&["stat"], path(0)), SOON).ok();
    assert!(waiting.iter_mut().all(|program| program.try_wait().unwrap().is_none()));
    server.lab_itself().rules().clear();
    for program in &mut waiting {
        assert!(program.wait().unwrap().success());
    }
    assert_eq!(server.count("GetObject"), WAITING as u64);
}
