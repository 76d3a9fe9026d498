//! A directory whose files somebody changes at random: the bytes are right all the same.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use object::{BLOCK, CHUNK, Source, Version};

use tokio::time::{Instant, timeout};

use crate::harness::{Mount, Node, bytes_of, content};

/// So many at once, then everything is read.
const AT_ONCE: usize = 12;
/// Nothing may take longer.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is in a file beside the cache's.
const BAIT: &str = "not the cache's";
const SIZES: [u64; 5] = [1000, CHUNK + 1, BLOCK, BLOCK + 5, 5 * BLOCK / 2];

/// Does something to a file of the cache; what, for the message when it was too much.
fn mutate(random: &mut Rng, node: &Node, versions: &[Arc<Version>]) -> String {
    let kinds = ["map", "data"];
    let pick = |random: &mut Rng| {
        let version = &versions[random.usize(..versions.len())];
        node.file(version, kinds[random.usize(..2)])
    };
    let path = pick(random);
    if random.usize(..50) == 0 {
        let epoch = node.path().join("mount-s3/epoch");
        return change_bytes(random, &epoch, "flip");
    }
    let what = random.usize(..10);
    let done = match what {
        0..4 => return change_bytes(random, &path, "flip"),
        4 => return change_bytes(random, &path, "zero"),
        5 => truncate(random, &path),
        6 => {
            // Two files change places, be they of one object or of two.
            let other = pick(random);
            let aside = path.with_extension("aside");
            fs::rename(&path, &aside)
                .and_then(|()| fs::rename(&other, &path))
                .and_then(|()| fs::rename(&aside, &other))
        }
        7 => remove(&path),
        8 => replace(random, &path, &bait(node)),
        // What a link that was put there leads to is none of the cache's.
        _ if path.is_symlink() => Ok(()),
        _ => {
            let mode = [0, 0o400, 0o777][random.usize(..3)];
            fs::set_permissions(&path, Permissions::from_mode(mode))
        }
    };
    // What an earlier one has removed cannot be hit again.
    format!("{what} {} {done:?}", path.display())
}

fn change_bytes(random: &mut Rng, path: &Path, how: &str) -> String {
    let mut change = || -> std::io::Result<()> {
        let file = open(path)?;
        let len = file.metadata()?.len();
        let at = random.u64(..len.max(1));
        let count = if how == "flip" { 1 } else { random.usize(1..5000) };
        let mut bytes = vec![0; count.min(usize::try_from(len - at).unwrap_or(0))];
        if how == "flip" {
            file.read_exact_at(&mut bytes, at)?;
            bytes.iter_mut().for_each(|byte| *byte ^= random.u8(1..));
        }
        file.write_all_at(&bytes, at)
    };
    format!("{how} {} {:?}", path.display(), change())
}

/// Opens what may by now be a pipe, without waiting for its other end, or a link, without
/// following it: nothing outside the cache is to be damaged.
fn open(path: &Path) -> std::io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
    File::options().read(true).write(true).custom_flags(flags.bits().cast_signed()).open(path)
}

fn truncate(random: &mut Rng, path: &Path) -> std::io::Result<()> {
    let file = open(path)?;
    let len = file.metadata()?.len();
    file.set_len(random.u64(..len + len / 4 + 2))
}

fn remove(path: &Path) -> std::io::Result<()> {
    fs::remove_file(path).or_else(|_| fs::remove_dir_all(path))
}

/// What links that are put there lead to: nothing may be done to it.
fn bait(node: &Node) -> PathBuf {
    node.path().with_file_name("bait")
}

fn replace(random: &mut Rng, path: &Path, bait: &Path) -> std::io::Result<()> {
    remove(path)?;
    match random.usize(..5) {
        0 => fs::create_dir(path),
        1 => {
            fs::create_dir(path)?;
            fs::write(path.join("full"), "x")
        }
        2 => symlink(bait, path),
        3 => {
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            let fifo = rustix::fs::FileType::Fifo;
            Ok(rustix::fs::mknodat(rustix::fs::CWD, path, fifo, mode, 0)?)
        }
        _ => fs::write(path, random.usize(..9999).to_string()),
    }
}

/// Everything is right on every way there is, and afterwards so is what is on the disk.
async fn check(mount: &Mount, node: &Node, versions: &[Arc<Version>], done: &[String]) {
    for version in versions {
        let whole = content(version.key.as_str(), version.size);
        if let Some(file) = mount.cached.backing(version).await {
            assert!(bytes_of(&file) == whole, "wrong bytes in the file after {done:#?}");
        }
        let read = timeout(PATIENCE, mount.read_all(version)).await.unwrap();
        assert!(read.is_ok_and(|read| read == whole), "wrong bytes after {done:#?}");
    }
    for version in versions {
        let whole = content(version.key.as_str(), version.size);
        let start = Instant::now();
        let file = loop {
            // What is found out late is dropped, and has to be read again.
            assert!(mount.read_all(version).await.unwrap() == whole, "wrong after {done:#?}");
            if let Some(file) = mount.cached.backing(version).await {
                break file;
            }
            assert!(start.elapsed() < PATIENCE, "no file after {done:#?}");
        };
        assert!(bytes_of(&file) == whole, "a wrong file after {done:#?}");
        let path: PathBuf = node.file(version, "data");
        assert!(fs::read(path).unwrap() == whole, "not mended after {done:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_change_of_any_file_makes_a_wrong_byte_or_an_error() {
    change_at_random(1_500).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the same at length, for two minutes"]
async fn ten_thousand_changes_make_no_wrong_byte_and_no_error() {
    change_at_random(10_000).await;
}

async fn change_at_random(wanted: usize) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    let node = Node::in_memory();
    fs::write(bait(&node), BAIT).unwrap();
    let mut versions = Vec::new();
    for size in SIZES {
        versions.push(node.put(&format!("object-{size}"), size).await);
    }
    let mut mutations = 0;
    while mutations < wanted {
        let mount = node.mount();
        check(&mount, &node, &versions, &[]).await;
        for _ in 0..2 {
            let count = random.usize(1..=AT_ONCE);
            let done: Vec<_> = (0..count).map(|_| mutate(&mut random, &node, &versions)).collect();
            check(&mount, &node, &versions, &done).await;
            mutations += count;
        }
        mount.end().await;
        let count = random.usize(1..=AT_ONCE);
        let done: Vec<_> = (0..count).map(|_| mutate(&mut random, &node, &versions)).collect();
        mutations += count;
        let mount = node.mount();
        check(&mount, &node, &versions, &done).await;
        mount.end().await;
    }
    let reads = node.store.take_counts().reads;
    println!("{mutations} mutations, {reads} reads of the store");
    assert!(reads > 100);
    assert_eq!(fs::read_to_string(bait(&node)).unwrap(), BAIT);
}
