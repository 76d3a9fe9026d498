//! Files that are written, over the wire: what is stored, in how many requests, and what is not.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use lab::{Fault, Rule};
use testkit::{Bucket, Mount, Server, run, until};

use crate::harness::{MIB, busy, seaweedfs, start};

/// What stores or deletes something.
const WRITES: [&str; 6] = [
    "PutObject",
    "CreateMultipartUpload",
    "UploadPart",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
    "DeleteObject",
];

pub(crate) fn writes(server: &Server) -> [u64; 6] {
    WRITES.map(|operation| server.count(operation))
}

pub(crate) fn open_mount(bucket: &Bucket<'_>, words: &[&str]) -> Mount {
    start(bucket.server).words(words).mount(&bucket.name)
}

pub(crate) fn content(size: u64, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(size).unwrap()];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

/// Writes a file by a program of its own: when another test starts one, what is open here is
/// inherited, and closed, which publishes what is there.
pub(crate) fn copy(bytes: &[u8], to: &Path) -> bool {
    let source = tempfile::NamedTempFile::new().unwrap();
    fs::write(source.path(), bytes).unwrap();
    let (from, to) = (format!("if={}", source.path().display()), format!("of={}", to.display()));
    run(Command::new("dd").args([&*from, &to, "bs=1M", "conv=fsync"])).code == Some(0)
}

pub(crate) fn shell(directory: &Path, script: &str) -> String {
    run(Command::new("bash").args(["-euc", script]).current_dir(directory)).ok()
}

#[test]
fn a_file_of_one_part_is_one_request_and_a_larger_one_an_upload() {
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("written");
    let mount = open_mount(&bucket, &[]);
    server.lab_itself().reset_counters();
    assert!(copy(b"text", &mount.path("small")));
    assert_eq!(writes(&server), [1, 0, 0, 0, 0, 0]);
    assert_eq!(bucket.get("small"), b"text");
    let large = content(41 * MIB + 7, 1);
    assert!(copy(&large, &mount.path("large")));
    assert_eq!(writes(&server), [1, 1, 6, 1, 0, 0]);
    assert!(bucket.get("large") == large);
    assert!(fs::read(mount.path("large")).unwrap() == large);
    assert!(bucket.uploads().is_empty());
    shell(mount.directory(), ": > empty");
    until("an empty file is stored", Duration::from_secs(5), || bucket.find("empty").is_some());
    assert_eq!(writes(&server), [2, 1, 6, 1, 0, 0]);
}

/// Files of any size are in the store, and come back as they were.
pub(crate) fn files_of_any_size_come_back(server: &Server) {
    let bucket = server.bucket("sizes");
    let mount = open_mount(&bucket, &[]);
    for (name, size) in
        [("small", 5), ("part", 8 * MIB), ("more", 8 * MIB + 1), ("large", 41 * MIB)]
    {
        let bytes = content(size, size);
        assert!(copy(&bytes, &mount.path(name)), "{name}");
        assert!(bucket.get(name) == bytes, "{name}");
        assert!(fs::read(mount.path(name)).unwrap() == bytes, "{name}");
    }
    shell(mount.directory(), ": > empty; mkdir d; echo x > d/file");
    until("an empty file is stored", Duration::from_secs(5), || bucket.find("empty").is_some());
    assert_eq!((bucket.get("empty"), bucket.get("d/file")), (vec![], b"x\n".to_vec()));
    let listed = shell(mount.directory(), "find . -type f -printf '%P %s\n' | sort");
    assert_eq!(listed, "d/file 2\nempty 0\nlarge 42991616\nmore 8388609\npart 8388608\nsmall 5\n");
    assert!(bucket.uploads().is_empty());
}

#[test]
fn what_was_written_is_read_back_from_the_cache_without_a_request() {
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("written");
    let cache = tempfile::tempdir().unwrap();
    let words = ["--cache", cache.path().to_str().unwrap(), "--metadata-ttl", "60"];
    let mount = open_mount(&bucket, &words);
    for (name, size) in [("small", 5000), ("large", 20 * MIB + 1)] {
        let bytes = content(size, size);
        assert!(copy(&bytes, &mount.path(name)));
        server.lab_itself().reset_counters();
        for _ in 0..2 {
            assert!(fs::read(mount.path(name)).unwrap() == bytes, "{name}");
        }
        assert_eq!(["GetObject", "HeadObject"].map(|o| server.count(o)), [0, 0], "{name}");
    }
}

pub(crate) fn several_write_to_one_descriptor(server: &Server) {
    let bucket = server.bucket("descriptor");
    let mount = open_mount(&bucket, &[]);
    shell(mount.directory(), "(exec 3>f; (echo a >&3); echo b >&3)");
    assert_eq!(bucket.get("f"), b"a\nb\n");
    // Beyond one part the store copies what it has.
    let script = "(exec 3>g; (head -c 9000000 /dev/zero >&3); (head -c 3 /dev/zero >&3); echo >&3)";
    shell(mount.directory(), script);
    let expected = [vec![0; 9_000_003], b"\n".to_vec()].concat();
    assert!(bucket.get("g") == expected);
    assert!(bucket.uploads().is_empty());
}

#[test]
fn a_descriptor_that_several_processes_write_to_has_all_their_bytes() {
    let _turn = busy();
    several_write_to_one_descriptor(&Server::lab());
    several_write_to_one_descriptor(seaweedfs());
}

#[test]
fn a_store_that_refuses_copies_with_checksums_is_found_out_once() {
    let _turn = busy();
    let server = Server::lab();
    server.lab_itself().rules().add(Rule::new("UploadPartCopy", Fault::NoCopySums));
    let bucket = server.bucket("unsummed");
    let mount = open_mount(&bucket, &[]);
    let warned = || mount.start().log().matches("does not copy into uploads").count();
    for (name, begun) in [("first", 3), ("second", 2)] {
        server.lab_itself().reset_counters();
        let script =
            format!("{{ head -c 9000000 /dev/zero; sync {name}; /bin/echo more; }} > {name}");
        shell(mount.directory(), &script);
        assert!(bucket.get(name) == [vec![0; 9_000_000], b"more\n".to_vec()].concat());
        let asked = ["CreateMultipartUpload", "UploadPartCopy", "AbortMultipartUpload"];
        // It is uploaded, and gone on with, once more when that was refused.
        let counts = asked.map(|operation| server.count(operation));
        assert_eq!((counts, warned()), ([begun, begun - 1, begun - 2], 1), "{name}");
    }
    assert!(bucket.uploads().is_empty());
}

#[test]
fn each_process_that_closes_a_descriptor_publishes_what_is_new_in_it() {
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("closed");
    let mount = open_mount(&bucket, &[]);
    let python = |size: u32, how: &str| {
        format!(
            "python3 -c 'import subprocess
f = open(\"f\", \"wb\", 0)
for _ in range(3): f.write(b\"x\" * {size}); subprocess.run([\"true\"]{how})'"
        )
    };
    let from = tempfile::tempdir().unwrap();
    fs::write(from.path().join("file"), content(20 * MIB, 9)).unwrap();
    let tar = format!("tar -C {} -czf f file", from.path().display());
    // One put a command; beyond a part, a copy and an upload of what is new.
    for (script, puts, uploads, parts, copies) in [
        ("{ /bin/echo a; /bin/echo b; /bin/echo c; } > f", 3, 0, 0, 0),
        ("{ echo a; echo b; echo c; } > f", 1, 0, 0, 0),
        ("{ /bin/echo a; /bin/echo b; /bin/echo c; } | cat > f", 1, 0, 0, 0),
        ("{ head -c 9000000 /dev/zero; /bin/echo b; /bin/echo c; } > f", 0, 3, 4, 2),
        (&python(100, ""), 3, 0, 0, 0),
        (&python(100, ", close_fds=False"), 3, 0, 0, 0),
        (&python(4_000_000, ""), 2, 1, 2, 0),
        (&tar, 0, 1, 3, 0),
    ] {
        server.lab_itself().reset_counters();
        shell(mount.directory(), script);
        let wanted = [puts, uploads, parts, uploads, 0, 0];
        let copied = server.count("UploadPartCopy");
        assert_eq!((writes(&server), copied), (wanted, copies), "{script}");
        bucket.delete("f");
        until("the name is free", Duration::from_secs(5), || !mount.path("f").exists());
    }
}

#[test]
fn within_a_ttl_changes_cost_what_they_store_and_a_directory_one_look_at_its_end() {
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("changes");
    for name in ["a", "b", "c", "d", "e"] {
        bucket.put(name, "text");
    }
    let words = ["--metadata-ttl", "60", "--allow-overwrite", "--allow-delete"];
    let mount = open_mount(&bucket, &words);
    shell(mount.directory(), "ls -l");
    for (script, lists, gets, puts, deletes) in [
        ("echo more > a", 0, 0, 1, 0),
        ("dd if=/dev/null of=b status=none", 0, 0, 1, 0),
        ("python3 -c 'import os; os.truncate(\"c\", 0)'", 0, 0, 1, 0),
        ("rm d", 0, 0, 0, 1),
        ("mv e f", 0, 1, 1, 1),
        ("mkdir made", 0, 0, 0, 0),
        ("rmdir made", 1, 0, 0, 0),
        ("! chmod 600 a", 0, 0, 0, 0),
    ] {
        server.lab_itself().reset_counters();
        shell(mount.directory(), script);
        until("what is empty is stored", Duration::from_secs(5), || {
            server.count("PutObject") == puts
        });
        assert_eq!(writes(&server), [puts, 0, 0, 0, 0, deletes], "{script}");
        let asked = ["ListObjectsV2", "HeadObject", "GetObject"].map(|name| server.count(name));
        assert_eq!(asked, [lists, 0, gets], "{script}");
    }
}

#[test]
fn nothing_that_is_there_is_replaced_or_deleted_unless_that_is_allowed() {
    let _turn = busy();
    what_is_there_is_kept(&Server::lab());
    what_is_there_is_kept(seaweedfs());
}

pub(crate) fn what_is_there_is_kept(server: &Server) {
    let bucket = server.bucket("kept");
    bucket.put("old", "old");
    let refusing = open_mount(&bucket, &[]);
    let denied = |result: std::io::Result<()>| result.unwrap_err().kind();
    assert_eq!(denied(fs::write(refusing.path("old"), "new")), ErrorKind::PermissionDenied);
    assert_eq!(denied(fs::remove_file(refusing.path("old"))), ErrorKind::PermissionDenied);
    let appending = OpenOptions::new().append(true).open(refusing.path("old"));
    assert_eq!(denied(appending.map(drop)), ErrorKind::PermissionDenied);
    let told = |flag| refusing.start().log().contains(flag);
    until("the flags are named", Duration::from_secs(5), || {
        ["--allow-overwrite", "--allow-delete"].into_iter().all(told)
    });
    assert_eq!(bucket.get("old"), b"old");
    // Somebody else makes the name while it is written here: theirs stays.
    let script =
        "import os; f = open('new', 'w'); f.write('ours'); f.flush(); print(flush=True); input()
try: os.fsync(f.fileno())
except OSError as e: print(e.errno, flush=True)
os._exit(0)";
    let mut writer = Command::new("python3")
        .args(["-c", script])
        .current_dir(refusing.directory())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "");
    bucket.put("new", "theirs");
    writer.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "17", "EEXIST");
    writer.wait().unwrap();
    assert_eq!(bucket.get("new"), b"theirs");
    let allowing = open_mount(&bucket, &["--allow-overwrite", "--allow-delete"]);
    fs::write(allowing.path("old"), "new").unwrap();
    assert_eq!(bucket.get("old"), b"new");
    fs::remove_file(allowing.path("old")).unwrap();
    assert_eq!(bucket.find("old"), None);
    assert!(!allowing.path("old").exists());
}

pub(crate) fn programs_write(server: &Server) {
    let bucket = server.bucket("programs");
    let words = ["--allow-overwrite", "--allow-delete", "--ignore-attribute-changes"];
    let mount = open_mount(&bucket, &words);
    let from = tempfile::tempdir().unwrap();
    let big = content(12 * MIB + 1, 3);
    fs::write(from.path().join("big"), &big).unwrap();
    fs::write(from.path().join("note"), "text").unwrap();
    let source = from.path().to_str().unwrap();
    let script = format!(
        "cp {source}/big copied; cp -p {source}/big preserved; mkdir -p tree/deep
             tar -C {source} -cf - . | tar -xf - -C tree
             rsync -a {source}/ synced; rsync -a --inplace {source}/ inplace
             dd if={source}/big of=dd bs=1M status=none
             python3 -c 'open(\"py\", \"w\").write(\"x\" * 1000)'
             mv copied tree/deep/moved
             echo one > replaced; echo two > replaced
             rm -r synced"
    );
    shell(mount.directory(), &script);
    for key in ["preserved", "tree/big", "inplace/big", "dd", "tree/deep/moved"] {
        assert!(bucket.get(key) == big, "{key}");
    }
    assert_eq!(bucket.get("replaced"), b"two\n");
    assert_eq!(bucket.get("py").len(), 1000);
    assert_eq!((bucket.find("copied"), bucket.find("synced/note")), (None, None));
    assert!(bucket.uploads().is_empty());
}

#[test]
fn programs_write_as_people_have_them_write() {
    let _turn = busy();
    programs_write(&Server::lab());
    programs_write(seaweedfs());
}

#[test]
fn files_of_any_size_come_back_from_seaweedfs_too() {
    let _turn = busy();
    files_of_any_size_come_back(&Server::lab());
    files_of_any_size_come_back(seaweedfs());
}

#[test]
fn that_an_empty_file_was_not_stored_at_its_last_close_only_the_log_tells() {
    let server = Server::lab();
    let bucket = server.bucket("refused");
    let mount = open_mount(&bucket, &[]);
    server.lab_itself().rules().add(Rule::new("PutObject", Fault::Deny));
    shell(mount.directory(), ": > empty");
    until("the log tells", Duration::from_secs(10), || {
        mount.start().log().contains("the identity in use needs s3:PutObject")
    });
    assert_eq!(shell(mount.directory(), "ls"), "");
    assert_eq!(server.count("PutObject"), 1);
    server.lab_itself().rules().clear();
    shell(mount.directory(), ": > empty");
    until("it is stored", Duration::from_secs(10), || bucket.find("empty").is_some());
}
