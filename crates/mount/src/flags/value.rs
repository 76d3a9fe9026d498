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
