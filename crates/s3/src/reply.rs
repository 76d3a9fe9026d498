//! The head of an HTTP/1 answer, checked before a byte of its body is used.

use object::{ETag, Span};

use crate::checksum::Checksum;

/// The longest head that is read, in bytes.
pub(crate) const HEAD_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 128;

/// What a head says, of all that matters here.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reply {
    /// The status code.
    pub(crate) status: u16,
    /// `Content-Length` in bytes.
    pub(crate) length: Option<u64>,
    /// Whether the body comes in chunks of its own framing.
    pub(crate) chunked: bool,
    /// Whether the connection can be used again.
    pub(crate) keep: bool,
    /// `Content-Range`: the bytes that follow, and the size of the object.
    pub(crate) range: Option<(Span, u64)>,
    /// The entity tag.
    pub(crate) etag: Option<ETag>,
    /// The full-object checksum.
    pub(crate) checksum: Option<Checksum>,
    /// The store's id of the request.
    pub(crate) request_id: Option<String>,
    /// The region the bucket is in.
    pub(crate) region: Option<String>,
    /// `x-amz-server-side-encryption`: how the object is encrypted.
    pub(crate) encryption: Option<String>,
    /// The key for it.
    pub(crate) kms_key: Option<String>,
    /// The store's clock, as it writes it.
    pub(crate) date: Option<String>,
}

/// Why a head cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadReply {
    /// Longer than [`HEAD_MAX`].
    #[error("the head of the answer is longer than 64 KiB")]
    TooLong,
    /// Not HTTP/1.
    #[error("the answer is not HTTP/1")]
    NotHttp,
    /// A length that is no number, or two that differ.
    #[error("the answer's length cannot be understood")]
    Length,
    /// A range that is none.
    #[error("the answer's range cannot be understood")]
    Range,
}

impl Reply {
    /// Reads a head from the front of `bytes`: it and its length, or `None` when more is needed.
    ///
    /// # Errors
    /// Says what cannot be understood.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, BadReply> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Response::new(&mut headers);
        let end = match head.parse(bytes) {
            Ok(httparse::Status::Complete(end)) if end <= HEAD_MAX => end,
            Ok(httparse::Status::Partial) if bytes.len() < HEAD_MAX => return Ok(None),
            Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(BadReply::TooLong),
            Err(_) => return Err(BadReply::NotHttp),
        };
        let status = head.code.ok_or(BadReply::NotHttp)?;
        // HTTP/1.1 keeps a connection unless told otherwise, HTTP/1.0 closes it (RFC 9112, 9.3).
        let mut reply = Self { status, keep: head.version == Some(1), ..Self::default() };
        for header in head.headers.iter() {
            let value = String::from_utf8_lossy(header.value);
            reply.take(&header.name.to_ascii_lowercase(), value.trim())?;
        }
        Ok(Some((reply, end)))
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), BadReply> {
        match name {
            "content-length" => {
                let length = digits(value).ok_or(BadReply::Length)?;
                if self.length.replace(length).is_some_and(|before| before != length) {
                    return Err(BadReply::Length);
                }
            }
            "transfer-encoding" => self.chunked = !value.eq_ignore_ascii_case("identity"),
            "connection" => {
                let says = |word| value.split(',').any(|v| v.trim().eq_ignore_ascii_case(word));
                self.keep = !says("close") && (self.keep || says("keep-alive"));
            }
            "content-range" => self.range = Some(range(value).ok_or(BadReply::Range)?),
            "etag" => self.etag = Some(ETag::new(value)),
            "x-amz-request-id" => self.request_id = Some(plain(value)),
            "x-amz-bucket-region" => self.region = Some(plain(value)),
            "x-amz-server-side-encryption" => self.encryption = Some(plain(value)),
            "x-amz-server-side-encryption-aws-kms-key-id" => self.kms_key = Some(plain(value)),
            "date" => self.date = Some(value.to_owned()),
            // Of several, CRC64NVME: it is the one that S3 computes by itself.
            _ if self.checksum.is_none() || name == "x-amz-checksum-crc64nvme" => {
                self.checksum = Checksum::parse(name, value).or(self.checksum);
            }
            _ => {}
        }
        Ok(())
    }
}

/// A text from the store that is going to be shown: bounded, and without control characters.
pub(crate) fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(512).collect()
}

/// Removes the chunked framing (RFC 9112, 7.1) of a body whose first bytes are `raw`: the body
/// and how many bytes of `raw` it took, or `None` while it is not complete.
pub(crate) fn dechunk(raw: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let rest = raw.get(at..)?;
        let httparse::Status::Complete((line, len)) = httparse::parse_chunk_size(rest).ok()? else {
            return None;
        };
        let start = at + line;
        let end = start.checked_add(usize::try_from(len).ok()?)?;
        if len == 0 {
            let tail = raw.get(start..)?;
            return tail.starts_with(b"\r\n").then_some((body, start + 2));
        }
        body.extend_from_slice(raw.get(start..end)?);
        at = end.checked_add(2).filter(|next| raw.get(end..*next) == Some(b"\r\n"))?;
    }
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// `bytes a-b/size`, with b the last byte (RFC 9110, 14.4).
fn range(text: &str) -> Option<(Span, u64)> {
    let (span, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = span.split_once('-')?;
    let (first, last, size) = (digits(first)?, digits(last)?, digits(size)?);
    (first <= last && last < size).then(|| (Span::new(first, last + 1), size))
}

#[cfg(test)]
mod tests;
