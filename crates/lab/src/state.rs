//! What the S3 listener, the control endpoint and the library's caller share.

use std::sync::Arc;

use bytes::Bytes;

use crate::Error;
use crate::checksum::Algorithm;
use crate::clock;
use crate::counters::Tally;
use crate::draft::Received;
use crate::log::Log;
use crate::object::{Details, Object, Restore};
use crate::rules::Rules;
use crate::store::{Precondition, Store};

/// The lab behind its listeners.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) store: Arc<Store>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) log: Arc<Log>,
    pub(crate) region: String,
}

impl State {
    /// Puts an object, in a bucket that is created where it is missing.
    pub(crate) async fn put(
        &self,
        (bucket, key): (&str, &str),
        bytes: Bytes,
        storage_class: Option<String>,
    ) -> Result<String, Error> {
        self.store.create_bucket(bucket)?;
        let draft = self.store.draft(bucket, bytes.len() as u64)?;
        let body = futures_util::stream::iter([s3s::S3Result::<Bytes>::Ok(bytes)]);
        let part = draft.receive(body, &[]).await?;
        let received = Received::whole(part, Algorithm::Crc64Nvme);
        let details = Details { storage_class, ..Details::default() };
        let object =
            self.store.publish((bucket, key), received, details, &Precondition::default())?;
        Ok(object.etag())
    }

    /// Puts a synthetic object, in a bucket that is created where it is missing.
    pub(crate) fn put_synthetic(
        &self,
        (bucket, key): (&str, &str),
        size: u64,
        version: u64,
    ) -> Result<String, Error> {
        self.store.create_bucket(bucket)?;
        let object = Object::synthetic(key, version, size, clock::now());
        Ok(self.store.insert(bucket, key, object)?.etag())
    }

    /// Puts `count` synthetic objects `PREFIX0000000`, `PREFIX0000001`, ... of version 1.
    pub(crate) fn put_synthetic_many(
        &self,
        (bucket, prefix): (&str, &str),
        count: u64,
        size: u64,
    ) -> Result<(), Error> {
        self.store.create_bucket(bucket)?;
        let now = clock::now();
        let many = (0..count).map(|number| {
            let key = format!("{prefix}{number:07}");
            let object = Object::synthetic(&key, 1, size, now);
            (key, object)
        });
        Ok(self.store.insert_many(bucket, many)?)
    }

    /// Sets the state of an archived object's restored copy.
    pub(crate) fn restore(
        &self,
        bucket: &str,
        key: &str,
        restore: Option<Restore>,
    ) -> Result<(), Error> {
        Ok(self.store.describe(bucket, key, |details| details.restore = restore)?)
    }

    pub(crate) fn reset(&self) {
        self.tally.reset();
        self.log.reset();
    }
}
