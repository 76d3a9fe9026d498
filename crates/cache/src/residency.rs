//! What of a version is on the disk, and filling in the rest before anybody reads it.

mod keep;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use object::{Span, Version};
use tokio::time::{Instant, sleep};

pub use keep::Unkept;

use crate::cache::{Broken, Cache};
use crate::cached::Cached;
use crate::map::MapError;
use crate::map::codec::Record;
use crate::object::Object;
use crate::seal::{Judgement, intact, seal};
use crate::stats::Counts;

/// Records are looked at in pieces of so many.
const RECORDS_AT_ONCE: u64 = 4096;
/// How long an object that is complete may take until it is sealed.
const SEALED_WITHIN: Duration = Duration::from_secs(30);
/// The pause between two looks whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How much of a version a cache holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Residency {
    /// Bytes in blocks that are present.
    pub bytes: u64,
    /// Whether that is all of it.
    pub complete: bool,
    /// Whether it is kept from being evicted.
    pub pinned: bool,
}

impl Cached {
    /// What the cache did since it was opened, for whichever mount.
    pub fn counts(&self) -> Counts {
        self.cache.counts()
    }

    /// How much of `version` is present. Not a use of it.
    pub async fn residency(&self, version: &Arc<Version>) -> Residency {
        let nothing = Residency { complete: version.size == 0, ..Residency::default() };
        let found = self.look(version, |object| {
            let absent: u64 = absent(object)?.iter().map(|span| span.len()).sum();
            let (bytes, complete) = (object.version.size - absent, absent == 0);
            Ok(Residency { bytes, complete, pinned: object.mark()?.pinned })
        });
        found.await.unwrap_or(nothing)
    }

    /// The bytes of `version` that are not present, in whole blocks.
    pub async fn absent(&self, version: &Arc<Version>) -> Vec<Span> {
        let whole = version.whole();
        let found = self.look(version, absent).await;
        found.unwrap_or_else(|| if whole.is_empty() { Vec::new() } else { vec![whole] })
    }

    /// Waits until all of `version` is on the disk and sealed: checked, and never written again.
    /// False when it is not complete, or the disk fails.
    pub async fn sealed(&self, version: &Arc<Version>) -> bool {
        let within = Instant::now() + SEALED_WITHIN;
        loop {
            let scope = self.scope.clone();
            let asked = version.clone();
            let looked = self.cache.blocking(move |cache| {
                let object = cache.object(&scope, &asked, false)?;
                Some(try_seal(cache, &object))
            });
            match looked.await.flatten() {
                Some(Judgement::Sealed) => return true,
                Some(Judgement::Open) if Instant::now() < within => sleep(LOOK_EVERY).await,
                // There are no files for nothing.
                None => return version.size == 0,
                Some(Judgement::Open | Judgement::Broken) => return false,
            }
        }
    }

    /// Keeps the object of `version` from being evicted, or no longer does. False when there is
    /// none, or its map cannot be written.
    pub async fn pin(&self, version: &Arc<Version>, pinned: bool) -> bool {
        let set = self.look(version, move |object| {
            object.files.map.change_mark(|mark| mark.pinned = pinned)?;
            Ok(())
        });
        set.await.is_some()
    }

    /// What `look` finds of the object of `version`; nothing when there is none. One that is
    /// damaged is dropped.
    async fn look<R: Send + 'static>(
        &self,
        version: &Arc<Version>,
        look: impl FnOnce(&Arc<Object>) -> Result<R, MapError> + Send + 'static,
    ) -> Option<R> {
        let (scope, version) = (self.scope.clone(), version.clone());
        let found = self.cache.blocking(move |cache| {
            let object = cache.object(&scope, &version, false)?;
            match look(&object) {
                Ok(found) => return Some(found),
                Err(MapError::Damaged(_)) => cache.drop_object(&object, Broken::Damaged),
                Err(MapError::Io(error)) => cache.reading.failed(&error, Instant::now()),
            }
            None
        });
        found.await.flatten()
    }
}

/// The absent blocks of an object, those side by side as one. Disk IO.
fn absent(object: &Arc<Object>) -> Result<Vec<Span>, MapError> {
    let mut spans: Vec<Span> = Vec::new();
    for from in (0..object.blocks()).step_by(RECORDS_AT_ONCE as usize) {
        let records = object.files.map.records(from..from + RECORDS_AT_ONCE)?;
        for (number, record) in (from..).zip(records) {
            if matches!(record, Record::Present(_)) {
                continue;
            }
            let block = object.span(number..number + 1);
            match spans.last_mut() {
                Some(last) if last.end == block.start => last.end = block.end,
                _ => spans.push(block),
            }
        }
    }
    Ok(spans)
}

/// Seals a complete object, unless that is about to be done with others. Disk IO.
fn try_seal(cache: &Cache, object: &Arc<Object>) -> Judgement {
    match intact(object) {
        Ok(Some(_)) => return Judgement::Sealed,
        Err(MapError::Damaged(_)) => {
            cache.drop_object(object, Broken::Damaged);
            return Judgement::Broken;
        }
        Ok(None) | Err(MapError::Io(_)) => {}
    }
    // Many objects are brought to the disk in one go.
    if object.unsynced.load(Ordering::Acquire) {
        return Judgement::Open;
    }
    match object.all_records() {
        Ok(Some(_)) => seal(cache, object, true),
        Ok(None) | Err(_) => Judgement::Broken,
    }
}
