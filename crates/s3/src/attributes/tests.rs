use super::*;

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

#[test]
fn by_default_the_store_decides_everything() {
    assert_eq!(Attributes::default().headers(&key("a.txt")), []);
}

#[test]
fn a_content_type_is_guessed_from_the_suffix_and_otherwise_it_is_just_bytes() {
    let guessing = Attributes { infer_content_type: true, ..Attributes::default() };
    for (name, kind) in [
        ("d/a.json", "application/json"),
        ("a.HTML", "text/html"),
        ("a.nobody-knows", "application/octet-stream"),
        ("json", "application/octet-stream"),
    ] {
        let (header, told) = guessing.headers(&key(name)).remove(0);
        assert_eq!((header, told.split(';').next()), ("content-type", Some(kind)), "{name}");
    }
}

#[test]
fn encryption_and_class_are_asked_for_by_their_headers() {
    let all = Attributes {
        encryption: Some(Encryption::Kms),
        kms_key: Some("arn:k".into()),
        storage_class: Some("STANDARD_IA".into()),
        ..Attributes::default()
    };
    let headers = all.headers(&key("k"));
    let expected = [
        ("x-amz-server-side-encryption", "aws:kms".to_owned()),
        ("x-amz-server-side-encryption-aws-kms-key-id", "arn:k".to_owned()),
        ("x-amz-storage-class", "STANDARD_IA".to_owned()),
    ];
    assert_eq!(headers, expected);
}

#[test]
fn every_encryption_is_found_by_its_name() {
    for encryption in Encryption::ALL {
        assert_eq!(Encryption::named(encryption.name()), Some(encryption));
    }
    assert_eq!(Encryption::named("aes256"), None);
}

#[test]
fn another_encryption_than_asked_for_is_told_and_silence_counts_where_it_must_not_be() {
    let kms = Attributes {
        encryption: Some(Encryption::Kms),
        kms_key: Some("arn:k".into()),
        ..Attributes::default()
    };
    let told = |encryption: &str, key: &str| Reply {
        encryption: Some(encryption.into()),
        kms_key: Some(key.into()),
        ..Reply::default()
    };
    assert!(kms.check_encryption(&told("aws:kms", "arn:k"), true).is_ok());
    assert!(kms.check_encryption(&told("AES256", "arn:k"), true).is_err());
    let error = kms.check_encryption(&told("aws:kms", "arn:other"), false).unwrap_err();
    assert!(error.message().contains("--sse-kms-key-id"), "{error}");
    assert!(kms.check_encryption(&Reply::default(), false).is_ok());
    assert!(kms.check_encryption(&Reply::default(), true).is_err());
    let alias = Attributes { kms_key: Some("arn:aws:kms:r:1:alias/a".into()), ..kms };
    assert!(alias.check_encryption(&told("aws:kms", "arn:k"), true).is_ok());
}
