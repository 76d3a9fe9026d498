//! What became of a write, beyond what its answer says.

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::ChecksumMode;
use object::{
    Algorithm, Condition, ETag, Error, ErrorKind, Key, Meta, Result, StorageState, Time, Version,
};

use crate::attributes::check_checksum;
use crate::checksum::{Checksum, header};
use crate::client::S3;
use crate::delivery::Refusal;
use crate::errand::Errand;
use crate::listing;
use crate::proof::Proof;
use crate::sink::{PUT, deletion};

/// What an answer tells of an object that was made.
pub(crate) struct Told {
    pub(crate) etag: Option<ETag>,
    pub(crate) checksum: Option<Checksum>,
    /// Whether it is encrypted as was asked for.
    pub(crate) encryption: Result<()>,
}

impl S3 {
    /// What became of an object about whose making the store said `refusal`.
    pub(crate) async fn settle(
        &self,
        refusal: Refusal,
        proof: &Proof<'_>,
        condition: &Condition,
    ) -> Result<Meta> {
        let error = refusal.error.clone();
        let is_gone = error.kind() == ErrorKind::NoSuchUpload;
        if (refusal.doubtful || is_gone)
            && let Some(meta) = self.found(proof, error.kind()).await
        {
            tracing::info!(key = %proof.key, ?error, "the answer was lost, but the object is there");
            return Ok(meta);
        }
        match refusal.is_changed(condition) {
            true => Err(with_kind(ErrorKind::Changed, &error)),
            false => Err(error),
        }
    }

    /// The object, if it is there as it was to be made.
    async fn found(&self, proof: &Proof<'_>, after: ErrorKind) -> Option<Meta> {
        let request = self.client.head_object().bucket(&self.bucket).key(proof.key.as_str());
        let request = request.checksum_mode(ChecksumMode::Enabled);
        let within = match after {
            // Long was waited already, for a store that is most likely still away.
            ErrorKind::Timeout | ErrorKind::Unreachable => self.config.read_deadline / 3,
            _ => self.config.read_deadline,
        };
        let errand = Errand { within, ..self.errand(true) };
        let answer = match errand.run(|| request.clone().send()).await {
            Ok(answer) => answer,
            Err(error) => {
                let error = listing::failed("looking for it", error, within);
                tracing::warn!(key = %proof.key, ?error, "what became of a write is not known");
                return None;
            }
        };
        let meta = listing::headed(proof.key, &answer).ok()?;
        proof.holds(&meta, told(&answer)).await.then_some(meta)
    }

    /// What a receipt says of the object that was made; it must be what was asked for.
    pub(crate) async fn stored(
        &self,
        proof: &Proof<'_>,
        told: Told,
        modified: Time,
    ) -> Result<Meta> {
        let Some(etag) = told.etag else {
            let message = format!("storing {}: the answer has no ETag", proof.key);
            let error = Error::new(ErrorKind::Corrupt, message);
            return self.settle(Refusal::after_success(error), proof, &Condition::Any).await;
        };
        let wrong = check_checksum(proof.checksum, told.checksum).and(told.encryption);
        if let Err(error) = wrong {
            self.withdraw(proof.key, &etag).await;
            return Err(self.explained(("storing", PUT), proof.key, &error));
        }
        let version = Version { key: proof.key.clone(), etag, size: proof.size };
        Ok(Meta { version, modified, storage: StorageState::Online })
    }

    /// Deletes an object that must not stay, unless it is another one by now.
    async fn withdraw(&self, key: &Key, etag: &ETag) {
        let only = Condition::Is(etag.clone());
        match self.deliver(deletion(key, &only)).await {
            Ok(_) => tracing::warn!(%key, "the object was deleted: it is not what was sent"),
            Err(Refusal { error, .. }) => {
                tracing::error!(%key, ?error, "an object that is not what was sent stays");
            }
        }
    }

    /// Says of a failure what was wanted, and what may help.
    pub(crate) fn explained(&self, (what, right): (&str, &str), key: &Key, error: &Error) -> Error {
        let message = format!("{what} s3://{}/{key}: {}", self.bucket, error.message());
        let message = match hint(right, error) {
            Some(hint) => format!("{message} ({hint})"),
            None => message,
        };
        let id = error.request_id().map(str::to_owned);
        Error::caused(error.kind(), message, id, Some(Box::new(error.clone())))
    }
}

/// The full-object checksum of a HEAD: the kind that S3 computes by itself before the other.
fn told(answer: &HeadObjectOutput) -> Option<Checksum> {
    let crc64nvme = answer.checksum_crc64_nvme().map(|value| (Algorithm::Crc64Nvme, value));
    let crc32c = answer.checksum_crc32_c().map(|value| (Algorithm::Crc32c, value));
    let mut told = crc64nvme.into_iter().chain(crc32c);
    told.find_map(|(kind, value)| Checksum::parse(header(kind), value))
}

/// The same failure with another meaning.
pub(crate) fn with_kind(kind: ErrorKind, error: &Error) -> Error {
    let id = error.request_id().map(str::to_owned);
    Error::caused(kind, error.message(), id, Some(Box::new(error.clone())))
}

/// What may help against a failure. `right`: what the identity has to be allowed.
fn hint(right: &str, error: &Error) -> Option<String> {
    let told = error.message().to_ascii_lowercase();
    let tells = |words: &[&str]| words.iter().any(|word| told.contains(word));
    match error.kind() {
        ErrorKind::Denied if tells(&["kms"]) => Some(
            "the identity needs kms:GenerateDataKey and kms:Decrypt on the key, which is the \
             bucket's own or that of --sse-kms-key-id"
                .to_owned(),
        ),
        ErrorKind::Denied => Some(format!("the identity needs {right}")),
        ErrorKind::Invalid if tells(&["checksum", "notimplemented"]) => {
            Some("--upload-checksums off helps where a store does not know the checksum".to_owned())
        }
        ErrorKind::Invalid if tells(&["storageclass", "storage class"]) => {
            Some("--storage-class names it".to_owned())
        }
        ErrorKind::Invalid if tells(&["encryption"]) => {
            Some("--sse and --sse-kms-key-id ask for it".to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
