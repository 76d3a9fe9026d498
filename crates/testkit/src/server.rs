//! S3 servers to run against: the lab in this process, SeaweedFS, MinIO and Versity S3 Gateway as children.

mod bucket;
mod child;

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Region};
use lab::{Config, Lab};
use tokio::runtime::Runtime;

pub use bucket::Bucket;
use child::ServerProcess;

/// The region of every server here.
const REGION: &str = "us-east-1";

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The access key.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
}

/// One S3 endpoint. Dropping it ends it.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    endpoint: String,
    credentials: Credentials,
    client: Client,
    runtime: Runtime,
}

#[derive(Debug)]
enum Kind {
    Lab(Box<Lab>),
    Process(#[expect(dead_code, reason = "held: dropping it ends the server")] ServerProcess),
}

impl Server {
    /// A lab in memory.
    pub fn lab() -> Self {
        Self::lab_with(Config::default())
    }

    /// A lab of one's own making.
    pub fn lab_with(config: Config) -> Self {
        let runtime = runtime();
        let credentials = Credentials {
            access_key: config.access_key.clone(),
            secret_key: config.secret_key.clone(),
        };
        let lab = runtime.block_on(Lab::start(config)).expect("the lab starts");
        let endpoint = lab.endpoint();
        Self::with(Kind::Lab(Box::new(lab)), endpoint, credentials, runtime)
    }

    /// SeaweedFS, installed on first use.
    pub fn seaweedfs() -> Self {
        Self::process(ServerProcess::seaweedfs)
    }

    /// MinIO, built on first use.
    pub fn minio() -> Self {
        Self::process(ServerProcess::minio)
    }

    /// Versity S3 Gateway, over a directory; built on first use.
    pub fn versitygw() -> Self {
        Self::process(ServerProcess::versitygw)
    }

    fn process(start: fn(&Credentials) -> ServerProcess) -> Self {
        let credentials =
            Credentials { access_key: "testkitaccess".into(), secret_key: "testkitsecret".into() };
        let process = start(&credentials);
        let endpoint = process.endpoint();
        let server = Self::with(Kind::Process(process), endpoint, credentials, runtime());
        server.wait_until_ready();
        server
    }

    fn with(kind: Kind, endpoint: String, credentials: Credentials, runtime: Runtime) -> Self {
        let identity = aws_credential_types::Credentials::new(
            credentials.access_key.clone(),
            credentials.secret_key.clone(),
            None,
            None,
            "testkit",
        );
        let config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&endpoint)
            .force_path_style(true)
            .region(Region::new(REGION))
            .credentials_provider(identity)
            .build();
        Self { kind, endpoint, credentials, client: Client::from_conf(config), runtime }
    }

    /// A server process listens before it can store: ready is when an object was put.
    fn wait_until_ready(&self) {
        let limit = std::time::Duration::from_secs(90);
        crate::until("the S3 server stores an object", limit, || {
            let put = async {
                let created = self.client.create_bucket().bucket("ready").send().await;
                let put = self.client.put_object().bucket("ready").key("ready").send().await;
                created.is_ok() | put.is_ok() && put.is_ok()
            };
            self.runtime.block_on(put)
        });
    }

    /// Where it listens, e.g. `http://127.0.0.1:40123`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Who may do everything.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The variables that tell a program who asks, and in which region.
    pub fn environment(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("AWS_ACCESS_KEY_ID", self.credentials.access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.credentials.secret_key.clone()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ])
    }

    /// The lab; panics for another server: only the lab counts, makes objects from
    /// nothing, and misbehaves on demand.
    pub fn lab_itself(&self) -> &Lab {
        match &self.kind {
            Kind::Lab(lab) => lab,
            Kind::Process(_) => panic!("not a lab"),
        }
    }

    /// Requests of one operation since the last [`Lab::reset_counters`]; a lab's only.
    pub fn count(&self, operation: &str) -> u64 {
        self.lab_itself().counters().requests(operation)
    }

    /// Makes a bucket, which must not be there yet.
    #[track_caller]
    pub fn bucket(&self, name: &str) -> Bucket<'_> {
        let created = self.client.create_bucket().bucket(name).send();
        self.runtime.block_on(created).expect("the bucket can be made");
        Bucket { server: self, name: name.to_owned() }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("server")
        .enable_all()
        .build()
        .expect("a runtime can be made")
}
