//! What a client is told when it is made.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use object::Bucket;

use crate::attributes::Attributes;

/// Who asks.
#[derive(Clone)]
pub enum Identity {
    /// Whoever the AWS SDK's default chain finds (environment, profile, web identity, container,
    /// instance metadata). If a profile is named, it and nobody else: keys that happen to be in
    /// the environment must not win over it.
    Chain {
        /// The name of a profile in the shared configuration files.
        profile: Option<String>,
    },
    /// Nobody: requests are not signed and no credentials are looked up.
    Anonymous,
    /// Whoever this provider names. It is asked again when what it gave expires or is refused.
    Provider(SharedCredentialsProvider),
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain { profile } => f.debug_struct("Chain").field("profile", profile).finish(),
            Self::Anonymous => f.write_str("Anonymous"),
            // A provider of fixed keys would show them.
            Self::Provider(_) => f.write_str("Provider"),
        }
    }
}

/// Everything a client needs to know. [`Config::new`] gives the defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// The bucket.
    pub bucket: Bucket,
    /// The bucket's region. `None`: the environment's or profile's, else found out by asking.
    pub region: Option<String>,
    /// The endpoint's URL (`http` or `https`). `None`: the environment's or profile's, else AWS.
    pub endpoint_url: Option<String>,
    /// Puts the bucket in the path even where it could be in the host name.
    pub force_path_style: bool,
    /// Who asks.
    pub identity: Identity,
    /// A PEM file of the only certificates to trust, instead of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// The most times one request is sent, the first included; at least 1.
    pub max_attempts: u32,
    /// The most time one read, HEAD or LIST takes, retries and waits included.
    pub read_deadline: Duration,
    /// The most time one write takes, retries and waits included, but not the time in which its
    /// bytes are taken by the store; what the store does with bytes that it has, completing and
    /// copying, may take five times as long.
    pub write_deadline: Duration,
    /// The least time without a byte after which a second try on another connection is made.
    /// Where first bytes are seen to take long, three times their 99th percentile, up to ten
    /// times this, is waited for instead; and twice as long at each try from the third on. Writes
    /// take stores longer: five times this is their least.
    pub stall: Duration,
    /// The longest answer in bytes that is held back until its checksum is verified.
    pub part_size: u64,
    /// The most requests with bodies in flight at once; fewer after the store asked to slow down.
    pub max_connections: usize,
    /// The `User-Agent` of every request.
    pub user_agent: String,
    /// What is stored beside the bytes of objects.
    pub attributes: Attributes,
    /// The account that has to own the bucket; every request to another's is refused.
    pub expected_bucket_owner: Option<String>,
    /// Whether whoever asks pays, and agrees to in every request.
    pub requester_pays: bool,
}

impl Config {
    /// The defaults for `bucket`: 10 attempts, 30 s to read and 60 s to write, 1 s to a stall,
    /// 8 MiB parts, 64 connections, and what [`Attributes`] has.
    pub fn new(bucket: Bucket) -> Self {
        Self {
            bucket,
            region: None,
            endpoint_url: None,
            force_path_style: false,
            identity: Identity::Chain { profile: None },
            ca_bundle: None,
            max_attempts: 10,
            read_deadline: Duration::from_secs(30),
            write_deadline: Duration::from_secs(60),
            stall: Duration::from_secs(1),
            part_size: 8 << 20,
            max_connections: 64,
            user_agent: concat!("mount-s3/", env!("CARGO_PKG_VERSION")).to_owned(),
            attributes: Attributes::default(),
            expected_bucket_owner: None,
            requester_pays: false,
        }
    }

    /// The headers that every request has (S3 API reference, "Common Request Headers").
    pub(crate) fn standing(&self) -> Vec<(&'static str, String)> {
        let owner = self.expected_bucket_owner.clone();
        let owner = owner.map(|owner| ("x-amz-expected-bucket-owner", owner));
        let pays = self.requester_pays.then(|| ("x-amz-request-payer", "requester".to_owned()));
        owner.into_iter().chain(pays).collect()
    }
}
