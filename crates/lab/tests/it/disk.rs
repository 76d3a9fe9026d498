use std::path::Path;

use lab::{Backing, Config, Lab};

use crate::client::{body, client, lab_with};

async fn lab_in(directory: &Path) -> Lab {
    let backing = Backing::Directory(directory.to_owned());
    lab_with(Config { backing, ..Config::default() }).await
}

async fn keys(lab: &Lab) -> Vec<(String, String)> {
    let list = client(lab).list_objects_v2().bucket("bucket").send().await.unwrap();
    let line = |object: &aws_sdk_s3::types::Object| {
        (object.key().unwrap().to_owned(), object.e_tag().unwrap().to_owned())
    };
    list.contents().iter().map(line).collect()
}

async fn read(lab: &Lab, key: &str) -> Vec<u8> {
    let got = client(lab).get_object().bucket("bucket").key(key).send().await.unwrap();
    got.body.collect().await.unwrap().to_vec()
}

#[tokio::test]
async fn a_directory_of_plain_files_is_served_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(directory.path().join("bucket/lib")).unwrap();
    std::fs::write(directory.path().join("bucket/lib/x 100%.jar"), "0123456789").unwrap();
    let lab = lab_in(directory.path()).await;
    let md5 = "\"781e5e245d69b566979b86e28d23f2c7\"".to_owned();
    assert_eq!(keys(&lab).await, [("lib/x 100%.jar".to_owned(), md5)]);
    assert_eq!(read(&lab, "lib/x 100%.jar").await, b"0123456789");
}

#[tokio::test]
async fn every_key_survives_a_restart_and_plain_ones_are_plain_files() {
    let directory = tempfile::tempdir().unwrap();
    let long = "x".repeat(300);
    let odd =
        ["a", "a/b", "a//b", "a/", "/", "..", "../escape", ".", ".lab/meta/x", "ü\u{1}", &long];
    let first = lab_in(directory.path()).await;
    let s3 = client(&first);
    for key in odd {
        // `..` in a path is resolved by URL libraries: the library's own door takes it.
        first.put_object("bucket", key, key.to_owned()).await.unwrap();
    }
    let put = s3.put_object().bucket("bucket").key("plain/file.txt").body(body(b"text"));
    put.metadata("a", "1").content_type("text/plain").send().await.unwrap();
    let listed: Vec<String> = first.log().iter().map(|line| line.operation.clone()).collect();
    assert_eq!(listed, ["PutObject"]);
    let path = directory.path().join("bucket/plain/file.txt");
    assert_eq!(std::fs::read(path).unwrap(), b"text");
    assert!(!directory.path().join("escape").exists());
    let before = list_with_url_encoding(&first).await;
    assert_eq!(before.len(), odd.len() + 1);
    first.stop().await;

    let second = lab_in(directory.path()).await;
    assert_eq!(list_with_url_encoding(&second).await, before);
    for key in ["a", "a/b", "a//b", "a/", &long] {
        assert_eq!(read(&second, key).await, key.as_bytes());
    }
    let head =
        client(&second).head_object().bucket("bucket").key("plain/file.txt").send().await.unwrap();
    assert_eq!(head.metadata().unwrap()["a"], "1");
    assert_eq!(head.content_type(), Some("text/plain"));
}

async fn list_with_url_encoding(lab: &Lab) -> Vec<(String, String)> {
    let list = client(lab).list_objects_v2().bucket("bucket");
    let list = list.encoding_type(aws_sdk_s3::types::EncodingType::Url).send().await.unwrap();
    list.contents()
        .iter()
        .map(|object| (object.key().unwrap().to_owned(), object.e_tag().unwrap().to_owned()))
        .collect()
}

#[tokio::test]
async fn a_file_changed_behind_the_labs_back_is_seen_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let first = lab_in(directory.path()).await;
    let before = first.put_object("bucket", "k", "one").await.unwrap();
    first.stop().await;
    std::fs::write(directory.path().join("bucket/k"), "another").unwrap();
    let second = lab_in(directory.path()).await;
    let after = keys(&second).await.remove(0).1;
    assert_ne!(after.trim_matches('"'), before);
    assert_eq!(read(&second, "k").await, b"another");
}

#[tokio::test]
async fn deleting_and_overwriting_leave_no_files_behind() {
    let directory = tempfile::tempdir().unwrap();
    let lab = lab_in(directory.path()).await;
    for key in ["a/b/c", "a", "x//y"] {
        for bytes in ["one", "two"] {
            lab.put_object("bucket", key, bytes).await.unwrap();
        }
    }
    for key in ["a/b/c", "a", "x//y"] {
        assert_eq!(read(&lab, key).await, b"two");
        assert!(lab.delete_object("bucket", key).unwrap());
    }
    let mut left = Vec::new();
    let mut open = vec![directory.path().to_owned()];
    while let Some(at) = open.pop() {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { left.push(path) }
        }
    }
    assert_eq!(left, Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn a_reader_under_overwrites_never_gets_a_mix() {
    let directory = tempfile::tempdir().unwrap();
    let lab = lab_in(directory.path()).await;
    let fill = |byte: u8| vec![byte; 3_000_000];
    lab.put_object("bucket", "k", fill(0)).await.unwrap();
    let s3 = client(&lab);
    let reader = async {
        for _ in 0..20 {
            let got = s3.get_object().bucket("bucket").key("k").send().await.unwrap();
            let etag = got.e_tag().unwrap().trim_matches('"').to_owned();
            let bytes = got.body.collect().await.unwrap().into_bytes();
            assert!(bytes.iter().all(|byte| *byte == bytes[0]));
            // The SDK has checked the checksum; the ETag must belong to the same bytes.
            assert_eq!(etag, lab.put_object("other", "same", bytes).await.unwrap());
        }
    };
    let writer = async {
        for byte in 1..=20 {
            lab.put_object("bucket", "k", fill(byte)).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(reader, writer);
}
