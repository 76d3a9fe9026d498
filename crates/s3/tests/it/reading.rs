//! Reading through a client, and checking what came.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use object::{Bucket, Budget, CHUNK, Clock, ETag, Flight, Key, Result, Source, Span, Version};
use s3::{Config, Identity, S3};

/// A test that takes longer hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn config(endpoint: &str) -> Config {
    let keys = Credentials::new("LABACCESSKEY", "lab-secret-key", None, None, "test");
    Config {
        region: Some("us-east-1".into()),
        endpoint_url: Some(endpoint.into()),
        identity: Identity::Provider(SharedCredentialsProvider::new(keys)),
        ..Config::new(Bucket::new("bucket").unwrap())
    }
}

pub(crate) async fn connect(config: Config) -> S3 {
    S3::connect(config, Clock::start(), "").await.unwrap().0
}

pub(crate) fn version(key: &str, etag: &str, size: u64) -> Arc<Version> {
    Arc::new(Version { key: Key::new(key).unwrap(), etag: ETag::new(etag), size })
}

/// Starts a read with a budget of its own, which must be free again when all is over.
pub(crate) fn start(s3: &S3, version: &Arc<Version>, span: Span) -> (Arc<Budget>, Arc<Flight>) {
    let budget = Budget::new(span.len() + CHUNK);
    let lease = budget.try_lease(span.len(), 0).unwrap();
    (budget, s3.read(version, span, lease))
}

pub(crate) async fn bytes_of(flight: &Flight) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for number in flight.span().chunks() {
        bytes.extend_from_slice(&flight.landed(number).await?);
    }
    Ok(bytes)
}

pub(crate) async fn read(s3: &S3, version: &Arc<Version>, span: Span) -> Result<Vec<u8>> {
    let (budget, flight) = start(s3, version, span);
    let bytes = tokio::time::timeout(PATIENCE, bytes_of(&flight)).await.expect("the read hangs");
    drop(flight);
    let freed = async {
        while budget.used() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, freed).await.expect("the budget does not get its bytes back");
    bytes
}
