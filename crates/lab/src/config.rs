//! How a lab is set up.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Where objects live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backing {
    /// In memory; gone with the lab.
    Memory,
    /// Nowhere: bodies are summed up and thrown away, so that what writing them costs is hardly
    /// more than their way here. They have sizes, checksums and ETags (none of MD5), but a GET of
    /// them is refused. Synthetic objects can be read.
    Nowhere,
    /// In a directory, whose sub-directories are buckets and whose files are objects. What
    /// S3 knows beyond the bytes is kept in a directory `.lab` in each bucket. Synthetic
    /// objects and unfinished uploads do not survive a restart.
    Directory(PathBuf),
}

/// How a lab is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where S3 is served. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the control endpoint is served. Port 0 takes a free one.
    pub control: SocketAddr,
    /// Where objects live.
    pub backing: Backing,
    /// The one access key.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
    /// Whether unsigned requests are served too.
    pub anonymous: bool,
    /// The region of every bucket. Requests signed for another one are refused.
    pub region: String,
    /// Whether S3 is served over TLS, with a certificate of the lab's own authority.
    pub tls: bool,
    /// Host names `BUCKET.DOMAIN` name a bucket (virtual-host style). Path style always works.
    pub domain: Option<String>,
    /// A file to which the request log is appended as JSON lines.
    pub log: Option<PathBuf>,
}

impl Default for Config {
    /// In memory, on free ports of the loopback address, signed requests for us-east-1 only.
    fn default() -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            listen: loopback,
            control: loopback,
            backing: Backing::Memory,
            access_key: "LABACCESSKEY".to_owned(),
            secret_key: "lab-secret-key".to_owned(),
            anonymous: false,
            region: "us-east-1".to_owned(),
            tls: false,
            domain: None,
            log: None,
        }
    }
}
