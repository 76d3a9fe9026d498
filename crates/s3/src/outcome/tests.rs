use super::*;

fn hinted(kind: ErrorKind, message: &str) -> String {
    hint("s3:PutObject", &Error::new(kind, message)).unwrap_or_default()
}

#[test]
fn a_failure_names_the_right_or_the_flag_that_may_help() {
    assert_eq!(hinted(ErrorKind::Denied, "AccessDenied"), "the identity needs s3:PutObject");
    let kms = "AccessDenied: not authorized to perform: kms:GenerateDataKey";
    assert!(hinted(ErrorKind::Denied, kms).contains("--sse-kms-key-id"));
    assert!(hinted(ErrorKind::Invalid, "NotImplemented: A header").contains("--upload-checksums"));
    assert!(hinted(ErrorKind::Invalid, "InvalidStorageClass").contains("--storage-class"));
    assert!(hinted(ErrorKind::Invalid, "InvalidEncryptionAlgorithmError").contains("--sse"));
    assert_eq!(hinted(ErrorKind::Timeout, "no answer"), "");
}
