//! The store as one that takes objects.

use async_trait::async_trait;
use object::{
    Algorithm, Body, Checksum, Condition, ETag, Error, ErrorKind, Key, Meta, Part, Result, Sink,
    Span, Time, Upload, Version,
};

use crate::attributes::check_checksum;
use crate::checksum;
use crate::client::S3;
use crate::delivery::{Delivery, Load, Parcel, Patience, Receipt, Refusal};
use crate::document;
use crate::endpoint::encoded;
use crate::fault::Cure;
use crate::outcome::{Told, with_kind};
use crate::proof::{MadeOf, Proof};
use crate::signer::Ask;
use crate::uploads;

/// How many times longer than other writes those may take with which the store has work that no
/// bytes of ours show: completing and copying.
const LONG: u32 = 5;
/// The right that storing takes.
pub(crate) const PUT: &str = "s3:PutObject";

impl S3 {
    /// Delivers, and says of a failure what was wanted.
    pub(crate) async fn deliver(
        &self,
        parcel: Parcel<'_>,
    ) -> std::result::Result<Receipt, Refusal> {
        let within = match parcel.patience {
            Patience::Usual => self.road.write_deadline,
            Patience::Until(_) => self.road.write_deadline * LONG,
        };
        let (what, right, key) = (parcel.what, parcel.right, parcel.ask.key);
        let delivered = Delivery::new(&self.road, parcel, within).run().await;
        delivered.map_err(|refusal| {
            let error = self.explained((what, right), key, &refusal.error);
            Refusal { error, ..refusal }
        })
    }

    /// Begins an upload whose checksum is computed by `algorithm`.
    async fn begin(&self, key: &Key, algorithm: Option<Algorithm>) -> Result<Upload> {
        let attributes = &self.config.attributes;
        let mut headers = attributes.headers(key);
        if let Some(algorithm) = algorithm {
            headers.push(("x-amz-checksum-algorithm", checksum::name(algorithm).to_owned()));
            headers.push(("x-amz-checksum-type", FULL_OBJECT.to_owned()));
        }
        let query = "uploads".to_owned();
        let parcel = Parcel {
            what: "beginning the upload of",
            right: PUT,
            ask: Ask { method: "POST", key, query, headers, length: Some(0) },
            load: Load::Nothing,
            condition: &Condition::Any,
            // Asked twice, it is begun twice.
            patience: Patience::Until(self.road.silence_max),
            counter: |counters| &counters.begun,
        };
        let receipt = self.deliver(parcel).await.map_err(|refusal| refusal.error)?;
        let begun = self.road.signer.time(receipt.reply.date.as_deref());
        let Some(id) = document::value_of(&receipt.text, "UploadId").filter(|id| !id.is_empty())
        else {
            let message = format!("beginning the upload of {key}: the answer names none");
            return Err(Error::new(ErrorKind::Corrupt, message));
        };
        let upload = Upload { key: key.clone(), id: id.into(), begun };
        if let Err(error) = attributes.check_encryption(&receipt.reply, true) {
            if let Err(error) = self.abort(&upload).await {
                tracing::warn!(%key, ?error, "an upload that is of no use stays open");
            }
            return Err(self.explained(("beginning the upload of", PUT), key, &error));
        }
        Ok(upload)
    }

    /// Takes note of whether the store sums up what it copies into an upload that has checksums,
    /// as S3 does. There are stores that refuse to copy instead.
    fn learn_of_copies(&self, sums: bool, why: Option<&Error>) {
        if self.doubts_copies() && self.sums_copies.set(sums).is_ok() && !sums {
            tracing::warn!(
                error = ?why,
                "the store does not copy into uploads that have checksums: files of more than one \
                 part that are written to after a flush get none"
            );
        }
    }

    /// The request for the part `number` of an upload.
    fn ask_for_part<'a>(&self, upload: &'a Upload, number: u16, length: u64) -> Ask<'a> {
        let query = format!("partNumber={number}&uploadId={}", encoded(&upload.id));
        let headers = Vec::new();
        Ask { method: "PUT", key: &upload.key, query, headers, length: Some(length) }
    }
}

#[async_trait]
impl Sink for S3 {
    async fn put(&self, key: &Key, body: &Body, condition: &Condition) -> Result<Meta> {
        let attributes = &self.config.attributes;
        let checksum = attributes.wanted(body.checksum());
        let mut headers = attributes.headers(key);
        headers.extend(carried(checksum));
        let parcel = Parcel {
            what: "storing",
            right: PUT,
            ask: Ask {
                method: "PUT",
                key,
                query: String::new(),
                headers,
                length: Some(body.len()),
            },
            load: Load::Body(body),
            condition,
            patience: Patience::Usual,
            counter: |counters| &counters.puts,
        };
        let proof = Proof { key, size: body.len(), checksum, made_of: MadeOf::Body(body) };
        match self.deliver(parcel).await {
            Ok(Receipt { reply, .. }) => {
                let modified = self.road.signer.time(reply.date.as_deref());
                let encryption = attributes.check_encryption(&reply, true);
                let told = Told { etag: reply.etag, checksum: reply.checksum, encryption };
                self.stored(&proof, told, modified).await
            }
            Err(refusal) => self.settle(refusal, &proof, condition).await,
        }
    }

    async fn begin_upload(&self, key: &Key) -> Result<Upload> {
        self.begin(key, self.config.attributes.checksums).await
    }

    async fn begin_upload_from(&self, version: &Version) -> Result<Upload> {
        let algorithm = self.config.attributes.checksums;
        let sums = self.sums_copies.get() != Some(&false);
        self.begin(&version.key, algorithm.filter(|_| sums)).await
    }

    fn doubts_copies(&self) -> bool {
        let sums = self.config.attributes.checksums.is_some();
        sums && !self.is_aws && self.sums_copies.get().is_none()
    }

    async fn put_part(
        &self,
        upload: &Upload,
        number: u16,
        offset: u64,
        body: &Body,
    ) -> Result<Part> {
        let checksum = self.config.attributes.wanted(body.checksum());
        let mut ask = self.ask_for_part(upload, number, body.len());
        ask.headers.extend(carried(checksum));
        let parcel = Parcel {
            what: "storing a part of",
            right: PUT,
            ask,
            load: Load::Body(body),
            condition: &Condition::Any,
            patience: Patience::Usual,
            counter: |counters| &counters.parts,
        };
        let Receipt { reply, .. } = self.deliver(parcel).await.map_err(|refusal| refusal.error)?;
        check_checksum(checksum, reply.checksum)
            .map_err(|error| self.explained(("storing a part of", PUT), &upload.key, &error))?;
        let etag = reply.etag.ok_or_else(|| without_etag("storing a part of", &upload.key))?;
        Ok(Part { number, etag, span: Span::new(offset, offset + body.len()), checksum })
    }

    async fn copy_part(
        &self,
        upload: &Upload,
        number: u16,
        source: &Version,
        span: Span,
    ) -> Result<Part> {
        let mut ask = self.ask_for_part(upload, number, 0);
        let from = format!("{}/{}", self.bucket, encoded(source.key.as_str()));
        ask.headers.push(("x-amz-copy-source", from));
        ask.headers.push(("x-amz-copy-source-if-match", source.etag.quoted()));
        if let Some(owner) = &self.config.expected_bucket_owner {
            ask.headers.push(("x-amz-source-expected-bucket-owner", owner.clone()));
        }
        // Ranges of small objects are refused (S3 API reference, UploadPartCopy).
        if span != source.whole() {
            let range = format!("bytes={}-{}", span.start, span.end.saturating_sub(1));
            ask.headers.push(("x-amz-copy-source-range", range));
        }
        let parcel = Parcel {
            what: "copying a part of",
            right: "s3:PutObject and s3:GetObject",
            ask,
            load: Load::Nothing,
            condition: &Condition::Any,
            patience: Patience::Until(self.road.write_deadline * LONG),
            counter: |counters| &counters.copies,
        };
        let receipt = self.deliver(parcel).await.map_err(|refusal| {
            if refusal.error.kind() == ErrorKind::Invalid {
                self.learn_of_copies(false, Some(&refusal.error));
            }
            match refusal.is_changed(&Condition::Is(source.etag.clone())) {
                true => with_kind(ErrorKind::Changed, &refusal.error),
                false => refusal.error,
            }
        })?;
        self.learn_of_copies(true, None);
        let etag = document::value_of(&receipt.text, "ETag").map(|etag| ETag::new(&etag));
        let etag = etag.ok_or_else(|| without_etag("copying a part of", &upload.key))?;
        let checksum = told_in(&receipt.text, self.config.attributes.checksums);
        let checksum = checksum.and_then(checksum::Checksum::known);
        Ok(Part { number, etag, span, checksum })
    }

    async fn complete(
        &self,
        upload: &Upload,
        parts: &[Part],
        condition: &Condition,
    ) -> Result<Meta> {
        let (key, algorithm) = (&upload.key, self.config.attributes.checksums);
        let checksum = self.config.attributes.wanted(whole(parts));
        let mut headers: Vec<_> = carried(checksum).into_iter().collect();
        headers.extend(checksum.map(|_| ("x-amz-checksum-type", FULL_OBJECT.to_owned())));
        let text = document::completion(parts, algorithm);
        let parcel = Parcel {
            what: "completing the upload of",
            right: PUT,
            ask: Ask {
                method: "POST",
                key,
                query: format!("uploadId={}", encoded(&upload.id)),
                headers,
                length: Some(text.len() as u64),
            },
            load: Load::Text(&text),
            condition,
            patience: Patience::Until(self.road.write_deadline),
            counter: |counters| &counters.completed,
        };
        let size = parts.iter().map(|part| part.span.len()).sum();
        let proof = Proof { key, size, checksum, made_of: MadeOf::Parts(parts) };
        match self.deliver(parcel).await {
            Ok(Receipt { reply, text }) => {
                let etag = document::value_of(&text, "ETag").filter(|etag| !etag.is_empty());
                let told = Told {
                    etag: etag.map(|etag| ETag::new(&etag)),
                    checksum: told_in(&text, algorithm),
                    encryption: self.config.attributes.check_encryption(&reply, false),
                };
                self.stored(&proof, told, upload.begun).await
            }
            Err(refusal) if refusal.cure == Cure::Conflict && !refusal.doubtful => {
                // S3 API reference, CompleteMultipartUpload: it has to be begun anew then.
                if let Err(error) = self.abort(upload).await {
                    tracing::warn!(%key, ?error, "an upload that is of no use stays open");
                }
                Err(with_kind(ErrorKind::NoSuchUpload, &refusal.error))
            }
            Err(refusal) => self.settle(refusal, &proof, condition).await,
        }
    }

    async fn abort(&self, upload: &Upload) -> Result<()> {
        let parcel = Parcel {
            what: "aborting the upload of",
            right: "s3:AbortMultipartUpload",
            ask: Ask {
                method: "DELETE",
                key: &upload.key,
                query: format!("uploadId={}", encoded(&upload.id)),
                headers: Vec::new(),
                length: None,
            },
            load: Load::Nothing,
            condition: &Condition::Any,
            patience: Patience::Usual,
            counter: |counters| &counters.aborted,
        };
        gone(self.deliver(parcel).await)
    }

    async fn uploads(&self, prefix: &str) -> Result<Vec<Upload>> {
        uploads::list(self, prefix).await
    }

    async fn has_parts(&self, upload: &Upload) -> Result<bool> {
        uploads::has_parts(self, upload).await
    }

    fn now(&self) -> Time {
        self.store_clock.now()
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        gone(self.deliver(deletion(key, &Condition::Any)).await)
    }
}

/// The type of the checksums that are sent: of all bytes, not of the parts' checksums.
const FULL_OBJECT: &str = "FULL_OBJECT";

/// The deletion of an object.
pub(crate) fn deletion<'a>(key: &'a Key, condition: &'a Condition) -> Parcel<'a> {
    let (query, headers) = (String::new(), Vec::new());
    Parcel {
        what: "deleting",
        right: "s3:DeleteObject",
        ask: Ask { method: "DELETE", key, query, headers, length: None },
        load: Load::Nothing,
        condition,
        patience: Patience::Usual,
        counter: |counters| &counters.deletes,
    }
}

/// What is gone already need not be made to go.
fn gone(outcome: std::result::Result<Receipt, Refusal>) -> Result<()> {
    match outcome.map_err(|refusal| refusal.error) {
        Err(e) if !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NoSuchUpload) => Err(e),
        _ => Ok(()),
    }
}

/// The header that carries a checksum.
fn carried(checksum: Option<Checksum>) -> Option<(&'static str, String)> {
    checksum.map(|sum| (checksum::header(sum.algorithm), checksum::text(sum)))
}

/// The checksum that an XML document tells, of this kind.
fn told_in(text: &str, algorithm: Option<Algorithm>) -> Option<checksum::Checksum> {
    let algorithm = algorithm?;
    let value = document::value_of(text, &format!("Checksum{}", checksum::name(algorithm)))?;
    checksum::Checksum::parse(checksum::header(algorithm), &value)
}

/// The checksum of all bytes of `parts`, if each has one and they are all bytes from the first on.
fn whole(parts: &[Part]) -> Option<Checksum> {
    let (first, rest) = parts.split_first()?;
    let begin = (first.span.start == 0).then_some((first.checksum?, first.span.end));
    let all = rest.iter().try_fold(begin?, |(sum, end), part| {
        let follows = part.span.start == end;
        let sum = sum.then(part.checksum.filter(|_| follows)?, part.span.len())?;
        Some((sum, part.span.end))
    });
    all.map(|(sum, _)| sum)
}

fn without_etag(what: &str, key: &Key) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{what} {key}: the answer has no ETag"))
}

#[cfg(test)]
mod tests;
