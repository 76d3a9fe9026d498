//! PutObject, CopyObject, DeleteObjects.

use s3s::dto::*;
use s3s::{S3Request, S3Result, TrailingHeaders, s3_error};

use super::Service;
use super::conditions::Conditions;
use super::read::checksum_type;
use crate::access::access_denied;
use crate::checksum::{Algorithm, Checksum};
use crate::draft::{Part, Received};
use crate::object::{Content, Details};
use crate::store::{Precondition, Store};

/// What a client says about the body it sends.
pub(super) struct Claims {
    values: Vec<(Algorithm, String)>,
    content_md5: Option<String>,
    wanted: Vec<Algorithm>,
    trailers: Option<TrailingHeaders>,
}

impl Claims {
    /// The claims in a request's headers; those in its trailers are read after the body.
    pub(super) fn of<T>(
        request: &S3Request<T>,
        announced: Option<&ChecksumAlgorithm>,
        content_md5: Option<String>,
    ) -> Self {
        let text = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        let values: Vec<_> = Algorithm::ALL
            .into_iter()
            .filter_map(|algorithm| Some((algorithm, text(&algorithm.header())?.to_owned())))
            .collect();
        let trailing = text("x-amz-trailer").unwrap_or_default().to_ascii_lowercase();
        let wanted = Algorithm::ALL
            .into_iter()
            .filter(|algorithm| {
                values.iter().any(|(claimed, _)| claimed == algorithm)
                    || trailing.split(',').any(|name| name.trim() == algorithm.header())
                    || announced.is_some_and(|a| Algorithm::named(a.as_str()) == Some(*algorithm))
            })
            .collect();
        Self { values, content_md5, wanted, trailers: request.trailing_headers.clone() }
    }

    pub(super) fn wanted(&self) -> &[Algorithm] {
        &self.wanted
    }

    /// The algorithm whose value S3 keeps: the client's, or its own default.
    pub(super) fn kept(&self) -> Algorithm {
        self.wanted.first().copied().unwrap_or(Algorithm::Crc64Nvme)
    }

    /// Compares the claims with what arrived.
    pub(super) fn check(mut self, part: &Part) -> S3Result<()> {
        if let Some(trailers) = self.trailers.as_ref().and_then(TrailingHeaders::take) {
            for algorithm in Algorithm::ALL {
                let value = trailers.get(algorithm.header()).and_then(|value| value.to_str().ok());
                self.values.extend(value.map(|value| (algorithm, value.trim().to_owned())));
            }
        }
        if self.content_md5.is_some_and(|claim| claim != part.digests.content_md5()) {
            return Err(s3_error!(
                BadDigest,
                "The Content-MD5 you specified did not match what we received."
            ));
        }
        for (algorithm, claim) in self.values {
            if part.digests.checksum(algorithm).is_none_or(|sum| sum.value != claim) {
                return Err(s3_error!(
                    BadDigest,
                    "The {} you specified did not match the calculated checksum.",
                    algorithm.name()
                ));
            }
        }
        Ok(())
    }
}

/// A part's checksum in the places that S3's answers have for it.
#[derive(Default)]
pub(super) struct Sums {
    pub(super) crc32: Option<String>,
    pub(super) crc32c: Option<String>,
    pub(super) crc64nvme: Option<String>,
    pub(super) sha1: Option<String>,
    pub(super) sha256: Option<String>,
}

impl From<Option<&Checksum>> for Sums {
    fn from(checksum: Option<&Checksum>) -> Self {
        let mut sums = Self::default();
        if let Some(checksum) = checksum {
            let place = match checksum.algorithm {
                Algorithm::Crc32 => &mut sums.crc32,
                Algorithm::Crc32c => &mut sums.crc32c,
                Algorithm::Crc64Nvme => &mut sums.crc64nvme,
                Algorithm::Sha1 => &mut sums.sha1,
                Algorithm::Sha256 => &mut sums.sha256,
            };
            *place = Some(checksum.value.clone());
        }
        sums
    }
}

impl Service {
    pub(super) async fn put(
        &self,
        mut request: S3Request<PutObjectInput>,
    ) -> S3Result<PutObjectOutput> {
        let body = request.input.body.take();
        let claims = Claims::of(
            &request,
            request.input.checksum_algorithm.as_ref(),
            request.input.content_md5.clone(),
        );
        let input = request.input;
        let part = self.receive(&input.bucket, body, input.content_length, claims.wanted()).await?;
        let kept = claims.kept();
        claims.check(&part)?;
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
        let condition =
            Precondition { if_match: input.if_match, if_none_match: input.if_none_match };
        let received = Received::whole(part, kept);
        let place = (input.bucket.as_str(), input.key.as_str());
        let object = self.store.publish(place, received, details, &condition)?;
        let sums = Sums::from(object.checksum());
        Ok(PutObjectOutput {
            e_tag: Some(ETag::Strong(object.etag())),
            checksum_crc32: sums.crc32,
            checksum_crc32c: sums.crc32c,
            checksum_crc64nvme: sums.crc64nvme,
            checksum_sha1: sums.sha1,
            checksum_sha256: sums.sha256,
            checksum_type: object.checksum().map(|sum| checksum_type(sum.composite)),
            server_side_encryption: object.details().encryption.map(ServerSideEncryption::from),
            ssekms_key_id: object.details().kms_key,
            ..Default::default()
        })
    }

    /// Takes in a request's body.
    pub(super) async fn receive(
        &self,
        bucket: &str,
        body: Option<StreamingBlob>,
        length: Option<i64>,
        wanted: &[Algorithm],
    ) -> S3Result<Part> {
        self.store.with_bucket(bucket, |_| ())?;
        let expected = length.and_then(|length| u64::try_from(length).ok());
        let draft = self.store.draft(bucket, expected.unwrap_or(0))?;
        let part = match body {
            Some(body) => draft.receive(body, wanted).await?,
            None => draft.receive(futures_util::stream::empty::<S3Result<_>>(), wanted).await?,
        };
        match expected {
            Some(expected) if expected != part.digests.size => {
                Err(s3_error!(IncompleteBody, "The body has {} bytes.", part.digests.size))
            }
            _ => Ok(part),
        }
    }

    pub(super) async fn copy(&self, input: CopyObjectInput) -> S3Result<CopyObjectOutput> {
        let (from_bucket, from_key) = source(&input.copy_source)?;
        let (object, file) = self.store.open(from_bucket, from_key)?;
        let conditions = Conditions {
            if_match: input.copy_source_if_match.as_ref(),
            if_none_match: input.copy_source_if_none_match.as_ref(),
            if_modified_since: input.copy_source_if_modified_since.as_ref(),
            if_unmodified_since: input.copy_source_if_unmodified_since.as_ref(),
        };
        conditions.check_source(&object)?;
        let replaces = input.metadata_directive.as_ref().is_some_and(|d| d.as_str() == "REPLACE");
        let mut details = object.details();
        if replaces {
            details.content_type = input.content_type;
            details.metadata = input.metadata.unwrap_or_default().into_iter().collect();
        } else if (from_bucket, from_key) == (&input.bucket, &input.key)
            && input.storage_class.is_none()
        {
            return Err(copy_to_itself());
        }
        details.storage_class = input.storage_class.map(|class| class.as_str().to_owned());
        details.restore = None;
        let copied = if let Content::Synthetic(_) = object.content {
            let copy = object.copied(crate::clock::now());
            self.store.insert(&input.bucket, &input.key, copy.with_details(details))?
        } else {
            let wanted: Vec<_> = input
                .checksum_algorithm
                .as_ref()
                .and_then(|algorithm| Algorithm::named(algorithm.as_str()))
                .or_else(|| object.checksum_kind().map(|(algorithm, _)| algorithm))
                .into_iter()
                .collect();
            let frames = Store::frames(&object, file, 0..object.size);
            let draft = self.store.draft(&input.bucket, object.size)?;
            let part = draft.receive(frames, &wanted).await?;
            let kept = wanted.first().copied().unwrap_or(Algorithm::Crc64Nvme);
            let place = (input.bucket.as_str(), input.key.as_str());
            self.store.publish(
                place,
                Received::whole(part, kept),
                details,
                &Precondition::default(),
            )?
        };
        let sums = Sums::from(copied.checksum());
        let result = CopyObjectResult {
            e_tag: Some(ETag::Strong(copied.etag())),
            last_modified: Some(copied.modified.into()),
            checksum_crc32: sums.crc32,
            checksum_crc32c: sums.crc32c,
            checksum_crc64nvme: sums.crc64nvme,
            checksum_sha1: sums.sha1,
            checksum_sha256: sums.sha256,
            checksum_type: copied.checksum().map(|sum| checksum_type(sum.composite)),
        };
        Ok(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() })
    }

    pub(super) fn delete_many(&self, input: DeleteObjectsInput) -> S3Result<DeleteObjectsOutput> {
        self.store.with_bucket(&input.bucket, |_| ())?;
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for object in input.delete.objects {
            let outcome = if self.rules.denies("DeleteObject", &input.bucket, &object.key) {
                Err(access_denied())
            } else {
                self.store.delete(&input.bucket, &object.key)
            };
            match outcome {
                Ok(_) => {
                    deleted.push(DeletedObject { key: Some(object.key), ..Default::default() })
                }
                Err(error) => errors.push(Error {
                    code: Some(error.code().as_str().to_owned()),
                    key: Some(object.key),
                    message: error.message().map(str::to_owned),
                    ..Default::default()
                }),
            }
        }
        let quiet = input.delete.quiet == Some(true);
        Ok(DeleteObjectsOutput {
            deleted: (!quiet).then_some(deleted),
            errors: (!errors.is_empty()).then_some(errors),
            ..Default::default()
        })
    }
}

fn copy_to_itself() -> s3s::S3Error {
    s3_error!(
        InvalidRequest,
        "This copy request is illegal because it is trying to copy an object to itself without \
         changing the object's metadata or storage class."
    )
}

/// `Content-Encoding` without the transfer's own `aws-chunked`.
pub(super) fn stored_encoding(encoding: Option<String>) -> Option<String> {
    let kept: Vec<_> = encoding
        .as_deref()?
        .split(',')
        .map(str::trim)
        .filter(|one| !one.is_empty() && *one != "aws-chunked")
        .collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

/// Bucket and key of a copy's source.
pub(super) fn source(source: &CopySource) -> S3Result<(&str, &str)> {
    match source {
        CopySource::Bucket { bucket, key, .. } => Ok((bucket, key)),
        _ => Err(s3_error!(NotImplemented, "Access points are not served")),
    }
}
