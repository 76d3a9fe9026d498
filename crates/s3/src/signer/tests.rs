use object::{ETag, Key};

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
    Signer::new(endpoint(false), None, "test/1\r\nx: y", clock)
}

fn version(etag: &str) -> Version {
    Version { key: Key::new("a b").unwrap(), etag: ETag::new(etag), size: 100 }
}

fn request(signer: &Signer, range: Option<Span>, who: Option<&Credentials>) -> String {
    let version = version("e1");
    let bytes = signer.request(&Ask { version: &version, range }, who).unwrap();
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
    let ask = Ask { version: &evil, range: None };
    assert!(signer(Clock::start()).request(&ask, None).is_err());
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
    let through = |tls| Signer::new(endpoint(tls), Some(&detour), "test/1", Clock::start());
    let text = request(&through(false), None, None);
    let start = "GET http://h:9000/b/a%20b HTTP/1.1\r\nproxy-authorization: Basic pw\r\n";
    assert!(text.starts_with(start), "{text}");
    let text = request(&through(true), None, None);
    assert!(text.starts_with("GET /b/a%20b HTTP/1.1\r\n"), "{text}");
    assert!(!text.contains("proxy"), "{text}");
}
