//! Clients for the tests.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use lab::{Config, Lab};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A lab in memory with the bucket `bucket`.
pub(crate) async fn lab() -> Lab {
    lab_with(Config::default()).await
}

pub(crate) async fn lab_with(config: Config) -> Lab {
    let lab = Lab::start(config).await.unwrap();
    lab.create_bucket("bucket").unwrap();
    lab
}

/// The SDK's settings for a lab with the default identity: path style, no retries.
pub(crate) fn settings(lab: &Lab) -> Builder {
    let Config { access_key, secret_key, .. } = Config::default();
    Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(lab.endpoint())
        .force_path_style(true)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(access_key, secret_key, None, None, "test"))
        .retry_config(RetryConfig::disabled())
}

pub(crate) fn client(lab: &Lab) -> Client {
    Client::from_conf(settings(lab).build())
}

pub(crate) fn body(bytes: &[u8]) -> ByteStream {
    ByteStream::from(bytes.to_vec())
}

/// The S3 error code of a failed call, or its status where the answer had no body.
pub(crate) fn code<T: std::fmt::Debug, E>(result: Result<T, SdkError<E>>) -> String
where
    E: aws_sdk_s3::error::ProvideErrorMetadata + std::error::Error,
{
    let error = result.expect_err("the call should fail");
    let status = error.raw_response().map(|raw| raw.status().as_u16());
    match error.code() {
        Some(code) => code.to_owned(),
        None => status.map_or(format!("{error:?}"), |status| status.to_string()),
    }
}

/// All that came back over one connection.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// How the connection ended: None is an orderly end.
    pub(crate) ended: Option<std::io::ErrorKind>,
}

impl Raw {
    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// One unsigned request on a connection of its own, read until the connection ends.
pub(crate) async fn raw(lab: &Lab, request: &str) -> Raw {
    let work = async {
        let mut tcp = TcpStream::connect(lab.address()).await.unwrap();
        tcp.write_all(request.as_bytes()).await.unwrap();
        let (mut received, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
        let ended = loop {
            match tcp.read(&mut buffer).await {
                Ok(0) => break None,
                Ok(length) => received.extend_from_slice(&buffer[..length]),
                Err(error) => break Some(error.kind()),
            }
        };
        let end =
            received.windows(4).position(|w| w == b"\r\n\r\n").map_or(received.len(), |at| at + 4);
        let body = received.split_off(end);
        Raw { head: String::from_utf8(received).unwrap(), body, ended }
    };
    tokio::time::timeout(PATIENCE, work).await.expect("the raw request should end")
}

/// An unsigned GET of a path (and extra header lines), on a connection closed behind it.
pub(crate) async fn get(lab: &Lab, path: &str, headers: &str) -> Raw {
    raw(lab, &format!("GET {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n{headers}\r\n"))
        .await
}
