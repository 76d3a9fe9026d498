//! What no patience cures is refused within a second.

use std::time::{Duration, Instant};

use lab::Config;
use testkit::{Ran, Server, Start, run};

use crate::harness::start;

/// A refused start with these words in its why, and that it took no longer than a second.
#[track_caller]
fn soon(start: Start, words: &[&str]) -> Ran {
    within(Duration::from_secs(1), start, words)
}

#[track_caller]
fn within(limit: Duration, start: Start, words: &[&str]) -> Ran {
    let begun = Instant::now();
    let ran = run(&mut start.command("bucket"));
    let took = begun.elapsed();
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    let why = ran.stderr.lines().find(|line| line.contains("why:")).unwrap_or_default();
    assert!(words.iter().all(|word| why.contains(word)), "{words:?}: {ran:#?}");
    assert!(took < limit, "{took:?}: {ran:#?}");
    start.assert_nothing_is_left();
    ran
}

fn at(server: &Server, endpoint: &str) -> Start {
    start(server).words(&["--endpoint-url", endpoint])
}

#[test]
fn an_endpoint_where_nobody_listens() {
    let server = Server::lab();
    soon(at(&server, "http://127.0.0.1:1"), &["cannot be reached", "refused"]);
    soon(at(&server, "https://127.0.0.1:1"), &["cannot be reached", "refused"]);
}

#[test]
fn a_host_that_does_not_exist() {
    let server = Server::lab();
    // Names under `invalid` never exist (RFC 6761), but a resolver may take its time to say so,
    // and is asked twice.
    let begun = Instant::now();
    let found = std::net::ToSocketAddrs::to_socket_addrs(&("nobody.invalid", 1));
    assert!(found.is_err(), "this machine's resolver knows every name");
    let limit = Duration::from_secs(1) + begun.elapsed() * 4;
    within(limit, at(&server, "https://nobody.invalid"), &["cannot be reached", "lookup"]);
}

#[test]
fn a_certificate_of_somebody_unknown() {
    let server = Server::lab_with(Config { tls: true, ..Config::default() });
    let ran = soon(start(&server), &["cannot be reached", "certificate"]);
    assert!(ran.stderr.contains("--ca-bundle"), "{ran:#?}");
}

#[test]
fn an_endpoint_that_speaks_no_tls() {
    let server = Server::lab();
    let endpoint = server.endpoint().replace("http:", "https:");
    soon(at(&server, &endpoint), &["cannot be reached"]);
}

#[test]
fn so_few_open_files_that_no_mount_can_be_served() {
    let server = Server::lab();
    server.lab_itself().create_bucket("bucket").unwrap();
    for files in ["6", "12", "14", "100"] {
        let start = start(&server);
        let mut limited = std::process::Command::new("prlimit");
        limited.arg(format!("--nofile={files}:{files}"));
        let command = start.command("bucket");
        limited.arg(command.get_program()).args(command.get_args()).env_clear();
        limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let ran = run(&mut limited);
        assert_eq!(ran.code, Some(1), "{ran:#?}");
        let why = format!("only {files} files may be open");
        for part in [&why, "fix: ", "ulimit -n", "LimitNOFILE"] {
            assert!(ran.stderr.contains(part), "{part}: {ran:#?}");
        }
        assert_eq!(server.lab_itself().counters().total().requests, 0);
        start.assert_nothing_is_left();
    }
}
