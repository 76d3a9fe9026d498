use std::fs::{self, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt, chown, symlink};

use object::{ETag, Key, Version};

use super::*;
use crate::identity::{Identity, Scope};
use crate::map::codec::{Header, Mark};

fn refused(dir: &Path) -> DirectoryError {
    Directory::open(dir).unwrap_err()
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn header(key: &str, size: u64) -> Header {
    let scope = Scope { endpoint: "e".into(), bucket: "b".into() };
    let key = Key::new(key).unwrap();
    Header::new(&scope, &Version { key, etag: ETag::new("t"), size })
}

fn make(directory: &Directory, key: &str) -> Files {
    match directory.make_object(&header(key, 3_000_000), &Mark::default()).unwrap() {
        Opened::Found(files) => files,
        _ => panic!("not made"),
    }
}

fn is_damaged(directory: &Directory, identity: &Identity) -> bool {
    matches!(directory.open_object(identity).unwrap(), Opened::Damaged)
}

#[test]
fn what_is_missing_is_made_for_its_owner_alone() {
    let tmp = tempfile::tempdir().unwrap();
    let directory = Directory::open(&tmp.path().join("cache/")).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(directory.path()), 0o700);
    assert_eq!(mode(&directory.path().join("format")), 0o600);
    let readme = fs::read_to_string(directory.path().join("README")).unwrap();
    assert!(readme.contains("mount-s3 cache ls"));
    assert!(directory.is_there());
}

#[test]
fn a_directory_with_mode_0755_is_fine_and_used_again() {
    let tmp = tempfile::tempdir().unwrap();
    chmod(tmp.path(), 0o755);
    drop(Directory::open(tmp.path()).unwrap());
    Directory::open(tmp.path()).unwrap();
}

#[test]
fn links_foreign_owners_and_writers_are_refused_with_the_fix() {
    let tmp = tempfile::tempdir().unwrap();
    let at = |name: &str| tmp.path().join(name);
    for name in ["real", "theirs", "open", "common", "inner"] {
        fs::create_dir(at(name)).unwrap();
    }
    symlink(at("real"), at("link")).unwrap();
    assert!(matches!(refused(&at("link")), DirectoryError::Link { .. }));
    assert!(matches!(refused(&at("link/")), DirectoryError::Link { .. }));
    fs::write(at("file"), "").unwrap();
    assert!(matches!(refused(&at("file")), DirectoryError::NotADirectory { .. }));
    chown(at("theirs"), Some(12345), None).unwrap();
    assert!(refused(&at("theirs")).to_string().contains("chown "));
    chmod(&at("open"), 0o775);
    assert!(refused(&at("open")).to_string().contains("chmod go-w "));
    chmod(&at("common"), 0o1777);
    assert!(refused(&at("common")).to_string().contains("/common/cache"));
    symlink(at("real"), at("inner").join(NAME)).unwrap();
    assert!(matches!(refused(&at("inner")), DirectoryError::Link { .. }));
    assert!(refused(&at("no/such")).to_string().contains("make"));
}

#[test]
fn our_own_directory_must_be_ours_alone() {
    let tmp = tempfile::tempdir().unwrap();
    let path = Directory::open(tmp.path()).unwrap().path().to_owned();
    chmod(&path, 0o750);
    assert!(refused(tmp.path()).to_string().contains("chmod 700"));
    chmod(&path, 0o700);
    chown(&path, Some(12345), None).unwrap();
    assert!(matches!(refused(tmp.path()), DirectoryError::Owner { .. }));
}

#[test]
fn another_format_is_refused_with_the_command_that_clears_it() {
    let tmp = tempfile::tempdir().unwrap();
    let path = Directory::open(tmp.path()).unwrap().path().join("format");
    for other in ["0\n", "2\n", "banana"] {
        fs::write(&path, other).unwrap();
        let said = refused(tmp.path()).to_string();
        assert!(said.contains("mount-s3 cache clear"), "{said}");
        Directory::open_any_format(tmp.path()).unwrap();
    }
    fs::write(&path, "").unwrap();
    Directory::open(tmp.path()).unwrap();
}

#[test]
fn a_deleted_or_replaced_directory_is_noticed() {
    let tmp = tempfile::tempdir().unwrap();
    let directory = Directory::open(tmp.path()).unwrap();
    fs::remove_dir_all(directory.path()).unwrap();
    assert!(!directory.is_there());
    let second = Directory::open(tmp.path()).unwrap();
    assert!(second.is_there() && !directory.is_there());
}

#[test]
fn an_object_is_made_once_and_found_by_its_shard() {
    let tmp = tempfile::tempdir().unwrap();
    let directory = Directory::open(tmp.path()).unwrap();
    let identity = header("a", 3_000_000).identity;
    assert!(matches!(directory.open_object(&identity).unwrap(), Opened::Absent));
    let files = make(&directory, "a");
    files.data.write_all_at(b"bytes", 0).unwrap();
    let again = make(&directory, "a");
    let mut read = [0; 5];
    again.data.read_exact_at(&mut read, 0).unwrap();
    assert_eq!(&read, b"bytes");
    assert_eq!(directory.shards().unwrap(), [identity.shard()]);
    assert_eq!(directory.identities(identity.shard()).unwrap(), [identity]);
    let shard = directory.shard(identity.shard()).unwrap().unwrap();
    assert_eq!(names(shard).unwrap().len(), 2, "no unfinished file is left");
}

#[test]
fn threads_that_make_the_same_objects_all_get_the_same_files() {
    let tmp = tempfile::tempdir().unwrap();
    for round in 0..50 {
        let key = format!("key-{round}");
        let inodes: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let files = make(&Directory::open(tmp.path()).unwrap(), &key);
                        let ino = |file: &File| rustix::fs::fstat(file).unwrap().st_ino;
                        (ino(files.map.file()), ino(&files.data))
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(inodes.iter().all(|pair| *pair == inodes[0]), "{inodes:?}");
    }
}

#[test]
fn unlinking_tells_what_comes_free_and_leaves_open_files_alone() {
    let tmp = tempfile::tempdir().unwrap();
    let directory = Directory::open(tmp.path()).unwrap();
    let files = make(&directory, "a");
    files.data.write_all_at(&[7; 100_000], 0).unwrap();
    files.data.sync_all().unwrap();
    let allocated = files.allocated().unwrap();
    assert!(allocated >= 100_000 && !files.unlinked().unwrap());
    assert_eq!(directory.unlink_exactly(&files).unwrap(), allocated);
    assert!(files.unlinked().unwrap());
    let newer = make(&directory, "a");
    assert_eq!(directory.unlink_exactly(&files).unwrap(), 0);
    assert!(!newer.unlinked().unwrap());
    assert_eq!(directory.unlink_object(&header("b", 1).identity).unwrap(), 0);
}

#[test]
fn what_is_not_what_we_made_is_damage_and_can_be_unlinked() {
    let tmp = tempfile::tempdir().unwrap();
    let directory = Directory::open(tmp.path()).unwrap();
    let identity = header("a", 3_000_000).identity;
    let path = |kind: &str| {
        directory.path().join(format!("objects/{:02x}/{identity}.{kind}", identity.shard()))
    };
    let plant: [fn(&Path); 6] = [
        |path| fs::create_dir(path).unwrap(),
        |path| symlink("/etc/passwd", path).unwrap(),
        |path| {
            let mode = Mode::RUSR | Mode::WUSR;
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0)
                .unwrap();
        },
        |path| fs::write(path, "short").unwrap(),
        |path| {
            File::create(path).unwrap().set_len(3_000_000).unwrap();
            chown(path, Some(12345), None).unwrap();
        },
        |path| fs::write(path, vec![1; 5000]).unwrap(),
    ];
    for plant in plant {
        for kind in ["map", "data"] {
            make(&directory, "a");
            fs::remove_file(path(kind)).unwrap();
            plant(&path(kind));
            assert!(is_damaged(&directory, &identity));
            directory.unlink_object(&identity).unwrap();
            make(&directory, "a");
        }
    }
    fs::remove_file(path("data")).unwrap();
    assert!(is_damaged(&directory, &identity));
}

#[test]
fn files_swapped_between_objects_are_damage() {
    let tmp = tempfile::tempdir().unwrap();
    let directory = Directory::open(tmp.path()).unwrap();
    let path = |files: &Files| {
        let identity = files.map.header().identity;
        directory.path().join(format!("objects/{:02x}/{identity}.map", identity.shard()))
    };
    let (one, two) = (make(&directory, "one"), make(&directory, "two"));
    fs::rename(path(&one), path(&two)).unwrap();
    assert!(is_damaged(&directory, &two.map.header().identity));
}

#[test]
fn an_orphan_of_data_is_never_written_to() {
    let tmp = tempfile::tempdir().unwrap();
    let directory = Directory::open(tmp.path()).unwrap();
    let old = make(&directory, "a");
    old.data.write_all_at(b"old", 0).unwrap();
    let identity = old.map.header().identity;
    let map = format!("objects/{:02x}/{identity}.map", identity.shard());
    fs::remove_file(directory.path().join(map)).unwrap();
    let new = make(&directory, "a");
    new.data.write_all_at(b"new", 0).unwrap();
    let mut read = [0; 3];
    old.data.read_exact_at(&mut read, 0).unwrap();
    assert_eq!(&read, b"old");
}
