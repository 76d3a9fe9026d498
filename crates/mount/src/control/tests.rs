use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};

use super::protocol::{Answer, Ask, BadLine, LINE_MAX, Order, PATHS_MAX, line, read, read_paths};
use super::{Client, Desk, Server};

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    Builder::new_current_thread().build().unwrap().block_on(future)
}

fn read_ask(bytes: &[u8]) -> Result<Option<Ask>, BadLine> {
    let mut bytes = bytes;
    block_on(read(&mut bytes))
}

fn paths_in(bytes: &[u8]) -> Result<Vec<String>, BadLine> {
    let mut bytes = bytes;
    block_on(read_paths(&mut bytes))
}

proptest! {
    #[test]
    fn no_bytes_are_too_odd_to_be_refused(bytes: Vec<u8>) {
        let _ = read_ask(&bytes);
        let _ = paths_in(&bytes);
    }

    #[test]
    fn no_json_is_too_odd_to_be_refused(text in r#"\{"ask":"(status|warm|resident|x)"(,"[a-z]{1,6}":[0-9tfn"\[{]{0,4}){0,3}\}?"#) {
        let _ = read_ask(format!("{text}\n").as_bytes());
    }

    #[test]
    fn what_is_asked_is_what_is_heard(pin: bool, background: bool, rate: Option<u64>) {
        for ask in [Ask::Status {}, Ask::Resident {}, Ask::Warm(Order { pin, rate, background })] {
            prop_assert_eq!(read_ask(&line(&ask).unwrap()).unwrap(), Some(ask));
        }
    }

    #[test]
    fn every_path_arrives_once_and_in_order(paths in proptest::collection::vec("\\PC{0,40}|a", 0..20)) {
        let mut bytes = Vec::new();
        paths.iter().for_each(|path| bytes.extend(line(path).unwrap()));
        bytes.extend(b"null\n");
        let mut once: Vec<String> = Vec::new();
        for path in paths {
            if !once.contains(&path) {
                once.push(path);
            }
        }
        prop_assert_eq!(paths_in(&bytes).unwrap(), once);
    }
}

#[test]
fn lines_and_lists_have_an_end() {
    assert!(matches!(read_ask(&vec![b' '; 10 * LINE_MAX]), Err(BadLine::TooLong)));
    assert!(matches!(read_ask(br#"{"ask":"status"}"#), Err(BadLine::Cut)));
    assert!(matches!(read_ask(b""), Ok(None)));
    assert!(matches!(paths_in(b"\"a\"\n"), Err(BadLine::Cut)));
    let longest = line(&"\u{1}".repeat(1024)).unwrap();
    assert!(longest.len() < LINE_MAX, "the longest key does not fit");
    let mut many = Vec::new();
    for number in 0..=PATHS_MAX / 1000 {
        many.extend(line(&format!("{number:01000}")).unwrap());
    }
    assert!(matches!(paths_in(&many), Err(BadLine::TooMany)));
}

#[test]
fn words_that_are_not_known_are_refused_rather_than_passed_over() {
    for text in [
        r#"{"ask":"warm","pin":true,"speed":3}"#,
        r#"{"ask":"status","about":"x"}"#,
        r#"{"ask":"warm","pin":1}"#,
        r#"{"ask":"warm","rate":-1}"#,
        r#"{"ask":"evict"}"#,
        r#"[]"#,
        r#"{}"#,
    ] {
        let heard = read_ask(format!("{text}\n").as_bytes());
        assert!(matches!(heard, Err(BadLine::Json(_))), "{text}: {heard:?}");
    }
}

struct Listening {
    runtime: Runtime,
    directory: tempfile::TempDir,
    server: Option<Server>,
}

impl Listening {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let runtime = runtime();
        let mut listening = Self { runtime, directory, server: None };
        listening.listen();
        listening
    }

    fn listen(&mut self) {
        let status = || serde_json::Map::from_iter([("bucket".to_owned(), "jars".into())]);
        let desk = Desk { status: Box::new(status), warmer: None };
        let _runtime = self.runtime.enter();
        self.server = Some(Server::start(&self.path(), Arc::new(desk)).unwrap());
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("1.sock")
    }

    /// What is answered to these bytes, until the connection is closed.
    fn say(&self, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.path()).unwrap();
        // It may be closed before all was taken.
        let _ = stream.write_all(bytes);
        let mut said = String::new();
        let _ = stream.read_to_string(&mut said);
        said
    }
}

#[test]
fn a_question_is_answered_and_nonsense_refused() {
    let listening = Listening::start();
    let mut client = Client::connect(&listening.path()).unwrap();
    client.ask(&Ask::Status {}).unwrap();
    match client.answer().unwrap() {
        Some(Answer::Status(status)) => assert_eq!(status["bucket"], "jars"),
        other => panic!("{other:?}"),
    }
    assert_eq!(client.answer().unwrap(), None);
    for nonsense in
        [&b"hello\n"[..], b"{\"ask\":\"warm\"}\n1\n", b"\xff\xfe\n", b"{\"ask\":\"warm\""]
    {
        if nonsense.ends_with(b"\n") {
            let said = listening.say(nonsense);
            assert!(said.contains(r#""event":"refused""#), "{nonsense:?}: {said:?}");
        }
    }
    assert!(listening.say(&vec![b'x'; LINE_MAX]).contains("longer than"));
}

#[test]
fn files_are_refused_where_there_is_no_cache() {
    let listening = Listening::start();
    for ask in [Ask::Resident {}, Ask::Warm(Order::default())] {
        let mut client = Client::connect(&listening.path()).unwrap();
        client.ask_about(&ask, &["a".to_owned()]).unwrap();
        match client.answer().unwrap() {
            Some(Answer::Refused { fix, .. }) => assert!(fix.contains("--cache"), "{fix}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_socket_that_was_left_is_replaced_and_ours_is_not_left() {
    let mut listening = Listening::start();
    let path = listening.path();
    drop(listening.server.take());
    assert!(!path.exists());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    listening.listen();
    assert!(listening.say(b"{\"ask\":\"status\"}\n").contains("jars"));
}

#[test]
fn too_many_at_once_are_told_so_and_places_come_free() {
    let listening = Listening::start();
    let idle: Vec<_> = (0..16).map(|_| UnixStream::connect(listening.path()).unwrap()).collect();
    let refused = UnixStream::connect(listening.path()).unwrap();
    let mut said = String::new();
    BufReader::new(refused).read_line(&mut said).unwrap();
    assert!(said.contains("too many"), "{said}");
    drop(idle);
    let answered = || listening.say(b"{\"ask\":\"status\"}\n").contains("jars");
    testkit::until("a place is free", std::time::Duration::from_secs(5), answered);
}
