//! What went wrong with one try, and what cures it.

use std::error::Error as StdError;
use std::io;

use object::{Error, ErrorKind};
use tokio_rustls::rustls;

use crate::document::{is_error, value_of};
use crate::reply::{Reply, plain};

/// What may help against a [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cure {
    /// Nothing: the store means it.
    None,
    /// Another try after a while.
    Again,
    /// Another try at once, on another connection.
    Elsewhere,
    /// Another try after a while, and fewer requests at once.
    SlowDown,
    /// Another try with newer credentials.
    Renew,
    /// Another try with the store's time.
    SetClock,
    /// Another try after a while: somebody else wrote the same key at the same moment.
    Conflict,
    /// Another try without the request's condition, if it has one: the store knows none.
    DropCondition,
}

/// Why one try failed.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) error: Error,
    pub(crate) cure: Cure,
}

impl Fault {
    /// A failure of the transport.
    pub(crate) fn transport(
        kind: ErrorKind,
        message: impl Into<String>,
        cause: Option<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { error: Error::caused(kind, message, None, cause), cure: Cure::Again }
    }

    /// An answer that cannot be right.
    pub(crate) fn corrupt(message: impl Into<String>, reply: Option<&Reply>) -> Self {
        let id = reply.and_then(|r| r.request_id.clone());
        let error = Error::caused(ErrorKind::Corrupt, message, id, None);
        Self { error, cure: Cure::Again }
    }

    /// A failure that no other try would cure.
    pub(crate) fn last(error: Error) -> Self {
        Self { error, cure: Cure::None }
    }

    /// No byte for so long that another connection is worth a second try.
    pub(crate) fn stalled() -> Self {
        let error = Error::new(ErrorKind::Timeout, "the connection made no progress");
        Self { error, cure: Cure::Elsewhere }
    }

    /// No byte for so long that the try has failed.
    pub(crate) fn silent() -> Self {
        Self { cure: Cure::Again, ..Self::stalled() }
    }

    /// What the store answered instead of a body: `reply`, and the XML that came with it. An
    /// error below a status that promised none is a failure on the store's side, if its code does
    /// not say otherwise.
    pub(crate) fn answered(reply: &Reply, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let promised = reply.status / 100 == 2 && is_error(&text);
        let complaint = Complaint {
            status: if promised { 500 } else { reply.status },
            code: element(&text, "Code"),
            message: element(&text, "Message"),
            region: reply.region.clone().or_else(|| element(&text, "Region")),
            request_id: reply.request_id.clone().or_else(|| element(&text, "RequestId")),
        };
        complaint.fault()
    }
}

/// What keeps an endpoint from being reached that may be none of the network's moods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// Its certificate is not believed.
    Certificate,
    /// Its host does not exist, or nobody there listens, or speaks TLS; or a proxy does not lead
    /// there.
    Address,
}

impl Obstacle {
    /// Looks for one among the causes of `error`.
    pub(crate) fn find(error: &(dyn StdError + 'static)) -> Option<Self> {
        let io = error.downcast_ref::<io::Error>();
        // The inner error of an `io::Error` is none of its sources.
        let inner = io.and_then(io::Error::get_ref).map(|e| e as &(dyn StdError + 'static));
        match (error.downcast_ref::<rustls::Error>(), io.map(io::Error::kind)) {
            (Some(rustls::Error::InvalidCertificate(_)), _) => Some(Self::Certificate),
            (Some(_), _) | (_, Some(io::ErrorKind::ConnectionRefused)) => Some(Self::Address),
            _ if io.is_some_and(is_unknown_host) || is_no_tunnel(error) => Some(Self::Address),
            _ => inner.and_then(Self::find).or_else(|| error.source().and_then(Self::find)),
        }
    }
}

/// What the standard library says before the resolver's own words.
const LOOK_UP: &str = "failed to lookup address information";

/// Whether a look-up found that there is no such host, and not that nobody could be asked. The
/// resolver's code is lost on the way, only its words are left (`gai_strerror` of glibc and musl).
fn is_unknown_host(error: &io::Error) -> bool {
    let text = error.to_string();
    text.starts_with(LOOK_UP) && !text.contains("Temporary failure") && !text.contains("Try again")
}

/// Whether the proxy made no tunnel. The SDK's client hides the type of that error.
fn is_no_tunnel(error: &(dyn StdError + 'static)) -> bool {
    let text = error.to_string();
    text.starts_with("tunnel error: proxy auth") || text.starts_with("tunnel error: unsuccessful")
}

/// A refusal or failure as the store tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) status: u16,
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) request_id: Option<String>,
}

impl Complaint {
    /// The meaning of it. Codes are those of the S3 API reference, "List of error codes".
    pub(crate) fn fault(self) -> Fault {
        let (kind, cure) = self.meaning();
        let what = match (&self.code, kind) {
            (Some(code), _) => code.clone(),
            (None, _) => format!("HTTP status {}", self.status),
        };
        let mut message = match kind {
            ErrorKind::WrongRegion => match &self.region {
                Some(region) => format!("the bucket is in region {region}"),
                None => "the bucket is in another region".to_owned(),
            },
            _ => format!("the store answered {what}"),
        };
        if let Some(told) = &self.message {
            message = format!("{message}: {}", told.trim_end_matches('.'));
        }
        Fault { error: Error::caused(kind, message, self.request_id, None), cure }
    }

    fn meaning(&self) -> (ErrorKind, Cure) {
        match self.code.as_deref().unwrap_or_default() {
            "NoSuchBucket" => (ErrorKind::NoSuchBucket, Cure::None),
            "NoSuchUpload" => (ErrorKind::NoSuchUpload, Cure::None),
            "AccessDenied" => (ErrorKind::Denied, Cure::None),
            "NoSuchKey" => (ErrorKind::NotFound, Cure::None),
            "PreconditionFailed" => (ErrorKind::Changed, Cure::None),
            "ConditionalRequestConflict" | "OperationAborted" => {
                (ErrorKind::Server, Cure::Conflict)
            }
            "NotImplemented" => (ErrorKind::Invalid, Cure::DropCondition),
            "EntityTooLarge" => (ErrorKind::TooLarge, Cure::None),
            // Of Ceph, and of MinIO with and without a quota.
            "QuotaExceeded"
            | "InsufficientStorage"
            | "XMinioAdminBucketQuotaExceeded"
            | "XMinioStorageFull" => (ErrorKind::Full, Cure::None),
            // The bytes were damaged, or not all came: they are still here.
            "BadDigest" | "XAmzContentChecksumMismatch" | "IncompleteBody" => {
                (ErrorKind::Corrupt, Cure::Again)
            }
            "KMS.ThrottlingException" => (ErrorKind::Throttled, Cure::SlowDown),
            code if code.starts_with("KMS.") => (ErrorKind::Denied, Cure::None),
            "InvalidObjectState" => (ErrorKind::Archived, Cure::None),
            "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" | "ExpiredTokenException" => {
                (ErrorKind::Credentials, Cure::Renew)
            }
            "RequestTimeTooSkewed" => (ErrorKind::Credentials, Cure::SetClock),
            "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidSecurity" => {
                (ErrorKind::Credentials, Cure::None)
            }
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
                if self.region.is_some() || self.status / 100 == 3 =>
            {
                (ErrorKind::WrongRegion, Cure::None)
            }
            "SlowDown" | "RequestLimitExceeded" | "Throttling" | "ThrottlingException" => {
                (ErrorKind::Throttled, Cure::SlowDown)
            }
            "InternalError" | "RequestTimeout" => (ErrorKind::Server, Cure::Again),
            _ => self.meaning_of_status(),
        }
    }

    fn meaning_of_status(&self) -> (ErrorKind, Cure) {
        match self.status {
            301 | 307 | 308 => (ErrorKind::WrongRegion, Cure::None),
            401 | 403 => (ErrorKind::Denied, Cure::None),
            404 => (ErrorKind::NotFound, Cure::None),
            // The range lies outside the object, so it is not the size it was.
            412 | 416 => (ErrorKind::Changed, Cure::None),
            409 => (ErrorKind::Server, Cure::Conflict),
            413 => (ErrorKind::TooLarge, Cure::None),
            501 => (ErrorKind::Invalid, Cure::DropCondition),
            507 => (ErrorKind::Full, Cure::None),
            429 | 503 => (ErrorKind::Throttled, Cure::SlowDown),
            408 | 425 | 500..=599 => (ErrorKind::Server, Cure::Again),
            400..=499 => (ErrorKind::Invalid, Cure::None),
            _ => (ErrorKind::Corrupt, Cure::Again),
        }
    }
}

/// The text of the first element `name` in an error document, for people.
pub(crate) fn element(text: &str, name: &str) -> Option<String> {
    let value = plain(value_of(text, name)?.trim());
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests;
