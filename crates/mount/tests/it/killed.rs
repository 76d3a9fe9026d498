//! Mounts that are killed while they upload: what is stored, and what the next mount finds and ends.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use lab::{Fault, Rule};
use tempfile::TempDir;
use testkit::{Bucket, Mount, Server, Signal, kill, until};

use crate::harness::{busy, seed, start};

/// Where mounts keep their journals.
enum Home {
    Cache(TempDir),
    /// The directory for state of root.
    State,
}

impl Home {
    fn cache() -> Self {
        Self::Cache(tempfile::tempdir().unwrap())
    }

    fn mount(&self, bucket: &Bucket<'_>) -> Mount {
        let started = start(bucket.server).words(&["--write-part-size", "5MiB"]);
        let started = match self {
            Self::Cache(cache) => started.words(&["--cache", cache.path().to_str().unwrap()]),
            Self::State => started,
        };
        started.mount(&bucket.name)
    }

    fn directory(&self) -> PathBuf {
        match self {
            Self::Cache(cache) => cache.path().join("mount-s3/uploads"),
            Self::State => "/var/lib/mount-s3/uploads".into(),
        }
    }

    /// How many journals of mounts of `server` have something in them.
    fn journals(&self, server: &Server) -> usize {
        let names = |text: &str| text.contains(server.endpoint());
        let files = std::fs::read_dir(self.directory()).unwrap();
        let texts = files.filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok());
        texts.filter(|text| names(text)).count()
    }
}

/// Bytes that a file has after each of its flushes.
const STEP: usize = 11 << 20;
const STEPS: usize = 3;

/// A program that writes a file in steps and says what it is about to do. It is one of its own, so
/// that no other test inherits what it has open.
struct Writer {
    child: Child,
    input: ChildStdin,
    said: Receiver<String>,
}

impl Writer {
    /// If it is `paced`, it waits for a line before each flush.
    fn start(source: &Path, to: &Path, paced: bool) -> Self {
        let script = format!(
            "import os, sys
bytes = open(sys.argv[1], 'rb').read()
file = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_EXCL)
print('open', flush=True)
for step in range({STEPS}):
    at = step * {STEP}
    while at < (step + 1) * {STEP}:
        at += os.write(file, bytes[at:min(at + (1 << 20), (step + 1) * {STEP})])
    print('sent', flush=True)
    if {}: input()
    os.fsync(file)
    print('told', flush=True)
os.close(file)",
            if paced { "True" } else { "False" }
        );
        let mut child = Command::new("python3")
            .args(["-c", &script])
            .args([source, to])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (say, said) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| say.send(line)));
        Self { input: child.stdin.take().unwrap(), child, said }
    }

    /// Waits until it says `word`.
    #[track_caller]
    fn await_word(&self, word: &str) {
        let said = self.said.recv_timeout(Duration::from_secs(30));
        assert_eq!(said.as_deref(), Ok(word));
    }

    fn go_on(&mut self) {
        self.input.write_all(b"\n").unwrap();
    }

    /// Waits for its end: flushes that were sent, and those of them of which it was told that they
    /// succeeded.
    fn end(mut self) -> (usize, usize) {
        drop(self.input);
        self.child.wait().unwrap();
        let words: Vec<String> = self.said.iter().collect();
        let count = |word: &str| words.iter().filter(|said| *said == word).count();
        (count("sent"), count("told"))
    }
}

fn content(seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; STEP * STEPS];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

/// Kills the daemon, and waits until nothing of the mount is left.
#[track_caller]
fn kill_hard(mut mount: Mount) {
    mount.leave_to_the_test();
    kill(mount.daemon(), Signal::KILL);
}

/// What mounts that are killed upload to, and what somebody else does there.
struct Scene<'a> {
    bucket: Bucket<'a>,
    home: Home,
    source: tempfile::NamedTempFile,
    bytes: Vec<u8>,
    foreign: Vec<(String, String)>,
}

/// A key that a mount is killed over just when it asks for an upload of it.
const CONTESTED: &str = "contested";

impl<'a> Scene<'a> {
    fn new(server: &'a Server, home: Home) -> Self {
        let bucket = server.bucket("killed");
        let bytes = content(5);
        let mut source = tempfile::NamedTempFile::new().unwrap();
        source.write_all(&bytes).unwrap();
        let foreign: Vec<_> =
            ["other", CONTESTED, CONTESTED].map(|key| bucket.begin_upload(key)).into();
        bucket.put_part(&foreign[1], "a part");
        Self { bucket, home, source, bytes, foreign }
    }

    fn write(&self, mount: &Mount, key: &str, paced: bool) -> Writer {
        Writer::start(self.source.path(), &mount.path(key), paced)
    }

    /// The uploads that nobody else began.
    fn uploads(&self) -> Vec<(String, String)> {
        let mut uploads = self.bucket.uploads();
        assert!(self.foreign.iter().all(|upload| uploads.contains(upload)), "{uploads:?}");
        uploads.retain(|upload| !self.foreign.contains(upload));
        uploads
    }

    /// Kills a mount while its answer to the first request for an upload is on its way.
    fn kill_while_asked(&self) {
        // The others were begun before that, which a clock of whole seconds can tell.
        std::thread::sleep(Duration::from_secs(4));
        let late = Rule::new("CreateMultipartUpload", Fault::Latency { ms: 60_000 }).on(CONTESTED);
        let late = self.bucket.server.lab_itself().rules().add(late);
        let mount = self.home.mount(&self.bucket);
        let writer = self.write(&mount, CONTESTED, false);
        until("it is begun", Duration::from_secs(10), || !self.uploads().is_empty());
        kill_hard(mount);
        assert_eq!(writer.end(), (0, 0));
        self.bucket.server.lab_itself().rules().remove(late);
        assert_eq!(self.uploads().len(), 1);
        assert_eq!(self.bucket.parts(&self.uploads()[0]), 0);
    }

    /// Kills a mount `after` it began to write `key`, and checks what is stored: how many flushes.
    fn kill_after(&self, after: Duration, key: &str) -> usize {
        let mount = self.home.mount(&self.bucket);
        let writer = self.write(&mount, key, false);
        writer.await_word("open");
        std::thread::sleep(after);
        kill_hard(mount);
        let (sent, told) = writer.end();
        let stored = self.bucket.find(key).unwrap_or_default();
        assert!(self.bytes.starts_with(&stored), "{key}: other bytes are stored than were written");
        assert_eq!(stored.len() % STEP, 0, "{key}: what is stored ends where no flush did");
        let flushes = stored.len() / STEP;
        let possible = told..=sent;
        assert!(
            possible.contains(&flushes),
            "{key}: {flushes} flushes are stored, not {possible:?}"
        );
        flushes
    }

    /// The next mount ends everything that the dead have left, and nothing else.
    fn assert_the_next_mount_ends_it(&self) {
        let _mount = self.home.mount(&self.bucket);
        let left = self.uploads().len();
        let waited =
            until("what they left is gone", Duration::from_secs(60), || self.uploads().is_empty());
        println!(
            "{left} uploads were left at the last start, 0 {:.0} s later",
            waited.as_secs_f64()
        );
        until("the journals of the dead are gone", Duration::from_secs(5), || {
            self.home.journals(self.bucket.server) == 0
        });
    }
}

/// Kills mounts at so many moments of their uploads.
fn kill_at_random(kills: usize, home: Home) {
    let _turn = busy();
    let server = Server::lab();
    let scene = Scene::new(&server, home);
    // The moments at which something may be begun or stored without its answer are stretched.
    for (operation, ms) in [("CreateMultipartUpload", 60), ("CompleteMultipartUpload", 40)] {
        server.lab_itself().rules().add(Rule::new(operation, Fault::Latency { ms }));
    }
    scene.kill_while_asked();
    let mut random = fastrand::Rng::with_seed(seed());
    let (mut stored, mut bare, mut with_parts, mut ended) = ([0; STEPS + 1], 1, 0, 0);
    for number in 1..kills {
        let key = format!("file{number}");
        stored[scene.kill_after(Duration::from_millis(random.u64(0..1200)), &key)] += 1;
        match scene.uploads().iter().find(|(of, _)| *of == key) {
            None => ended += 1,
            Some(upload) if scene.bucket.parts(upload) == 0 => bare += 1,
            Some(_) => with_parts += 1,
        }
    }
    println!(
        "{kills} kills: {bare} left an upload without parts, {with_parts} one with parts, {ended} none; \
         files with so many of their {STEPS} flushes stored: {stored:?}"
    );
    scene.assert_the_next_mount_ends_it();
}

#[test]
fn mounts_that_are_killed_while_they_upload_leave_nothing_with_a_cache() {
    kill_at_random(20, Home::cache());
}

#[test]
fn mounts_that_are_killed_while_they_upload_leave_nothing_without_a_cache() {
    kill_at_random(20, Home::State);
}

#[test]
#[ignore = "takes many minutes: make test-kills"]
fn two_hundred_kills_leave_nothing_with_a_cache() {
    kill_at_random(200, Home::cache());
}

#[test]
#[ignore = "takes many minutes: make test-kills"]
fn two_hundred_kills_leave_nothing_without_a_cache() {
    kill_at_random(200, Home::State);
}

#[test]
fn of_two_mounts_of_a_node_a_third_ends_the_uploads_of_the_dead_one_only() {
    let _turn = busy();
    let server = Server::lab();
    let scene = Scene::new(&server, Home::cache());
    let (dead, alive) = (scene.home.mount(&scene.bucket), scene.home.mount(&scene.bucket));
    let killed = scene.write(&dead, "dead", true);
    let mut living = scene.write(&alive, "alive", true);
    for writer in [&killed, &living] {
        writer.await_word("open");
        writer.await_word("sent");
    }
    let keys = || scene.uploads().into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys(), ["alive", "dead"]);
    kill_hard(dead);
    killed.end();
    let third = scene.home.mount(&scene.bucket);
    until("the dead one's is gone", Duration::from_secs(10), || keys() == ["alive"]);
    until("that is said", Duration::from_secs(5), || third.start().log().contains("thrown away"));
    for _ in 0..STEPS {
        living.go_on();
    }
    living.end();
    assert!(scene.bucket.get("alive") == scene.bytes);
    assert_eq!((keys(), scene.bucket.find("dead")), (vec![], None));
}

/// A mount is told to end while parts of a file that stays open are on their way, and its requests
/// meet these faults: how many uploads it leaves.
fn end_while_uploading(faults: &[(&str, Fault)], left: usize) {
    let _turn = busy();
    let server = Server::lab();
    let scene = Scene::new(&server, Home::cache());
    for (operation, fault) in faults {
        server.lab_itself().rules().add(Rule::new(operation, *fault));
    }
    let mut mount = scene.home.mount(&scene.bucket);
    mount.leave_to_the_test();
    let writer = scene.write(&mount, "file", true);
    writer.await_word("open");
    writer.await_word("sent");
    until("parts are there", Duration::from_secs(10), || {
        scene.uploads().first().is_some_and(|upload| scene.bucket.parts(upload) == 2)
    });
    kill(mount.daemon(), Signal::TERM);
    let ended = || mount.start().processes().is_empty();
    let took = until("every process has ended", Duration::from_secs(15), ended);
    println!("ended after {:.1} s", took.as_secs_f64());
    assert_eq!(scene.uploads().len(), left, "{}", mount.start().log());
    assert_eq!(scene.home.journals(&server), left);
    writer.end();
    assert_eq!(scene.bucket.find("file"), None);
    drop(mount);
    server.lab_itself().rules().clear();
    scene.assert_the_next_mount_ends_it();
}

/// The store has the part, but its answer comes too late.
const LATE: (&str, Fault) = ("UploadPart", Fault::Latency { ms: 60_000 });

#[test]
fn a_mount_that_is_told_to_end_throws_away_what_is_still_being_uploaded() {
    end_while_uploading(&[LATE], 0);
}

#[test]
fn what_a_mount_did_not_get_to_throw_away_at_its_end_the_next_one_does() {
    end_while_uploading(&[LATE, ("AbortMultipartUpload", Fault::InternalError)], 1);
}
