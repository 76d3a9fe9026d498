//! Keys as paths: one rule, for every key there can be.
//!
//! | key below a listed prefix | shown as |
//! |---|---|
//! | `name` | a file |
//! | `name/…` | a directory; where there is also an object `name`, the directory wins |
//! | the prefix itself (a key ending in `/`) | nothing: it makes its directory visible |
//! | an empty component (`//`, a leading `/`), `.`, `..`, NUL, a component above 255 bytes | hidden |
//!
//! Everything else is a name as it stands: control characters, backslashes, blanks, any case, any
//! normal form. A hidden component hides what is below it.

use object::MAX_KEY;

use crate::errno::Errno;

/// The longest component of a path in bytes: `NAME_MAX` of Linux.
pub const NAME_MAX: usize = 255;

/// Why a key is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A component without a character: `a//b`, `/a`.
    Empty,
    /// A component `.` or `..`.
    Dots,
    /// A NUL byte, which ends a name in Linux.
    Nul,
    /// A component above [`NAME_MAX`] bytes.
    TooLong,
    /// A key that does not begin with the prefix that was asked for.
    Outside,
}

impl Reason {
    /// The rule that was broken, for people.
    pub fn rule(self) -> &'static str {
        match self {
            Self::Empty => "a path has no empty component (`//`, or a leading `/`)",
            Self::Dots => "`.` and `..` are no names",
            Self::Nul => "a name has no NUL byte",
            Self::TooLong => "a name has at most 255 bytes",
            Self::Outside => "the store listed a key outside the prefix it was asked for",
        }
    }
}

/// How a key below a prefix is shown in that prefix's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown<'a> {
    /// A file of this name.
    File(&'a str),
    /// A directory of this name.
    Directory(&'a str),
    /// The directory itself.
    Marker,
    /// Not at all.
    Hidden(Reason),
}

/// How `key`, an object's or one rolled up to end in `/`, is shown in the directory of `prefix`,
/// which is empty or ends in `/`.
pub fn shown<'a>(prefix: &str, key: &'a str) -> Shown<'a> {
    let Some(rest) = key.strip_prefix(prefix) else { return Shown::Hidden(Reason::Outside) };
    if rest.is_empty() {
        return Shown::Marker;
    }
    let (name, below) = match rest.split_once('/') {
        Some((name, _)) => (name, true),
        None => (rest, false),
    };
    match flaw(name) {
        Some(reason) => Shown::Hidden(reason),
        None if below => Shown::Directory(name),
        None => Shown::File(name),
    }
}

/// The name an application asked for, as a key can contain it.
///
/// # Errors
/// [`Errno::NameTooLong`] above [`NAME_MAX`] bytes; [`Errno::Invalid`] for what no key shown here
/// has: bytes that are no UTF-8, `/`, NUL, `.`, `..`, nothing.
pub fn component(name: &[u8]) -> Result<&str, Errno> {
    let name = match std::str::from_utf8(name) {
        _ if name.len() > NAME_MAX => return Err(Errno::NameTooLong),
        Ok(name) => name,
        Err(_) => return Err(Errno::Invalid),
    };
    match flaw(name) {
        None if !name.contains('/') => Ok(name),
        _ => Err(Errno::Invalid),
    }
}

/// The key of `name` in the directory of `prefix`.
///
/// # Errors
/// [`Errno::NameTooLong`] when no key can be that long.
pub fn join(prefix: &str, name: &str) -> Result<String, Errno> {
    match prefix.len() + name.len() {
        ..=MAX_KEY => Ok([prefix, name].concat()),
        _ => Err(Errno::NameTooLong),
    }
}

fn flaw(name: &str) -> Option<Reason> {
    match name {
        "" => Some(Reason::Empty),
        "." | ".." => Some(Reason::Dots),
        _ if name.contains('\0') => Some(Reason::Nul),
        _ if name.len() > NAME_MAX => Some(Reason::TooLong),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
