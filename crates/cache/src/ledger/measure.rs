//! What a place takes on the disk, found by looking at its files.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, OFlags, Stat, statat};
use rustix::io::Errno;

use super::charge::{OnDisk, PAGE, charged, pages};
use super::place::{PLACES, Place};
use crate::beneath;
use crate::directory::names;
use crate::schedule::step;

/// How deep directories outside `objects` are followed; ours are not that deep.
const DEPTH_MAX: u32 = 4;

/// What the files of `place` are charged, in bytes, and how many there are. `ours` is our own
/// directory. A file that vanishes meanwhile counts as nothing.
///
/// # Errors
/// A directory cannot be read.
pub(super) fn measure(ours: impl AsFd, place: Place) -> io::Result<Found> {
    match place {
        Place::Shard(shard) => match open_dir(&ours, &format!("objects/{shard:02x}"))? {
            Some(dir) => shard_total(&dir),
            None => Ok(Found::default()),
        },
        Place::Elsewhere => tree_total(ours.as_fd().try_clone_to_owned()?, DEPTH_MAX),
    }
}

/// What all places are charged, unless they hold more than `files_max` files: then it takes too
/// long to find out at once.
pub(super) fn measure_small(ours: impl AsFd, files_max: u64) -> io::Result<Option<u64>> {
    let mut sum = Found::default();
    for place in (0..PLACES).filter_map(Place::of_index) {
        sum = sum.with(measure(&ours, place)?);
        if sum.files > files_max {
            return Ok(None);
        }
    }
    Ok(Some(sum.bytes))
}

/// Bytes charged and files seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) bytes: u64,
    pub(super) files: u64,
}

impl Found {
    fn with(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            files: self.files.saturating_add(other.files),
        }
    }
}

fn open_dir(at: impl AsFd, path: &str) -> io::Result<Option<OwnedFd>> {
    match beneath::open(at, path, OFlags::RDONLY | OFlags::DIRECTORY) {
        Ok(dir) => Ok(Some(dir)),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            _ => Err(error),
        },
    }
}

/// Objects as they are charged; whatever else there is as it is. The directory's own growth is
/// paid for by its entries.
fn shard_total(dir: &OwnedFd) -> io::Result<Found> {
    let names = names(dir)?;
    let paired: HashSet<&str> =
        names.iter().filter_map(|name| name.strip_suffix(".data")).collect();
    let mut sum = Found::default();
    for name in &names {
        if name.strip_suffix(".map").is_some_and(|stem| paired.contains(stem)) {
            continue;
        }
        let bytes = match name.strip_suffix(".data") {
            Some(stem) => pair_charge(dir, stem)?,
            None => stat_of(dir, name)?.map_or(0, |stat| pages(allocated(&stat))),
        };
        sum = sum.with(Found { bytes, files: 1 });
    }
    Ok(sum)
}

/// What the object is charged whose files in the shard `dir` are called `stem`, in bytes: 0 when
/// there are none.
///
/// # Errors
/// A file cannot be looked at.
pub(crate) fn pair_charge(dir: &OwnedFd, stem: &str) -> io::Result<u64> {
    let on_disk =
        |stat: Stat| OnDisk { len: stat.st_size.cast_unsigned(), allocated: allocated(&stat) };
    let data = stat_of(dir, &format!("{stem}.data"))?.map(on_disk);
    let map = stat_of(dir, &format!("{stem}.map"))?.map(on_disk).unwrap_or_default();
    Ok(match data {
        Some(data) => charged(data, map),
        None => pages(map.allocated),
    })
}

fn tree_total(dir: OwnedFd, depth: u32) -> io::Result<Found> {
    let mut sum = Found::default();
    for name in names(&dir)? {
        if depth == DEPTH_MAX && name == "objects" {
            continue;
        }
        let Some(stat) = stat_of(&dir, &name)? else { continue };
        sum = sum.with(Found { bytes: pages(allocated(&stat)).max(PAGE), files: 1 });
        let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if is_dir
            && depth > 0
            && let Some(inner) = open_dir(&dir, &name)?
        {
            sum = sum.with(tree_total(inner, depth - 1)?);
        }
    }
    Ok(sum)
}

fn stat_of(dir: &OwnedFd, name: &str) -> io::Result<Option<Stat>> {
    step();
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn allocated(stat: &Stat) -> u64 {
    stat.st_blocks.cast_unsigned().saturating_mul(512)
}
