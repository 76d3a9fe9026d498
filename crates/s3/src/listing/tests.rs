use aws_sdk_s3::types::{CommonPrefix, RestoreStatus};

use super::*;

fn object(key: &str) -> Object {
    let modified = DateTime::from_millis(1_700_000_000_789);
    Object::builder().key(key).e_tag("\"e\"").size(5).last_modified(modified).build()
}

fn request(prefix: &str) -> ListingRequest {
    ListingRequest { prefix: prefix.to_owned(), delimited: true, max_keys: 1000, token: None }
}

fn list(prefix: &str, answer: ListObjectsV2Output) -> Result<Listing> {
    listed(&request(prefix), &answer, Time::from_secs(1), false)
}

fn keys(listing: &Listing) -> Vec<&str> {
    listing.objects.iter().map(|m| m.version.key.as_str()).collect()
}

#[test]
fn encoded_keys_are_decoded_and_others_are_left_alone() {
    let encoded = ListObjectsV2Output::builder().encoding_type(EncodingType::Url);
    let answer = encoded.contents(object("a%2Bb+c%0A")).build();
    assert_eq!(keys(&list("", answer).unwrap()), ["a+b c\n"]);
    let answer = ListObjectsV2Output::builder().contents(object("a%2Bb+c")).build();
    assert_eq!(keys(&list("", answer).unwrap()), ["a%2Bb+c"]);
}

#[test]
fn entries_outside_the_prefix_and_keys_that_cannot_be_are_dropped() {
    let long = "p/".to_owned() + &"x".repeat(1023);
    let answer = ListObjectsV2Output::builder()
        .contents(object("p/a"))
        .contents(object("q/a"))
        .contents(object(""))
        .contents(object(&long))
        .contents(Object::builder().key("p/no-etag").size(1).build())
        .contents(Object::builder().key("p/negative").e_tag("e").size(-1).build())
        .common_prefixes(CommonPrefix::builder().prefix("p/d/").build())
        .common_prefixes(CommonPrefix::builder().prefix("p/").build())
        .common_prefixes(CommonPrefix::builder().prefix("x/").build())
        .build();
    let listing = list("p/", answer).unwrap();
    assert_eq!(keys(&listing), ["p/a"]);
    assert_eq!(listing.prefixes, ["p/d/"]);
}

#[test]
fn encoded_bytes_that_are_no_text_are_dropped() {
    let encoded = ListObjectsV2Output::builder().encoding_type(EncodingType::Url);
    let answer = encoded.contents(object("a%FF")).contents(object("b")).build();
    assert_eq!(keys(&list("", answer).unwrap()), ["b"]);
}

#[test]
fn times_are_whole_seconds_and_etags_are_bare() {
    let answer = ListObjectsV2Output::builder().contents(object("a")).build();
    let listing = list("", answer).unwrap();
    assert_eq!(listing.objects[0].modified, Time::from_secs(1_700_000_000));
    assert_eq!(listing.objects[0].version.etag.as_str(), "e");
    assert_eq!(listing.fetched, Time::from_secs(1));
}

#[test]
fn a_page_that_goes_on_nowhere_is_refused() {
    let page = || ListObjectsV2Output::builder().is_truncated(true);
    assert_eq!(list("", page().build()).unwrap_err().kind(), ErrorKind::Corrupt);
    let next = page().next_continuation_token("t").build();
    assert_eq!(list("", next.clone()).unwrap().next.as_deref(), Some("t"));
    let mut again = request("");
    again.token = Some("t".to_owned());
    let error = listed(&again, &next, Time::default(), false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn archives_are_told_as_far_as_a_listing_knows() {
    let frozen = |restore: Option<RestoreStatus>| {
        let object = Object::builder().key("a").e_tag("e").size(5);
        let object = object.storage_class(ObjectStorageClass::Glacier);
        ListObjectsV2Output::builder().contents(object.set_restore_status(restore).build()).build()
    };
    let state = |answer: &ListObjectsV2Output, asked| {
        listed(&request(""), answer, Time::default(), asked).unwrap().objects[0].storage
    };
    let restored = RestoreStatus::builder()
        .is_restore_in_progress(false)
        .restore_expiry_date(DateTime::from_secs(9))
        .build();
    let ongoing = RestoreStatus::builder().is_restore_in_progress(true).build();
    assert_eq!(state(&frozen(None), false), StorageState::Unknown);
    assert_eq!(state(&frozen(None), true), StorageState::Archived);
    assert_eq!(state(&frozen(Some(ongoing)), true), StorageState::Archived);
    assert_eq!(state(&frozen(Some(restored)), true), StorageState::Online);
}

#[test]
fn a_head_tells_archives_and_restored_copies_apart() {
    let key = Key::new("a").unwrap();
    let head = || HeadObjectOutput::builder().e_tag("\"e\"").content_length(3);
    let state = |answer: HeadObjectOutput| headed(&key, &answer).unwrap().storage;
    let frozen = || head().storage_class(StorageClass::DeepArchive);
    let done = "ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2029 00:00:00 GMT\"";
    assert_eq!(state(head().build()), StorageState::Online);
    assert_eq!(state(frozen().build()), StorageState::Archived);
    assert_eq!(state(frozen().restore("ongoing-request=\"true\"").build()), StorageState::Archived);
    assert_eq!(state(frozen().restore(done).build()), StorageState::Online);
    let tier = aws_sdk_s3::types::ArchiveStatus::ArchiveAccess;
    assert_eq!(state(head().archive_status(tier).build()), StorageState::Archived);
}

#[test]
fn a_head_without_etag_or_length_is_refused() {
    let key = Key::new("a").unwrap();
    for answer in [
        HeadObjectOutput::builder().content_length(3).build(),
        HeadObjectOutput::builder().e_tag("e").build(),
        HeadObjectOutput::builder().e_tag("e").content_length(-1).build(),
    ] {
        assert_eq!(headed(&key, &answer).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
