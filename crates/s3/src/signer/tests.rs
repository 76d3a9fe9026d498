use object::{Bucket, ETag, Key};

use super::*;

fn endpoint(tls: bool) -> Endpoint {
    Endpoint {
        tls,
        host: "h".into(),
        port: 9000,
        authority: "h:9000".into(),
        path: "/b".into(),
        region: "us-east-1".into(),
        service: "s3".into(),
    }
}

fn signer(clock: Clock) -> Signer {
    Signer::new(endpoint(false), None, &config("test/1\r\nx: y"), clock)
}

fn config(user_agent: &str) -> Config {
    Config { user_agent: user_agent.into(), ..Config::new(Bucket::new("bucket").unwrap()) }
}

fn version(etag: &str) -> Version {
    Version { key: Key::new("a b").unwrap(), etag: ETag::new(etag), size: 100 }
}

fn request(signer: &Signer, range: Option<Span>, who: Option<&Credentials>) -> String {
    let version = version("e1");
    let bytes = signer.request(&Ask::get(&version, range), who).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_ranged_get_demands_its_version_and_names_its_last_byte() {
    let text = request(&signer(Clock::start()), Some(Span::new(10, 20)), None);
    assert!(text.starts_with("GET /b/a%20b HTTP/1.1\r\n"), "{text}");
    assert!(text.contains("\r\nrange: bytes=10-19\r\n"), "{text}");
    assert!(text.contains("\r\nif-match: \"e1\"\r\n"), "{text}");
    assert!(!text.contains("checksum"), "{text}");
    assert!(text.ends_with("\r\n\r\n"));
}

#[test]
fn a_whole_get_asks_for_the_checksum() {
    let text = request(&signer(Clock::start()), None, None);
    assert!(text.contains("\r\nx-amz-checksum-mode: ENABLED\r\n"), "{text}");
    assert!(!text.contains("\r\nrange:"), "{text}");
}

#[test]
fn signed_requests_hold_signature_and_token_and_unsigned_ones_neither() {
    let who = Credentials::new("AKID", "verysecret", Some("tok".into()), None, "test");
    let signed = request(&signer(Clock::start()), None, Some(&who));
    assert!(signed.contains("authorization: AWS4-HMAC-SHA256 Credential=AKID/"), "{signed}");
    assert!(signed.contains("x-amz-security-token: tok\r\n"), "{signed}");
    assert!(signed.contains("x-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"), "{signed}");
    assert!(!signed.contains("verysecret"));
    assert!(!request(&signer(Clock::start()), None, None).contains("authorization"));
}

#[test]
fn nothing_given_can_add_a_header() {
    let text = request(&signer(Clock::start()), None, None);
    assert!(!text.contains("\r\nx: y"), "{text}");
    let evil = version("a\r\nx-amz-acl: public");
    assert!(signer(Clock::start()).request(&Ask::get(&evil, None), None).is_err());
}

#[test]
fn the_stores_clock_can_be_taken_over() {
    let signer = signer(Clock::start());
    signer.set_clock("Thu, 01 Jan 1970 00:00:30 GMT");
    let seconds = signer.now().as_secs();
    assert!((29..=31).contains(&seconds), "{seconds}");
    signer.set_clock("nonsense");
    assert!((29..=31).contains(&signer.now().as_secs()));
}

#[test]
fn a_proxy_is_told_the_whole_url_and_who_asks_unless_it_only_makes_a_tunnel() {
    let detour = Detour { host: "p".into(), port: 1, authorization: Some("Basic pw".into()) };
    let through =
        |tls| Signer::new(endpoint(tls), Some(&detour), &config("test/1"), Clock::start());
    let text = request(&through(false), None, None);
    let start = "GET http://h:9000/b/a%20b HTTP/1.1\r\nproxy-authorization: Basic pw\r\n";
    assert!(text.starts_with(start), "{text}");
    let text = request(&through(true), None, None);
    assert!(text.starts_with("GET /b/a%20b HTTP/1.1\r\n"), "{text}");
    assert!(!text.contains("proxy"), "{text}");
}

#[test]
fn a_put_names_its_query_and_the_length_of_its_body_and_every_request_what_is_to_stand() {
    let owned = Config {
        expected_bucket_owner: Some("123".into()),
        requester_pays: true,
        ..config("test/1")
    };
    let signer = Signer::new(endpoint(false), None, &owned, Clock::start());
    let key = Key::new("k").unwrap();
    let ask = Ask {
        method: "PUT",
        key: &key,
        query: "partNumber=1&uploadId=a%2Bb".into(),
        headers: vec![("if-none-match", "*".into())],
        length: Some(7),
    };
    let who = Credentials::new("AKID", "verysecret", None, None, "test");
    let text = String::from_utf8(signer.request(&ask, Some(&who)).unwrap()).unwrap();
    let start = "PUT /b/k?partNumber=1&uploadId=a%2Bb HTTP/1.1\r\n";
    assert!(text.starts_with(start), "{text}");
    for line in [
        "content-length: 7",
        "if-none-match: *",
        "x-amz-expected-bucket-owner: 123",
        "x-amz-request-payer: requester",
    ] {
        assert!(text.contains(&format!("\r\n{line}\r\n")), "{line} in {text}");
    }
    let signed = "SignedHeaders=host;if-none-match;x-amz-content-sha256;x-amz-date;\
                  x-amz-expected-bucket-owner;x-amz-request-payer,";
    assert!(text.contains(signed), "{text}");
}

#[test]
fn the_time_of_an_answer_is_the_stores_or_else_ours() {
    let signer = signer(Clock::start());
    assert_eq!(signer.time(Some("Thu, 01 Jan 1970 00:00:30 GMT")), Time::from_secs(30));
    for date in [None, Some("yesterday")] {
        assert!(signer.time(date).secs() > 1_700_000_000);
    }
}
