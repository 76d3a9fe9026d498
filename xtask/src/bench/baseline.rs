//! The baseline: the same bytes by the AWS SDK as it comes, and no file system.
//!
//! Nothing is tuned: the SDK's own HTTP client, its own retries and checksums, 8 MiB ranges
//! (a small object is one whole GET), a fixed number of requests in flight, every body
//! collected the usual way (`collect().await?.into_bytes()`: one piece of memory) and dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, ensure};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use lab::synthetic;
use serde::{Deserialize, Serialize};
use tokio::runtime;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::case::{BUCKET, Objects, PART, VERSION};
use super::server::Access;

/// Bytes compared at the start of every body: wrong bytes are no result, and checking all of
/// them would cost what is measured.
const CHECKED: usize = 64;

/// Reads every object once.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Fetch {
    pub(super) access: Access,
    pub(super) objects: Objects,
    /// Requests at one time.
    pub(super) in_flight: u64,
}

/// One GET.
struct Part {
    key: Arc<str>,
    start: u64,
    length: u64,
    whole: bool,
}

impl Fetch {
    /// Seconds and bytes.
    pub(super) fn carry_out(self) -> Result<(f64, u64)> {
        runtime::Builder::new_multi_thread().enable_all().build()?.block_on(self.fetch())
    }

    async fn fetch(self) -> Result<(f64, u64)> {
        let client = client(&self.access);
        let parts: Arc<[Part]> = parts(&self.objects).into();
        let next = Arc::new(AtomicUsize::new(0));
        let began = Instant::now();
        let mut workers = JoinSet::new();
        for _ in 0..self.in_flight {
            let (client, parts, next) = (client.clone(), parts.clone(), next.clone());
            workers.spawn(async move {
                while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    get(&client, part).await?;
                }
                Ok::<_, anyhow::Error>(())
            });
        }
        while let Some(done) = workers.join_next().await {
            done??;
        }
        let bytes = parts.iter().map(|part| part.length).sum();
        Ok((began.elapsed().as_secs_f64(), bytes))
    }
}

/// The SDK's client as it comes.
pub(super) fn client(access: &Access) -> Client {
    let credentials = Credentials::new(&access.access_key, &access.secret_key, None, None, "bench");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(access.region.clone()))
        .endpoint_url(&access.endpoint)
        .force_path_style(true)
        .credentials_provider(credentials);
    Client::from_conf(config.build())
}

fn parts(objects: &Objects) -> Vec<Part> {
    let mut parts = vec![];
    for key in objects.keys() {
        let key: Arc<str> = key.into();
        for number in 0..objects.size.div_ceil(PART) {
            let start = number * PART;
            let length = PART.min(objects.size - start);
            parts.push(Part { key: key.clone(), start, length, whole: length == objects.size });
        }
    }
    parts
}

async fn get(client: &Client, part: &Part) -> Result<()> {
    let Part { key, start, length, whole } = part;
    let range = (!whole).then(|| format!("bytes={start}-{}", start + length - 1));
    let request = client.get_object().bucket(BUCKET).key(&**key).set_range(range);
    let answer = request.send().await.with_context(|| format!("GET {key}"))?;
    let body = answer.body.collect().await.with_context(|| format!("body of {key}"))?.into_bytes();
    ensure!(body.len() as u64 == *length, "{key}: {} bytes for {length}", body.len());
    let first = body.get(..CHECKED).unwrap_or(&body);
    synthetic::check(key, VERSION, *start, first)
        .map_err(|wrong| anyhow::anyhow!("{key}: wrong byte at {}", wrong.offset))
}
