//! Writing through the real kernel, session, adapter and file system, to a store in memory.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use ::mount::adapter::Adapter;
use fs::reader::Limits;
use fs::{Fs, Ttl, Writes};
use fuse::mount::{self, Access, MountOptions};
use fuse::{Features, Running, Session, Wanted};
use object::{Budget, Clock, MemStore, Time};
use tokio::runtime::{Builder, Runtime};

pub(crate) struct World {
    store: Arc<MemStore>,
    point: tempfile::TempDir,
    running: Option<Running>,
    _runtime: Runtime,
}

impl World {
    pub(crate) fn new(allow: bool) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let clock = Clock::start();
        let store = MemStore::new(clock.clone());
        let limits = Limits {
            part: 8 << 20,
            window: 32 << 20,
            behind: 0,
            whole: 64 << 20,
            deadline: Duration::from_secs(20),
        };
        let config = fs::Config {
            prefix: String::new(),
            read_only: false,
            uid: 0,
            gid: 0,
            dir_mode: 0o755,
            file_mode: 0o644,
            ttl: Ttl::For(Duration::from_secs(60)),
            negative_ttl: None,
            mounted: clock.now(),
            names_max: 100_000,
            limits,
            writes: Writes { allow_overwrite: allow, allow_delete: allow, ..Writes::default() },
        };
        let files = Fs::new(store.clone(), Budget::new(256 << 20), clock, config);
        files.write_to(store.clone());
        let point = tempfile::Builder::new().prefix("mount it ").tempdir().unwrap();
        let options = MountOptions {
            source: "mountpoint-s3".into(),
            subtype: "mountpoint-s3".into(),
            read_only: false,
            access: Access::Everyone,
            uid: 0,
            gid: 0,
            default_permissions: true,
        };
        let device = mount::mount(point.path(), &options).unwrap();
        let wanted = Wanted::default();
        let features = wanted.features.with(Features::ATOMIC_O_TRUNC);
        let session = Session::handshake(device, &Wanted { features, ..wanted }).unwrap();
        let adapter = Adapter::new(files, runtime.handle().clone(), None);
        let workers = NonZeroUsize::new(2).unwrap();
        let running = Some(session.start(workers, Arc::new(adapter)).unwrap());
        Self { store, point, running, _runtime: runtime }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.point.path().join(name)
    }

    pub(crate) fn put(&self, key: &str, text: &str) {
        self.store.put(key, text.as_bytes(), Time::from_secs(1_700_000_000));
    }

    pub(crate) fn stored(&self, key: &str) -> Option<Vec<u8>> {
        self.store.bytes(key).map(|bytes| bytes.to_vec())
    }

    /// Runs a script with the mount as its directory, and answers what it said.
    fn sh(&self, script: &str) -> String {
        let (success, said) = self.run(script);
        assert!(success, "{script}: {said}");
        said
    }

    /// The same for one that fails.
    fn fails(&self, script: &str) -> String {
        let (success, said) = self.run(script);
        assert!(!success, "{script}: {said}");
        said
    }

    fn run(&self, script: &str) -> (bool, String) {
        let mut bash = Command::new("bash");
        let out = bash.arg("-ec").arg(script).current_dir(self.point.path()).output().unwrap();
        let said = [out.stdout, out.stderr].concat();
        (out.status.success(), String::from_utf8_lossy(&said).into_owned())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = mount::detach(self.point.path());
        drop(self.running.take());
    }
}

#[test]
fn shells_write_copy_replace_and_remove() {
    let world = World::new(true);
    world.sh("echo hello > a; cat a; cp a b; mkdir -p d/e; cp a d/e/c; echo x > a; cat a");
    assert_eq!(world.stored("a").unwrap(), b"x\n");
    assert_eq!(world.stored("d/e/c").unwrap(), b"hello\n");
    assert_eq!(world.sh("cat b d/e/c; stat -c %s a; ls"), "hello\nhello\n2\na\nb\nd\n");
    world.sh("mv b f; mv d/e g; rm -r d");
    assert_eq!(world.sh("ls; cat f g/c"), "a\nf\ng\nhello\nhello\n");
    world.sh("rm -rf *");
    assert_eq!(world.sh("ls"), "");
    assert_eq!((world.stored("a"), world.stored("g/c")), (None, None));
}

#[test]
fn a_descriptor_is_written_to_by_several_in_turn() {
    let world = World::new(false);
    world.sh("(exec 3>f; (echo a>&3); echo b>&3); for i in 1 2 3; do echo $i; done > g; touch t");
    assert_eq!(world.sh("cat f g; cat t"), "a\nb\n1\n2\n3\n");
    assert_eq!(world.stored("f").unwrap(), b"a\nb\n");
}

#[test]
fn a_large_file_is_written_and_read_back() {
    let world = World::new(false);
    let bytes: Vec<u8> = (0..50_000_003u32).map(|i| (i ^ (i >> 11)) as u8).collect();
    // By a program of its own: when another test starts one, what is open here is inherited, and
    // closed, which publishes what is there.
    let source = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(source.path(), &bytes).unwrap();
    world.sh(&format!("cat {} > large", source.path().display()));
    assert!(world.stored("large").unwrap() == bytes);
    assert!(std::fs::read(world.path("large")).unwrap() == bytes);
    let writes = world.store.take_writes();
    assert_eq!((writes.begun, writes.parts, writes.completed, writes.puts), (1, 6, 1, 0));
}

#[test]
fn what_is_not_allowed_says_why() {
    let world = World::new(false);
    world.put("a", "old");
    world.put("d/x", "x");
    for (script, said) in [
        ("echo x > a", "not permitted"),
        ("echo x >> a", "not permitted"),
        ("rm -f a", "not permitted"),
        ("rmdir d", "not empty"),
        ("chmod 600 a", "not permitted"),
        ("truncate -s 1 a", "not permitted"),
        ("ln -s a b", "not permitted"),
        ("ln a b", "not permitted"),
        ("mkfifo p", "nvalid argument"),
        ("set -C; echo x > a", "cannot overwrite"),
    ] {
        let says = world.fails(script);
        assert!(says.contains(said), "{script}: {says}");
    }
    let file = File::create(world.path("new")).unwrap();
    file.write_all_at(b"abc", 0).unwrap();
    assert_eq!(file.write_at(b"x", 10).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    assert_eq!(file.sync_all().unwrap_err().raw_os_error(), Some(libc::EINVAL));
    drop(file);
    assert_eq!(std::fs::metadata(world.path("new")).unwrap_err().kind(), ErrorKind::NotFound);
    let sync = OpenOptions::new()
        .write(true)
        .create(true)
        .custom_flags(libc::O_DSYNC)
        .open(world.path("s"));
    assert_eq!(sync.unwrap_err().raw_os_error(), Some(libc::EINVAL));
}

#[test]
fn a_reader_keeps_its_version_while_the_file_is_replaced() {
    let world = World::new(true);
    world.put("a", "old version");
    let mut reader = File::open(world.path("a")).unwrap();
    let mut text = [0; 3];
    reader.read_exact(&mut text).unwrap();
    let mut writer = File::create(world.path("a")).unwrap();
    writer.write_all(b"new").unwrap();
    assert_eq!(writer.metadata().unwrap().len(), 3);
    assert_eq!(world.stored("a").unwrap(), b"old version");
    writer.sync_all().unwrap();
    writer.write_all(b" and more").unwrap();
    drop(writer);
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, " version");
    assert_eq!(reader.metadata().unwrap().len(), 11);
    assert_eq!(std::fs::read(world.path("a")).unwrap(), b"new and more");
}
