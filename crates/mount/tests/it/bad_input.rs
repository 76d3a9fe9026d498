//! What cannot work says what, why and how to fix it, with the documented exit code, and
//! leaves nothing behind.

use lab::{Config, Fault, Rule, Which};
use testkit::{Ran, Server, Start, run};

use crate::harness::{MIB, mount, start};

/// A start that fails with exit code 1 in the form what, why, fix, and these words.
#[track_caller]
fn fails(start: Start, bucket: &str, words: &[&str]) -> Ran {
    said(start.refused(bucket), 1, words)
}

#[track_caller]
fn said(ran: Ran, code: i32, words: &[&str]) -> Ran {
    assert_eq!(ran.code, Some(code), "{ran:#?}");
    for word in ["mount-s3: ", "\n  why: ", "\n  fix: "].iter().chain(words) {
        assert!(ran.stderr.contains(word), "`{word}` is missing: {ran:#?}");
    }
    assert_eq!(ran.stderr.lines().filter(|line| line.contains("why:")).count(), 1, "{ran:#?}");
    ran
}

/// A command line that makes no sense: exit code 2, nothing was asked.
#[track_caller]
fn nonsense(words: &[&str], expected: &[&str]) {
    let server = Server::lab();
    let start = start(&server);
    said(run(start.bare().args(words)), 2, expected);
    start.assert_nothing_is_left();
    assert_eq!(server.lab_itself().counters().total().requests, 0);
}

#[test]
fn an_unknown_bucket() {
    let server = Server::lab();
    fails(start(&server), "no-such-bucket", &["no-such-bucket", "does not exist"]);
}

#[test]
fn an_unknown_bucket_of_seaweedfs() {
    fails(start(crate::harness::seaweedfs()), "no-such-bucket", &["does not exist"]);
}

#[test]
fn no_credentials() {
    let server = Server::lab();
    server.bucket("bucket");
    let start = start(&server).without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY");
    fails(start, "bucket", &["credentials", "AWS_ACCESS_KEY_ID"]);
}

#[test]
fn a_wrong_secret_is_not_shown() {
    let server = Server::lab();
    server.bucket("bucket");
    let start = start(&server)
        .without("AWS_SECRET_ACCESS_KEY")
        .env("AWS_SECRET_ACCESS_KEY", "thisisnotthesecret");
    let ran = fails(start, "bucket", &[]);
    assert!(!ran.text().contains("thisisnotthesecret"), "{ran:#?}");
}

#[test]
fn access_denied() {
    let server = Server::lab();
    server.bucket("bucket");
    server.lab_itself().rules().add(Rule::new("*", Fault::Deny));
    fails(start(&server), "bucket", &["access denied", "s3:ListBucket"]);
}

#[test]
fn a_bucket_that_does_not_let_everybody_in() {
    let server = Server::lab();
    server.bucket("bucket");
    fails(start(&server).words(&["--no-sign-request"]), "bucket", &["--no-sign-request"]);
}

#[test]
fn a_wrong_region_names_the_right_one_and_a_missing_one_is_found_out() {
    let server = Server::lab_with(Config { region: "eu-west-1".into(), ..Config::default() });
    server.lab_itself().create_bucket("bucket").unwrap();
    let wrong = start(&server).without("AWS_REGION").words(&["--region", "us-west-2"]);
    fails(wrong, "bucket", &["region", "eu-west-1"]);
    let found = start(&server).without("AWS_REGION").mount("bucket");
    assert_eq!(std::fs::read_dir(found.directory()).unwrap().count(), 0);
}

#[test]
fn an_unreachable_endpoint() {
    let server = Server::lab();
    let start = start(&server)
        .words(&["--endpoint-url", "http://127.0.0.1:1"])
        .env("AWS_MAX_ATTEMPTS", "3");
    fails(start, "bucket", &["cannot be reached", "curl -v http://127.0.0.1:1"]);
}

#[test]
fn something_that_is_no_s3_server() {
    let server = Server::lab();
    let control = server.lab_itself().control_endpoint();
    let start = start(&server).words(&["--endpoint-url", &control]);
    fails(start, "bucket", &["--endpoint-url"]);
}

#[test]
fn bucket_and_directory_swapped() {
    let server = Server::lab();
    let start = start(&server);
    let directory = start.directory().to_str().unwrap().to_owned();
    let ran = run(start.bare().args([&directory, "bucket"]));
    said(ran, 2, &["where the bucket belongs", &format!("mount-s3 bucket {directory}")]);
    start.assert_nothing_is_left();
}

#[test]
fn a_missing_directory() {
    let server = Server::lab();
    server.bucket("bucket");
    let missing = std::path::Path::new("/nonexistent/mount/point");
    fails(start(&server).at(missing), "bucket", &["does not exist", "mkdir -p /nonexistent"]);
}

#[test]
fn a_file_instead_of_a_directory() {
    let server = Server::lab();
    server.bucket("bucket");
    let file = tempfile::NamedTempFile::new().unwrap();
    fails(start(&server).at(file.path()), "bucket", &["is a file"]);
}

#[test]
fn no_dev_fuse() {
    let server = Server::lab();
    server.bucket("bucket");
    let start = start(&server);
    let command = start.command("bucket");
    // A mount namespace of its own, where /dev is empty but for null.
    let script = "mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3 && exec \"$@\"";
    let mut unshare = std::process::Command::new("unshare");
    unshare.args(["--mount", "sh", "-ec", script, "sh"]);
    unshare.arg(command.get_program()).args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        unshare.env(name, value.unwrap_or_default());
    }
    said(run(&mut unshare), 1, &["/dev/fuse", "modprobe fuse"]);
    start.assert_nothing_is_left();
}

#[test]
fn nonsense_numbers() {
    let cases: &[(&[&str], &str)] = &[
        (&["--part-size", "-1"], "part-size"),
        (&["--part-size", "many"], "part-size"),
        (&["--read-part-size", "1"], "read-part-size"),
        (&["--part-size", "99999999999999999999999"], "part-size"),
        (&["--memory-target", "1KiB"], "memory-target"),
        (&["--memory-target", "1e9"], "memory-target"),
        (&["--metadata-ttl", "-5"], "metadata-ttl"),
        (&["--metadata-ttl", "200y"], "metadata-ttl"),
        (&["--metadata-ttl", "soon"], "metadata-ttl"),
        (&["--max-threads", "0"], "max-threads"),
        (&["--uid", "4294967296"], "uid"),
        (&["--file-mode", "0999"], "file-mode"),
        (&["--dir-mode", "1777"], "dir-mode"),
        (&["--read-deadline", "0"], "read-deadline"),
    ];
    for (words, flag) in cases {
        let line: Vec<&str> = ["bucket", "/mnt"].iter().chain(*words).copied().collect();
        nonsense(&line, &[flag]);
    }
}

#[test]
fn nonsense_words() {
    nonsense(&["bucket"], &["directory", "missing"]);
    nonsense(&["bucket", "/mnt", "/mnt2"], &["/mnt2"]);
    nonsense(&["bucket", "/mnt", "--metdata-ttl", "5"], &["metadata-ttl"]);
    nonsense(&["--metadata-ttl", "indefinite", " "], &["blank", "backslash"]);
    nonsense(&["bucket", "/mnt", "--allow-other", "--allow-root"], &["exclude each other"]);
    nonsense(&["b", "/mnt"], &["no bucket"]);
    nonsense(&["s3://bucket/prefix", "/mnt"], &["/"]);
    nonsense(&["bucket", "/mnt", "--endpoint-url", "not a url"], &["endpoint-url"]);
}

#[test]
fn what_comes_later_is_refused_and_never_ignored() {
    let later: &[&[&str]] = &[&["--cache-xz", "bucket"], &["--incremental-upload"]];
    for words in later {
        let line: Vec<&str> = ["bucket", "/mnt"].iter().chain(*words).copied().collect();
        nonsense(&line, &[words[0], "not supported yet"]);
    }
}

/// Each harm a server can do to a body, with how large an object it can be seen in.
fn harms() -> Vec<(Fault, u64)> {
    let small = 3 * MIB;
    let large = 20 * MIB;
    let both = |fault| [(fault, small), (fault, large)];
    let mut harms: Vec<(Fault, u64)> = [
        Fault::Truncate { at: None },
        Fault::ResetBody { at: None },
        Fault::Overlong { extra: 1000 },
        Fault::ErrorInBody,
        Fault::InternalError,
        Fault::SlowDown,
        Fault::Reset,
    ]
    .into_iter()
    .flat_map(both)
    .collect();
    harms.push((Fault::WrongContentRange, large));
    // Only a body that is whole can be compared with the object's checksum.
    harms.push((Fault::FlipBit { at: None }, small));
    harms
}

#[test]
fn a_harmed_answer_is_asked_for_again() {
    let server = Server::lab();
    let bucket = server.bucket("harmed");
    let mount = mount(&bucket, &["--metadata-ttl", "60"]);
    for (number, (fault, size)) in harms().into_iter().enumerate() {
        let key = format!("object{number}");
        bucket.put_synthetic(&key, size, 1);
        let rule = Rule::new("GetObject", fault).on(&key).which(Which::First(1));
        let rule = server.lab_itself().rules().add(rule);
        let bytes = std::fs::read(mount.path(&key));
        let bytes = bytes.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert_eq!(bytes.len() as u64, size, "{fault:?}");
        lab::synthetic::check(&key, 1, 0, &bytes)
            .unwrap_or_else(|mismatch| panic!("{fault:?} of {size} bytes: {mismatch}"));
        assert!(server.count("GetObject") > 0);
        server.lab_itself().rules().remove(rule);
    }
}

#[test]
fn answers_that_stay_harmed_end_in_eio_and_never_in_wrong_bytes() {
    let server = Server::lab();
    let bucket = server.bucket("harmed");
    let start = start(&server).words(&["--metadata-ttl", "60", "--read-deadline", "4"]);
    let mount = start.env("AWS_MAX_ATTEMPTS", "3").mount("harmed");
    for (number, (fault, size)) in harms().into_iter().enumerate() {
        let key = format!("object{number}");
        bucket.put_synthetic(&key, size, 1);
        server.lab_itself().rules().add(Rule::new("GetObject", fault).on(&key));
        match std::fs::read(mount.path(&key)) {
            // What follows the length an answer has promised belongs to no answer.
            Ok(bytes) if matches!(fault, Fault::Overlong { .. }) => {
                assert_eq!(bytes.len() as u64, size);
                lab::synthetic::check(&key, 1, 0, &bytes).unwrap();
            }
            Ok(_) => panic!("{fault:?} of {size} bytes was not noticed"),
            Err(error) => assert_eq!(error.raw_os_error(), Some(5), "{fault:?}: {error}"),
        }
    }
}
