//! What was typed.

mod connection;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use crate::flags::config::Ttl;
use crate::flags::parse::Typed;
use crate::flags::units::CacheSize;

pub use connection::{Connection, Connects};

/// What was typed, one field per flag: `None` and `false` mean "not typed". Units are resolved,
/// since the table knows them; defaults and conflicts are not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LowArgs {
    /// The first word: a bucket or `s3://bucket/prefix/`.
    pub bucket: Option<OsString>,
    /// The second word: the directory.
    pub directory: Option<PathBuf>,
    /// `--prefix`.
    pub prefix: Option<String>,
    /// What was typed about the connection to the store.
    pub connection: Connection,
    /// `--read-only`.
    pub read_only: bool,
    /// `--allow-overwrite`.
    pub allow_overwrite: bool,
    /// `--allow-delete`.
    pub allow_delete: bool,
    /// `--ignore-attribute-changes`.
    pub ignore_attribute_changes: bool,
    /// `--upload-checksums`.
    pub upload_checksums: Option<Checksums>,
    /// `--sse`.
    pub sse: Option<s3::Encryption>,
    /// `--sse-kms-key-id`.
    pub sse_kms_key_id: Option<String>,
    /// `--storage-class`.
    pub storage_class: Option<String>,
    /// `--infer-content-type`.
    pub infer_content_type: bool,
    /// `--allow-other`.
    pub allow_other: bool,
    /// `--allow-root`.
    pub allow_root: bool,
    /// `--uid`.
    pub uid: Option<u32>,
    /// `--gid`.
    pub gid: Option<u32>,
    /// `--dir-mode`.
    pub dir_mode: Option<u32>,
    /// `--file-mode`.
    pub file_mode: Option<u32>,
    /// `--max-threads`.
    pub max_threads: Option<u32>,
    /// `--memory-target`, bytes.
    pub memory_target: Option<u64>,
    /// `--part-size`, bytes.
    pub part_size: Option<u64>,
    /// `--read-part-size`, bytes.
    pub read_part_size: Option<u64>,
    /// `--write-part-size`, bytes.
    pub write_part_size: Option<u64>,
    /// `--read-deadline`.
    pub read_deadline: Option<Duration>,
    /// `--metadata-ttl`.
    pub metadata_ttl: Option<Ttl>,
    /// `--negative-metadata-ttl`.
    pub negative_metadata_ttl: Option<Ttl>,
    /// `--cache`.
    pub cache: Option<PathBuf>,
    /// `--max-cache-size`.
    pub max_cache_size: Option<CacheSize>,
    /// `--boot-id`.
    pub boot_id: Option<String>,
    /// `--mask-kernel-features`.
    pub mask_kernel_features: Vec<String>,
    /// `--foreground`.
    pub foreground: bool,
    /// `--create-directory`.
    pub create_directory: bool,
    /// `--log-directory`.
    pub log_directory: Option<PathBuf>,
    /// `--debug`.
    pub debug: bool,
    /// `--no-log`.
    pub no_log: bool,
    /// What was asked for instead of a mount.
    pub special: Option<Special>,
}

/// Flags that answer and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// `-h`.
    ShortHelp,
    /// `--help`.
    LongHelp,
    /// `--version`.
    Version,
    /// `--generate markdown`.
    Markdown,
}

/// What `--upload-checksums` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksums {
    /// Sent, by this algorithm.
    By(object::Algorithm),
    /// Not sent.
    Off,
}

impl Connects for LowArgs {
    fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl Typed for LowArgs {
    fn place(&mut self, word: OsString) -> Result<(), OsString> {
        if self.bucket.is_none() {
            self.bucket = Some(word);
        } else if self.directory.is_none() {
            self.directory = Some(word.into());
        } else {
            return Err(word);
        }
        Ok(())
    }

    fn short_help(&mut self) {
        self.special = Some(Special::ShortHelp);
    }
}

/// Whether a word is empty or white space only.
pub fn is_blank(word: &OsStr) -> bool {
    word.as_encoded_bytes().iter().all(u8::is_ascii_whitespace)
}
