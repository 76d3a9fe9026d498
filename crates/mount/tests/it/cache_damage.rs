//! A cache directory that somebody has changed: right bytes all the same; and one that must not
//! be used: a refusal that says why.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use fastrand::Rng;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use testkit::exerciser::{Tally, Target, Task, carry_out, check_whole};
use testkit::reader::Means;
use testkit::{Server, run};

use crate::cache::cached;
use crate::harness::{MIB, busy, seed, start, target, task};

const SIZES: [u64; 5] = [1000, MIB + 1, 3 * MIB, 9 * MIB + 5, 20 * MIB];

/// The files of objects below a cache directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let below = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => files(&entry.path()),
        _ => vec![entry.path()],
    };
    entries.flatten().flat_map(below).collect()
}

/// Does something to one of the files of a cache.
fn mutate(rng: &mut Rng, cache: &Path) {
    let files = files(cache);
    if files.is_empty() {
        return;
    }
    let (path, other) = (&files[rng.usize(..files.len())], &files[rng.usize(..files.len())]);
    // What vanishes or is made anew meanwhile cannot be changed.
    let _ = match rng.u8(..8) {
        0..3 => flip(rng, path),
        3 => truncate(rng, path),
        4 => swap(path, other),
        5 => fs::remove_file(path),
        6 => fs::remove_file(path).and_then(|()| symlink(other, path)),
        _ => fs::remove_file(path).and_then(|()| pipe(path)),
    };
}

fn pipe(path: &Path) -> std::io::Result<()> {
    Ok(mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?)
}

/// Opens what may by now be a pipe, without waiting for its other end.
fn open(path: &Path) -> std::io::Result<File> {
    File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path)
}

fn flip(rng: &mut Rng, path: &Path) -> std::io::Result<()> {
    let file = open(path)?;
    let at = rng.u64(..file.metadata()?.len().max(1));
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&[byte[0] ^ rng.u8(1..)], at)
}

fn truncate(rng: &mut Rng, path: &Path) -> std::io::Result<()> {
    let file = open(path)?;
    file.set_len(rng.u64(..=file.metadata()?.len()))
}

fn swap(one: &Path, other: &Path) -> std::io::Result<()> {
    let aside = one.with_extension("aside");
    fs::rename(one, &aside)?;
    fs::rename(other, one)?;
    fs::rename(&aside, other)
}

fn read_all(targets: &[Target]) {
    for target in targets {
        check_whole(target, Means::Pread, 300_000);
    }
}

/// A lab, a cache, and a mount of a few objects of it.
fn changed(words: &[&str], change: impl FnOnce(&Path, &[Target])) {
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("changed");
    let cache = tempfile::tempdir().unwrap();
    for (number, size) in (0..).zip(SIZES) {
        bucket.put_synthetic(&format!("jar{number}"), size, 1);
    }
    let mount = cached(&bucket, cache.path(), words);
    let targets: Vec<_> =
        (0..).zip(SIZES).map(|(n, size)| target(&mount, &format!("jar{n}"), 1, size)).collect();
    read_all(&targets);
    change(cache.path(), &targets);
}

#[test]
fn a_hundred_changes_between_reads_are_not_noticed() {
    let mut rng = Rng::with_seed(seed());
    changed(&[], |cache, targets| {
        for _ in 0..25 {
            (0..4).for_each(|_| mutate(&mut rng, cache));
            read_all(targets);
        }
    });
}

/// Reads by every means until `changes` are over, half of them after the kernel was made to forget
/// the file.
fn read_under(changes: &ScopedJoinHandle<'_, ()>, targets: &[Target], mut seeds: Rng) -> Tally {
    let mut tally = Tally::default();
    while !changes.is_finished() {
        let reads = task(seeds.u64(..), targets.to_vec());
        tally = tally.plus(carry_out(&Task { reads: 20, forget_pages: true, ..reads }));
    }
    tally
}

/// Where the kernel is not given files, what it forgot is asked of the daemon.
#[test]
fn a_hundred_changes_under_reads_by_the_daemon_are_not_noticed() {
    let mut rng = Rng::with_seed(seed());
    changed(&["--mask-kernel-features", "passthrough"], |cache, targets| {
        let seeds = [(); 3].map(|()| rng.fork());
        let tally = std::thread::scope(|scope| {
            let changes = scope.spawn(|| {
                for _ in 0..100 {
                    mutate(&mut rng, cache);
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
            let read = |seeds| read_under(&changes, targets, seeds);
            std::thread::scope(|scope| {
                let readers = seeds.map(|seeds| scope.spawn(move || read(seeds)));
                let tallies = readers.map(|reader| reader.join().unwrap());
                tallies.into_iter().fold(Tally::default(), Tally::plus)
            })
        });
        println!("{tally:?}");
        tally.assert_all_right();
    });
}

/// A mount with such a cache fails, says this and what to do, and leaves nothing behind.
#[track_caller]
fn refused(cache: &Path, says: &str) {
    let server = Server::lab();
    let bucket = server.bucket("refused");
    let words = ["--read-only", "--cache", cache.to_str().unwrap()];
    let ran = start(&server).words(&words).refused(&bucket.name);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert!(ran.stderr.contains(says) && ran.stderr.contains("fix:"), "{says}: {ran:#?}");
}

#[test]
fn a_directory_that_somebody_else_can_write_to_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = |name: &str| {
        let path = scratch.path().join(name);
        fs::create_dir(&path).unwrap();
        path
    };
    let foreign = directory("foreign");
    chown(&foreign, Some(12345), None).unwrap();
    refused(&foreign, "belongs to uid 12345");
    let open = directory("open");
    fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    refused(&open, "can be written to by others");
    let link = scratch.path().join("link");
    symlink(directory("behind"), &link).unwrap();
    refused(&link, "is a symbolic link");
    let ours = directory("ours");
    fs::create_dir(ours.join("mount-s3")).unwrap();
    fs::set_permissions(ours.join("mount-s3"), Permissions::from_mode(0o755)).unwrap();
    refused(&ours, "is open to others");
    let file = scratch.path().join("file");
    fs::write(&file, "").unwrap();
    refused(&file, "is not a directory");
}

#[test]
fn a_cache_of_another_release_is_refused() {
    for format in ["0\n", "2\n", "\u{1}\u{2}\u{3}"] {
        let cache = tempfile::tempdir().unwrap();
        let ours = cache.path().join("mount-s3");
        fs::create_dir(&ours).unwrap();
        fs::set_permissions(&ours, Permissions::from_mode(0o700)).unwrap();
        fs::write(ours.join("format"), format).unwrap();
        refused(cache.path(), "cache clear");
        assert_eq!(fs::read(ours.join("format")).unwrap(), format.as_bytes(), "left as it was");
    }
}

/// What a mount with this cache has logged, after reading from it.
fn warned(cache: &Path) -> String {
    let server = Server::lab();
    let bucket = server.bucket("warned");
    bucket.put_synthetic("a.jar", MIB, 1);
    let mount = cached(&bucket, cache, &[]);
    check_whole(&target(&mount, "a.jar", 1, MIB), Means::Pread, 1 << 20);
    mount.start().log()
}

/// A file system of its own, unmounted with this.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new(words: &[&str]) -> Self {
        let mounted = Self(tempfile::tempdir().unwrap());
        run(Command::new("mount").args(words).arg(mounted.0.path())).ok();
        fs::set_permissions(mounted.0.path(), Permissions::from_mode(0o700)).unwrap();
        mounted
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_cache_in_memory_or_on_an_overlay_is_used_with_a_warning() {
    let tmpfs = Mounted::new(&["-t", "tmpfs", "-o", "size=64m", "none"]);
    let log = warned(tmpfs.0.path());
    assert!(log.contains("the cache is on tmpfs"), "{log}");
    let layers = tempfile::tempdir().unwrap();
    for name in ["lower", "upper", "work"] {
        fs::create_dir(layers.path().join(name)).unwrap();
    }
    let layer = |name: &str| layers.path().join(name).display().to_string();
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        layer("lower"),
        layer("upper"),
        layer("work")
    );
    let overlay = Mounted::new(&["-t", "overlay", "-o", &options, "none"]);
    let log = warned(overlay.0.path());
    assert!(log.contains("the cache is on an overlay file system"), "{log}");
}
