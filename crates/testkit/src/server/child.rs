//! An S3 server as a child process, on free ports, in a directory of its own.

use std::net::TcpListener;
use std::process::Command;

use tempfile::TempDir;

use super::Credentials;
use crate::process::Leash;
use crate::tools;

/// A running server. It ends with this value and with this process.
#[derive(Debug)]
pub(super) struct ServerProcess {
    // Dropped in this order: the process first, then its directory.
    _leash: Leash,
    _directory: TempDir,
    port: u16,
}

impl ServerProcess {
    pub(super) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn seaweedfs(credentials: &Credentials) -> Self {
        let directory = TempDir::new().expect("a directory can be made");
        let identities = serde_json::json!({ "identities": [{
            "name": "testkit",
            "credentials": [{
                "accessKey": credentials.access_key,
                "secretKey": credentials.secret_key,
            }],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }]});
        let config = directory.path().join("s3.json");
        std::fs::write(&config, identities.to_string()).expect("the identities can be written");
        let [master, volume, filer, s3, grpc_master, grpc_volume, grpc_filer, grpc_s3] = ports();
        let mut weed = Command::new(tools::weed());
        weed.args(["server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"])
            .arg(format!("-dir={}", directory.path().display()))
            .arg(format!("-s3.config={}", config.display()))
            .args(["-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0"])
            .args(["-volume.max=400", "-master.volumeSizeLimitMB=512"])
            .arg(format!("-master.port={master}"))
            .arg(format!("-volume.port={volume}"))
            .arg(format!("-filer.port={filer}"))
            .arg(format!("-s3.port={s3}"))
            .arg(format!("-master.port.grpc={grpc_master}"))
            .arg(format!("-volume.port.grpc={grpc_volume}"))
            .arg(format!("-filer.port.grpc={grpc_filer}"))
            .arg(format!("-s3.port.grpc={grpc_s3}"));
        Self::start(&weed, directory, s3)
    }

    pub(super) fn minio(credentials: &Credentials) -> Self {
        let directory = TempDir::new().expect("a directory can be made");
        let [port] = ports();
        let mut minio = Command::new(tools::minio());
        minio
            .args(["server", "--quiet", "--address", &format!("127.0.0.1:{port}")])
            .arg(directory.path().join("data"))
            .env("MINIO_ROOT_USER", &credentials.access_key)
            .env("MINIO_ROOT_PASSWORD", &credentials.secret_key)
            .env("MINIO_BROWSER", "off")
            .env("MINIO_UPDATE", "off");
        Self::start(&minio, directory, port)
    }

    pub(super) fn versitygw(credentials: &Credentials) -> Self {
        let directory = TempDir::new().expect("a directory can be made");
        let data = directory.path().join("data");
        std::fs::create_dir(&data).expect("a directory can be made");
        let [port] = ports();
        let mut gateway = Command::new(tools::versitygw());
        gateway
            .args(["--port", &format!("127.0.0.1:{port}"), "posix"])
            .arg(data)
            .env("ROOT_ACCESS_KEY", &credentials.access_key)
            .env("ROOT_SECRET_KEY", &credentials.secret_key);
        Self::start(&gateway, directory, port)
    }

    fn start(command: &Command, directory: TempDir, port: u16) -> Self {
        let log = directory.path().join("server.log");
        let leash = Leash::start(command, &log).expect("the S3 server can be started");
        Self { _leash: leash, _directory: directory, port }
    }
}

/// Ports that were free a moment ago, all different.
fn ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port is free"));
    listeners.map(|listener| listener.local_addr().expect("it has an address").port())
}
