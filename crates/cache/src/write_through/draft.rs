//! An object that is being written: its bytes are on the disk, and it has no name.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use object::{BLOCK, Span, Version};
use rustix::fs::copy_file_range;

use crate::cache::Cache;
use crate::directory::Opened;
use crate::disk::Disk;
use crate::identity::Scope;
use crate::ledger::overhead;
use crate::map::codec::{Header, Mark, Record, crc};
use crate::object::{Object, allocate};
use crate::schedule::Mutex;
use crate::space::Reservation;
use crate::table::lock;

/// A file without a name, which vanishes with its last descriptor, so that no crash leaves one.
pub(super) struct Draft {
    disk: Arc<Disk>,
    data: File,
    state: Mutex<State>,
}

struct State {
    /// The checksums of the blocks that were written.
    sums: BTreeMap<u64, u32>,
    /// What they take on the disk.
    room: Reservation,
    /// It is not going to be complete.
    given_up: bool,
}

impl Draft {
    /// An empty one in the directory in use. All calls are disk IO.
    pub(super) fn new(cache: &Cache) -> io::Result<Self> {
        let disk = cache.disk()?;
        let data = disk.directory.unnamed_data()?;
        let state =
            State { sums: BTreeMap::new(), room: Reservation::none(&disk), given_up: false };
        Ok(Self { disk, data, state: Mutex::new(state) })
    }

    /// No copy of this object is kept.
    pub(super) fn give_up(&self) {
        lock(&self.state).given_up = true;
    }

    /// Asks for room for what is going to be written; false when there is none, or no use.
    pub(super) fn prepare(&self, span: Span) -> bool {
        let room = self.make_room(span.len());
        if room {
            allocate(&self.data, span);
        }
        room
    }

    /// Writes the bytes of a block.
    pub(super) fn write(&self, cache: &Cache, number: u64, bytes: &[u8]) -> io::Result<()> {
        self.data.write_all_at(bytes, number * BLOCK)?;
        lock(&self.state).sums.insert(number, crc(&[bytes]));
        cache.stats.written_bytes.add(bytes.len() as u64);
        Ok(())
    }

    /// Copies blocks of a cached object to their same place; false when they are not all there.
    /// Their checksums come along: bad bytes are found like those of any block.
    pub(super) fn copy(&self, cache: &Cache, object: &Object, span: Span) -> io::Result<bool> {
        if !span.start.is_multiple_of(BLOCK) || !self.make_room(span.len()) {
            return Ok(false);
        }
        let blocks = span.start / BLOCK..span.end.div_ceil(BLOCK);
        // A part that ends within a block is followed by bytes that are not in the source.
        if object.span(blocks.clone()) != span {
            return Ok(false);
        }
        let mut sums = Vec::new();
        for (record, number) in object.files.map.records(blocks.clone())?.iter().zip(blocks) {
            let Record::Present(crc32c) = record else { return Ok(false) };
            sums.push((number, *crc32c));
        }
        let (mut from, mut to) = (span.start, span.start);
        while from < span.end {
            let left = usize::try_from(span.end - from).unwrap_or(usize::MAX);
            let source = &object.files.data;
            match copy_file_range(source, Some(&mut from), &self.data, Some(&mut to), left) {
                Ok(0) => return Ok(false),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        lock(&self.state).sums.extend(sums);
        cache.stats.written_bytes.add(span.len());
        Ok(true)
    }

    /// Gives it the name of `version`, if all of it is there: from then on it is an object like
    /// one that was fetched.
    pub(super) fn publish(
        &self,
        cache: &Cache,
        scope: &Scope,
        version: &Arc<Version>,
    ) -> io::Result<()> {
        let sums = {
            let mut state = lock(&self.state);
            let sums = std::mem::take(&mut state.sums);
            if std::mem::replace(&mut state.given_up, true) {
                return Ok(());
            }
            sums
        };
        let header = Header::new(scope, version);
        let complete = sums.keys().copied().eq(0..header.blocks());
        if !complete || self.data.metadata()?.len() != version.size {
            return Ok(());
        }
        let needs = overhead(header.size);
        let Some(mut overhead) = Reservation::new(&self.disk, needs) else {
            return Ok(());
        };
        let mark = Mark { epoch: self.disk.epoch.number(), ..Mark::default() };
        let (found, made) = match self.disk.directory.adopt(&header, &mark, &self.data) {
            // The directory, or the name that it had just been given, was taken away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            adopted => adopted?,
        };
        // One that was there already is as good, and keeps its name.
        if !made || !matches!(found, Opened::Found(_)) {
            return Ok(());
        }
        overhead.settle_all(&header.identity);
        lock(&self.state).room.settle_all(&header.identity);
        let Some(object) = cache.object(scope, version, false) else { return Ok(()) };
        for (number, crc32c) in sums {
            object.record(number, crc32c)?;
        }
        // The store has compared what it was given with the checksum of what was written.
        object.came_whole.store(true, Ordering::Release);
        cache.syncer.written(&object);
        Ok(())
    }

    fn make_room(&self, bytes: u64) -> bool {
        let mut state = lock(&self.state);
        !state.given_up && state.room.add(&self.disk, bytes)
    }
}
