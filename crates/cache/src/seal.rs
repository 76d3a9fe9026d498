//! Whether a complete object can be trusted as a whole file.
//!
//! A sealed one is never written again. The kernel may read it by itself, so that nobody compares
//! blocks with their checksums any more; hence all of them are compared before, unless this
//! process wrote them itself, and again when the file is not the one that was sealed or the node
//! has lost power since.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use crate::cache::{Broken, Cache};
use crate::map::MapError;
use crate::map::codec::{Damage, Seal};
use crate::object::{Loss, Object, is_intact};
use crate::schedule::step;
use crate::table::lock;

/// What was found out about an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Complete, and the whole file is right.
    Sealed,
    /// Not complete, or somebody else is at work on it.
    Open,
    /// Not what was written.
    Broken,
}

/// What a data file is sealed by.
pub(crate) fn seal_of(data: &File) -> io::Result<Seal> {
    step();
    let meta = data.metadata()?;
    let nanos = |nanos: i64| u32::try_from(nanos).unwrap_or(0);
    Ok(Seal {
        inode: meta.ino(),
        size: meta.len(),
        modified: (meta.mtime(), nanos(meta.mtime_nsec())),
        changed: (meta.ctime(), nanos(meta.ctime_nsec())),
    })
}

/// The seal of an object that can be handed out as it is.
pub(crate) fn intact(object: &Object) -> Result<Option<Seal>, MapError> {
    let mark = object.mark()?;
    let epoch = object.disk.epoch.number();
    let sealed = mark.seal.filter(|_| mark.epoch == epoch);
    Ok(match sealed {
        Some(seal) if seal == seal_of(&object.files.data)? => Some(seal),
        _ => None,
    })
}

/// Seals an object that is complete, or seals it anew; drops it when it is not right. Disk IO, in
/// the worst case of the whole object. `durable` brings data and seal to the disk; without it
/// the caller does.
pub(crate) fn seal(cache: &Cache, object: &Arc<Object>, durable: bool) -> Judgement {
    let _alone = lock(&object.sealing);
    let judged = match complete(object).and_then(|complete| Ok(complete && object.claim_all()?)) {
        Ok(true) => {
            let judged = judge(cache, object, durable);
            let given_back = object.unclaim_all();
            judged.and_then(|judgement| Ok(given_back.map(|()| judgement)?))
        }
        Ok(false) => Ok(Judgement::Open),
        Err(error) => Err(error),
    };
    match judged {
        Ok(Judgement::Broken) | Err(MapError::Damaged(_)) => {
            cache.drop_object(object, Broken::Damaged);
            Judgement::Broken
        }
        Ok(other) => other,
        Err(MapError::Io(error)) => {
            cache.writing.failed(&error, Instant::now());
            Judgement::Open
        }
    }
}

/// Whether all blocks are recorded. An object that is sealed and is not complete is damaged.
fn complete(object: &Object) -> Result<bool, MapError> {
    match object.all_records()? {
        Some(_) => Ok(true),
        None if object.mark()?.seal.is_none() => Ok(false),
        // It may have become complete between the two looks.
        None => match object.all_records()? {
            Some(_) => Ok(true),
            None => Err(Damage::Content.into()),
        },
    }
}

fn judge(cache: &Cache, object: &Object, durable: bool) -> Result<Judgement, MapError> {
    if object.is_gone() {
        return Ok(Judgement::Open);
    }
    let mark = object.mark()?;
    let Some(sums) = object.all_records()? else { return Ok(Judgement::Open) };
    if intact(object)?.is_some() {
        return Ok(Judgement::Sealed);
    }
    let epoch = object.disk.epoch.number();
    let (files, before) = (&object.files, seal_of(&object.files.data)?);
    if before.size != object.version.size {
        return Ok(Judgement::Broken);
    }
    if mark.seal.is_some() || mark.epoch != epoch || !object.wrote(&before) {
        cache.stats.verifications.add(1);
        let wrong = wrong_blocks(object, &sums)?;
        if !wrong.is_empty() {
            return lose(cache, object, &wrong);
        }
    }
    if durable {
        files.data.sync_data()?;
    }
    let seal = seal_of(&files.data)?;
    if seal != before {
        return Ok(Judgement::Open);
    }
    let whole = object.came_whole.load(Ordering::Acquire) && object.wrote_all();
    files.map.change_mark(|mark| {
        mark.epoch = epoch;
        mark.verified |= whole;
        mark.seal = Some(seal);
    })?;
    if durable {
        files.map.file().sync_data()?;
    }
    cache.stats.seals.add(1);
    Ok(Judgement::Sealed)
}

/// The numbers of the blocks that are not what was recorded.
fn wrong_blocks(object: &Object, sums: &[u32]) -> io::Result<Vec<u64>> {
    let mut wrong = Vec::new();
    for (number, recorded) in (0..).zip(sums) {
        let block = object.span(number..number + 1);
        if !is_intact(&object.files.data, block, *recorded)? {
            wrong.push(number);
        }
    }
    Ok(wrong)
}

/// What a power cut took away is fetched again; anything else is not to be explained.
fn lose(cache: &Cache, object: &Object, wrong: &[u64]) -> Result<Judgement, MapError> {
    for number in wrong {
        if object.lose(*number)? == Loss::Broken {
            return Ok(Judgement::Broken);
        }
        cache.stats.absent_after_crash.add(1);
    }
    Ok(Judgement::Open)
}
