//! ListMultipartUploads.

use std::ops::Bound;

use s3s::S3Result;
use s3s::dto::*;

use super::Service;
use super::buckets::owner;
use crate::listing::url_encoded;

/// Lines of one page, at most.
const PAGE_MAX: i32 = 1000;

impl Service {
    /// Lists uploads by key and then by id. Common prefixes are not rolled up.
    pub(super) fn uploads(
        &self,
        input: ListMultipartUploadsInput,
    ) -> S3Result<ListMultipartUploadsOutput> {
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let limit = input.max_uploads.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
        let url = input.encoding_type.as_ref().is_some_and(|e| e.as_str() == EncodingType::URL);
        let text = |text: &str| if url { url_encoded(text) } else { text.to_owned() };
        let after = match (&input.key_marker, &input.upload_id_marker) {
            (None, _) => Bound::Unbounded,
            (Some(key), Some(id)) => Bound::Excluded((key.clone(), id.clone())),
            // No id has such characters: all uploads of the key come before.
            (Some(key), None) => Bound::Excluded((key.clone(), char::MAX.to_string())),
        };
        let mut lines: Vec<(String, MultipartUpload)> =
            self.store.with_bucket(&input.bucket, |bucket| {
                let uploads = bucket.uploads.range((after, Bound::Unbounded));
                let covered = uploads.filter(|((key, _), _)| key.starts_with(prefix));
                let line = |((key, id), upload): (&(String, String), &crate::upload::Upload)| {
                    let line = MultipartUpload {
                        key: Some(text(key)),
                        upload_id: Some(id.clone()),
                        initiated: Some(upload.initiated.into()),
                        owner: Some(owner()),
                        ..Default::default()
                    };
                    (key.clone(), line)
                };
                covered.map(line).take(usize::try_from(limit).unwrap_or(0) + 1).collect()
            })?;
        let is_truncated = lines.len() > usize::try_from(limit).unwrap_or(0);
        if is_truncated {
            lines.pop();
        }
        let last = lines.last().filter(|_| is_truncated);
        Ok(ListMultipartUploadsOutput {
            next_key_marker: last.map(|(key, _)| text(key)),
            next_upload_id_marker: last.and_then(|(_, line)| line.upload_id.clone()),
            bucket: Some(input.bucket),
            prefix: input.prefix.as_deref().map(text),
            encoding_type: input.encoding_type,
            key_marker: input.key_marker.as_deref().map(text),
            upload_id_marker: input.upload_id_marker,
            is_truncated: Some(is_truncated),
            max_uploads: Some(limit),
            uploads: Some(lines.into_iter().map(|(_, line)| line).collect()),
            ..Default::default()
        })
    }
}
