use object::{Checksum, ETag, Span};

use super::*;

#[test]
fn an_error_is_known_below_any_status_and_behind_any_white_space() {
    assert!(is_error("<Error><Code>X</Code></Error>"));
    assert!(is_error("  \r\n <?xml version=\"1.0\"?>\n<Error><Code>X</Code></Error>"));
    assert!(!is_error("<?xml version=\"1.0\"?><Result><Error>no</Error></Result>"));
    assert!(!is_error(""));
    assert!(!is_error("<?xml"));
}

#[test]
fn values_are_read_without_their_escapes() {
    let text = "<R><ETag>&quot;a&amp;b&#34;&#x41;&quot;</ETag><Deep><X>1</X></Deep></R>";
    assert_eq!(value_of(text, "ETag").as_deref(), Some("\"a&b\"A\""));
    assert_eq!(value_of(text, "X").as_deref(), Some("1"));
    assert_eq!(value_of(text, "Deep"), None);
    assert_eq!(value_of(text, "None"), None);
    for odd in ["a & b", "&nope;", "&#xFFFFFFFF;", "&"] {
        assert_eq!(value_of(&format!("<V>{odd}</V>"), "V").as_deref(), Some(odd));
    }
}

#[test]
fn a_completion_tells_numbers_tags_and_the_checksums_of_one_kind() {
    let sum = Checksum { algorithm: Algorithm::Crc32c, value: 0xe306_9283 };
    let part = |number, etag: &str, checksum| Part {
        number,
        etag: ETag::new(etag),
        span: Span::new(0, 9),
        checksum,
    };
    let parts = [part(1, "a<&>", Some(sum)), part(3, "b", None)];
    let text = completion(&parts, Some(Algorithm::Crc32c));
    let (_, inner) = text.split_once("2006-03-01/\">").unwrap();
    let expected = "<Part><PartNumber>1</PartNumber><ETag>\"a&lt;&amp;&gt;\"</ETag>\
                    <ChecksumCRC32C>4waSgw==</ChecksumCRC32C></Part>\
                    <Part><PartNumber>3</PartNumber><ETag>\"b\"</ETag></Part>\
                    </CompleteMultipartUpload>";
    assert_eq!(inner, expected);
    assert!(!completion(&parts, None).contains("Checksum"));
}
