//! Who may do what: credentials, the region, anonymous requests, deny rules; and whose
//! turn it is to meet a fault.

use std::sync::Arc;

use http::{HeaderMap, Uri};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::host::{S3Host, VirtualHost};
use s3s::path::S3Path;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use crate::counters::Tally;
use crate::log::Exchange;
use crate::rules::{Fault, Fired, Rules};

/// The account that every bucket belongs to.
pub(crate) const OWNER: &str = "lab";

/// The one identity that exists.
pub(crate) struct Identity {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

#[async_trait::async_trait]
impl S3Auth for Identity {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.access_key {
            Ok(SecretKey::from(self.secret_key.as_str()))
        } else {
            Err(s3_error!(
                InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records."
            ))
        }
    }
}

/// Virtual-host style below one domain; any other host is path style.
pub(crate) struct Domain(pub(crate) String);

impl S3Host for Domain {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
        let bucket = name.strip_suffix(self.0.as_str()).and_then(|rest| rest.strip_suffix('.'));
        Ok(match bucket {
            Some(bucket) if !bucket.is_empty() => VirtualHost::new(&self.0).with_bucket(bucket),
            _ => VirtualHost::new(name),
        })
    }
}

/// The checks between signature and operation.
pub(crate) struct Gate {
    pub(crate) anonymous: bool,
    pub(crate) region: String,
    pub(crate) rules: Arc<Rules>,
    pub(crate) tally: Arc<Tally>,
}

#[async_trait::async_trait]
impl S3Access for Gate {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let Some(exchange) = cx.extensions_mut().get::<Arc<Exchange>>().cloned() else {
            return Err(s3_error!(InternalError, "a request without its log entry"));
        };
        let operation = cx.s3_op().name();
        let (bucket, key) = subject(cx.s3_path(), cx.uri());
        exchange.identify(&self.tally, operation, &bucket, &key);
        if cx.credentials().is_none() && !self.anonymous {
            return Err(access_denied());
        }
        if let Some(region) = signed_region(cx.headers(), cx.uri())
            && region != self.region
        {
            return Err(s3_error!(
                AuthorizationHeaderMalformed,
                "The authorization header is malformed; the region '{region}' is wrong; expecting '{}'",
                self.region
            ));
        }
        let owner = cx.headers().get("x-amz-expected-bucket-owner");
        if owner.is_some_and(|owner| owner != OWNER) {
            return Err(access_denied());
        }
        let fired = self.rules.fire(operation, &bucket, &key);
        exchange.set_faults(fired.clone());
        let conditional = [http::header::IF_MATCH, http::header::IF_NONE_MATCH]
            .iter()
            .any(|name| cx.headers().contains_key(name));
        meet(fired, conditional && cx.method() != http::Method::GET).await
    }
}

/// The faults that stand before the operation.
async fn meet(fired: Vec<Fired>, conditional_write: bool) -> S3Result<()> {
    for one in fired {
        match one.fault {
            Fault::Deny => return Err(access_denied()),
            Fault::SlowDown => return Err(s3_error!(SlowDown, "Please reduce your request rate.")),
            Fault::InternalError | Fault::Reset => return Err(internal_error()),
            Fault::Conflict => {
                return Err(s3_error!(
                    ConditionalRequestConflict,
                    "The conditional request cannot succeed due to a conflicting operation."
                ));
            }
            Fault::Full => return Err(quota_exceeded()),
            Fault::NoConditions if conditional_write => {
                return Err(s3_error!(
                    NotImplemented,
                    "A header you provided implies functionality that is not implemented"
                ));
            }
            Fault::Stall => one.rule_removed().await,
            _ => {}
        }
    }
    Ok(())
}

/// The error S3 gives when it does not know better.
fn internal_error() -> S3Error {
    s3_error!(InternalError, "We encountered an internal error. Please try again.")
}

/// The error of a store whose bucket may not grow; S3 itself has no quotas, others spell it so.
fn quota_exceeded() -> S3Error {
    let mut error = S3Error::with_message(
        S3ErrorCode::Custom("QuotaExceeded".into()),
        "The quota of the bucket is used up.",
    );
    error.set_status_code(http::StatusCode::INSUFFICIENT_STORAGE);
    error
}

/// The error of whatever is not allowed.
pub(crate) fn access_denied() -> S3Error {
    s3_error!(AccessDenied, "Access Denied")
}

/// Bucket and key; for listings the prefix.
fn subject(path: &S3Path, uri: &Uri) -> (String, String) {
    match path {
        S3Path::Root => (String::new(), String::new()),
        S3Path::Object { bucket, key } => (bucket.to_string(), key.to_string()),
        S3Path::Bucket { bucket } => {
            (bucket.to_string(), query_value(uri, "prefix").unwrap_or_default())
        }
    }
}

/// The region in the credential scope of a signed request (SigV4: "Credential=ID/DATE/REGION/s3/aws4_request").
fn signed_region(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let scope = match headers.get(http::header::AUTHORIZATION) {
        Some(value) => {
            let (_, rest) = value.to_str().ok()?.split_once("Credential=")?;
            rest.split(',').next()?.trim().to_owned()
        }
        None => query_value(uri, "X-Amz-Credential")?,
    };
    // An access key may contain slashes, so the fields count from the end.
    scope.rsplit('/').nth(2).map(str::to_owned)
}

fn query_value(uri: &Uri, name: &str) -> Option<String> {
    let value = uri.query()?.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    })?;
    let value = value.replace('+', " ");
    Some(percent_encoding::percent_decode_str(&value).decode_utf8_lossy().into_owned())
}
