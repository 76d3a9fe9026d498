//! What the store's failures mean to whoever typed the command.

use object::{Bucket, Error, ErrorKind};

use super::Problem;
use crate::flags::SourceConfig;

/// `error` of the store that `source` names, for which `what` failed.
pub(super) fn problem(error: &Error, what: &str, source: &SourceConfig) -> Problem {
    let bucket = &source.bucket;
    let aws = match &source.endpoint_url {
        Some(url) => format!("aws --endpoint-url {url}"),
        None => "aws".to_owned(),
    };
    let address = source.endpoint_url.as_deref().unwrap_or("https://s3.amazonaws.com");
    let (why, fix) = match error.kind() {
        ErrorKind::NoSuchBucket | ErrorKind::NotFound => {
            ("the bucket does not exist", format!("{aws} s3 ls shows your buckets"))
        }
        ErrorKind::Denied if source.anonymous => (
            "access denied: the bucket does not let everybody in",
            "drop --no-sign-request and give credentials".into(),
        ),
        ErrorKind::Denied if source.expected_owner.is_some() => (
            "access denied: the bucket is not of the account that --expected-bucket-owner names, or \
             this identity may not list it",
            format!("give the account that owns it; then {}", rights(bucket)),
        ),
        ErrorKind::Denied => {
            ("access denied: this identity may not list the bucket", rights(bucket))
        }
        ErrorKind::Credentials => ("no valid credentials", credentials(source)),
        ErrorKind::WrongRegion => (
            "the bucket is in another region",
            "drop --region (it is found out), or give the right one".into(),
        ),
        ErrorKind::Unreachable => ("the endpoint cannot be reached", reach(address)),
        ErrorKind::Timeout => (
            "the endpoint did not answer in time",
            format!("check network and firewall: curl -v {address}"),
        ),
        ErrorKind::Throttled => ("the store asks to slow down", "try again in a minute".into()),
        ErrorKind::Server => ("the store failed", "try again in a minute".into()),
        ErrorKind::Corrupt | ErrorKind::Invalid if error.message().contains("CA bundle") => (
            "the certificates to trust cannot be read",
            "give a PEM file with --ca-bundle, or drop it (and unset AWS_CA_BUNDLE)".into(),
        ),
        ErrorKind::Invalid if error.message().contains("the proxy") => (
            "the request was refused, or the proxy on its way",
            "check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY (http://USER:PASSWORD@HOST:PORT), or name \
             the endpoint in NO_PROXY"
                .into(),
        ),
        ErrorKind::Corrupt | ErrorKind::Invalid => (
            "the answer is not one of an S3 service, or the request was refused",
            "check --endpoint-url; S3-compatible stores mostly need --force-path-style".into(),
        ),
        _ => ("the store refused", "run it again with --foreground --debug".into()),
    };
    Problem::new(what, format!("{why} ({error})"), fix)
}

fn rights(bucket: &Bucket) -> String {
    format!(
        "allow s3:ListBucket on arn:aws:s3:::{bucket} and s3:GetObject on arn:aws:s3:::{bucket}/*; \
         aws sts get-caller-identity tells who asks"
    )
}

fn reach(address: &str) -> String {
    let check = format!("check name, port and network: curl -v {address}");
    match address.starts_with("https:") {
        true => format!("{check}; for an authority of your own: --ca-bundle FILE"),
        false => check,
    }
}

fn credentials(source: &SourceConfig) -> String {
    match &source.profile {
        Some(profile) => format!("aws configure --profile {profile}; or give another --profile"),
        None => "aws configure; or export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; or give \
                 the machine a role; or --no-sign-request for a public bucket"
            .into(),
    }
}
