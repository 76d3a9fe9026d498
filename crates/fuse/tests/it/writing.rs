//! What the kernel makes of programs that write, and that killed ones need not wait.

use crate::scratch::{Mounted, Scratch};
use fuse::{Features, Wanted};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

/// What a mount that is written to wants of the kernel.
fn wanted() -> Wanted {
    let features = Wanted::default().features.with(Features::HANDLE_KILLPRIV_V2);
    Wanted { features, ..Wanted::default() }
}

fn mounted() -> Mounted {
    Mounted::new(&wanted())
}

/// Everything the file system was asked, but for names and attributes. An extended attribute is
/// asked for once in the life of a mount, when the first file is truncated or changes its owner.
fn asked(fs: &Scratch) -> Vec<String> {
    let quiet = ["lookup", "getattr", "forget", "statfs", "other Other(22)"];
    let mut log = fs.take_log();
    log.retain(|line| !quiet.iter().any(|word| line.starts_with(word)));
    log
}

/// Waits for the RELEASE that follows a close by itself, and answers what was asked up to it.
fn asked_until_released(fs: &Scratch) -> Vec<String> {
    fs.await_log("release");
    asked(fs)
}

/// Offset and length of each WRITE, and that they follow one another without a gap.
fn writes(asked: &[String]) -> Vec<(u64, u64)> {
    let number = |text: &str| text.parse::<u64>().unwrap();
    let writes = asked.iter().filter_map(|line| line.strip_prefix("write ")?.split_once('+'));
    let writes: Vec<_> = writes.map(|(offset, length)| (number(offset), number(length))).collect();
    assert!(writes.windows(2).all(|two| two[0].0 + two[0].1 == two[1].0), "{writes:?}");
    writes
}

#[test]
fn a_new_file_is_one_create_its_bytes_in_order_a_flush_and_a_release() {
    let mount = mounted();
    let bytes: Vec<u8> = (0..(2 << 20) + 5u32).map(|at| at as u8).collect();
    fs::write(mount.path("new"), &bytes).unwrap();
    let asked = asked_until_released(&mount.fs);
    let writes = writes(&asked);
    // A page more where the program's memory does not begin on one.
    assert!((3..=4).contains(&writes.len()), "{writes:?}");
    assert!(writes.iter().all(|(_, length)| *length <= 1 << 20), "{writes:?}");
    assert_eq!((asked[0].as_str(), asked[writes.len() + 1].as_str()), ("create new", "flush"));
    assert!(mount.fs.bytes("new") == bytes);
    assert_eq!(fs::metadata(mount.path("new")).unwrap().len(), bytes.len() as u64);
}

#[test]
fn without_large_requests_the_bytes_come_in_smaller_ones() {
    let wanted = wanted();
    let features = wanted.features.without(Features::LARGE_REQUESTS);
    let mount = Mounted::new(&Wanted { features, ..wanted });
    fs::write(mount.path("new"), vec![1; 200_000]).unwrap();
    let writes = writes(&asked_until_released(&mount.fs));
    assert_eq!(writes.len(), 2);
    assert!(writes.iter().all(|(_, length)| *length <= 128 << 10), "{writes:?}");
}

#[test]
fn truncating_opens_say_so_only_where_that_was_agreed_upon() {
    let check = |wanted: &Wanted, expected: &[&str]| {
        let mount = Mounted::new(wanted);
        mount.fs.make("file", b"old");
        drop(OpenOptions::new().write(true).truncate(true).open(mount.path("file")).unwrap());
        let asked = asked_until_released(&mount.fs);
        assert_eq!(asked[..asked.len() - 1], *expected);
        assert!(mount.fs.bytes("file").is_empty());
    };
    let plain = wanted();
    check(&plain, &["open", "setattr size=0", "flush"]);
    let features = plain.features.with(Features::ATOMIC_O_TRUNC);
    check(&Wanted { features, ..plain }, &["open truncate", "flush"]);
}

#[test]
fn appending_goes_on_at_the_end_that_is_known() {
    let mount = mounted();
    mount.fs.make("log", b"12345");
    let mut file = OpenOptions::new().append(true).open(mount.path("log")).unwrap();
    file.write_all(b"67").unwrap();
    file.write_all(b"8").unwrap();
    drop(file);
    let asked = asked_until_released(&mount.fs);
    assert_eq!(asked[..4], ["open append", "write 5+2", "write 7+1", "flush"]);
    assert_eq!(mount.fs.bytes("log"), b"12345678");
}

#[test]
fn each_close_of_a_shared_descriptor_is_a_flush_and_the_last_one_a_release() {
    let mount = mounted();
    let script = format!("(exec 3>'{}'; (echo a >&3); echo b >&3)", mount.path("f"));
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    let asked = asked_until_released(&mount.fs);
    let writes: Vec<_> = asked.iter().filter(|line| line.starts_with("write")).collect();
    assert_eq!(writes, ["write 0+2", "write 2+2"]);
    let between = asked.iter().skip_while(|line| *line != "write 0+2").nth(1);
    assert_eq!(between.map(String::as_str), Some("flush"), "{asked:?}");
    assert_eq!(asked.iter().filter(|line| *line == "release").count(), 1);
}

#[test]
fn syncing_tells_data_from_the_rest_and_a_directory_from_a_file() {
    let mount = mounted();
    let file = File::create(mount.path("f")).unwrap();
    file.sync_all().unwrap();
    file.sync_data().unwrap();
    File::open(mount.path("")).unwrap().sync_all().unwrap();
    let asked = asked(&mount.fs);
    assert_eq!(asked[..3], ["create f", "fsync", "fsync data"]);
    assert!(asked.contains(&"fsyncdir".to_owned()), "{asked:?}");
}

#[test]
fn names_are_made_removed_and_renamed() {
    let mount = mounted();
    let made = make_node(&mount.path("node"));
    assert_eq!(made, 0);
    fs::create_dir(mount.path("dir")).unwrap();
    fs::rename(mount.path("node"), mount.path("other")).unwrap();
    rename_without_replacing(&mount.path("other"), &mount.path("third"));
    fs::remove_file(mount.path("third")).unwrap();
    fs::remove_dir(mount.path("dir")).unwrap();
    assert_eq!(
        asked(&mount.fs),
        [
            "mknod node 100644",
            "mkdir dir 40755",
            "rename node other 0",
            "rename other third 1",
            "unlink third",
            "rmdir dir",
        ]
    );
}

/// mknod(2) of a regular file with mode 0644.
fn make_node(path: &str) -> i32 {
    let path = std::ffi::CString::new(path).unwrap();
    // SAFETY: a NUL-terminated string and integers.
    unsafe { libc::mknod(path.as_ptr(), libc::S_IFREG | 0o644, 0) }
}

/// renameat2(2) with RENAME_NOREPLACE.
fn rename_without_replacing(from: &str, to: &str) {
    let (from, to) = (std::ffi::CString::new(from).unwrap(), std::ffi::CString::new(to).unwrap());
    let here = libc::AT_FDCWD;
    // SAFETY: two NUL-terminated strings and integers.
    let result =
        unsafe { libc::syscall(libc::SYS_renameat2, here, from.as_ptr(), here, to.as_ptr(), 1u32) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn changes_of_attributes_name_what_changes() {
    let mount = mounted();
    mount.fs.make("f", b"12345");
    let path = mount.path("f");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::chown(&path, Some(7), Some(8)).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(3).unwrap();
    let time = std::time::UNIX_EPOCH + Duration::new(5, 6);
    file.set_modified(time).unwrap();
    let log = asked(&mount.fs);
    assert_eq!(
        log,
        [
            "setattr mode=100600",
            "setattr uid=7 gid=8",
            "open",
            "setattr fh size=3",
            "setattr mtime=At(5, 6)"
        ]
    );
}

#[test]
fn writes_to_one_file_come_one_after_the_other() {
    let mount = mounted();
    let file = File::create(mount.path("f")).unwrap();
    mount.fs.answer_writes_late();
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let file = &file;
            scope.spawn(move || {
                (0..20).for_each(|round| {
                    file.write_all_at(&[1; 10], (thread * 20 + round) * 10).unwrap()
                });
            });
        }
    });
    assert_eq!(mount.fs.most_writes_at_once(), 1);
}

#[test]
fn a_handle_without_flush_is_closed_without_one() {
    let mount = mounted();
    mount.fs.make("f", b"x");
    mount.fs.open_without_flush();
    drop(File::open(mount.path("f")).unwrap());
    assert_eq!(asked_until_released(&mount.fs), ["open", "release"]);
}

#[test]
fn the_kernel_asks_for_no_attribute_of_security_before_each_write() {
    let mount = mounted();
    let mut file = File::create(mount.path("f")).unwrap();
    (0..10).for_each(|_| file.write_all(b"x").unwrap());
    let log = mount.fs.take_log();
    assert!(!log.iter().any(|line| line.starts_with("other")), "{log:?}");
}

#[test]
fn nothing_but_its_flags_tells_that_a_direct_write_is_synchronous() {
    let mount = mounted();
    let mut options = OpenOptions::new();
    options.write(true).create(true).custom_flags(libc::O_SYNC);
    let mut file = options.open(mount.path("f")).unwrap();
    file.write_all(b"x").unwrap();
    // No FSYNC follows, as it does through the page cache.
    assert_eq!(asked(&mount.fs), ["create f", "write 0+1 sync"]);
}

/// Starts a shell script in which FILE is `name` in the mount, and waits until the file system
/// holds one of its requests.
fn held(mount: &Mounted, operation: &'static str, script: &str) -> Child {
    mount.fs.hold(operation);
    let script = script.replace("FILE", &mount.path("f"));
    let child = Command::new("sh")
        .args(["-c", &script])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    mount.fs.await_held();
    child
}

/// How long it takes until the child is gone after `signal`. One that stays is let go.
fn time_to_die(mount: &Mounted, mut child: Child, signal: i32) -> Duration {
    let (gone, news) = channel();
    let begun = now();
    // SAFETY: plain integers.
    assert_eq!(unsafe { libc::kill(child.id().cast_signed(), signal) }, 0);
    let watch = std::thread::spawn(move || {
        child.wait().unwrap();
        gone.send(begun.elapsed()).unwrap();
    });
    let took = news.recv_timeout(PATIENCE);
    mount.fs.release_held();
    watch.join().unwrap();
    took.expect("the killed program is gone within 10 s")
}

/// The file system holds everything from the first request of this kind on; the program that
/// waits for it must not keep whoever kills it waiting.
fn check_killed(operation: &'static str, script: &str, signal: i32) {
    let mount = mounted();
    let child = held(&mount, operation, script);
    let took = time_to_die(&mount, child, signal);
    assert!(took < Duration::from_secs(2), "{operation}: {took:?}");
}

#[test]
fn a_killed_writer_is_gone_at_once_and_so_is_the_flush_of_its_end() {
    // The first WRITE is held, and every FLUSH: the kernel sends one when it closes the files of
    // the dead process.
    check_killed("write|flush", "exec dd if=/dev/zero of='FILE' bs=4096 count=1", libc::SIGKILL);
}

#[test]
fn a_program_killed_while_it_closes_a_file_is_gone_at_once() {
    let script = "exec 3>'FILE'; echo x >&3; exec 3>&-; sleep 1000";
    check_killed("flush", script, libc::SIGKILL);
}

#[test]
fn a_program_ended_by_a_fatal_signal_is_gone_at_once_too() {
    let mount = mounted();
    let script = format!("exec 3>'{}'; echo x >&3; exec sleep 1000", mount.path("f"));
    let child = Command::new("sh").args(["-c", &script]).spawn().unwrap();
    await_name(child.id(), "sleep");
    mount.fs.hold("flush");
    let took = time_to_die(&mount, child, libc::SIGTERM);
    assert!(took < Duration::from_secs(2), "{took:?}");
}

/// Waits until a process runs the program `name`.
fn await_name(pid: u32, name: &str) {
    for _ in 0..1000 {
        let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
        if comm.trim() == name {
            return;
        }
        pause(Duration::from_millis(5));
    }
    panic!("it does not run {name}");
}

fn pause(time: Duration) {
    let (_keep, never) = channel::<()>();
    let _ = never.recv_timeout(time);
}

#[test]
fn a_killed_program_does_not_wait_for_its_fsync() {
    check_killed(
        "fsync|flush",
        "exec dd if=/dev/zero of='FILE' bs=4096 count=1 conv=fsync",
        libc::SIGKILL,
    );
}

#[test]
fn a_program_that_ends_by_itself_waits_until_its_files_are_flushed() {
    let mount = mounted();
    let mut child = held(&mount, "flush", "exec 3>'FILE'; echo x >&3; exit 3");
    pause(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "it did not wait");
    mount.fs.answer_held();
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[allow(clippy::disallowed_methods, reason = "the kernel acts in real time")]
fn now() -> Instant {
    Instant::now()
}
