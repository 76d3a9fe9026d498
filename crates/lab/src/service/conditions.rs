//! Conditional requests (RFC 9110, section 13, as far as S3 honours it).

use std::time::SystemTime;

use s3s::dto::{ETagCondition, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result};

use crate::clock;
use crate::object::Object;
use crate::store::precondition_failed;

/// The conditions of a GET or HEAD, or of a copy's source.
pub(super) struct Conditions<'a> {
    pub(super) if_match: Option<&'a ETagCondition>,
    pub(super) if_none_match: Option<&'a ETagCondition>,
    pub(super) if_modified_since: Option<&'a Timestamp>,
    pub(super) if_unmodified_since: Option<&'a Timestamp>,
}

impl Conditions<'_> {
    /// 412 or 304 where `object` does not satisfy them.
    pub(super) fn check(&self, object: &Object) -> S3Result<()> {
        match self.if_match {
            Some(wanted) if !names(wanted, object) => return Err(precondition_failed()),
            Some(_) => {}
            None if self.if_unmodified_since.is_some_and(|since| is_newer(object, since)) => {
                return Err(precondition_failed());
            }
            None => {}
        }
        match self.if_none_match {
            Some(known) if names(known, object) => Err(not_modified(object)),
            Some(_) => Ok(()),
            None if self.if_modified_since.is_some_and(|since| !is_newer(object, since)) => {
                Err(not_modified(object))
            }
            None => Ok(()),
        }
    }

    /// As [`Self::check`], for a copy's source, where 304 has no meaning.
    pub(super) fn check_source(&self, object: &Object) -> S3Result<()> {
        self.check(object).map_err(|_| precondition_failed())
    }
}

fn names(condition: &ETagCondition, object: &Object) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(etag) => etag.value() == object.etag(),
    }
}

fn is_newer(object: &Object, since: &Timestamp) -> bool {
    let since = time_of(since);
    // HTTP dates have whole seconds.
    clock::unix_ms(object.modified) / 1000 > clock::unix_ms(since) / 1000
}

fn time_of(timestamp: &Timestamp) -> SystemTime {
    let mut text = Vec::new();
    let epoch = SystemTime::UNIX_EPOCH;
    if timestamp.format(s3s::dto::TimestampFormat::EpochSeconds, &mut text).is_err() {
        return epoch;
    }
    let seconds = String::from_utf8_lossy(&text).parse::<f64>().unwrap_or(0.0);
    epoch + std::time::Duration::from_secs_f64(seconds.clamp(0.0, 1e11))
}

fn not_modified(object: &Object) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    let mut headers = http::HeaderMap::new();
    if let Ok(etag) = format!("\"{}\"", object.etag()).parse() {
        headers.insert(http::header::ETAG, etag);
    }
    error.set_headers(headers);
    error
}
