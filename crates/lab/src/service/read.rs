//! GetObject and HeadObject.

use std::collections::HashMap;
use std::ops::Range as Bytes;

use s3s::dto::*;
use s3s::{S3Error, S3Response, S3Result, s3_error};

use super::Service;
use super::conditions::Conditions;
use crate::access::access_denied;
use crate::checksum::Algorithm;
use crate::clock;
use crate::object::{Object, Restore};
use crate::store::Store;

impl Service {
    pub(super) fn get(&self, input: &GetObjectInput) -> S3Result<GetObjectOutput> {
        let opened = self.store.open(&input.bucket, &input.key);
        let (object, file) = opened.map_err(|error| self.veiled(error, &input.bucket))?;
        let conditions = Conditions {
            if_match: input.if_match.as_ref(),
            if_none_match: input.if_none_match.as_ref(),
            if_modified_since: input.if_modified_since.as_ref(),
            if_unmodified_since: input.if_unmodified_since.as_ref(),
        };
        conditions.check(&object)?;
        if object.is_out_of_reach(clock::now()) {
            return Err(s3_error!(
                InvalidObjectState,
                "The operation is not valid for the object's storage class"
            ));
        }
        let (range, content_range) = selected(input.range, object.size)?;
        // S3 gives the checksum of the whole object only with the whole object.
        let wanted = input.checksum_mode.is_some() && content_range.is_none();
        let described = HeadObjectOutput { content_range, ..described(&object, wanted) };
        let length = i64::try_from(range.end - range.start).ok();
        let frames = Store::frames(&object, file, range);
        Ok(GetObjectOutput {
            body: (frames.remaining() > 0).then(|| StreamingBlob::new(frames)),
            accept_ranges: described.accept_ranges,
            cache_control: described.cache_control,
            checksum_crc32: described.checksum_crc32,
            checksum_crc32c: described.checksum_crc32c,
            checksum_crc64nvme: described.checksum_crc64nvme,
            checksum_sha1: described.checksum_sha1,
            checksum_sha256: described.checksum_sha256,
            checksum_type: described.checksum_type,
            content_disposition: described.content_disposition,
            content_encoding: described.content_encoding,
            content_language: described.content_language,
            content_length: length,
            content_range: described.content_range,
            content_type: described.content_type,
            e_tag: described.e_tag,
            last_modified: described.last_modified,
            metadata: described.metadata,
            restore: described.restore,
            server_side_encryption: described.server_side_encryption,
            ssekms_key_id: described.ssekms_key_id,
            storage_class: described.storage_class,
            ..Default::default()
        })
    }

    pub(super) fn head_one(
        &self,
        input: &HeadObjectInput,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let found = self.store.get(&input.bucket, &input.key);
        let object = found.map_err(|error| self.veiled(error, &input.bucket))?;
        let conditions = Conditions {
            if_match: input.if_match.as_ref(),
            if_none_match: input.if_none_match.as_ref(),
            if_modified_since: input.if_modified_since.as_ref(),
            if_unmodified_since: input.if_unmodified_since.as_ref(),
        };
        conditions.check(&object)?;
        let (range, content_range) = selected(input.range, object.size)?;
        let mut output =
            described(&object, input.checksum_mode.is_some() && content_range.is_none());
        output.content_length = i64::try_from(range.end - range.start).ok();
        let mut response = S3Response::new(output);
        if content_range.is_some() {
            response.output.content_range = content_range;
            response.status = Some(http::StatusCode::PARTIAL_CONTENT);
        }
        Ok(response)
    }

    /// Without the right to list the bucket, S3 does not say that a key is missing.
    fn veiled(&self, error: S3Error, bucket: &str) -> S3Error {
        let missing = *error.code() == s3s::S3ErrorCode::NoSuchKey;
        if missing && self.rules.denies("ListObjectsV2", bucket, "") {
            access_denied()
        } else {
            error
        }
    }
}

/// The bytes asked for, and `Content-Range` where they are a range.
fn selected(range: Option<Range>, size: u64) -> S3Result<(Bytes<u64>, Option<String>)> {
    let Some(range) = range else { return Ok((0..size, None)) };
    match range.check(size) {
        Ok(bytes) if !bytes.is_empty() => {
            let text = format!("bytes {}-{}/{size}", bytes.start, bytes.end - 1);
            Ok((bytes, Some(text)))
        }
        _ => {
            let mut error = s3_error!(InvalidRange, "The requested range is not satisfiable");
            let mut headers = http::HeaderMap::new();
            if let Ok(value) = format!("bytes */{size}").parse() {
                headers.insert(http::header::CONTENT_RANGE, value);
            }
            error.set_headers(headers);
            Err(error)
        }
    }
}

/// The headers that GET and HEAD share.
fn described(object: &Object, with_checksum: bool) -> HeadObjectOutput {
    let details = object.details();
    let checksum = if with_checksum { object.checksum() } else { None };
    let value = |algorithm: Algorithm| {
        checksum.filter(|sum| sum.algorithm == algorithm).map(|sum| sum.value.clone())
    };
    HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        cache_control: details.cache_control,
        checksum_crc32: value(Algorithm::Crc32),
        checksum_crc32c: value(Algorithm::Crc32c),
        checksum_crc64nvme: value(Algorithm::Crc64Nvme),
        checksum_sha1: value(Algorithm::Sha1),
        checksum_sha256: value(Algorithm::Sha256),
        checksum_type: checksum.map(|sum| checksum_type(sum.composite)),
        content_disposition: details.content_disposition,
        content_encoding: details.content_encoding,
        content_language: details.content_language,
        content_type: Some(
            details.content_type.unwrap_or_else(|| "binary/octet-stream".to_owned()),
        ),
        e_tag: Some(ETag::Strong(object.etag())),
        last_modified: Some(object.modified.into()),
        metadata: (!details.metadata.is_empty())
            .then(|| details.metadata.into_iter().collect::<HashMap<_, _>>()),
        restore: object.restore().map(restore_header),
        server_side_encryption: details.encryption.map(ServerSideEncryption::from),
        ssekms_key_id: details.kms_key,
        storage_class: object.storage_class().map(|class| StorageClass::from(class.to_owned())),
        ..Default::default()
    }
}

/// Whether a checksum covers the object or its parts' checksums.
pub(super) fn checksum_type(composite: bool) -> ChecksumType {
    ChecksumType::from_static(if composite {
        ChecksumType::COMPOSITE
    } else {
        ChecksumType::FULL_OBJECT
    })
}

fn restore_header(restore: Restore) -> String {
    match restore {
        Restore::InProgress => "ongoing-request=\"true\"".to_owned(),
        Restore::UntilUnixMs(ms) => {
            let mut date = Vec::new();
            let until = Timestamp::from(clock::from_unix_ms(ms));
            // A date that cannot be written is left empty rather than failing the HEAD.
            let _ = until.format(TimestampFormat::HttpDate, &mut date);
            let date = String::from_utf8_lossy(&date);
            format!("ongoing-request=\"false\", expiry-date=\"{date}\"")
        }
    }
}
