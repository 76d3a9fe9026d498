//! Multipart uploads.

use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::Service;
use super::conditions::Conditions;
use super::read::checksum_type;
use super::write::{Claims, Sums, source, stored_encoding};
use crate::checksum::Algorithm;
use crate::clock;
use crate::draft::Part as Body;
use crate::log::Exchange;
use crate::object::Details;
use crate::rules::Fault;
use crate::store::{Precondition, Store, internal};
use crate::upload::Upload;

/// The highest part number.
const PARTS_MAX: i32 = 10_000;

impl Service {
    pub(super) fn begin_upload(
        &self,
        input: CreateMultipartUploadInput,
    ) -> S3Result<CreateMultipartUploadOutput> {
        let named = input.checksum_algorithm.as_ref().and_then(|a| Algorithm::named(a.as_str()));
        let algorithm = named.unwrap_or(Algorithm::Crc64Nvme);
        // S3's defaults: composite, but for CRC64NVME, which can only cover the object.
        let composite = match input.checksum_type.as_ref().map(ChecksumType::as_str) {
            Some(ChecksumType::FULL_OBJECT) => false,
            Some(_) => true,
            None => algorithm != Algorithm::Crc64Nvme,
        };
        let is_crc = !matches!(algorithm, Algorithm::Sha1 | Algorithm::Sha256);
        if composite && algorithm == Algorithm::Crc64Nvme || !(composite || is_crc) {
            return Err(s3_error!(
                InvalidRequest,
                "The checksum type cannot be used with the {} algorithm.",
                algorithm.name()
            ));
        }
        let details = Details {
            content_type: input.content_type,
            content_encoding: stored_encoding(input.content_encoding),
            content_disposition: input.content_disposition,
            content_language: input.content_language,
            cache_control: input.cache_control,
            metadata: input.metadata.unwrap_or_default().into_iter().collect(),
            storage_class: input.storage_class.map(|class| class.as_str().to_owned()),
            encryption: input.server_side_encryption.map(|sse| sse.as_str().to_owned()),
            kms_key: input.ssekms_key_id,
            restore: None,
        };
        let (encryption, kms_key) = (details.encryption.clone(), details.kms_key.clone());
        let upload = Upload {
            initiated: clock::now(),
            details,
            algorithm,
            named: named.is_some(),
            composite,
            parts: Default::default(),
        };
        let id = self.store.upload_id();
        self.store.with_uploads(&input.bucket, |uploads| {
            uploads.insert((input.key.clone(), id.clone()), upload);
            Ok(())
        })?;
        Ok(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            checksum_algorithm: named.map(|a| ChecksumAlgorithm::from_static(a.name())),
            checksum_type: named.map(|_| checksum_type(composite)),
            server_side_encryption: encryption.map(ServerSideEncryption::from),
            ssekms_key_id: kms_key,
            ..Default::default()
        })
    }

    pub(super) async fn put_part(
        &self,
        mut request: S3Request<UploadPartInput>,
    ) -> S3Result<UploadPartOutput> {
        let body = request.input.body.take();
        let claims = Claims::of(
            &request,
            request.input.checksum_algorithm.as_ref(),
            request.input.content_md5.clone(),
        );
        let input = request.input;
        let place = (input.bucket.as_str(), input.key.as_str(), input.upload_id.as_str());
        let algorithm = self.upload_algorithm(place, input.part_number)?;
        let mut wanted = claims.wanted().to_vec();
        wanted.push(algorithm);
        let part = self.receive(&input.bucket, body, input.content_length, &wanted).await?;
        let kept = if claims.wanted().is_empty() { algorithm } else { claims.kept() };
        claims.check(&part)?;
        let etag = part.digests.etag();
        let sums = Sums::from(part.digests.checksum(kept).as_ref());
        self.keep_part(place, input.part_number, part)?;
        Ok(UploadPartOutput {
            e_tag: Some(ETag::Strong(etag)),
            checksum_crc32: sums.crc32,
            checksum_crc32c: sums.crc32c,
            checksum_crc64nvme: sums.crc64nvme,
            checksum_sha1: sums.sha1,
            checksum_sha256: sums.sha256,
            ..Default::default()
        })
    }

    pub(super) async fn copy_part(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<UploadPartCopyOutput> {
        let unsummed = has_fault(&request, Fault::NoCopySums);
        let input = request.input;
        let place = (input.bucket.as_str(), input.key.as_str(), input.upload_id.as_str());
        let algorithm = self.upload_algorithm(place, input.part_number)?;
        if unsummed && self.with_upload(place, |upload| upload.named)? {
            return Err(s3_error!(InvalidArgument, "checksum missing"));
        }
        let (from_bucket, from_key) = source(&input.copy_source)?;
        let (object, file) = self.store.open(from_bucket, from_key)?;
        let conditions = Conditions {
            if_match: input.copy_source_if_match.as_ref(),
            if_none_match: input.copy_source_if_none_match.as_ref(),
            if_modified_since: input.copy_source_if_modified_since.as_ref(),
            if_unmodified_since: input.copy_source_if_unmodified_since.as_ref(),
        };
        conditions.check_source(&object)?;
        let range = match input.copy_source_range.as_deref() {
            None => 0..object.size,
            Some(text) => match Range::parse(text) {
                Ok(range @ Range::Int { last: Some(last), .. }) if last < object.size => {
                    range.check(object.size)?
                }
                _ => {
                    return Err(s3_error!(
                        InvalidArgument,
                        "The x-amz-copy-source-range is not valid"
                    ));
                }
            },
        };
        let draft = self.store.draft(&input.bucket, range.end - range.start)?;
        let part = draft.receive(Store::frames(&object, file, range), &[algorithm]).await?;
        let sums = Sums::from(part.digests.checksum(algorithm).as_ref());
        let result = CopyPartResult {
            e_tag: Some(ETag::Strong(part.digests.etag())),
            last_modified: Some(clock::now().into()),
            checksum_crc32: sums.crc32,
            checksum_crc32c: sums.crc32c,
            checksum_crc64nvme: sums.crc64nvme,
            checksum_sha1: sums.sha1,
            checksum_sha256: sums.sha256,
        };
        self.keep_part(place, input.part_number, part)?;
        Ok(UploadPartCopyOutput { copy_part_result: Some(result), ..Default::default() })
    }

    fn upload_algorithm(
        &self,
        (bucket, key, id): (&str, &str, &str),
        part_number: i32,
    ) -> S3Result<Algorithm> {
        if !(1..=PARTS_MAX).contains(&part_number) {
            return Err(s3_error!(
                InvalidArgument,
                "Part number must be an integer between 1 and 10000, inclusive"
            ));
        }
        self.with_upload((bucket, key, id), |upload| upload.algorithm)
    }

    fn keep_part(
        &self,
        (bucket, key, id): (&str, &str, &str),
        number: i32,
        part: Body,
    ) -> S3Result<()> {
        self.store.with_uploads(bucket, |uploads| {
            let upload =
                uploads.get_mut(&(key.to_owned(), id.to_owned())).ok_or_else(no_such_upload)?;
            upload.parts.insert(number, (clock::now(), part));
            Ok(())
        })
    }

    fn with_upload<T>(
        &self,
        (bucket, key, id): (&str, &str, &str),
        look: impl FnOnce(&Upload) -> T,
    ) -> S3Result<T> {
        self.store
            .with_bucket(bucket, |b| b.uploads.get(&(key.to_owned(), id.to_owned())).map(look))?
            .ok_or_else(no_such_upload)
    }

    pub(super) async fn complete_upload(
        &self,
        input: CompleteMultipartUploadInput,
    ) -> S3Result<CompleteMultipartUploadOutput> {
        let claims = [
            (Algorithm::Crc32, input.checksum_crc32),
            (Algorithm::Crc32c, input.checksum_crc32c),
            (Algorithm::Crc64Nvme, input.checksum_crc64nvme),
            (Algorithm::Sha1, input.checksum_sha1),
            (Algorithm::Sha256, input.checksum_sha256),
        ];
        let condition =
            Precondition { if_match: input.if_match, if_none_match: input.if_none_match };
        let wanted = input.multipart_upload.and_then(|list| list.parts).unwrap_or_default();
        self.store.check_condition((&input.bucket, &input.key), &condition)?;
        let id = (input.key.clone(), input.upload_id);
        let (upload, outcome) = self.store.with_uploads(&input.bucket, |uploads| {
            let upload = uploads.get(&id).ok_or_else(no_such_upload)?;
            upload.check(&wanted)?;
            let outcome = upload.outcome(&wanted);
            for (algorithm, claim) in claims {
                let stored = outcome.1.as_ref().filter(|sum| sum.algorithm == algorithm);
                if claim.is_some_and(|claim| stored.is_none_or(|sum| sum.value != claim)) {
                    return Err(s3_error!(
                        BadDigest,
                        "The {} of the object is another.",
                        algorithm.name()
                    ));
                }
            }
            Ok((uploads.remove(&id).ok_or_else(no_such_upload)?, outcome))
        })?;
        let joined = tokio::task::spawn_blocking(move || upload.join(&wanted, outcome)).await;
        let (received, details) =
            joined.map_err(std::io::Error::other).flatten().map_err(internal)?;
        let place = (input.bucket.as_str(), input.key.as_str());
        let object = self.store.publish(place, received, details, &condition)?;
        let sums = Sums::from(object.checksum());
        Ok(CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            e_tag: Some(ETag::Strong(object.etag())),
            checksum_crc32: sums.crc32,
            checksum_crc32c: sums.crc32c,
            checksum_crc64nvme: sums.crc64nvme,
            checksum_sha1: sums.sha1,
            checksum_sha256: sums.sha256,
            checksum_type: object.checksum().map(|sum| checksum_type(sum.composite)),
            server_side_encryption: object.details().encryption.map(ServerSideEncryption::from),
            ssekms_key_id: object.details().kms_key,
            bucket: Some(input.bucket),
            key: Some(input.key),
            ..Default::default()
        })
    }

    pub(super) fn abort_upload(
        &self,
        input: AbortMultipartUploadInput,
    ) -> S3Result<AbortMultipartUploadOutput> {
        self.store.with_uploads(&input.bucket, |uploads| {
            uploads.remove(&(input.key, input.upload_id)).ok_or_else(no_such_upload)?;
            Ok(AbortMultipartUploadOutput::default())
        })
    }

    pub(super) fn parts(&self, input: ListPartsInput) -> S3Result<ListPartsOutput> {
        let marker = input.part_number_marker.unwrap_or(0);
        let limit = input.max_parts.unwrap_or(1000).clamp(0, 1000);
        let place = (input.bucket.as_str(), input.key.as_str(), input.upload_id.as_str());
        let mut parts: Vec<Part> = self.with_upload(place, |upload| {
            let line = |(number, (modified, part)): (&i32, &(std::time::SystemTime, Body))| Part {
                part_number: Some(*number),
                e_tag: Some(ETag::Strong(part.digests.etag())),
                last_modified: Some((*modified).into()),
                size: i64::try_from(part.digests.size).ok(),
                ..Default::default()
            };
            let after = (std::ops::Bound::Excluded(marker), std::ops::Bound::Unbounded);
            upload
                .parts
                .range(after)
                .map(line)
                .take(usize::try_from(limit).unwrap_or(0) + 1)
                .collect()
        })?;
        let is_truncated = parts.len() > usize::try_from(limit).unwrap_or(0);
        if is_truncated {
            parts.pop();
        }
        Ok(ListPartsOutput {
            next_part_number_marker: parts.last().and_then(|part| part.part_number),
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            part_number_marker: Some(marker),
            max_parts: Some(limit),
            is_truncated: Some(is_truncated),
            parts: Some(parts),
            ..Default::default()
        })
    }
}

fn no_such_upload() -> s3s::S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been \
         aborted or completed."
    )
}

/// Whether this fault was set on a request.
fn has_fault<T>(request: &S3Request<T>, fault: Fault) -> bool {
    let exchange = request.extensions.get::<Arc<Exchange>>();
    exchange.is_some_and(|exchange| exchange.faults().iter().any(|one| one.fault == fault))
}
