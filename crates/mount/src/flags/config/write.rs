//! What may be written, and how it is stored.

use s3::Attributes;

/// What a mount may write. A read-only mount has none of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteConfig {
    /// Files may be replaced, as a whole.
    pub overwrite: bool,
    /// Files may be deleted.
    pub delete: bool,
    /// Changes of mode, owner and times succeed without effect.
    pub ignore_attributes: bool,
    /// How large the parts of an upload are.
    pub parts: PartSize,
    /// What new objects get beside their bytes.
    pub attributes: Attributes,
}

/// How large the parts of an upload are, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartSize {
    /// Each of them, as the user fixed it.
    Fixed(u64),
    /// The first ones; later ones grow with the file.
    Growing(u64),
}

impl WriteConfig {
    /// What is allowed, as people say it.
    pub fn permissions(&self) -> &'static str {
        match (self.overwrite, self.delete) {
            (false, false) => "new files can be written, none overwritten or deleted",
            (true, false) => "files can be written and overwritten, not deleted",
            (false, true) => "new files can be written and files deleted, none overwritten",
            (true, true) => "files can be written, overwritten and deleted",
        }
    }
}
