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
fn answers_without_a_body_are_judged_by_their_status() {
    for (status, kind) in [
        (403, ErrorKind::Denied),
        (404, ErrorKind::NotFound),
        (416, ErrorKind::Changed),
        (429, ErrorKind::Throttled),
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
