//! Multipart uploads in progress. They live in the process: a restart forgets them.

use std::collections::BTreeMap;
use std::time::SystemTime;

use s3s::dto::CompletedPart;
use s3s::{S3Result, s3_error};

use crate::checksum::{self, Algorithm, Checksum, Digests};
use crate::draft::{Part, Received};
use crate::object::Details;

/// The smallest part that may be followed by another, in bytes.
const PART_MIN: u64 = 5 << 20;

/// One upload.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) initiated: SystemTime,
    pub(crate) details: Details,
    pub(crate) algorithm: Algorithm,
    /// Whether the algorithm was asked for, and is not the default.
    pub(crate) named: bool,
    pub(crate) composite: bool,
    /// By part number.
    pub(crate) parts: BTreeMap<i32, (SystemTime, Part)>,
}

impl Upload {
    /// Whether the listed parts are there and may make an object.
    pub(crate) fn check(&self, wanted: &[CompletedPart]) -> S3Result<()> {
        if wanted.is_empty() {
            return Err(s3_error!(MalformedXML, "You must specify at least one part"));
        }
        if !wanted.is_sorted_by(|one, next| one.part_number < next.part_number) {
            return Err(s3_error!(InvalidPartOrder, "The parts are not in ascending order."));
        }
        for (index, part) in wanted.iter().enumerate() {
            let number = part.part_number.unwrap_or(0);
            let missing =
                || s3_error!(InvalidPart, "Part {number} was not found or has another ETag.");
            let (_, stored) = self.parts.get(&number).ok_or_else(missing)?;
            if part.e_tag.as_ref().is_some_and(|etag| etag.value() != stored.digests.etag()) {
                return Err(missing());
            }
            check_claims(part, &stored.digests).ok_or_else(missing)?;
            if index + 1 < wanted.len() && stored.digests.size < PART_MIN {
                return Err(s3_error!(
                    EntityTooSmall,
                    "Your proposed upload is smaller than the minimum allowed size"
                ));
            }
        }
        Ok(())
    }

    /// The checksum and ETag the object of the listed parts will have.
    pub(crate) fn outcome(&self, wanted: &[CompletedPart]) -> (String, Option<Checksum>) {
        let digests: Vec<Digests> = wanted
            .iter()
            .filter_map(|part| self.parts.get(&part.part_number?))
            .map(|(_, part)| part.digests.clone())
            .collect();
        let sum = checksum::multipart(&digests, self.algorithm, self.composite);
        (checksum::multipart_etag(&digests), sum)
    }

    /// Joins the listed parts; the others are dropped.
    pub(crate) fn join(
        mut self,
        wanted: &[CompletedPart],
        (etag, sum): (String, Option<Checksum>),
    ) -> std::io::Result<(Received, Details)> {
        let parts = wanted
            .iter()
            .filter_map(|part| self.parts.remove(&part.part_number?))
            .map(|(_, part)| part)
            .collect();
        let mut joined = Received::joined(parts, etag, sum)?;
        // An object of parts is as old as its upload (S3 User Guide, "Uploading and copying
        // objects using multipart upload").
        joined.modified = Some(self.initiated);
        Ok((joined, self.details))
    }
}

/// Whether the checksums a client repeats for a part are the stored ones.
fn check_claims(part: &CompletedPart, stored: &Digests) -> Option<()> {
    let claims = [
        (Algorithm::Crc32, &part.checksum_crc32),
        (Algorithm::Crc32c, &part.checksum_crc32c),
        (Algorithm::Crc64Nvme, &part.checksum_crc64nvme),
        (Algorithm::Sha1, &part.checksum_sha1),
        (Algorithm::Sha256, &part.checksum_sha256),
    ];
    claims
        .into_iter()
        .filter_map(|(algorithm, claim)| Some((algorithm, claim.as_ref()?)))
        .all(|(algorithm, claim)| stored.checksum(algorithm).is_some_and(|sum| sum.value == *claim))
        .then_some(())
}
