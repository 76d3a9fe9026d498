//! A real mount over a lab, as the model's [`System`].

use std::cell::Cell;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lab::{Fault, Rule, Which};
use model::{Answer, Errno, Fd, How, Restart, Step, System, Trouble};
use serde_json::json;
use testkit::{Bucket, Mount, Signal, is_mounted, kill, run, until};
use tokio::runtime::{Builder, Runtime};

use super::hand::Hand;
use crate::harness::{program, start};

const SOON: Duration = Duration::from_secs(10);
/// What publishes or deletes something.
const PUBLISHING: [&str; 3] = ["PutObject", "CompleteMultipartUpload", "DeleteObject"];

/// A mount that many programs run on, each in a directory of its own.
pub(super) struct World<'a> {
    bucket: &'a Bucket<'a>,
    words: Vec<String>,
    mount: Option<Mount>,
    hand: Hand,
    begun: Instant,
    cache: tempfile::TempDir,
    cached: bool,
    programs: Cell<u32>,
    /// What the lab had been asked to publish when the program began.
    base: u64,
    /// Descriptors that are open.
    open: Vec<Fd>,
    evictions: u32,
    runtime: Runtime,
}

impl<'a> World<'a> {
    pub(super) fn new(bucket: &'a Bucket<'a>, words: &[&str], cached: bool) -> Self {
        let cache = tempfile::tempdir().unwrap();
        let mut words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        if cached {
            let path = cache.path().to_str().unwrap();
            words.extend(["--cache", path, "--max-cache-size", "1GiB"].map(str::to_owned));
        }
        let (begun, programs) = (Instant::now(), Cell::new(0));
        let mut world = Self {
            bucket,
            words,
            mount: None,
            hand: Hand::start(),
            begun,
            cache,
            cached,
            programs,
            base: 0,
            open: Vec::new(),
            evictions: 0,
            runtime: Builder::new_current_thread().build().unwrap(),
        };
        world.mount();
        world
    }

    /// Begins a program in a directory that is not used yet.
    pub(super) fn begin(&mut self) {
        let fds = std::mem::take(&mut self.open);
        self.close_quietly(&fds);
        self.bucket.server.lab_itself().rules().clear();
        self.programs.set(self.programs.get() + 1);
        self.put("", "");
        self.base = self.published();
    }

    fn directory(&self) -> String {
        format!("program{:04}", self.programs.get())
    }

    fn key(&self, key: &str) -> String {
        format!("{}/{key}", self.directory())
    }

    fn path(&self, path: &str) -> String {
        let mount = self.mount.as_ref().unwrap();
        mount.path(&self.key(path)).to_str().unwrap().trim_end_matches('/').to_owned()
    }

    fn published(&self) -> u64 {
        PUBLISHING[..2].iter().map(|operation| self.bucket.server.count(operation)).sum()
    }

    fn mount(&mut self) {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        self.mount = Some(start(self.bucket.server).words(&words).mount(&self.bucket.name));
    }

    fn close_quietly(&mut self, fds: &[Fd]) {
        let mut words = vec![json!("close_all")];
        words.extend(fds.iter().map(|fd| json!(fd)));
        let _: Answer<()> = self.hand.call(&words.into());
    }

    /// Whether a program that was killed had the file open, and why not.
    fn wait_for_open(output: impl Read) -> Answer<()> {
        let mut said = String::new();
        BufReader::new(output).read_line(&mut said).unwrap();
        match said.trim() {
            "ok" => Ok(()),
            errno => Err(Errno::from_raw_os_error(errno.parse().unwrap())),
        }
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        let fds = std::mem::take(&mut self.open);
        self.close_quietly(&fds);
    }
}

/// Opens, writes, says so, and closes.
const VICTIM: &str = "import os, sys
try: fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
except OSError as error:
    print(error.errno, flush=True)
    sys.exit()
os.write(fd, sys.argv[2].encode())
print('ok', flush=True)
os.close(fd)";

impl System for World<'_> {
    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn pass(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn can(&self, step: &Step) -> bool {
        match step {
            // What matters is whether anything is still trusted.
            Step::Pass(ms) => *ms < 2000,
            // The kernel forgets when it likes, and always at an unmount.
            Step::Forget => false,
            Step::Evict => self.cached,
            Step::Restart(how) => matches!(how, Restart::Clean | Restart::Killed),
            _ => true,
        }
    }

    fn is_patient(&self) -> bool {
        false
    }

    fn put(&mut self, key: &str, text: &str) {
        // Not by a request: those meet the trouble that is the mount's.
        let (lab, key) = (self.bucket.server.lab_itself(), self.key(key));
        let put = lab.put_object(&self.bucket.name, &key, text.as_bytes().to_vec());
        self.runtime.block_on(put).unwrap();
    }

    fn remove(&mut self, key: &str) {
        let lab = self.bucket.server.lab_itself();
        lab.delete_object(&self.bucket.name, &self.key(key)).unwrap();
    }

    fn stored(&mut self, key: &str) -> Option<String> {
        self.bucket.server.lab_itself().rules().clear();
        self.bucket.find(&self.key(key)).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    fn trouble(&mut self, trouble: Option<Trouble>) {
        let rules = self.bucket.server.lab_itself().rules();
        rules.clear();
        for operation in PUBLISHING {
            match trouble {
                Some(Trouble::Full) => drop(rules.add(Rule::new(operation, Fault::Full))),
                Some(Trouble::Lost) => {
                    let rule = Rule::new(operation, Fault::AnswerLost).which(Which::First(1));
                    rules.add(rule);
                }
                None => {}
            }
        }
    }

    fn settle(&mut self, puts: u64) {
        let begun = Instant::now();
        while self.published() < self.base + puts && begun.elapsed() < SOON {
            std::thread::sleep(Duration::from_millis(1));
        }
        // It was asked; the answer has still to come and to be taken note of.
        std::thread::sleep(Duration::from_millis(50));
    }

    fn asked(&mut self) -> Option<(u64, u64)> {
        None
    }

    fn restart(&mut self, how: Restart) {
        let mut mount = self.mount.take().unwrap();
        mount.leave_to_the_test();
        if how == Restart::Killed {
            kill(mount.daemon(), Signal::KILL);
            until("the dead mount is detached", SOON, || !is_mounted(mount.directory()));
        } else {
            run(&mut program(&["umount"], mount.directory())).ok();
        }
        let fds = std::mem::take(&mut self.open);
        self.close_quietly(&fds);
        drop(mount);
        self.mount();
    }

    fn forget(&mut self) {}

    fn evict(&mut self) {
        self.evictions += 1;
        let mut command = Command::new(env!("CARGO_BIN_EXE_mount-s3"));
        command.arg("cache");
        match self.evictions % 2 {
            0 => command.arg("clear").arg(self.cache.path()),
            _ => command.arg("evict").arg(self.cache.path()).arg("**"),
        };
        run(&mut command).ok();
    }

    fn open(&mut self, path: &str, how: How) -> Answer<Fd> {
        let flags = match how {
            How::Read => libc::O_RDONLY,
            How::New => libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC,
            How::Exclusive => libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL,
            How::Append => libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND,
            How::Over => libc::O_WRONLY,
            How::Both => libc::O_RDWR | libc::O_CREAT,
        };
        let fd = self.hand.call(&json!(["open", self.path(path), flags]))?;
        self.open.push(fd);
        Ok(fd)
    }

    fn write(&mut self, fd: Fd, offset: u64, text: &str) -> Answer<()> {
        // Texts are one letter, many times.
        let letter = &text[..1];
        self.hand.call(&json!(["write", fd, offset, letter, text.len()]))
    }

    fn read(&mut self, fd: Fd) -> Answer<String> {
        self.hand.call(&json!(["read", fd]))
    }

    fn flush(&mut self, fd: Fd) -> Answer<()> {
        self.hand.call(&json!(["flush", fd]))
    }

    fn fsync(&mut self, fd: Fd) -> Answer<()> {
        self.hand.call(&json!(["fsync", fd]))
    }

    fn close(&mut self, fd: Fd) -> Answer<()> {
        self.open.retain(|open| *open != fd);
        self.hand.call(&json!(["close", fd]))
    }

    fn killed(&mut self, path: &str, text: &str) -> Answer<()> {
        let rules = self.bucket.server.lab_itself().rules();
        let slow = rules.add(Rule::new("PutObject", Fault::Latency { ms: 40 }));
        let mut victim = Command::new("python3")
            .args(["-c", VICTIM, &self.path(path), text])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let opened = Self::wait_for_open(victim.stdout.take().unwrap());
        // It has begun to close by now, or is about to, and is made to wait for the store.
        std::thread::sleep(Duration::from_millis(u64::from(self.programs.get() % 10)));
        if opened.is_ok() {
            victim.kill().unwrap();
        }
        victim.wait().unwrap();
        rules.remove(slow);
        // The kernel tells of the last descriptor after the process has ended.
        std::thread::sleep(Duration::from_millis(20));
        opened
    }

    fn ftruncate(&mut self, fd: Fd, length: u64) -> Answer<()> {
        self.hand.call(&json!(["ftruncate", fd, length]))
    }

    fn fstat(&mut self, fd: Fd) -> Answer<u64> {
        self.hand.call(&json!(["fstat", fd]))
    }

    fn truncate(&mut self, path: &str, length: u64) -> Answer<()> {
        self.hand.call(&json!(["truncate", self.path(path), length]))
    }

    fn stat(&mut self, path: &str) -> Answer<Option<u64>> {
        self.hand.call(&json!(["stat", self.path(path)]))
    }

    fn unlink(&mut self, path: &str) -> Answer<()> {
        self.hand.call(&json!(["unlink", self.path(path)]))
    }

    fn mkdir(&mut self, path: &str) -> Answer<()> {
        self.hand.call(&json!(["mkdir", self.path(path)]))
    }

    fn rmdir(&mut self, path: &str) -> Answer<()> {
        self.hand.call(&json!(["rmdir", self.path(path)]))
    }

    fn rename(&mut self, from: &str, to: &str) -> Answer<()> {
        self.hand.call(&json!(["rename", self.path(from), self.path(to)]))
    }

    fn list(&mut self, path: &str) -> Answer<Vec<String>> {
        self.hand.call(&json!(["list", self.path(path)]))
    }
}
