//! Where the bytes are and who asks for them, from what was typed.

use std::ffi::OsStr;
use std::path::Path;

use object::{Bucket, MAX_KEY};

use crate::flags::config::SourceConfig;
use crate::flags::low::{Connection, LowArgs};
use crate::flags::{Environment, Usage, absolute};

/// What the words and the environment say of the store with this bucket and prefix.
pub(crate) fn source(
    (bucket, prefix): (Bucket, String),
    typed: Connection,
    environment: &Environment,
    here: Option<&Path>,
) -> Result<SourceConfig, Usage> {
    if typed.requester_pays && typed.no_sign_request {
        return Err(Usage::Conflict("requester-pays", "no-sign-request"));
    }
    Ok(SourceConfig {
        bucket,
        prefix,
        region: typed.region,
        endpoint_url: endpoint(typed.endpoint_url, environment)?,
        force_path_style: typed.force_path_style,
        expected_owner: typed.expected_bucket_owner,
        requester_pays: typed.requester_pays,
        anonymous: typed.no_sign_request,
        profile: typed.profile,
        ca_bundle: typed
            .ca_bundle
            .or_else(|| environment.ca_bundle.clone())
            .map(|file| absolute(here, &file))
            .transpose()?,
        max_attempts: environment.attempts()?,
    })
}

/// What is to be mounted: a bucket, and a prefix that is empty or ends in `/`.
pub(super) fn mounted(args: &LowArgs) -> Result<(Bucket, String), Usage> {
    let word = args.bucket.as_deref().ok_or(Usage::WordMissing("the bucket"))?;
    if let Some(swapped) = swapped(word, args.directory.as_deref()) {
        return Err(swapped);
    }
    let (bucket, in_uri) = bucket(word)?;
    let prefix = chosen(word, in_uri.clone(), args.prefix.clone())?;
    if !prefix.is_empty() && !prefix.ends_with('/') {
        let why = format!("a prefix must end with `/`: write `{prefix}/`");
        return Err(match in_uri {
            Some(_) => bad(word, why),
            None => Usage::BadValue { flag: "prefix", why },
        });
    }
    if prefix.len() >= MAX_KEY {
        return Err(bad(word, format!("a prefix has less than {MAX_KEY} bytes")));
    }
    Ok((bucket, prefix))
}

/// The prefix, which is named once: in the first word, or by `--prefix`.
pub(crate) fn chosen(
    word: &OsStr,
    in_uri: Option<String>,
    typed: Option<String>,
) -> Result<String, Usage> {
    if in_uri.is_some() && typed.is_some() {
        let why = format!("`{}` names a prefix already", word.to_string_lossy());
        return Err(Usage::BadValue { flag: "prefix", why });
    }
    Ok(in_uri.or(typed).unwrap_or_default())
}

/// The bucket that a word names, and the prefix when it is a URI with one.
pub(crate) fn bucket(word: &OsStr) -> Result<(Bucket, Option<String>), Usage> {
    let text = word.to_str().ok_or_else(|| bad(word, "it is not UTF-8".into()))?;
    if text.starts_with("arn:") {
        return Err(bad(word, "ARNs are not supported yet; give the access point's alias".into()));
    }
    let (name, in_uri) = match text.strip_prefix("s3://") {
        None => (text, None),
        Some(rest) => match rest.split_once('/') {
            None => (rest, None),
            Some((name, prefix)) => (name, Some(prefix).filter(|prefix| !prefix.is_empty())),
        },
    };
    let bucket = Bucket::new(name).map_err(|why| bad(word, why.to_string()))?;
    Ok((bucket, in_uri.map(str::to_owned)))
}

fn bad(word: &OsStr, why: String) -> Usage {
    Usage::BadBucket { word: word.to_string_lossy().into_owned(), why }
}

/// Whether the two words were typed in the wrong order: a path first, a bucket second.
fn swapped(first: &OsStr, second: Option<&Path>) -> Option<Usage> {
    let first = first.to_str()?;
    let second = second?.to_str()?;
    let path = first.starts_with(['/', '.', '~']);
    let bucket = second.starts_with("s3://") || Bucket::new(second).is_ok();
    (path && bucket)
        .then(|| Usage::Swapped { directory: first.to_owned(), bucket: second.to_owned() })
}

/// The service's address. The client has the last word on it; this much is told at once.
fn endpoint(typed: Option<String>, environment: &Environment) -> Result<Option<String>, Usage> {
    let (url, variable) = match (typed, &environment.endpoint_url) {
        (Some(url), _) => (url, None),
        (None, Some((name, url))) => (url.clone(), Some(*name)),
        (None, None) => return Ok(None),
    };
    let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let why = match host {
        // Not repeated in the message: it may be a password.
        Some(host) if host.contains('@') => "credentials do not belong into the address".into(),
        Some(host) if !host.is_empty() && !host.starts_with(['/', ':']) => {
            return Ok(Some(url.trim_end_matches('/').to_owned()));
        }
        _ => format!("`{url}` is no address such as https://s3.example.org"),
    };
    Err(match variable {
        None => Usage::BadValue { flag: "endpoint-url", why },
        Some(name) => Usage::BadVariable { name, why },
    })
}
