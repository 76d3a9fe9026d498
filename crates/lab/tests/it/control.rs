use lab::{Config, Counters, Fault, Line, Rule};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{client, code, get, lab, lab_with};

async fn ask(lab: &lab::Lab, method: &str, path: &str, body: impl AsRef<[u8]>) -> (u16, Value) {
    let address = lab.control_endpoint().replace("http://", "");
    let mut tcp = TcpStream::connect(address).await.unwrap();
    let body = body.as_ref();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    tcp.write_all(head.as_bytes()).await.unwrap();
    tcp.write_all(body).await.unwrap();
    let mut text = String::new();
    tcp.read_to_string(&mut text).await.unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    (status, serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn everything_the_library_does_can_be_asked_for_over_http() {
    let lab = lab().await;
    let s3 = client(&lab);
    let one = json!({ "bucket": "wire", "key": "s", "size": 1000, "version": 4 }).to_string();
    let (status, answer) = ask(&lab, "POST", "/synthetic", one).await;
    assert_eq!(status, 200);
    assert_eq!(answer["etag"], lab::synthetic::etag("s", 4, 1000));
    let many = json!({ "bucket": "wire", "prefix": "m/", "count": 3, "size": 5 }).to_string();
    ask(&lab, "POST", "/synthetic", many).await;
    ask(&lab, "PUT", "/objects/wire/p%20q/r?storage_class=GLACIER", "bytes").await;
    let list = s3.list_objects_v2().bucket("wire").send().await.unwrap();
    let keys: Vec<_> = list.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!(keys, ["m/0000000", "m/0000001", "m/0000002", "p q/r", "s"]);

    let get = s3.get_object().bucket("wire").key("p q/r");
    assert_eq!(code(get.clone().send().await), "InvalidObjectState");
    let until = json!({ "bucket": "wire", "key": "p q/r", "restore": { "until_unix_ms": 4102444800000_u64 } });
    assert_eq!(ask(&lab, "POST", "/restore", until.to_string()).await.0, 200);
    get.clone().send().await.unwrap();
    assert_eq!(ask(&lab, "DELETE", "/objects/wire/p%20q/r", "").await.1["deleted"], true);
    assert_eq!(code(get.send().await), "NoSuchKey");

    let (_, counters) = ask(&lab, "GET", "/counters", "").await;
    assert_eq!(serde_json::from_value::<Counters>(counters).unwrap(), lab.counters());
    let (_, log) = ask(&lab, "GET", "/log", "").await;
    assert_eq!(serde_json::from_value::<Vec<Line>>(log).unwrap(), lab.log());
    assert_eq!(lab.log().len(), 4);
    ask(&lab, "POST", "/reset", "").await;
    assert_eq!(lab.counters().total(), lab::Operation::default());
}

#[tokio::test]
async fn rules_are_added_shown_and_taken_back_over_http() {
    let lab = lab().await;
    let (_, answer) =
        ask(&lab, "POST", "/rules", r#"{"operation":"ListObjectsV2","fault":"slow_down"}"#).await;
    let id = answer["ids"][0].clone();
    let list = client(&lab).list_objects_v2().bucket("bucket");
    assert_eq!(code(list.clone().send().await), "SlowDown");
    let (_, rules) = ask(&lab, "GET", "/rules", "").await;
    assert_eq!((rules[0]["covered"].clone(), rules[0]["fired"].clone()), (json!(1), json!(1)));
    assert_eq!(ask(&lab, "DELETE", &format!("/rules/{id}"), "").await.1["removed"], true);
    list.send().await.unwrap();
    let two = serde_json::to_string(&[Rule::new("*", Fault::Deny), Rule::new("*", Fault::Stall)])
        .unwrap();
    assert_eq!(ask(&lab, "POST", "/rules", two).await.1["ids"].as_array().unwrap().len(), 2);
    ask(&lab, "DELETE", "/rules", "").await;
    assert!(lab.rules().standing().is_empty());
}

#[tokio::test]
async fn nonsense_is_refused_with_a_reason() {
    let lab = lab().await;
    for (method, path, body, status) in [
        ("GET", "/", "", 404),
        ("PATCH", "/counters", "", 404),
        ("POST", "/rules", "{", 400),
        ("POST", "/rules", r#"{"fault":"earthquake"}"#, 400),
        ("DELETE", "/rules/x", "", 404),
        ("PUT", "/objects/bucket", "", 404),
        ("POST", "/restore", r#"{"bucket":"bucket","key":"none","restore":null}"#, 409),
    ] {
        let (answered, value) = ask(&lab, method, path, body).await;
        assert_eq!(answered, status, "{method} {path}");
        assert!(value["error"].is_string());
    }
}

#[tokio::test]
async fn counters_are_exact_when_the_answer_has_been_read() {
    let lab = lab_with(Config { anonymous: true, ..Config::default() }).await;
    lab.put_synthetic("bucket", "k", 10_000_000, 1).unwrap();
    for round in 1..=50_u64 {
        let first = round * 1000;
        let got =
            get(&lab, "/bucket/k", &format!("Range: bytes={first}-{}\r\n", first + 999_999)).await;
        assert_eq!(got.body.len(), 1_000_000);
        let seen = lab.counters().operation("GetObject");
        assert_eq!((seen.requests, seen.answered_2xx), (round, round));
        assert_eq!(seen.bytes_out, round * 1_000_000);
        assert_eq!(lab.counters().connections, round);
    }
    let line = lab.log().pop().unwrap();
    assert_eq!(
        (line.operation.as_str(), line.bucket.as_str(), line.key.as_str()),
        ("GetObject", "bucket", "k")
    );
    assert_eq!((line.status, line.bytes_out), (206, 1_000_000));
    assert_eq!(line.range.as_deref(), Some("bytes=50000-1049999"));
    let missing = get(&lab, "/bucket/none", "").await;
    assert_eq!(lab.log().pop().unwrap().request_id, missing.header("x-amz-request-id").unwrap());
    assert_eq!(lab.counters().operation("GetObject").answered_4xx, 1);
}

#[tokio::test]
async fn the_log_is_also_written_to_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("requests.jsonl");
    let lab = lab_with(Config { log: Some(path.clone()), ..Config::default() }).await;
    client(&lab).list_objects_v2().bucket("bucket").send().await.unwrap();
    get(&lab, "/bucket/k", "").await;
    let expected = lab.log();
    lab.stop().await;
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<Line> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names = |lines: &[Line]| lines.iter().map(|l| l.request_id.clone()).collect::<Vec<_>>();
    assert_eq!(names(&lines), names(&expected));
}
