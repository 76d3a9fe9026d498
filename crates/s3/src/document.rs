//! The XML of requests and answers that this crate reads and writes itself. The documents are
//! flat where it matters, so no tree is built, and their size is bounded by whoever read them.

use std::borrow::Cow;

use object::{Algorithm, Part};

use crate::checksum;

/// Whether a document is an error, whatever the status above it. White space before it, which
/// keeps a connection alive, is none of it.
pub(crate) fn is_error(text: &str) -> bool {
    let text = text.trim_start();
    let text = match text.strip_prefix("<?xml") {
        Some(rest) => rest.split_once("?>").map_or("", |(_, rest)| rest).trim_start(),
        None => text,
    };
    text.starts_with("<Error>") || text.starts_with("<Error ")
}

/// The text of the first element `name`; `None` when there is none, or one with elements in it.
pub(crate) fn value_of(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once(&format!("</{name}>"))?;
    (!value.contains('<')).then(|| unescaped(value))
}

/// Undoes the escapes of XML 1.0, section 4.1; what is none stays as it is.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain += before;
        let known = after.split_once(';').and_then(|(name, after)| Some((entity(name)?, after)));
        let (c, after) = known.unwrap_or(('&', after));
        plain.push(c);
        rest = after;
    }
    plain + rest
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>']) {
        return text.into();
    }
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").into()
}

/// The body of a CompleteMultipartUpload (S3 API reference). `algorithm`: of what kind the parts'
/// checksums are that are told; some stores want them repeated.
pub(crate) fn completion(parts: &[Part], algorithm: Option<Algorithm>) -> String {
    let mut text = "<CompleteMultipartUpload \
                    xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
        .to_owned();
    for part in parts {
        let etag = part.etag.quoted();
        text += &format!(
            "<Part><PartNumber>{}</PartNumber><ETag>{}</ETag>",
            part.number,
            escaped(&etag)
        );
        if let Some(sum) = part.checksum.filter(|sum| Some(sum.algorithm) == algorithm) {
            let (name, value) = (checksum::name(sum.algorithm), checksum::text(sum));
            text += &format!("<Checksum{name}>{value}</Checksum{name}>");
        }
        text += "</Part>";
    }
    text + "</CompleteMultipartUpload>"
}

#[cfg(test)]
mod tests;
