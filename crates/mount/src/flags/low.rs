//! What was typed.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use crate::flags::config::Ttl;
use crate::flags::parse::Typed;
use crate::flags::units::CacheSize;

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
    /// `--region`.
    pub region: Option<String>,
    /// `--endpoint-url`.
    pub endpoint_url: Option<String>,
    /// `--force-path-style`.
    pub force_path_style: bool,
    /// `--no-sign-request`.
    pub no_sign_request: bool,
    /// `--profile`.
    pub profile: Option<String>,
    /// `--ca-bundle`.
    pub ca_bundle: Option<PathBuf>,
    /// `--read-only`.
    pub read_only: bool,
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
