//! Answers to listings, kept for later processes: what was listed once need not be asked again
//! after a restart, for as long as whoever asks trusts an answer of that age.
//!
//! One file holds one page, under the hash of what was asked. A page is written beside its place
//! and renamed, so none is ever half there; a damaged one is none. All calls are disk IO, and
//! whatever goes wrong is the same as not knowing.

mod page;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use object::{Listing, ListingRequest, Time};
use rustix::fs::{AtFlags, OFlags, renameat, statat};

use crate::beneath;
use crate::directory::{names, remove};
use crate::disk::Disk;
use crate::identity::Scope;

/// The most bytes of one page: 1000 keys of 1 KiB with their ETags stay below.
const PAGE_MAX: u64 = 4 << 20;
/// Shard directories.
const SHARDS: usize = 256;
/// Bytes on the disk that the pages of one shard may take: 64 MiB in all.
const SHARD_MAX: u64 = 256 << 10;
/// Pages after which a shard is looked through for what is too much.
const LOOK_EVERY: u32 = 32;
/// What files and directories take on the disk is a multiple of this.
const UNIT: u64 = 4096;

/// The kept answers below a cache directory, as one process uses them.
pub(crate) struct Names {
    /// Pages written to each shard since it was looked through.
    written: Box<[AtomicU32]>,
}

impl Default for Names {
    fn default() -> Self {
        Self { written: (0..SHARDS).map(|_| AtomicU32::new(0)).collect() }
    }
}

impl Names {
    /// The answer to `request`, when one is kept that was fetched between `since` and `now`, and
    /// after the last change that was made from here.
    pub(crate) fn recall(
        disk: &Disk,
        scope: &Scope,
        request: &ListingRequest,
        (since, now): (Time, Time),
    ) -> Option<Listing> {
        let listing = kept(disk, scope, request)?;
        if !(since <= listing.fetched && listing.fetched <= now) {
            return None;
        }
        let changed = kept(disk, scope, &changes());
        changed.is_none_or(|changes| changes.fetched < listing.fetched).then_some(listing)
    }

    /// Something in the store was changed from here at `now`. What was listed before is not recalled
    /// any more, by no process: whoever sees his own work undone by a restart calls that an error,
    /// however old an answer he allows.
    pub(crate) fn outdate(&self, disk: &Disk, scope: &Scope, now: Time) {
        let nothing = Listing { objects: vec![], prefixes: vec![], next: None, fetched: now };
        self.remember(disk, scope, &changes(), &nothing);
    }

    /// Keeps `listing` as the answer to `request`, in the place of the one before it.
    pub(crate) fn remember(
        &self,
        disk: &Disk,
        scope: &Scope,
        request: &ListingRequest,
        listing: &Listing,
    ) {
        let place = page::Place::of(scope, request);
        let kept = match page::encode(&place, listing) {
            Some(bytes) => self.write(disk, &place, &bytes),
            None => Ok(()),
        };
        if let Err(error) = kept {
            tracing::debug!("a listing was not kept: {error}");
        }
    }

    fn write(&self, disk: &Disk, place: &page::Place, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() as u64 > PAGE_MAX {
            return Ok(());
        }
        let path = format!("names/{:02x}", place.shard());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let new = beneath::open(disk.directory.as_fd(), &path, flags).is_err();
        let shard = disk.directory.directory(&path)?;
        self.make_room(disk, place.shard(), &shard)?;
        // A directory takes its place too, and the first one that of the one above.
        let directories = if new { 2 * UNIT } else { 0 };
        let needed = (bytes.len() as u64).div_ceil(UNIT) * UNIT + directories;
        if !disk.reserve(needed) {
            return Ok(());
        }
        let written = put(disk, &shard, &place.to_string(), bytes);
        disk.space.settle_elsewhere(needed, if written.is_ok() { needed } else { directories });
        written
    }

    /// Removes the oldest pages of a shard that has become too large, and drafts that somebody
    /// who died has left.
    fn make_room(&self, disk: &Disk, number: u8, shard: &OwnedFd) -> io::Result<()> {
        let Some(written) = self.written.get(usize::from(number)) else { return Ok(()) };
        if !written.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOOK_EVERY) {
            return Ok(());
        }
        let mut pages: Vec<(i64, u64, String)> = Vec::new();
        for name in names(shard)? {
            let Ok(stat) = statat(shard, &name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let bytes = u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
            pages.push((stat.st_mtime, bytes, name));
        }
        pages.sort_unstable();
        let mut taken: u64 = pages.iter().map(|(_, bytes, _)| bytes).sum();
        let newest = pages.last().map_or(0, |(changed, ..)| *changed);
        for (changed, bytes, name) in pages {
            let abandoned = name.contains('.') && changed + 60 < newest;
            if taken > SHARD_MAX || abandoned {
                disk.space.free_elsewhere(&mut || match remove(shard, &name) {
                    Ok(()) => bytes,
                    Err(_) => 0,
                });
                taken -= bytes;
            }
        }
        Ok(())
    }
}

/// What no store is asked: under it is kept when something was last changed from here.
fn changes() -> ListingRequest {
    ListingRequest { prefix: "\0changes".into(), delimited: false, max_keys: 0, token: None }
}

/// The answer to `request` that is kept, of whatever time.
fn kept(disk: &Disk, scope: &Scope, request: &ListingRequest) -> Option<Listing> {
    let place = page::Place::of(scope, request);
    page::decode(&place, &read(disk, &place).ok()?)
}

fn read(disk: &Disk, place: &page::Place) -> io::Result<Vec<u8>> {
    let path = format!("names/{:02x}/{place}", place.shard());
    let file = File::from(beneath::open(disk.directory.as_fd(), &path, OFlags::RDONLY)?);
    let mut bytes = Vec::new();
    file.take(PAGE_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a page beside its place and moves it there.
fn put(disk: &Disk, shard: &OwnedFd, name: &str, bytes: &[u8]) -> io::Result<()> {
    let draft = format!("{name}.{:016x}", fastrand::u64(..));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let mut file = File::from(beneath::open(shard, &draft, flags)?);
    let mut moved = file.write_all(bytes);
    if moved.is_ok() {
        disk.space.free_elsewhere(&mut || {
            let before = size_on_disk(shard, name);
            moved = renameat(shard, draft.as_str(), shard, name).map_err(io::Error::from);
            if moved.is_ok() { before } else { 0 }
        });
    }
    if moved.is_err() {
        let _ = remove(shard, &draft);
    }
    moved
}

fn size_on_disk(shard: impl AsFd, name: &str) -> u64 {
    let stat = statat(shard, name, AtFlags::SYMLINK_NOFOLLOW);
    stat.map_or(0, |stat| u64::try_from(stat.st_blocks).unwrap_or(0) * 512)
}

#[cfg(test)]
mod tests;
