//! Uploads that are open, as the store lists them.

use aws_sdk_s3::operation::RequestId;
use aws_sdk_s3::operation::list_multipart_uploads::ListMultipartUploadsOutput;
use aws_sdk_s3::types::EncodingType;
use object::{Error, ErrorKind, Key, Result, Time, Upload};

use crate::client::S3;
use crate::listing;

/// Where a page ended: the key, and the upload of it.
type Marker = (String, Option<String>);

/// All uploads below `prefix`, page by page.
pub(crate) async fn list(s3: &S3, prefix: &str) -> Result<Vec<Upload>> {
    let mut uploads = Vec::new();
    let mut marker: Option<Marker> = None;
    loop {
        let (key, id) = marker.clone().unzip();
        let request = s3
            .client
            .list_multipart_uploads()
            .bucket(&s3.bucket)
            .prefix(prefix)
            .encoding_type(EncodingType::Url)
            .set_key_marker(key)
            .set_upload_id_marker(id.flatten());
        let answer = s3.errand(true).run(|| request.clone().send()).await;
        let what = || format!("listing the uploads below s3://{}/{prefix}", s3.bucket);
        let answer = answer.map_err(|e| listing::failed(&what(), e, s3.config.read_deadline))?;
        uploads.extend(page(prefix, &answer));
        let next = next(&answer, marker.as_ref())?;
        let Some(next) = next else { return Ok(uploads) };
        marker = Some(next);
    }
}

/// Whether `upload` has a part. One is enough to know.
pub(crate) async fn has_parts(s3: &S3, upload: &Upload) -> Result<bool> {
    let request = s3
        .client
        .list_parts()
        .bucket(&s3.bucket)
        .key(upload.key.as_str())
        .upload_id(&*upload.id)
        .max_parts(1);
    let answer = s3.errand(true).run(|| request.clone().send()).await;
    let what = || format!("listing the parts of an upload of s3://{}/{}", s3.bucket, upload.key);
    let answer = answer.map_err(|e| listing::failed(&what(), e, s3.config.read_deadline))?;
    Ok(!answer.parts().is_empty())
}

/// What a page lists. Entries that cannot be are left out: they are none of ours.
fn page(prefix: &str, answer: &ListMultipartUploadsOutput) -> Vec<Upload> {
    let encoded = answer.encoding_type() == Some(&EncodingType::Url);
    let entry = |upload: &aws_sdk_s3::types::MultipartUpload| {
        let key = listing::decode(upload.key()?, encoded).filter(|k| k.starts_with(prefix))?;
        let begun = upload.initiated().and_then(|time| u64::try_from(time.secs()).ok());
        Some(Upload {
            key: Key::new(&key).ok()?,
            id: upload.upload_id()?.into(),
            begun: Time::from_secs(begun.unwrap_or(0)),
        })
    };
    answer.uploads().iter().filter_map(entry).collect()
}

/// Where the next page begins; `None` after the last one.
///
/// # Errors
/// When there is one and the store does not say where, or says where it was.
fn next(answer: &ListMultipartUploadsOutput, asked: Option<&Marker>) -> Result<Option<Marker>> {
    if answer.is_truncated() != Some(true) {
        return Ok(None);
    }
    let encoded = answer.encoding_type() == Some(&EncodingType::Url);
    let key = answer.next_key_marker().filter(|key| !key.is_empty());
    let key = key.and_then(|key| listing::decode(key, encoded));
    let id = answer.next_upload_id_marker().filter(|id| !id.is_empty()).map(str::to_owned);
    match key.map(|key| (key, id)).filter(|next| Some(next) != asked) {
        Some(next) => Ok(Some(next)),
        None => {
            let id = answer.request_id().map(str::to_owned);
            let message = "the listing of uploads goes on, but the store does not say where";
            Err(Error::caused(ErrorKind::Corrupt, message, id, None))
        }
    }
}

#[cfg(test)]
mod tests;
