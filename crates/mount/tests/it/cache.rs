//! Bytes cross the network once per node, whoever reads them and however the daemon ends.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use lab::{Fault, Rule};
use tempfile::TempDir;
use testkit::exerciser::check_whole;
use testkit::reader::Means;
use testkit::sys::Mapping;
use testkit::{Bucket, Mount, Server, Signal, Start, is_mounted, kill, run, run_within, until};

use crate::harness::{MIB, busy, counted, program, start, target, undisturbed};

/// Five JARs, 670 million bytes: 82 parts of 8 MiB.
const JARS: [u64; 5] = [10_000_000, 40_000_000, 90_000_000, 180_000_000, 350_000_000];
pub(crate) const BYTES: u64 = 670_000_000;
pub(crate) const PARTS: u64 = 82;
const PART: u64 = 8 * MIB;
/// Time for what is no matter of waiting.
const SOON: Duration = Duration::from_secs(10);
/// Time for many readers on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A read-only mount that keeps what was read in `cache`, with all counters of the lab at zero
/// once it serves.
#[track_caller]
pub(crate) fn cached(bucket: &Bucket<'_>, cache: &Path, words: &[&str]) -> Mount {
    // Not the default, which is nothing on a disk that others have filled.
    let mut all = vec!["--cache", cache.to_str().unwrap(), "--max-cache-size", "4GiB"];
    all.extend(words);
    counted(bucket, &all)
}

/// Unmounts; what the daemon has logged when it is gone.
#[track_caller]
pub(crate) fn unmounted(mut mount: Mount) -> String {
    mount.leave_to_the_test();
    // Between fork and exec, the children of other tests have what this process has open.
    let gone = || run(&mut program(&["umount"], mount.directory())).code == Some(0);
    until("nobody is in the mount", SOON, gone);
    mount.start().assert_nothing_is_left();
    mount.start().log()
}

/// Ends the daemon as the kernel's memory killer does.
#[track_caller]
pub(crate) fn killed(mut mount: Mount) {
    mount.leave_to_the_test();
    kill(mount.daemon(), Signal::KILL);
    until("the dead mount is detached", SOON, || !is_mounted(mount.directory()));
}

/// A number that the cache counted, of what the daemon said at its end.
#[track_caller]
fn number(log: &str, name: &str) -> u64 {
    let line = log.lines().rfind(|line| line.contains("the cache is closed")).unwrap();
    let (_, rest) = line.split_once(&format!("{name}: ")).unwrap();
    rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

/// GETs and the bytes they brought, since the last call.
pub(crate) fn gets(server: &Server) -> (u64, u64) {
    let get = server.lab_itself().counters().operation("GetObject");
    server.lab_itself().reset_counters();
    (get.requests, get.bytes_out)
}

pub(crate) fn put_jars(bucket: &Bucket<'_>) {
    for (number, size) in (1..).zip(JARS) {
        bucket.put_synthetic(&format!("jar{number}.jar"), size, 1);
    }
}

fn all_jars(directory: &Path) -> String {
    format!("cat {}/*.jar | wc -c", directory.display())
}

/// So many processes read all JARs of a mount at once.
#[track_caller]
pub(crate) fn read_all(mount: &Mount, processes: usize, bytes: u64) {
    let script = all_jars(mount.directory());
    let read = || run_within(Command::new("sh").args(["-ec", &script]), PATIENCE).ok();
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..processes).map(|_| scope.spawn(read)).collect();
        for reader in readers {
            assert_eq!(reader.join().unwrap().trim(), bytes.to_string());
        }
    });
}

#[test]
fn ten_processes_fetch_five_jars_once() {
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("jars");
    put_jars(&bucket);
    let cache = tempfile::tempdir().unwrap();
    let mount = cached(&bucket, cache.path(), &[]);
    read_all(&mount, 10, BYTES);
    assert_eq!(gets(&server), (PARTS, BYTES), "cold");
    read_all(&mount, 10, BYTES);
    assert_eq!(gets(&server), (0, 0), "a second round");
}

#[test]
fn jars_opened_at_their_ends_cost_one_request_more_each_at_most() {
    use std::os::unix::fs::FileExt as _;
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("jars");
    put_jars(&bucket);
    let cache = tempfile::tempdir().unwrap();
    let mount = cached(&bucket, cache.path(), &[]);
    let open_all = || {
        for (number, size) in (1..).zip(JARS) {
            let file = std::fs::File::open(mount.path(&format!("jar{number}.jar"))).unwrap();
            file.read_exact_at(&mut [0; 128], size - 128).unwrap();
            file.read_exact_at(&mut [0; 8192], size - 60_000).unwrap();
        }
    };
    std::thread::scope(|scope| (0..10).for_each(|_| drop(scope.spawn(open_all))));
    read_all(&mount, 10, BYTES);
    let (requests, bytes) = gets(&server);
    assert!((PARTS..=PARTS + 5).contains(&requests), "{requests} GETs");
    assert_eq!(bytes, BYTES);
}

/// A cold mount killed in the middle: what it had is kept, what it had not is fetched.
#[test]
fn what_a_killed_daemon_had_fetched_is_not_fetched_again() {
    const SIZE: u64 = 350_000_000;
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("jars");
    bucket.put_synthetic("a.jar", SIZE, 1);
    let cache = tempfile::tempdir().unwrap();
    let mount = cached(&bucket, cache.path(), &[]);
    let read = std::fs::File::open(mount.path("a.jar")).unwrap();
    let copied = std::io::copy(&mut std::io::Read::take(&read, SIZE / 2), &mut std::io::sink());
    assert_eq!(copied.unwrap(), SIZE / 2);
    drop(read);
    killed(mount);
    gets(&server);
    let mount = cached(&bucket, cache.path(), &[]);
    check_whole(&target(&mount, "a.jar", 1, SIZE), Means::Pread, 1 << 20);
    let (_, bytes) = gets(&server);
    // Written behind the reader, so not all of it may have been written.
    assert!(bytes < SIZE * 3 / 4, "{bytes} bytes of {SIZE} again, half of which had been read");
}

/// A mount in a pid and a mount namespace of its own, which runs a script when it is told to.
struct Elsewhere {
    start: Start,
    signals: TempDir,
}

impl Elsewhere {
    fn new(server: &Server, cache: &Path) -> Self {
        let words = ["--read-only", "--cache", cache.to_str().unwrap()];
        let start = start(server).words(&words).words(&["--max-cache-size", "4GiB"]);
        Self { start, signals: tempfile::tempdir().unwrap() }
    }

    /// `script` finds the mount point in `$mnt`; its output is the command's.
    fn command(&self, bucket: &str, script: &str) -> Command {
        let mount = self.start.command(bucket);
        let words = std::iter::once(mount.get_program()).chain(mount.get_args());
        let words: Vec<_> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
        let script = format!(
            "{} >/dev/null; cd {}; touch ready; until [ -e go ]; do sleep 0.01; done; {script}; \
             umount $mnt",
            words.join(" "),
            self.signals.path().display(),
        );
        let mut command = Command::new("unshare");
        command.args(["--pid", "--mount", "--fork", "--mount-proc", "sh", "-ec", &script]);
        for (name, value) in self.start.bare().get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command.env("mnt", self.start.directory());
        command
    }

    fn wait_until_ready(&self) {
        until("the other mount serves", SOON, || self.signals.path().join("ready").exists());
    }

    fn go(&self) {
        std::fs::write(self.signals.path().join("go"), "").unwrap();
    }
}

/// Two mounts read one object from a slow server; one gets this signal when it has fetched some
/// of it, and the other has to read all of it in time.
#[track_caller]
fn one_goes_on_when_the_other_gets(signal: Signal) {
    const SIZE: u64 = 180_000_000;
    let server = Server::lab();
    let bucket = server.bucket("jars");
    bucket.put_synthetic("a.jar", SIZE, 1);
    let slow = Fault::Bandwidth { bytes_per_second: 16 << 20 };
    server.lab_itself().rules().add(Rule::new("GetObject", slow));
    let (cache, right) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let mut bytes = vec![0; usize::try_from(SIZE).unwrap()];
    lab::synthetic::fill("a.jar", 1, 0, &mut bytes);
    std::fs::write(right.path(), &bytes).unwrap();
    let elsewhere = Elsewhere::new(&server, cache.path());
    let script = format!("cmp $mnt/a.jar '{}' && echo the same", right.path().display());
    let mut other = elsewhere.command(&bucket.name, &script);
    let mut mount = cached(&bucket, cache.path(), &[]);
    mount.leave_to_the_test();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| run_within(&mut other, Duration::from_secs(30)).ok());
        elsewhere.wait_until_ready();
        let mut reader = program(&["cat"], &mount.path("a.jar"));
        let mut reader = reader.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until("some of it is fetched", SOON, || server.count("GetObject") >= 8);
        kill(mount.daemon(), signal);
        elsewhere.go();
        assert_eq!(other.join().unwrap().trim(), "the same");
        if signal == Signal::STOP {
            kill(mount.daemon(), Signal::CONT);
            assert!(reader.wait().unwrap().success(), "the one that was stopped reads on");
            check_whole(&target(&mount, "a.jar", 1, SIZE), Means::Pread, 1 << 20);
            run(&mut program(&["umount"], mount.directory())).ok();
        } else {
            assert!(!reader.wait().unwrap().success(), "nobody serves it any more");
        }
    });
    elsewhere.start.assert_nothing_is_left();
}

#[test]
fn two_mounts_that_see_nothing_of_each_other_fetch_five_jars_once() {
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("jars");
    put_jars(&bucket);
    let cache = tempfile::tempdir().unwrap();
    let elsewhere = Elsewhere::new(&server, cache.path());
    let mut other = elsewhere.command(&bucket.name, "cat $mnt/*.jar | wc -c");
    let mount = cached(&bucket, cache.path(), &[]);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| run_within(&mut other, Duration::from_secs(60)).ok());
        elsewhere.wait_until_ready();
        gets(&server);
        elsewhere.go();
        read_all(&mount, 5, BYTES);
        assert_eq!(other.join().unwrap().trim(), BYTES.to_string());
    });
    assert_eq!(gets(&server), (PARTS, BYTES));
}

#[test]
fn a_mount_goes_on_when_another_that_fetches_for_it_is_killed() {
    let _turn = busy();
    one_goes_on_when_the_other_gets(Signal::KILL);
}

#[test]
fn a_mount_goes_on_when_another_that_fetches_for_it_is_stopped() {
    let _turn = busy();
    one_goes_on_when_the_other_gets(Signal::STOP);
}

/// So many processes read as many JARs as Spark has, each of them with one `share`th of its size.
#[track_caller]
fn sparks_jars_are_fetched_once(processes: usize, share: usize) {
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("jars");
    let sizes: Vec<u64> =
        testkit::jar::sizes(252).iter().map(|&size| (size / share) as u64).collect();
    for (number, &size) in (0..).zip(&sizes) {
        bucket.put_synthetic(&format!("jar{number:03}.jar"), size, 1);
    }
    let bytes: u64 = sizes.iter().sum();
    let parts: u64 = sizes.iter().map(|size| size.div_ceil(PART)).sum();
    let plan = (parts, bytes);
    let cache = tempfile::tempdir().unwrap();
    let mount = cached(&bucket, cache.path(), &[]);
    read_all(&mount, processes, bytes);
    assert_eq!(gets(&server), plan, "cold");
    read_all(&mount, processes, bytes);
    assert_eq!(gets(&server), (0, 0), "a second round");
    killed(mount);
    let mount = cached(&bucket, cache.path(), &[]);
    read_all(&mount, processes, bytes);
    assert_eq!(gets(&server), (0, 0), "after kill -9 and mount");
}

#[test]
fn as_many_jars_as_spark_has_are_fetched_once_for_forty_processes() {
    sparks_jars_are_fetched_once(40, 8);
}

#[test]
#[ignore = "takes minutes: make test-cache-long"]
fn cache_long_as_many_jars_as_spark_has_are_fetched_once_for_two_hundred_processes() {
    sparks_jars_are_fetched_once(200, 1);
}

const SIZE: u64 = 40 * MIB + 123;

/// A bucket with an object and a program, all of it in `cache`, sealed: an object is when it is
/// opened complete for the first time.
fn filled<'a>(server: &'a Server, cache: &Path) -> Bucket<'a> {
    let bucket = server.bucket("complete");
    bucket.put_synthetic("a.jar", SIZE, 1);
    bucket.put("echo", std::fs::read("/bin/echo").unwrap());
    for _ in 0..2 {
        let mount = cached(&bucket, cache, &[]);
        check_whole(&target(&mount, "a.jar", 1, SIZE), Means::Pread, 1 << 20);
        std::fs::read(mount.path("echo")).unwrap();
        unmounted(mount);
    }
    bucket
}

#[test]
fn complete_objects_are_read_mapped_sent_and_run_without_the_daemon() {
    let server = Server::lab();
    let cache = tempfile::tempdir().unwrap();
    let bucket = filled(&server, cache.path());
    let mount = cached(&bucket, cache.path(), &["--file-mode", "0755"]);
    for means in [Means::Pread, Means::Preadv, Means::Mmap, Means::Sendfile] {
        check_whole(&target(&mount, "a.jar", 1, SIZE), means, 300_000);
    }
    assert_eq!(run(Command::new(mount.path("echo")).arg("runs")).ok(), "runs\n");
    assert_eq!(gets(&server), (0, 0));
    let log = unmounted(mount);
    // Whatever the daemon is asked for it takes from the disk: the network brought nothing.
    assert_eq!(number(&log, "served_bytes"), 0, "the kernel read it all by itself");
    assert!(number(&log, "backings") > 0);
}

#[test]
fn without_passthrough_complete_objects_are_read_once_into_the_page_cache() {
    let _turn = busy();
    let server = Server::lab();
    let cache = tempfile::tempdir().unwrap();
    let bucket = filled(&server, cache.path());
    let served = |rounds: &[Means]| {
        let words = ["--file-mode", "0755", "--mask-kernel-features", "passthrough"];
        let mount = cached(&bucket, cache.path(), &words);
        for &means in rounds {
            check_whole(&target(&mount, "a.jar", 1, SIZE), means, 300_000);
        }
        assert_eq!(run(Command::new(mount.path("echo")).arg("runs")).ok(), "runs\n");
        assert_eq!(gets(&server), (0, 0));
        number(&unmounted(mount), "served_bytes")
    };
    let once = undisturbed(|| served(&[Means::Pread]), |&bytes| bytes >= SIZE);
    assert!(once >= SIZE);
    let means = [Means::Pread, Means::Preadv, Means::Mmap, Means::Sendfile];
    assert_eq!(undisturbed(|| served(&means), |&bytes| bytes == once), once);
}

#[test]
fn who_opens_a_complete_object_for_both_changes_neither_it_nor_what_others_read() {
    let server = Server::lab();
    let cache = tempfile::tempdir().unwrap();
    let bucket = filled(&server, cache.path());
    let words = ["--cache", cache.path().to_str().unwrap(), "--max-cache-size", "4GiB"];
    let mount = start(&server).words(&words).words(&["--allow-overwrite"]).mount(&bucket.name);
    server.lab_itself().reset_counters();
    let whole = target(&mount, "a.jar", 1, SIZE);
    let try_to_write = || {
        let both = File::options().read(true).write(true).open(&whole.path).unwrap();
        assert_eq!(both.write_at(b"XXXX", 0).unwrap_err().raw_os_error(), Some(libc::EBADF));
        let mapping = Mapping::writable(&both, 4096).unwrap_err();
        assert_eq!(mapping.raw_os_error(), Some(libc::ENODEV));
        let mut bytes = [0; 4096];
        both.read_exact_at(&mut bytes, 0).unwrap();
        lab::synthetic::check(&whole.key, whole.version, 0, &bytes).unwrap();
    };
    // While nobody else has it open, and while the kernel reads it for somebody.
    try_to_write();
    let reading = File::open(&whole.path).unwrap();
    try_to_write();
    try_to_write();
    drop(reading);
    check_whole(&whole, Means::Mmap, 300_000);
    check_whole(&whole, Means::Pread, 300_000);
    assert_eq!(gets(&server), (0, 0));
    let log = unmounted(mount);
    assert_eq!(number(&log, "dropped_damaged"), 0);
}
