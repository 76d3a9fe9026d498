//! Keys that are no file names, and names that are no keys.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use testkit::{Server, run, until};

use crate::harness::mount;

/// Every path below a directory, with a slash behind directories.
fn paths(directory: &Path) -> BTreeSet<Vec<u8>> {
    let find = Command::new("find")
        .args([".", "-mindepth", "1", "(", "-type", "d", "-printf", r"%P/\0", ")"])
        .args(["-o", "-printf", r"%P\0"])
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(find.status.success(), "{find:?}");
    find.stdout.split(|&byte| byte == 0).filter(|p| !p.is_empty()).map(<[u8]>::to_vec).collect()
}

async fn put_all(lab: &lab::Lab, keys: &[&str]) {
    for key in keys {
        lab.put_object("odd", key, key.as_bytes().to_vec()).await.unwrap();
    }
}

#[test]
fn odd_keys_never_crash_never_escape_and_follow_the_rules() {
    let server = Server::lab();
    let bucket = server.bucket("odd");
    let long = "x".repeat(256);
    let longest = "y".repeat(255);
    let hidden = [
        "a//b", "/leading", "//", ".", "..", "./x", "../x", "d/./e", "d/../e", "d/..", "nul\0x",
        "nul/\0", &long,
    ];
    let shown = [
        "plain",
        "d/inside",
        "both",
        "both/below",
        "marker/",
        "ctl\u{1}\u{1f}x",
        "new\nline",
        "tab\tx",
        "space x",
        " ",
        "ünïcödé/ключ",
        "back\\slash",
        "%2F",
        "a+b&c=d?e#f",
        "*",
        "...",
        ".hidden",
        "both!",
        "both.",
        &longest,
        "\u{7f}",
    ];
    let tokio = tokio::runtime::Runtime::new().unwrap();
    tokio.block_on(put_all(server.lab_itself(), &hidden));
    tokio.block_on(put_all(server.lab_itself(), &shown));
    let mount = mount(&bucket, &["--metadata-ttl", "60"]);

    let mut expected: BTreeSet<Vec<u8>> =
        shown.iter().filter(|&&key| key != "both").map(|key| key.as_bytes().to_vec()).collect();
    for directory in ["d/", "both/", "ünïcödé/"] {
        expected.insert(directory.as_bytes().to_vec());
    }
    let found = paths(mount.directory());
    // A directory of nothing but hidden keys may be shown, empty.
    let allowed_empty = [b"a/".to_vec(), b"nul/".to_vec()];
    let found: BTreeSet<_> = found.into_iter().filter(|p| !allowed_empty.contains(p)).collect();
    let text = |set: &BTreeSet<Vec<u8>>| -> Vec<String> {
        set.iter().map(|path| String::from_utf8_lossy(path).escape_debug().to_string()).collect()
    };
    assert_eq!(text(&found), text(&expected));
    for key in expected.iter().filter(|path| !path.ends_with(b"/")) {
        let path = mount.directory().join(std::ffi::OsStr::from_bytes(key));
        assert!(std::fs::read(path).unwrap() == *key, "{:?}", String::from_utf8_lossy(key));
    }
}

#[test]
fn names_that_no_key_can_have_are_refused() {
    let server = Server::lab();
    let bucket = server.bucket("names");
    bucket.put("file", "x");
    let mount = mount(&bucket, &[]);
    let error = |name: &[u8]| {
        let path = mount.directory().join(std::ffi::OsStr::from_bytes(name));
        std::fs::metadata(path).unwrap_err().raw_os_error().unwrap()
    };
    assert_eq!(error(&[b'x'; 256]), 36, "ENAMETOOLONG");
    assert!([2, 22].contains(&error(b"\xff\xfe")), "ENOENT or EINVAL for what is no UTF-8");
    let deep = [b"d/".repeat(600), b"f".to_vec()].concat();
    assert!([2, 36].contains(&error(&deep)), "ENOENT or ENAMETOOLONG for a key over 1024 bytes");
    assert_eq!(error(b"file/below"), 20, "ENOTDIR");
}

#[test]
fn an_archived_object_is_seen_but_not_opened() {
    let server = Server::lab();
    let bucket = server.bucket("archive");
    let lab = server.lab_itself();
    let tokio = tokio::runtime::Runtime::new().unwrap();
    tokio.block_on(lab.put_archived(("archive", "cold"), "frozen", "GLACIER")).unwrap();
    let mount = mount(&bucket, &["--metadata-ttl", "minimal"]);
    let listed = run(Command::new("ls").arg("-l").arg(mount.directory())).ok();
    assert!(listed.contains("cold"), "{listed}");
    let error = std::fs::read(mount.path("cold")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(13), "EACCES: {error}");
}

#[test]
fn the_guides_own_policy_is_enough() {
    use lab::{Fault, Rule};
    let server = Server::lab();
    let bucket = server.bucket("policy");
    bucket.put("jars/job.jar", "jar");
    bucket.put("secret/other", "no");
    // GetObject on jars/* only; ListBucket on everything.
    server.lab_itself().rules().add(Rule::new("GetObject", Fault::Deny).except("jars/*"));
    server.lab_itself().rules().add(Rule::new("HeadObject", Fault::Deny).except("jars/*"));
    let mount = mount(&bucket, &[]);
    assert_eq!(std::fs::read(mount.path("jars/job.jar")).unwrap(), b"jar");
    assert!(!mount.path("jars/missing").exists());
    let error = std::fs::read(mount.path("secret/other")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(13), "EACCES: {error}");
}

#[test]
fn the_log_tells_of_each_kind_of_hidden_key_once_and_of_no_marker() {
    let server = Server::lab();
    let bucket = server.bucket("hidden");
    let long = "x".repeat(256);
    for kind in ["/lead", "d//e", "d/./f", "d/../g", "nul\0x", &long] {
        bucket.put(kind, "x");
        bucket.put(&format!("{kind}more"), "x");
    }
    for marker in ["d/", "marked/", "marked/below/"] {
        bucket.put(marker, "");
    }
    let mount = mount(&bucket, &["--metadata-ttl", "minimal"]);
    let all: BTreeSet<Vec<u8>> = [&b"d/"[..], b"marked/", b"marked/below/"].map(Vec::from).into();
    for _ in 0..2 {
        assert_eq!(paths(mount.directory()), all);
    }
    let told = || {
        let log = mount.start().log();
        log.lines().filter(|line| line.contains(" WARN ")).map(str::to_owned).collect::<Vec<_>>()
    };
    until("the log tells of them", Duration::from_secs(10), || told().len() >= 4);
    let told = told();
    assert!(told.iter().all(|line| line.contains("hidden, and so are others")), "{told:#?}");
    // An empty component, one of dots, NUL, and one that is too long.
    assert_eq!(told.len(), 4, "{told:#?}");
}
