use super::*;

fn answered(status: u16, body: &str) -> (ErrorKind, Cure, Error) {
    let reply = Reply { status, ..Reply::default() };
    let fault = Fault::answered(&reply, body.as_bytes());
    (fault.error.kind(), fault.cure, fault.error)
}

fn coded(status: u16, code: &str) -> (ErrorKind, Cure) {
    let (kind, cure, _) = answered(status, &format!("<Error><Code>{code}</Code></Error>"));
    (kind, cure)
}

#[test]
fn errors_have_the_meaning_the_reference_gives_them() {
    assert_eq!(coded(412, "PreconditionFailed"), (ErrorKind::Changed, Cure::None));
    assert_eq!(coded(404, "NoSuchKey"), (ErrorKind::NotFound, Cure::None));
    assert_eq!(coded(404, "NoSuchBucket"), (ErrorKind::NoSuchBucket, Cure::None));
    assert_eq!(coded(403, "AccessDenied"), (ErrorKind::Denied, Cure::None));
    assert_eq!(coded(403, "InvalidObjectState"), (ErrorKind::Archived, Cure::None));
    assert_eq!(coded(400, "ExpiredToken"), (ErrorKind::Credentials, Cure::Renew));
    assert_eq!(coded(403, "InvalidAccessKeyId"), (ErrorKind::Credentials, Cure::None));
    assert_eq!(coded(403, "RequestTimeTooSkewed"), (ErrorKind::Credentials, Cure::SetClock));
    assert_eq!(coded(503, "SlowDown"), (ErrorKind::Throttled, Cure::SlowDown));
    assert_eq!(coded(500, "InternalError"), (ErrorKind::Server, Cure::Again));
    assert_eq!(coded(400, "InvalidArgument"), (ErrorKind::Invalid, Cure::None));
}

#[test]
fn refusals_of_writes_have_the_meaning_the_reference_gives_them() {
    for (status, code, kind, cure) in [
        (404, "NoSuchUpload", ErrorKind::NoSuchUpload, Cure::None),
        (409, "ConditionalRequestConflict", ErrorKind::Server, Cure::Conflict),
        (409, "OperationAborted", ErrorKind::Server, Cure::Conflict),
        (501, "NotImplemented", ErrorKind::Invalid, Cure::DropCondition),
        (400, "EntityTooLarge", ErrorKind::TooLarge, Cure::None),
        (403, "QuotaExceeded", ErrorKind::Full, Cure::None),
        (507, "XMinioStorageFull", ErrorKind::Full, Cure::None),
        (400, "KMS.DisabledException", ErrorKind::Denied, Cure::None),
        (400, "KMS.ThrottlingException", ErrorKind::Throttled, Cure::SlowDown),
        (400, "BadDigest", ErrorKind::Corrupt, Cure::Again),
        (400, "InvalidStorageClass", ErrorKind::Invalid, Cure::None),
    ] {
        assert_eq!(coded(status, code), (kind, cure), "{code}");
    }
}

#[test]
fn an_error_below_a_promise_is_the_stores_failure_unless_its_code_says_more() {
    assert_eq!(coded(200, "Whatever"), (ErrorKind::Server, Cure::Again));
    assert_eq!(coded(200, "SlowDown"), (ErrorKind::Throttled, Cure::SlowDown));
    assert_eq!(coded(200, "NoSuchUpload"), (ErrorKind::NoSuchUpload, Cure::None));
}

#[test]
fn answers_without_a_body_are_judged_by_their_status() {
    for (status, kind) in [
        (403, ErrorKind::Denied),
        (404, ErrorKind::NotFound),
        (416, ErrorKind::Changed),
        (409, ErrorKind::Server),
        (413, ErrorKind::TooLarge),
        (429, ErrorKind::Throttled),
        (501, ErrorKind::Invalid),
        (507, ErrorKind::Full),
        (502, ErrorKind::Server),
        (204, ErrorKind::Corrupt),
    ] {
        assert_eq!(answered(status, "").0, kind, "status {status}");
    }
}

#[test]
fn the_right_region_is_named() {
    let body =
        "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-north-1</Region></Error>";
    let (kind, _, error) = answered(400, body);
    assert_eq!(kind, ErrorKind::WrongRegion);
    assert!(error.to_string().contains("eu-north-1"), "{error}");
}

#[test]
fn messages_are_bounded_and_hold_no_control_characters() {
    let body = format!("<Code>A\u{1b}[31mB</Code><Message>{}</Message>", "x\n".repeat(5000));
    let (_, _, error) = answered(400, &body);
    assert!(error.message().len() < 1200, "{} bytes", error.message().len());
    assert!(!error.message().chars().any(char::is_control));
}

#[test]
fn the_request_id_is_kept() {
    let body = "<Error><Code>AccessDenied</Code><RequestId>ID7</RequestId></Error>";
    assert_eq!(answered(403, body).2.request_id(), Some("ID7"));
}

/// An error with a cause.
#[derive(Debug, thiserror::Error)]
#[error("outside")]
struct Outside(#[source] Box<dyn StdError + Send + Sync>);

fn obstacle(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Option<Obstacle> {
    Obstacle::find(&Outside(cause.into()))
}

#[test]
fn obstacles_are_found_however_deep_they_lie() {
    let unknown = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
    let inner = io::Error::other(io::Error::other(unknown));
    assert_eq!(obstacle(inner), Some(Obstacle::Certificate));
    let no_tls = rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
    assert_eq!(obstacle(io::Error::other(no_tls)), Some(Obstacle::Address));
    let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
    assert_eq!(obstacle(Outside(refused.into())), Some(Obstacle::Address));
    assert_eq!(obstacle("tunnel error: proxy authorization required"), Some(Obstacle::Address));
}

#[test]
fn moods_of_the_network_are_no_obstacles() {
    let look_up = |told: &str| io::Error::other(format!("{LOOK_UP}: {told}"));
    assert_eq!(obstacle(look_up("Name or service not known")), Some(Obstacle::Address));
    assert_eq!(obstacle(look_up("Temporary failure in name resolution")), None);
    assert_eq!(obstacle(look_up("Try again")), None);
    for kind in [io::ErrorKind::ConnectionReset, io::ErrorKind::NetworkUnreachable] {
        assert_eq!(obstacle(io::Error::from(kind)), None);
    }
}
