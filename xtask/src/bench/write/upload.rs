//! The baseline: the same bytes by the AWS SDK as it comes, and no file system.
//!
//! Nothing is tuned: the SDK's own HTTP client, its own retries and checksums. A large object is a
//! multipart upload of 8 MiB parts, a small one a PUT.

use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart};
use serde::{Deserialize, Serialize};
use tokio::runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::writer::SOURCE;
use crate::bench::baseline::client;
use crate::bench::case::{BUCKET, Objects, PART};
use crate::bench::server::Access;

/// Writes every object once.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Upload {
    pub(super) access: Access,
    pub(super) objects: Objects,
    /// Requests at one time.
    pub(super) in_flight: u64,
}

impl Upload {
    /// Seconds and bytes.
    pub(crate) fn carry_out(self) -> Result<(f64, u64)> {
        runtime::Builder::new_multi_thread().enable_all().build()?.block_on(self.upload())
    }

    async fn upload(self) -> Result<(f64, u64)> {
        let client = client(&self.access);
        let places = Arc::new(Semaphore::new(usize::try_from(self.in_flight)?));
        let mut source = File::open(SOURCE)?;
        let began = Instant::now();
        for key in self.objects.keys() {
            if self.objects.size > PART {
                parts(&client, &key, self.objects.size, &places).await?;
            } else {
                let body = piece(&mut source, self.objects.size)?;
                let put = client.put_object().bucket(BUCKET).key(&key).body(body);
                // The one that the mount sends, so that what both stored can be compared.
                let put = put.checksum_algorithm(ChecksumAlgorithm::Crc64Nvme);
                put.send().await.with_context(|| format!("PUT {key}"))?;
            }
        }
        Ok((began.elapsed().as_secs_f64(), self.objects.bytes()))
    }
}

async fn parts(client: &Client, key: &str, size: u64, places: &Arc<Semaphore>) -> Result<()> {
    let begun = client.create_multipart_upload().bucket(BUCKET).key(key).send().await?;
    let id = begun.upload_id.context("an upload without an id")?;
    let mut source = File::open(SOURCE)?;
    let mut sending = JoinSet::new();
    for number in 0..size.div_ceil(PART) {
        let place = places.clone().acquire_owned().await?;
        let body = piece(&mut source, PART.min(size - number * PART))?;
        let number = i32::try_from(number + 1)?;
        let part = client.upload_part().bucket(BUCKET).key(key).upload_id(&id);
        let part = part.part_number(number).body(body);
        sending.spawn(async move {
            let answer = part.send().await.with_context(|| format!("part {number}"))?;
            drop(place);
            let part = CompletedPart::builder().part_number(number).set_e_tag(answer.e_tag);
            Ok::<_, anyhow::Error>(part.set_checksum_crc32(answer.checksum_crc32).build())
        });
    }
    let mut done = sending.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    done.sort_by_key(CompletedPart::part_number);
    let done = CompletedMultipartUpload::builder().set_parts(Some(done)).build();
    let complete = client.complete_multipart_upload().bucket(BUCKET).key(key).upload_id(id);
    complete.multipart_upload(done).send().await.context("completing the upload")?;
    Ok(())
}

fn piece(source: &mut File, length: u64) -> Result<ByteStream> {
    let mut bytes = vec![0; usize::try_from(length)?];
    source.read_exact(&mut bytes)?;
    Ok(ByteStream::from(bytes))
}

/// Asks the server what came.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Look {
    pub(super) access: Access,
    pub(super) objects: Objects,
}

impl Look {
    /// For every object its size and the CRC-64/NVME of its bytes.
    pub(crate) fn carry_out(self) -> Result<Vec<(Option<i64>, Option<String>)>> {
        runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
            let client = client(&self.access);
            let mut seen = vec![];
            for key in self.objects.keys() {
                let head = client.head_object().bucket(BUCKET).key(&key);
                let head = head.checksum_mode(ChecksumMode::Enabled).send().await;
                let head = head.with_context(|| format!("HEAD {key}"))?;
                seen.push((head.content_length, head.checksum_crc64_nvme));
            }
            Ok(seen)
        })
    }
}
