//! What objects get beside their bytes, and whether the store gave it to them.

use object::{Algorithm, Checksum, Error, ErrorKind, Key, Result};

use crate::checksum;
use crate::reply::Reply;

/// What objects get beside their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// The checksum that uploads carry and the store keeps; `None`: uploads carry none.
    pub checksums: Option<Algorithm>,
    /// How the store encrypts objects; `None`: as the bucket says.
    pub encryption: Option<Encryption>,
    /// The ARN of the key for it; `None`: the account's own.
    pub kms_key: Option<String>,
    /// The storage class; `None`: the store's own.
    pub storage_class: Option<String>,
    /// Whether `Content-Type` is guessed from the key's suffix. If not, the store decides.
    pub infer_content_type: bool,
}

/// How a store encrypts objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// `AES256`: with keys of the store's own.
    S3,
    /// `aws:kms`: with a key of the key service.
    Kms,
    /// `aws:kms:dsse`: twice, with keys of the key service.
    KmsTwice,
}

impl Encryption {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::S3, Self::Kms, Self::KmsTwice];

    /// As `x-amz-server-side-encryption` and `--sse` spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::S3 => "AES256",
            Self::Kms => "aws:kms",
            Self::KmsTwice => "aws:kms:dsse",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encryption| encryption.name() == name)
    }
}

impl Default for Attributes {
    /// CRC-64/NVME, and all else as the bucket and the store have it.
    fn default() -> Self {
        Self {
            checksums: Some(Algorithm::Crc64Nvme),
            encryption: None,
            kms_key: None,
            storage_class: None,
            infer_content_type: false,
        }
    }
}

impl Attributes {
    /// The headers of the request that makes an object, or begins its upload.
    pub(crate) fn headers(&self, key: &Key) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        if self.infer_content_type {
            let guess = mime_guess::from_path(key.as_str()).first_raw();
            headers.push(("content-type", guess.unwrap_or("application/octet-stream").to_owned()));
        }
        if let Some(encryption) = self.encryption {
            headers.push(("x-amz-server-side-encryption", encryption.name().to_owned()));
        }
        if let Some(key) = &self.kms_key {
            headers.push(("x-amz-server-side-encryption-aws-kms-key-id", key.clone()));
        }
        if let Some(class) = &self.storage_class {
            headers.push(("x-amz-storage-class", class.clone()));
        }
        headers
    }

    /// Of a checksum of bytes, what is sent: nothing when it is not of the kind that is wanted.
    pub(crate) fn wanted(&self, checksum: Option<Checksum>) -> Option<Checksum> {
        checksum.filter(|sum| Some(sum.algorithm) == self.checksums)
    }

    /// Whether an answer tells of the encryption that was asked for. `must`: silence is a no.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`]: the object is not, or will not be, what was asked for.
    pub(crate) fn check_encryption(&self, reply: &Reply, must: bool) -> Result<()> {
        let differs = |wanted: &str, told: &Option<String>| match told {
            Some(told) => told != wanted,
            None => must,
        };
        let encryption = self.encryption.map(Encryption::name);
        if encryption.is_some_and(|wanted| differs(wanted, &reply.encryption)) {
            return Err(other("encryption", "--sse", encryption, reply.encryption.as_deref()));
        }
        // An alias is answered by the ARN of the key that it stands for.
        let key = self.kms_key.as_deref().filter(|key| !key.contains("alias/"));
        if key.is_some_and(|wanted| differs(wanted, &reply.kms_key)) {
            return Err(other("key", "--sse-kms-key-id", key, reply.kms_key.as_deref()));
        }
        Ok(())
    }
}

fn other(what: &str, flag: &str, wanted: Option<&str>, told: Option<&str>) -> Error {
    let (wanted, told) = (wanted.unwrap_or("none"), told.unwrap_or("none"));
    let message =
        format!("the store used another {what} than {flag} asks for: {told}, not {wanted}");
    Error::new(ErrorKind::Corrupt, message)
}

/// Compares the checksum that an answer tells with the one of what was sent, where both are known
/// and of one kind.
///
/// # Errors
/// [`ErrorKind::Corrupt`] when they differ.
pub(crate) fn check_checksum(
    sent: Option<Checksum>,
    told: Option<checksum::Checksum>,
) -> Result<()> {
    match sent.zip(told).and_then(|(sent, told)| told.agrees(sent)) {
        Some(false) => {
            let message = "the store has another checksum of the object than what was sent";
            Err(Error::new(ErrorKind::Corrupt, message))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
