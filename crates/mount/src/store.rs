//! The store that a configuration names.

use std::sync::Arc;
use std::time::Duration;

use object::Clock;
use s3::{Identity, S3};

use crate::flags::SourceConfig;

/// What a client of the store is told, of everything that does not depend on what it is for.
pub fn config(source: &SourceConfig) -> s3::Config {
    let identity = match source.anonymous {
        true => Identity::Anonymous,
        false => Identity::Chain { profile: source.profile.clone() },
    };
    s3::Config {
        region: source.region.clone(),
        endpoint_url: source.endpoint_url.clone(),
        force_path_style: source.force_path_style,
        identity,
        ca_bundle: source.ca_bundle.clone(),
        max_attempts: source.max_attempts,
        expected_bucket_owner: source.expected_owner.clone(),
        requester_pays: source.requester_pays,
        ..s3::Config::new(source.bucket.clone())
    }
}

/// A client for a command that has some questions. That the bucket cannot be listed does not
/// matter to it.
///
/// # Errors
/// The store cannot be reached, or nobody may ask it.
pub async fn connect(
    source: &SourceConfig,
    deadline: Duration,
    clock: &Clock,
) -> object::Result<Arc<S3>> {
    let told = s3::Config { read_deadline: deadline, ..config(source) };
    let (store, _) = S3::connect(told, clock.clone(), &source.prefix).await?;
    Ok(Arc::new(store))
}
