//! HEAD and LIST answers as the nouns of crate `object`.

use std::error::Error as StdError;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::{EncodingType, Object, ObjectStorageClass, StorageClass};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::DateTime;
use object::{
    ETag, Error, ErrorKind, Key, Listing, ListingRequest, Meta, Result, StorageState, Time, Version,
};
use percent_encoding::percent_decode_str;

use crate::fault::{Complaint, Cure, element};
use crate::reply::plain;

/// What a HEAD said about `key`.
pub(crate) fn headed(key: &Key, answer: &HeadObjectOutput) -> Result<Meta> {
    let id = answer.request_id().map(str::to_owned);
    let missing = |what: &str| {
        let message = format!("the answer to a HEAD of {key} has no {what}");
        Error::caused(ErrorKind::Corrupt, message, id.clone(), None)
    };
    let etag = answer.e_tag().ok_or_else(|| missing("ETag"))?;
    let size = answer.content_length().and_then(|n| u64::try_from(n).ok());
    let version = Version {
        key: key.clone(),
        etag: ETag::new(etag),
        size: size.ok_or_else(|| missing("length"))?,
    };
    let frozen =
        matches!(answer.storage_class(), Some(StorageClass::Glacier | StorageClass::DeepArchive))
            || answer.archive_status().is_some();
    // `ongoing-request="false", expiry-date="…"` is a restored copy (S3 API reference, HeadObject).
    let restored = answer.restore().is_some_and(|r| r.contains("ongoing-request=\"false\""));
    let storage = match frozen && !restored {
        true => StorageState::Archived,
        false => StorageState::Online,
    };
    Ok(Meta { version, modified: whole_seconds(answer.last_modified()), storage })
}

/// What a LIST said. `restore_asked`: the request wanted to know of restored copies, so silence
/// about one means that there is none.
///
/// # Errors
/// When the page says that there are more and not where, or where it was asked already.
pub(crate) fn listed(
    request: &ListingRequest,
    answer: &ListObjectsV2Output,
    fetched: Time,
    restore_asked: bool,
) -> Result<Listing> {
    // A store may not know encoding-type: then nothing is encoded, and it does not say `url`.
    let encoded = answer.encoding_type() == Some(&EncodingType::Url);
    let mut dropped = 0_usize;
    let mut keep = |text: Option<&str>| {
        let text = text.and_then(|t| decode(t, encoded));
        let text = text.filter(|t| t.starts_with(&request.prefix) && Key::new(t).is_ok());
        dropped += usize::from(text.is_none());
        text
    };
    let mut objects = Vec::with_capacity(answer.contents().len());
    for object in answer.contents() {
        let Some(key) = keep(object.key()) else { continue };
        objects.extend(entry(&key, object, restore_asked));
    }
    let prefixes = answer.common_prefixes().iter().filter_map(|p| keep(p.prefix()));
    let prefixes: Vec<_> = prefixes.filter(|p| p.len() > request.prefix.len()).collect();
    let lost = dropped + answer.contents().len() - objects.len();
    if lost > 0 {
        tracing::warn!(prefix = %request.prefix, lost, "a listing holds entries that cannot be");
    }
    let next = answer.next_continuation_token().filter(|_| answer.is_truncated() == Some(true));
    if answer.is_truncated() == Some(true) && (next.is_none() || next == request.token.as_deref()) {
        let id = answer.request_id().map(str::to_owned);
        let message = "the listing goes on, but the store does not say where";
        return Err(Error::caused(ErrorKind::Corrupt, message, id, None));
    }
    Ok(Listing { objects, prefixes, next: next.map(str::to_owned), fetched })
}

fn entry(key: &str, object: &Object, restore_asked: bool) -> Option<Meta> {
    let version = Version {
        key: Key::new(key).ok()?,
        etag: ETag::new(object.e_tag()?),
        size: u64::try_from(object.size()?).ok()?,
    };
    let frozen = matches!(
        object.storage_class(),
        Some(ObjectStorageClass::Glacier | ObjectStorageClass::DeepArchive)
    );
    let restored = object.restore_status().is_some_and(|r| {
        r.is_restore_in_progress() != Some(true) && r.restore_expiry_date().is_some()
    });
    let storage = match (frozen, restored, restore_asked) {
        (false, _, _) | (true, true, _) => StorageState::Online,
        (true, false, true) => StorageState::Archived,
        (true, false, false) => StorageState::Unknown,
    };
    Some(Meta { version, modified: whole_seconds(object.last_modified()), storage })
}

/// Undoes `encoding-type=url`, which is the encoding of HTML forms: a blank is a `+`.
pub(crate) fn decode(text: &str, encoded: bool) -> Option<String> {
    if !encoded {
        return Some(text.to_owned());
    }
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().ok().map(|t| t.into_owned())
}

fn whole_seconds(time: Option<&DateTime>) -> Time {
    Time::from_secs(time.and_then(|t| u64::try_from(t.secs()).ok()).unwrap_or(0))
}

/// The meaning of what the SDK could not do. `what` was asked, for people.
pub(crate) fn failed<E>(what: &str, error: SdkError<E, HttpResponse>, within: Duration) -> Error
where
    E: StdError + ProvideErrorMetadata + RequestId + Send + Sync + 'static,
{
    let tell = |kind, message: String, cause| Error::caused(kind, message, None, Some(cause));
    match error {
        SdkError::ServiceError(answer) => {
            let error = complaint(answer.raw(), answer.err()).fault().error;
            let id = error.request_id().map(str::to_owned);
            Error::caused(error.kind(), format!("{what}: {}", error.message()), id, None)
        }
        SdkError::TimeoutError(_) => {
            let message = format!("{what}: no answer within {} s", within.as_secs_f32());
            tell(ErrorKind::Timeout, message, error.into())
        }
        SdkError::ResponseError(ref answer) => {
            let id = answer.raw().headers().get("x-amz-request-id").map(plain);
            let message = format!("{what}: the answer cannot be understood");
            Error::caused(ErrorKind::Corrupt, message, id, Some(error.into()))
        }
        other => {
            let kind = match &other {
                _ if is_about_credentials(&other) => ErrorKind::Credentials,
                SdkError::DispatchFailure(f) if f.is_timeout() => ErrorKind::Timeout,
                SdkError::DispatchFailure(f) if !f.is_user() => ErrorKind::Unreachable,
                _ => ErrorKind::Invalid,
            };
            let message = format!("{what}: {}", innermost(&other));
            tell(kind, message, other.into())
        }
    }
}

fn complaint(raw: &HttpResponse, error: &(impl ProvideErrorMetadata + RequestId)) -> Complaint {
    let body = String::from_utf8_lossy(raw.body().bytes().unwrap_or_default());
    Complaint {
        status: raw.status().as_u16(),
        // The SDK makes up `NotFound` for a HEAD, whose answer has no body: the status says it.
        code: error.code().map(plain).or_else(|| element(&body, "Code")),
        message: error.message().map(plain),
        region: raw
            .headers()
            .get("x-amz-bucket-region")
            .map(plain)
            .or_else(|| element(&body, "Region")),
        request_id: error.request_id().map(plain),
    }
}

/// What may help where the SDK could not do it.
pub(crate) fn cure<E>(error: &SdkError<E, HttpResponse>) -> Cure
where
    E: StdError + ProvideErrorMetadata + RequestId + Send + Sync + 'static,
{
    match error {
        SdkError::ServiceError(answer) => complaint(answer.raw(), answer.err()).fault().cure,
        SdkError::DispatchFailure(failure) if failure.is_user() => Cure::None,
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => Cure::Again,
        SdkError::DispatchFailure(_) if !is_about_credentials(error) => Cure::Again,
        _ => Cure::None,
    }
}

/// The region the store says the bucket is in, when it refused for being asked elsewhere.
pub(crate) fn right_region<E>(error: &SdkError<E, HttpResponse>, asked: &str) -> Option<String>
where
    E: StdError + ProvideErrorMetadata + RequestId + Send + Sync + 'static,
{
    let SdkError::ServiceError(answer) = error else { return None };
    let region = complaint(answer.raw(), answer.err()).region?;
    (region != asked).then_some(region)
}

fn is_about_credentials(error: &(dyn StdError + 'static)) -> bool {
    error.is::<CredentialsError>() || error.source().is_some_and(is_about_credentials)
}

/// What is at the bottom of an error, for people.
pub(crate) fn innermost(error: &(dyn StdError + 'static)) -> String {
    match error.source() {
        Some(cause) => innermost(cause),
        None => plain(&error.to_string()),
    }
}

#[cfg(test)]
mod tests;
