use aws_sdk_s3::types::MultipartUpload;
use aws_smithy_types::DateTime;

use super::*;

fn entry(key: &str, id: &str) -> MultipartUpload {
    MultipartUpload::builder()
        .key(key)
        .upload_id(id)
        .initiated(DateTime::from_secs_and_nanos(7, 500_000_000))
        .build()
}

#[test]
fn a_page_lists_what_is_below_the_prefix_with_its_keys_decoded() {
    let answer = ListMultipartUploadsOutput::builder()
        .encoding_type(EncodingType::Url)
        .uploads(entry("p/a+b%2Bc", "u1"))
        .uploads(entry("other", "u2"))
        .uploads(MultipartUpload::builder().key("p/no-id").build())
        .build();
    let expected =
        Upload { key: Key::new("p/a b+c").unwrap(), id: "u1".into(), begun: Time::from_secs(7) };
    assert_eq!(page("p/", &answer), [expected]);
}

#[test]
fn a_listing_that_goes_on_where_it_was_or_nowhere_is_refused() {
    let truncated = ListMultipartUploadsOutput::builder().is_truncated(true);
    let at = |key: &str, id: &str| {
        truncated.clone().next_key_marker(key).next_upload_id_marker(id).build()
    };
    let here: Marker = ("k".into(), Some("u".into()));
    assert_eq!(next(&at("k", "u"), None).unwrap(), Some(here.clone()));
    assert_eq!(next(&at("k", "v"), Some(&here)).unwrap(), Some(("k".into(), Some("v".into()))));
    assert_eq!(next(&at("k", "u"), Some(&here)).unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(next(&truncated.clone().build(), None).is_err());
    assert_eq!(next(&ListMultipartUploadsOutput::builder().build(), Some(&here)).unwrap(), None);
}
