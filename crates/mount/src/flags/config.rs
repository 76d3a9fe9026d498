//! What the command line means.

mod resolve;
mod write;

use std::path::PathBuf;
use std::time::Duration;

use cache::Scope;
use object::Bucket;

pub(crate) use resolve::{bucket, chosen, resolve, source};
pub use write::{PartSize, WriteConfig};

/// Everything a mount needs to know, decided: no defaults left open, no conflicts, units
/// resolved, paths absolute.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where the bytes come from.
    pub source: SourceConfig,
    /// What the mount looks like.
    pub view: ViewConfig,
    /// What may be written; `None` when it is read-only.
    pub write: Option<WriteConfig>,
    /// What it may use.
    pub limits: Limits,
    /// What it keeps on the disk; `None` without a cache.
    pub cache: Option<CacheConfig>,
    /// Where it logs.
    pub log: LogConfig,
    /// The directory to mount on, absolute; symbolic links are resolved when it is looked at.
    pub directory: PathBuf,
    /// Make the directory if it does not exist.
    pub create_directory: bool,
    /// Stay in the foreground.
    pub foreground: bool,
    /// Kernel features not to be used.
    pub masked: MaskedFeatures,
    /// `XDG_RUNTIME_DIR`, where it is set.
    pub runtime_directory: Option<PathBuf>,
    /// Where a user other than root keeps what must outlive the boot, where that is known.
    pub state_directory: Option<PathBuf>,
    /// Sentences to say at the start about how the words were understood.
    pub notes: Vec<String>,
}

/// Where the bytes come from and who asks for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceConfig {
    /// The bucket.
    pub bucket: Bucket,
    /// The keys under this prefix are mounted: empty, or ending in `/`.
    pub prefix: String,
    /// The region the user insists on; without one, the AWS configuration suggests one and the
    /// bucket may correct it.
    pub region: Option<String>,
    /// The service's address; `None` for AWS's own.
    pub endpoint_url: Option<String>,
    /// The bucket goes into the path.
    pub force_path_style: bool,
    /// The account that must own the bucket; `None` when anybody may.
    pub expected_owner: Option<String>,
    /// Whoever asks pays.
    pub requester_pays: bool,
    /// Ask without credentials.
    pub anonymous: bool,
    /// The profile of the AWS configuration that the user insists on; without one, the
    /// environment comes first, as in the AWS tools.
    pub profile: Option<String>,
    /// Certificates to trust instead of the system's, a PEM file.
    pub ca_bundle: Option<PathBuf>,
    /// How often a request is tried at most, from 1.
    pub max_attempts: u32,
}

/// What stands for AWS's own service, whatever the region: the names of its buckets are one space.
const AWS: &str = "aws";

impl SourceConfig {
    /// What all mounts of this bucket have in common.
    pub fn scope(&self) -> Scope {
        let endpoint = self.endpoint_url.clone().unwrap_or_else(|| AWS.to_owned());
        Scope { endpoint, bucket: self.bucket.to_string() }
    }
}

/// What the mount looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewConfig {
    /// The kernel refuses every write.
    pub read_only: bool,
    /// Who may use it.
    pub access: Access,
    /// Owner of everything in it; `None` for the mounting user.
    pub uid: Option<u32>,
    /// Group of everything in it; `None` for the mounting user's.
    pub gid: Option<u32>,
    /// Permission bits of directories.
    pub dir_mode: u32,
    /// Permission bits of files.
    pub file_mode: u32,
    /// How long names and attributes are believed.
    pub metadata_ttl: Ttl,
    /// How long a missing name is believed missing; `None` where the user left it to us.
    pub negative_ttl: Option<Ttl>,
}

/// Who may use a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The mounting user.
    Owner,
    /// The mounting user and root (`--allow-root`).
    OwnerAndRoot,
    /// Everybody (`--allow-other`).
    Everyone,
}

/// How long metadata is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// Every open asks the store.
    Minimal,
    /// This long; never zero in a [`Config`].
    For(Duration),
    /// For ever.
    Indefinite,
}

/// What a mount may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Threads that read requests from the kernel, from 1.
    pub max_threads: usize,
    /// Memory for data in flight, bytes.
    pub memory_target: u64,
    /// Size of one read from the store, bytes.
    pub read_part_size: u64,
    /// A read that got no answer for this long ends with EIO.
    pub read_deadline: Duration,
}

/// What a mount keeps on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// The directory that was named, absolute; ours is made in it.
    pub directory: PathBuf,
    /// The most bytes on the disk; `None` to leave a part of the file system free. 0 for names
    /// only.
    pub limit: Option<u64>,
    /// What to take for the number of this boot instead of the kernel's: how tests imitate one.
    pub boot_id: Option<String>,
}

/// Where a mount logs, and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Where to.
    pub target: LogTarget,
    /// A filter in `tracing`'s directives.
    pub filter: String,
}

/// Where log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Nowhere.
    Nowhere,
    /// Standard error.
    Stderr,
    /// A file in this directory.
    Directory(PathBuf),
    /// The system's log.
    Syslog,
}

/// Kernel features that are not used even where the kernel has them, to imitate an older one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaskedFeatures {
    /// Reads of cached files by the kernel itself.
    pub passthrough: bool,
    /// Sending requests again to a successor.
    pub resend: bool,
    /// Listings that carry attributes.
    pub readdirplus: bool,
    /// Requests above 128 KiB.
    pub large_requests: bool,
}

impl Config {
    /// What is mounted, as people say it: `bucket B`, or `prefix P of bucket B`.
    pub fn subject(&self) -> String {
        match self.source.prefix.as_str() {
            "" => format!("bucket {}", self.source.bucket),
            prefix => format!("prefix {prefix} of bucket {}", self.source.bucket),
        }
    }
}
