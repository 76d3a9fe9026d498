//! ListObjectsV2 and ListObjects.

use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3Result, s3_error};

use super::Service;
use super::buckets::owner;
use super::read::checksum_type;
use crate::clock;
use crate::listing::{self, After, Line, Query, url_encoded};
use crate::object::{self, Restore};

/// Lines of one page, at most.
const PAGE_MAX: i32 = 1000;

/// How the lines of a page are written.
struct Style {
    url: bool,
    with_owner: bool,
    with_restore: bool,
}

impl Style {
    fn text(&self, text: &str) -> String {
        if self.url { url_encoded(text) } else { text.to_owned() }
    }

    fn object(&self, key: &str, object: &object::Object) -> Object {
        let checksum = object.checksum_kind();
        Object {
            key: Some(self.text(key)),
            size: i64::try_from(object.size).ok(),
            e_tag: Some(ETag::Strong(object.etag())),
            last_modified: Some(object.modified.into()),
            owner: self.with_owner.then(owner),
            storage_class: Some(object.storage_class().unwrap_or("STANDARD").to_owned().into()),
            checksum_algorithm: checksum
                .map(|(algorithm, _)| vec![ChecksumAlgorithm::from_static(algorithm.name())]),
            checksum_type: checksum.map(|(_, composite)| checksum_type(composite)),
            restore_status: object.restore().filter(|_| self.with_restore).map(restore_status),
        }
    }
}

fn restore_status(restore: Restore) -> RestoreStatus {
    match restore {
        Restore::InProgress => {
            RestoreStatus { is_restore_in_progress: Some(true), restore_expiry_date: None }
        }
        Restore::UntilUnixMs(ms) => RestoreStatus {
            is_restore_in_progress: Some(false),
            restore_expiry_date: Some(clock::from_unix_ms(ms).into()),
        },
    }
}

/// A page, written.
struct Written {
    contents: Vec<Object>,
    common_prefixes: Vec<CommonPrefix>,
    next: Option<After>,
}

impl Service {
    pub(super) fn list_v2(&self, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
        let max_keys = page_length(input.max_keys)?;
        let after = match (&input.continuation_token, &input.start_after) {
            (Some(token), _) => After::from_token(token).ok_or_else(|| {
                s3_error!(InvalidArgument, "The continuation token provided is incorrect")
            })?,
            (None, Some(key)) if !key.is_empty() => After::Key(key.clone()),
            (None, _) => After::Start,
        };
        let attributes = input.optional_object_attributes.unwrap_or_default();
        let style = Style {
            url: is_url(input.encoding_type.as_ref())?,
            with_owner: input.fetch_owner == Some(true),
            with_restore: attributes.iter().any(|attribute| attribute.as_str() == "RestoreStatus"),
        };
        let query = Query {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref().unwrap_or_default(),
            after,
            limit: usize::try_from(max_keys).unwrap_or(0),
        };
        let page = self.page(&input.bucket, &query, &style)?;
        let lines = page.contents.len() + page.common_prefixes.len();
        Ok(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(style.text(query.prefix)),
            max_keys: Some(max_keys),
            key_count: i32::try_from(lines).ok(),
            continuation_token: input.continuation_token,
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.map(|next| next.to_token()),
            contents: Some(page.contents),
            common_prefixes: Some(page.common_prefixes),
            delimiter: input.delimiter.map(|delimiter| style.text(&delimiter)),
            encoding_type: input.encoding_type,
            start_after: input.start_after.map(|key| style.text(&key)),
            ..Default::default()
        })
    }

    pub(super) fn list_v1(&self, input: ListObjectsInput) -> S3Result<ListObjectsOutput> {
        let max_keys = page_length(input.max_keys)?;
        let style = Style {
            url: is_url(input.encoding_type.as_ref())?,
            with_owner: true,
            with_restore: false,
        };
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let delimiter = input.delimiter.as_deref().unwrap_or_default();
        let after = match input.marker.as_deref() {
            None | Some("") => After::Start,
            // A marker that is a common prefix covers all keys below it.
            Some(marker) if !delimiter.is_empty() && marker.ends_with(delimiter) => {
                After::Prefix(marker.to_owned())
            }
            Some(marker) => After::Key(marker.to_owned()),
        };
        let query =
            Query { prefix, delimiter, after, limit: usize::try_from(max_keys).unwrap_or(0) };
        let page = self.page(&input.bucket, &query, &style)?;
        let next_marker = match &page.next {
            Some(After::Key(text) | After::Prefix(text)) => Some(style.text(text)),
            Some(After::Start) | None => None,
        };
        Ok(ListObjectsOutput {
            name: Some(input.bucket.clone()),
            prefix: Some(style.text(prefix)),
            marker: Some(style.text(input.marker.as_deref().unwrap_or_default())),
            max_keys: Some(max_keys),
            is_truncated: Some(page.next.is_some()),
            contents: Some(page.contents),
            common_prefixes: Some(page.common_prefixes),
            delimiter: input.delimiter.as_deref().map(|delimiter| style.text(delimiter)),
            next_marker,
            encoding_type: input.encoding_type,
            ..Default::default()
        })
    }

    fn page(&self, bucket: &str, query: &Query<'_>, style: &Style) -> S3Result<Written> {
        self.store.with_bucket(bucket, |bucket| {
            let page = listing::page(&bucket.objects, query);
            let mut written =
                Written { contents: Vec::new(), common_prefixes: Vec::new(), next: page.next };
            for line in page.lines {
                match line {
                    Line::Key(key, object) => {
                        written.contents.push(style.object(key, Arc::as_ref(object)));
                    }
                    Line::CommonPrefix(prefix) => {
                        written
                            .common_prefixes
                            .push(CommonPrefix { prefix: Some(style.text(prefix)) });
                    }
                }
            }
            written
        })
    }
}

fn page_length(max_keys: Option<i32>) -> S3Result<i32> {
    match max_keys {
        None => Ok(PAGE_MAX),
        Some(keys) if keys < 0 => Err(s3_error!(
            InvalidArgument,
            "Argument maxKeys must be an integer between 0 and 2147483647"
        )),
        Some(keys) => Ok(keys.min(PAGE_MAX)),
    }
}

fn is_url(encoding: Option<&EncodingType>) -> S3Result<bool> {
    match encoding.map(EncodingType::as_str) {
        None => Ok(false),
        Some("url") => Ok(true),
        Some(_) => Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request")),
    }
}
