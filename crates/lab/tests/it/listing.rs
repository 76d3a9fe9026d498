use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_s3::types::EncodingType;
use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use tokio::time::Instant;

use crate::client::{client, code, lab};

#[derive(Debug, Clone)]
struct Case {
    keys: BTreeSet<String>,
    prefix: String,
    delimiter: Option<&'static str>,
    start_after: Option<String>,
    max_keys: i32,
}

fn case() -> impl Strategy<Value = Case> {
    let key = proptest::string::string_regex("[ab/ +%é\u{1}]{1,6}").unwrap();
    let start = proptest::option::of(proptest::string::string_regex("[ab/]{1,3}").unwrap());
    (
        proptest::collection::btree_set(key, 0..40),
        proptest::string::string_regex("[ab/]{0,2}").unwrap(),
        prop_oneof![Just(None), Just(Some("/")), Just(Some("b"))],
        start,
        1..8_i32,
    )
        .prop_map(|(keys, prefix, delimiter, start_after, max_keys)| Case {
            keys,
            prefix,
            delimiter,
            start_after,
            max_keys,
        })
}

/// The listing by definition.
fn model(case: &Case) -> Vec<String> {
    let behind = |key: &&String| case.start_after.as_ref().is_none_or(|start| *key > start);
    let keys = case.keys.iter().filter(|key| key.starts_with(&case.prefix)).filter(behind);
    let lines: BTreeSet<String> = keys
        .map(|key| {
            let rest = &key[case.prefix.len()..];
            match case.delimiter.and_then(|delimiter| Some(rest.find(delimiter)? + delimiter.len()))
            {
                Some(end) => key[..case.prefix.len() + end].to_owned(),
                None => key.clone(),
            }
        })
        .collect();
    lines.into_iter().collect()
}

async fn walk(s3: &aws_sdk_s3::Client, bucket: &str, case: &Case) -> Vec<String> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8().unwrap().into_owned()
    };
    let (mut lines, mut token) = (Vec::new(), None);
    loop {
        let page = s3
            .list_objects_v2()
            .bucket(bucket)
            .prefix(&case.prefix)
            .set_delimiter(case.delimiter.map(str::to_owned))
            .set_start_after(case.start_after.clone())
            .max_keys(case.max_keys)
            .encoding_type(EncodingType::Url)
            .set_continuation_token(token)
            .send()
            .await
            .unwrap();
        let keys = page.contents().iter().map(|object| decode(object.key().unwrap()));
        let prefixes = page.common_prefixes().iter().map(|prefix| decode(prefix.prefix().unwrap()));
        let mut merged: Vec<String> = keys.chain(prefixes).collect();
        merged.sort();
        assert_eq!(page.key_count(), Some(merged.len() as i32));
        assert!(merged.len() <= case.max_keys as usize);
        let more = page.is_truncated() == Some(true);
        assert_eq!(more, page.next_continuation_token().is_some());
        assert!(!more || merged.len() == case.max_keys as usize);
        lines.extend(merged);
        token = page.next_continuation_token;
        if !more {
            return lines;
        }
    }
}

#[test]
fn pages_over_the_wire_joined_are_the_listing_by_definition() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let lab = runtime.block_on(lab());
    let s3 = client(&lab);
    let mut runner =
        proptest::test_runner::TestRunner::new(ProptestConfig { cases: 60, ..Default::default() });
    let number = std::cell::Cell::new(0);
    let checked = runner.run(&case(), |case| {
        number.set(number.get() + 1);
        let bucket = format!("case-{}", number.get());
        runtime.block_on(async {
            lab.create_bucket(&bucket).unwrap();
            for key in &case.keys {
                lab.put_synthetic(&bucket, key, 1, 1).unwrap();
            }
            assert_eq!(walk(&s3, &bucket, &case).await, model(&case));
        });
        Ok(())
    });
    checked.unwrap();
}

#[tokio::test]
async fn a_line_says_what_s3_says() {
    let lab = lab().await;
    let s3 = client(&lab);
    let etag = lab.put_object("bucket", "k", "12345").await.unwrap();
    let list = s3.list_objects_v2().bucket("bucket");
    let plain = list.clone().send().await.unwrap();
    let line = &plain.contents()[0];
    assert_eq!((line.key(), line.size()), (Some("k"), Some(5)));
    assert_eq!(line.e_tag(), Some(format!("\"{etag}\"").as_str()));
    assert_eq!(line.storage_class().unwrap().as_str(), "STANDARD");
    assert!(line.owner().is_none());
    let millis = line.last_modified().unwrap().to_millis().unwrap();
    assert_eq!(line.last_modified().unwrap().subsec_nanos() % 1_000_000, 0);
    let head = s3.head_object().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(head.last_modified().unwrap().secs(), millis / 1000);
    let owned = list.clone().fetch_owner(true).send().await.unwrap();
    assert!(owned.contents()[0].owner().is_some());
    let none = list.clone().max_keys(0).send().await.unwrap();
    assert_eq!((none.key_count(), none.is_truncated()), (Some(0), Some(false)));
    assert_eq!(code(list.clone().continuation_token("nonsense!").send().await), "InvalidArgument");
    assert_eq!(code(list.bucket("nowhere").send().await), "NoSuchBucket");
}

#[tokio::test]
async fn the_old_listing_pages_by_marker() {
    let lab = lab().await;
    let s3 = client(&lab);
    for key in ["a", "b/1", "b/2", "c", "d/1"] {
        lab.put_synthetic("bucket", key, 1, 1).unwrap();
    }
    let (mut lines, mut marker) = (Vec::new(), None);
    loop {
        let list = s3.list_objects().bucket("bucket").delimiter("/").max_keys(1).set_marker(marker);
        let page = list.send().await.unwrap();
        lines.extend(page.contents().iter().filter_map(|object| object.key()).map(str::to_owned));
        lines.extend(page.common_prefixes().iter().filter_map(|p| p.prefix()).map(str::to_owned));
        marker = page.next_marker;
        if page.is_truncated != Some(true) {
            break;
        }
    }
    assert_eq!(lines, ["a", "b/", "c", "d/"]);
}

#[tokio::test]
async fn a_million_keys_are_listed_by_seeks() {
    let lab = lab().await;
    let s3 = client(&lab);
    lab.put_synthetic_many("bucket", "many/", 1_000_000, 1).unwrap();
    lab.put_synthetic("bucket", "zz", 1, 1).unwrap();
    let begun = Instant::now();
    let list = s3.list_objects_v2().bucket("bucket");
    for _ in 0..20 {
        let top = list.clone().delimiter("/").send().await.unwrap();
        assert_eq!(top.common_prefixes()[0].prefix(), Some("many/"));
        assert_eq!(top.contents()[0].key(), Some("zz"));
        let deep = list.clone().prefix("many/").start_after("many/0999998").send().await.unwrap();
        assert_eq!(deep.key_count(), Some(1));
    }
    // Forty scans of the million would take several times as long.
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
