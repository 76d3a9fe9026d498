//! Pages of a listing, by seeks in an ordered map.
//!
//! Order is that of the keys' UTF-8 bytes, which for Rust strings is `Ord`. A common
//! prefix costs one seek however many keys it covers.

use std::collections::BTreeMap;
use std::ops::Bound;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

#[cfg(test)]
mod tests;

/// What a page is asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query<'a> {
    pub(crate) prefix: &'a str,
    /// Empty is none.
    pub(crate) delimiter: &'a str,
    pub(crate) after: After,
    /// Entries at most, common prefixes included.
    pub(crate) limit: usize,
}

/// Where a page begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum After {
    #[default]
    Start,
    /// Behind this key.
    Key(String),
    /// Behind every key that begins so.
    Prefix(String),
}

impl After {
    /// The opaque text of a continuation token.
    pub(crate) fn to_token(&self) -> String {
        match self {
            Self::Start => BASE64.encode("s"),
            Self::Key(key) => BASE64.encode(format!("k{key}")),
            Self::Prefix(prefix) => BASE64.encode(format!("p{prefix}")),
        }
    }

    /// Reads what [`Self::to_token`] wrote.
    pub(crate) fn from_token(token: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64.decode(token).ok()?).ok()?;
        match text.split_at_checked(1)? {
            ("s", "") => Some(Self::Start),
            ("k", key) => Some(Self::Key(key.to_owned())),
            ("p", prefix) => Some(Self::Prefix(prefix.to_owned())),
            _ => None,
        }
    }
}

/// One line of a listing.
#[derive(Debug)]
pub(crate) enum Line<'a, V> {
    Key(&'a str, &'a V),
    CommonPrefix(&'a str),
}

/// One page.
#[derive(Debug)]
pub(crate) struct Page<'a, V> {
    pub(crate) lines: Vec<Line<'a, V>>,
    /// Where the next page begins, when there is one.
    pub(crate) next: Option<After>,
}

/// One page of `map`.
pub(crate) fn page<'a, V>(map: &'a BTreeMap<String, V>, query: &Query<'_>) -> Page<'a, V> {
    let mut page = Page { lines: Vec::new(), next: None };
    if query.limit == 0 {
        return page;
    }
    let mut at = query.after.clone();
    while let Some((key, value)) = first_behind(map, query.prefix, &at) {
        if page.lines.len() == query.limit {
            page.next = Some(at);
            break;
        }
        match common_prefix(key, query) {
            Some(prefix) => {
                at = After::Prefix(prefix.to_owned());
                page.lines.push(Line::CommonPrefix(prefix));
            }
            None => {
                at = After::Key(key.clone());
                page.lines.push(Line::Key(key, value));
            }
        }
    }
    page
}

fn first_behind<'a, V>(
    map: &'a BTreeMap<String, V>,
    prefix: &str,
    after: &After,
) -> Option<(&'a String, &'a V)> {
    let behind_prefix;
    let lower = match after {
        After::Key(key) if key.as_str() >= prefix => Bound::Excluded(key.as_str()),
        After::Prefix(covered) if covered.as_str() >= prefix => {
            behind_prefix = successor(covered)?;
            Bound::Included(behind_prefix.as_str())
        }
        _ => Bound::Included(prefix),
    };
    map.range::<str, _>((lower, Bound::Unbounded)).next().filter(|(key, _)| key.starts_with(prefix))
}

fn common_prefix<'a>(key: &'a str, query: &Query<'_>) -> Option<&'a str> {
    if query.delimiter.is_empty() {
        return None;
    }
    let rest = key.get(query.prefix.len()..)?;
    let end = query.prefix.len() + rest.find(query.delimiter)? + query.delimiter.len();
    key.get(..end)
}

/// The least string above every string that begins with `prefix`.
fn successor(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // Surrogates are no characters; the next one above 0xD7FF is 0xE000.
        let next =
            if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(last as u32 + 1) };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

/// `text` as `encoding-type=url` writes it: form encoding with the slash kept.
pub(crate) fn url_encoded(text: &str) -> String {
    const KEPT: percent_encoding::AsciiSet = percent_encoding::NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'*')
        .remove(b'/')
        .remove(b' ');
    percent_encoding::utf8_percent_encode(text, &KEPT).to_string().replace(' ', "+")
}
