//! Values of flags as they come from the shell.

use std::ffi::OsStr;
use std::path::PathBuf;

use crate::flags::low::is_blank;

/// The value as text.
pub(crate) fn text(value: &OsStr) -> Result<String, String> {
    if is_blank(value) {
        return Err("the value is empty".into());
    }
    value.to_str().map(str::to_owned).ok_or_else(|| "the value is not UTF-8".into())
}

/// The value as a path.
pub(crate) fn path(value: &OsStr) -> Result<PathBuf, String> {
    if is_blank(value) {
        return Err("the value is empty".into());
    }
    Ok(value.into())
}

/// Notes a value that makes sense; the last one typed wins.
pub(crate) fn some<T>(slot: &mut Option<T>, value: Result<T, String>) -> Result<(), String> {
    *slot = Some(value?);
    Ok(())
}

/// A value that is sent as a header: visible characters without blanks.
pub(crate) fn header(text: String) -> Result<String, String> {
    match text.bytes().all(|byte| byte.is_ascii_graphic()) && text.len() <= 2048 {
        true => Ok(text),
        false => Err("it has blanks or odd characters, or is too long".into()),
    }
}

/// The number of an account.
pub(crate) fn account(text: String) -> Result<String, String> {
    match text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Ok(text),
        false => Err(format!("`{text}` is no account: it has 12 digits")),
    }
}
