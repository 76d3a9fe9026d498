//! Programs that write: what works, and that what does not fails at once, with one line of the log
//! that says what would help.

use std::process::Command;
use std::time::Duration;

use testkit::{Server, run, run_within, until};

use crate::harness::busy;
use crate::written::{open_mount, shell, writes};

/// A program that does not get on.
struct Refusal {
    /// Flags of the mount.
    flags: &'static [&'static str],
    script: &'static str,
    /// What it says itself.
    says: &'static str,
    /// What the line in the log has.
    advice: &'static str,
}

const NONE: &[&str] = &[];
const ALL: &[&str] = &["--allow-overwrite", "--allow-delete", "--ignore-attribute-changes"];
const CHANGE: &[&str] = &["--allow-overwrite", "--allow-delete"];

const fn refusal(
    flags: &'static [&'static str],
    script: &'static str,
    says: &'static str,
    advice: &'static str,
) -> Refusal {
    Refusal { flags, script, says, advice }
}

/// `$FROM` is a directory on the local disk with a file `note` and a repository `repository`; the
/// mount has a file `old`.
const REFUSALS: &[Refusal] = &[
    refusal(NONE, "cp $FROM/note old", "not permitted", "--allow-overwrite"),
    refusal(NONE, "dd if=$FROM/note of=old status=none", "not permitted", "--allow-overwrite"),
    refusal(NONE, "rm old", "not permitted", "--allow-delete"),
    refusal(NONE, "mv old new", "not permitted", "--allow-delete"),
    refusal(NONE, "rsync -r $FROM/note synced", "not permitted", "--allow-delete"),
    refusal(CHANGE, "rsync -a --inplace $FROM/note synced", "set times", "--ignore-attribute-ch"),
    refusal(ALL, "rsync -a --inplace $FROM/note old", "not permitted", "(O_TRUNC)"),
    refusal(CHANGE, "chmod 600 old", "not permitted", "--ignore-attribute-changes"),
    refusal(
        CHANGE,
        "python3 -c 'import shutil; shutil.copy(\"'$FROM'/note\", \"new\")'",
        "not permitted",
        "--ignore-attribute-changes",
    ),
    refusal(ALL, "echo x >> old", "not permitted", "--incremental-upload"),
    refusal(ALL, "truncate -s 1 old", "not permitted", "--allow-overwrite"),
    refusal(ALL, "sed -i s/o/x/ old", "cross-device", "local disk"),
    refusal(
        ALL,
        "python3 -c 'import zipfile; zipfile.ZipFile(\"z\", \"w\").writestr(\"name\", \"text\")'",
        "Invalid argument",
        "local disk",
    ),
    refusal(
        ALL,
        "python3 -c 'import sqlite3; sqlite3.connect(\"db\").execute(\"create table t (c)\")'",
        "disk I/O error",
        "local disk",
    ),
    refusal(NONE, "git clone -q $FROM/repository clone", "not permitted", "--allow-delete"),
    refusal(ALL, "git clone -q $FROM/repository clone", "ross-device", "--separate-git-dir"),
];

/// A file `note` and a repository of one file, whose mode says that it is a program.
fn sources() -> tempfile::TempDir {
    let from = tempfile::tempdir().unwrap();
    std::fs::write(from.path().join("note"), "text").unwrap();
    let script = "git init -q -b main repository; cd repository
        mkdir d; echo one > d/file; echo two > program; chmod +x program; git add .
        git -c user.name=N -c user.email=n@example.org commit -q -m first
        git checkout -q -b other; git rm -q program; echo more > d/file
        git -c user.name=N -c user.email=n@example.org commit -q -a -m second
        git checkout -q main";
    shell(from.path(), script);
    from
}

#[test]
fn a_program_that_does_not_get_on_fails_at_once_and_one_line_says_what_would_help() {
    const AT_ONCE: Duration = Duration::from_secs(20);
    let _turn = busy();
    let server = Server::lab();
    let from = sources();
    for (number, refusal) in REFUSALS.iter().enumerate() {
        let Refusal { flags, script, says, advice } = refusal;
        let bucket = server.bucket(&format!("refusal-{number}"));
        bucket.put("old", "old");
        let mount = open_mount(&bucket, flags);
        let mut program = Command::new("bash");
        program.args(["-euc", script]).current_dir(mount.directory()).env("FROM", from.path());
        let ran = run_within(&mut program, AT_ONCE);
        assert!(ran.code.is_some_and(|code| code != 0), "{flags:?} {script}: {ran:?}");
        assert!(ran.stderr.contains(says), "{flags:?} {script}: {ran:?}");
        let log = || mount.start().log();
        let warned = || log().lines().filter(|line| line.contains(" WARN ")).count();
        until("the log says why", Duration::from_secs(5), || warned() > 0);
        assert!(log().contains(advice), "{flags:?} {script}: {}", log());
        assert_eq!(warned(), 1, "{flags:?} {script}: {}", log());
        assert_eq!(bucket.get("old"), b"old", "{script}");
    }
}

#[test]
fn nothing_is_copied_to_be_moved_where_it_could_not_be_deleted() {
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("moved");
    bucket.put_synthetic("old", 100 << 20, 1);
    bucket.put("d/file", "x");
    let mount = open_mount(&bucket, &[]);
    server.lab_itself().reset_counters();
    let script = "! mv old new && ! mv d e && ls";
    let ran = run(Command::new("bash").args(["-euc", script]).current_dir(mount.directory()));
    assert_eq!(ran.ok(), "d\nold\n");
    assert_eq!((writes(&server), server.count("GetObject")), ([0; 6], 0));
}

#[test]
fn git_clones_into_a_mount_with_its_own_files_elsewhere() {
    let _turn = busy();
    let server = Server::lab();
    let from = sources();
    let bucket = server.bucket("git");
    let clone = format!(
        "git clone -q -c core.fileMode=false --separate-git-dir {0}/git {0}/repository clone
         cd clone; git status --short",
        from.path().display()
    );
    // What is new needs no flag.
    let mount = open_mount(&bucket, &[]);
    assert_eq!(shell(mount.directory(), &clone), "");
    assert_eq!(bucket.get("clone/d/file"), b"one\n");
    assert_eq!(bucket.get("clone/program"), b"two\n");
    drop(mount);
    let mount = open_mount(&bucket, &["--allow-delete", "--allow-overwrite"]);
    let script = "cd clone; git checkout -q other; git status --short; cat d/file; ls";
    assert_eq!(shell(mount.directory(), script), "more\nd\n");
    assert_eq!(bucket.find("clone/program"), None);
}

/// Each step is said with what came of it.
const JAVA: &str = r#"
import static java.nio.file.StandardCopyOption.*;
import static java.nio.file.StandardOpenOption.*;

import java.io.FileInputStream;
import java.nio.file.Files;
import java.nio.file.Path;

public class Main {
    interface Step {
        void run() throws Exception;
    }

    static void step(String name, Step step) {
        String outcome = "done";
        try {
            step.run();
        } catch (Exception e) {
            String[] why = e.getMessage().split(": ");
            outcome = why[why.length - 1];
        }
        System.out.println(name + ": " + outcome);
    }

    public static void main(String[] words) throws Exception {
        Path from = Path.of(words[0]), mount = Path.of(words[1]);
        Path copied = mount.resolve("copied"), written = mount.resolve("written");
        byte[] bytes = "text".getBytes();
        step("copy", () -> Files.copy(from, copied));
        step("copy attributes", () -> Files.copy(from, mount.resolve("as-is"), COPY_ATTRIBUTES));
        step("copy a stream",
            () -> Files.copy(new FileInputStream(from.toFile()), mount.resolve("stream")));
        step("copy over", () -> Files.copy(from, copied, REPLACE_EXISTING));
        step("move in", () -> Files.move(from, mount.resolve("moved-in")));
        step("move", () -> Files.move(copied, mount.resolve("moved")));
        step("move in one step",
            () -> Files.move(mount.resolve("stream"), mount.resolve("x"), ATOMIC_MOVE));
        step("write", () -> Files.write(written, bytes));
        step("write again", () -> Files.write(written, bytes, CREATE, WRITE, TRUNCATE_EXISTING));
        step("write into", () -> Files.write(written, bytes, WRITE));
        step("append", () -> Files.write(written, bytes, APPEND));
        step("delete", () -> Files.delete(written));
    }
}
"#;

/// What a mount with these flags has come of each step, and what is in the bucket then.
fn java(flags: &[&str]) -> (String, Vec<String>) {
    let server = Server::lab();
    let bucket = server.bucket("java");
    let mount = open_mount(&bucket, flags);
    let local = tempfile::tempdir().unwrap();
    let (program, from) = (local.path().join("Main.java"), local.path().join("from"));
    std::fs::write(&program, JAVA).unwrap();
    std::fs::write(&from, vec![7; 10_000_000]).unwrap();
    let mut java = Command::new("java");
    let ran = run(java.args([&program, &from]).arg(mount.directory()));
    let names = shell(mount.directory(), "ls").lines().map(str::to_owned).collect::<Vec<_>>();
    for name in &names {
        let right: &[u8] = if name == "written" { b"text" } else { &[7; 10_000_000] };
        assert!(bucket.get(name) == right, "{name}");
    }
    (ran.ok(), names)
}

#[test]
fn java_copies_moves_and_writes() {
    let _turn = busy();
    let (steps, names) = java(&["--allow-overwrite", "--allow-delete"]);
    let refused = "write into: Operation not permitted\nappend: Operation not permitted\n";
    let wanted = format!(
        "copy: done\ncopy attributes: done\ncopy a stream: done\ncopy over: done\n\
         move in: done\nmove: done\nmove in one step: Invalid cross-device link\n\
         write: done\nwrite again: done\n{refused}delete: done\n"
    );
    assert_eq!(steps, wanted);
    assert_eq!(names, ["as-is", "moved", "moved-in", "stream"]);
    let (steps, names) = java(&[]);
    let not = "Operation not permitted";
    let wanted = format!(
        "copy: done\ncopy attributes: done\ncopy a stream: done\ncopy over: {not}\n\
         move in: done\nmove: {not}\nmove in one step: {not}\n\
         write: done\nwrite again: {not}\n{refused}delete: {not}\n"
    );
    assert_eq!(steps, wanted);
    assert_eq!(names, ["as-is", "copied", "moved-in", "stream", "written"]);
}

#[test]
fn python_copies_moves_and_writes() {
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("python");
    let mount = open_mount(&bucket, ALL);
    let from = sources();
    let script = r#"
import json, os, pathlib, shutil, sys
source = sys.argv[1]
shutil.copy(source + "/note", "copy")
shutil.copy2(source + "/note", "copy2")
shutil.copytree(source, "tree", ignore=lambda *_: ["repository"])
json.dump({"a": 1}, open("json", "w"))
pathlib.Path("text").write_text("first")
pathlib.Path("text").write_text("second")
shutil.move("copy", "moved")
shutil.copyfileobj(open(source + "/note", "rb"), open("stream", "wb"))
try: os.replace("copy2", "other")
except OSError as e: print(e.errno)
shutil.rmtree("tree")
"#;
    let mut python = Command::new("python3");
    python.args(["-c", script]).arg(from.path()).current_dir(mount.directory());
    assert_eq!(run(&mut python).ok(), "18\n", "EXDEV");
    for (key, text) in
        [("copy2", "text"), ("moved", "text"), ("json", "{\"a\": 1}"), ("text", "second")]
    {
        assert_eq!(bucket.get(key), text.as_bytes(), "{key}");
    }
    assert_eq!(bucket.get("stream"), b"text");
    assert_eq!((bucket.find("copy"), bucket.find("tree/note")), (None, None));
}
