use proptest::prelude::*;

use super::*;

fn reply(text: &str) -> Reply {
    Reply::parse(text.as_bytes()).unwrap().unwrap().0
}

#[test]
fn a_ranged_answer_is_understood() {
    let text = "HTTP/1.1 206 Partial Content\r\nContent-Length: 4\r\nContent-Range: bytes 8-11/100\r\n\
                ETag: \"abc\"\r\nx-amz-request-id: R1\r\n\r\nbody";
    let (reply, end) = Reply::parse(text.as_bytes()).unwrap().unwrap();
    assert_eq!(end, text.len() - 4);
    assert_eq!((reply.status, reply.length, reply.keep), (206, Some(4), true));
    assert_eq!(reply.range, Some((Span::new(8, 12), 100)));
    assert_eq!(reply.etag, Some(ETag::new("abc")));
    assert_eq!(reply.request_id.as_deref(), Some("R1"));
}

#[test]
fn a_head_cut_short_asks_for_more() {
    assert_eq!(Reply::parse(b"HTTP/1.1 200 OK\r\nContent-Le"), Ok(None));
    assert_eq!(Reply::parse(b""), Ok(None));
}

#[test]
fn heads_without_end_are_refused() {
    let mut bomb = b"HTTP/1.1 200 OK\r\nx: ".to_vec();
    bomb.resize(HEAD_MAX + 1, b'a');
    assert_eq!(Reply::parse(&bomb), Err(BadReply::TooLong));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(HEADERS_MAX + 1));
    assert_eq!(Reply::parse(many.as_bytes()), Err(BadReply::TooLong));
}

#[test]
fn lengths_and_ranges_that_are_none_are_refused() {
    let bad = |line: &str| Reply::parse(format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n").as_bytes());
    assert_eq!(bad("Content-Length: +4"), Err(BadReply::Length));
    assert_eq!(bad("Content-Length: -4"), Err(BadReply::Length));
    assert_eq!(bad("Content-Length: 99999999999999999999"), Err(BadReply::Length));
    assert_eq!(bad("Content-Length: 4\r\nContent-Length: 5"), Err(BadReply::Length));
    assert_eq!(bad("Content-Range: bytes 5-4/9"), Err(BadReply::Range));
    assert_eq!(bad("Content-Range: bytes 0-9/9"), Err(BadReply::Range));
    assert_eq!(bad("Content-Range: bytes */9"), Err(BadReply::Range));
    assert_eq!(Reply::parse(b"SSH-2.0-x\r\n"), Err(BadReply::NotHttp));
}

#[test]
fn connections_are_kept_as_the_version_and_the_header_say() {
    assert!(reply("HTTP/1.1 200 OK\r\n\r\n").keep);
    assert!(!reply("HTTP/1.1 200 OK\r\nConnection: Close\r\n\r\n").keep);
    assert!(!reply("HTTP/1.0 200 OK\r\n\r\n").keep);
    assert!(reply("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n").keep);
}

#[test]
fn of_two_checksums_the_stores_own_is_taken() {
    let both = "x-amz-checksum-crc32: y/Q5Jg==\r\nx-amz-checksum-crc64nvme: rosUhgp5mIg=";
    let taken = reply(&format!("HTTP/1.1 200 OK\r\n{both}\r\n\r\n")).checksum;
    assert_eq!(taken, Checksum::parse("x-amz-checksum-crc64nvme", "rosUhgp5mIg="));
    assert!(taken.is_some());
}

#[test]
fn chunked_bodies_lose_their_framing() {
    let raw = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\nrest";
    assert_eq!(dechunk(raw), Some((b"abcde".to_vec(), raw.len() - 4)));
    for cut in 0..raw.len() - 4 {
        assert_eq!(dechunk(&raw[..cut]), None, "complete after {cut} bytes");
    }
    assert_eq!(dechunk(b"ffffffffffffffff\r\n"), None);
}

proptest! {
    #[test]
    fn no_bytes_make_the_parsers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Reply::parse(&bytes);
        let _ = dechunk(&bytes);
        let mut head = b"HTTP/1.1 206 X\r\nContent-Range: ".to_vec();
        head.extend_from_slice(&bytes);
        let _ = Reply::parse(&head);
    }
}
