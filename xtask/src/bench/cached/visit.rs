//! The reader: one file, opened anew, read in one way.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use lab::synthetic;
use rustix::fs::sendfile;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::mapping::Mapping;
use crate::bench::case::VERSION;

/// Length of one sequential read, bytes.
const BUFFER: usize = 128 << 10;
/// Bytes.
pub(super) const PAGE: u64 = 4096;
/// Bytes compared at a time: wrong bytes are no result, and checking all would be the measurement.
const CHECKED: usize = 64;
/// Of random pages, one in so many is compared.
const CHECKED_EVERY: u64 = 64;
/// Pages touched through one map, before it is made anew: later ones would often have been mapped
/// together with a neighbour.
const TOUCHES_PER_MAP: u64 = 4096;

/// A way of reading a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Means {
    /// read(2) of 128 KiB from beginning to end.
    Sequential,
    /// pread(2) of random pages.
    Random,
    /// A map, copied out of from beginning to end in 128 KiB.
    MappedSequential,
    /// A byte of random pages of a map.
    MappedRandom,
    /// sendfile(2) into a socket, which another thread empties.
    Sendfile,
}

impl Means {
    pub(super) const ALL: [Self; 5] = [
        Self::Sequential,
        Self::Random,
        Self::MappedSequential,
        Self::MappedRandom,
        Self::Sendfile,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sequential => "sequential read",
            Self::Random => "random pread",
            Self::MappedSequential => "sequential mmap",
            Self::MappedRandom => "random mmap",
            Self::Sendfile => "sendfile",
        }
    }

    /// The most CPU time that a mount may take, in that of the plain file.
    pub(super) fn limit(self) -> f64 {
        match self {
            Self::Sequential | Self::MappedSequential | Self::Sendfile => 1.1,
            Self::Random => 1.35,
            Self::MappedRandom => 1.2,
        }
    }

    /// Random pages to touch: fewer where each may be a read of the disk.
    pub(super) fn pages(self, warm: bool) -> u64 {
        match (self, warm) {
            (Self::Random, true) => 256 << 10,
            (Self::MappedRandom, true) => 64 << 10,
            (Self::Random, false) => 8 << 10,
            (Self::MappedRandom, false) => TOUCHES_PER_MAP,
            _ => 0,
        }
    }
}

/// Reads a synthetic file once.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Visit {
    pub(super) path: PathBuf,
    /// Key of the synthetic object that it is.
    pub(super) key: String,
    /// Bytes.
    pub(super) size: u64,
    pub(super) means: Means,
    pub(super) pages: u64,
}

/// What it took.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Spent {
    pub(super) seconds: f64,
    pub(super) cpu_seconds: f64,
}

impl Visit {
    pub(crate) fn carry_out(self) -> Result<Spent> {
        let mut buffer = vec![0; BUFFER];
        let (began, cpu_before) = (Instant::now(), own_cpu()?);
        let file = File::open(&self.path).with_context(|| self.path.display().to_string())?;
        match self.means {
            Means::Sequential => self.read(&file, &mut buffer)?,
            Means::Random => self.read_pages(&file, &mut buffer)?,
            Means::MappedSequential => self.copy(&file, &mut buffer)?,
            Means::MappedRandom => self.touch(&file)?,
            Means::Sendfile => self.send(&file, buffer)?,
        }
        drop(file);
        let (seconds, cpu) = (began.elapsed().as_secs_f64(), own_cpu()?.saturating_sub(cpu_before));
        Ok(Spent { seconds, cpu_seconds: cpu.as_secs_f64() })
    }

    fn check(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let first = bytes.get(..CHECKED).unwrap_or(bytes);
        synthetic::check(&self.key, VERSION, offset, first)
            .map_err(|wrong| anyhow::anyhow!("{}: wrong byte at {}", self.key, wrong.offset))
    }

    fn complete(&self, length: u64) -> Result<()> {
        ensure!(length == self.size, "{}: {length} bytes for {}", self.key, self.size);
        Ok(())
    }

    fn read(&self, mut file: &File, buffer: &mut [u8]) -> Result<()> {
        let mut offset = 0;
        loop {
            let length = file.read(buffer)?;
            if length == 0 {
                return self.complete(offset);
            }
            self.check(offset, buffer.get(..length).unwrap_or_default())?;
            offset += length as u64;
        }
    }

    /// Offsets of pages, the same ones in every process.
    fn offsets(&self) -> impl Iterator<Item = u64> {
        let pages = (self.size / PAGE).max(1);
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        (0..self.pages).map(move |_| {
            // An xorshift generator: nothing that its own cost would show in.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % pages) * PAGE
        })
    }

    fn read_pages(&self, file: &File, buffer: &mut [u8]) -> Result<()> {
        let page = buffer.get_mut(..4096).context("a buffer of a page")?;
        for (number, offset) in (0..).zip(self.offsets()) {
            file.read_exact_at(page, offset)?;
            if number % CHECKED_EVERY == 0 {
                self.check(offset, page)?;
            }
        }
        Ok(())
    }

    fn map(&self, file: &File) -> Result<Mapping> {
        Ok(Mapping::of(file, usize::try_from(self.size)?)?)
    }

    fn copy(&self, file: &File, buffer: &mut [u8]) -> Result<()> {
        let map = self.map(file)?;
        let mut offset = 0;
        loop {
            let length = map.copy(offset, buffer);
            if length == 0 {
                return self.complete(offset as u64);
            }
            self.check(offset as u64, buffer.get(..length).unwrap_or_default())?;
            offset += length;
        }
    }

    fn touch(&self, file: &File) -> Result<()> {
        let mut map = self.map(file)?;
        for (number, offset) in (0..).zip(self.offsets()) {
            if number > 0 && number % TOUCHES_PER_MAP == 0 {
                map = self.map(file)?;
            }
            let byte = map.byte(usize::try_from(offset)?).context("beyond the map")?;
            if number % CHECKED_EVERY == 0 {
                self.check(offset, &[byte])?;
            }
        }
        Ok(())
    }

    fn send(&self, file: &File, buffer: Vec<u8>) -> Result<()> {
        let (sender, receiver) = UnixStream::pair()?;
        thread::scope(|scope| {
            let receiving = scope.spawn(move || self.receive(receiver, buffer));
            let mut left = self.size;
            while left > 0 {
                let sent = sendfile(&sender, file, None, usize::try_from(left)?)? as u64;
                ensure!(sent > 0, "{}: sendfile ended early", self.key);
                left -= sent;
            }
            drop(sender);
            match receiving.join() {
                Ok(received) => received,
                Err(_) => bail!("the receiver panicked"),
            }
        })
    }

    fn receive(&self, mut socket: UnixStream, mut buffer: Vec<u8>) -> Result<()> {
        let mut offset = 0;
        loop {
            let length = socket.read(&mut buffer)?;
            if length == 0 {
                return self.complete(offset);
            }
            self.check(offset, buffer.get(..length).unwrap_or_default())?;
            offset += length as u64;
        }
    }
}

/// CPU time of this process, all its threads, to the nanosecond.
fn own_cpu() -> Result<Duration> {
    Ok(Duration::try_from(clock_gettime(ClockId::ProcessCPUTime))?)
}
