//! Bodies while they arrive, and once they have arrived.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use s3s::{S3Result, StdError, s3_error};

use crate::checksum::{Algorithm, Checksum, Digests, Hasher};
use crate::store::internal;

/// A file that is removed unless it is published.
#[derive(Debug)]
pub(crate) struct DraftFile {
    path: PathBuf,
}

impl DraftFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for DraftFile {
    fn drop(&mut self) {
        // A published draft has been renamed away, and then there is nothing to remove.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Where an arriving body goes.
pub(crate) enum Draft {
    Memory(BytesMut),
    File(DraftFile, File),
    /// Nowhere.
    Nowhere,
}

impl Draft {
    pub(crate) fn in_memory(size_hint: u64) -> Self {
        // A hint comes from the wire: it may reserve, but not without bound.
        let capacity = usize::try_from(size_hint).unwrap_or(0).min(64 << 20);
        Self::Memory(BytesMut::with_capacity(capacity))
    }

    pub(crate) fn in_file(draft: DraftFile) -> S3Result<Self> {
        let file = File::create(draft.path()).map_err(internal)?;
        Ok(Self::File(draft, file))
    }

    /// Takes all of `body`, digesting it with the `wanted` algorithms.
    pub(crate) async fn receive<S, E>(mut self, mut body: S, wanted: &[Algorithm]) -> S3Result<Part>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: Into<StdError>,
    {
        let mut hasher = match self {
            Self::Nowhere => Hasher::without_md5(wanted),
            Self::Memory(_) | Self::File(..) => Hasher::new(wanted),
        };
        while let Some(frame) = body.next().await {
            let frame = frame.map_err(body_error)?;
            hasher.update(&frame);
            self.append(&frame)?;
        }
        let digests = hasher.finish();
        Ok(match self {
            Self::Memory(bytes) => Part { digests, bytes: bytes.freeze(), file: None },
            Self::Nowhere => Part { digests, bytes: Bytes::new(), file: None },
            Self::File(draft, _) => Part { digests, bytes: Bytes::new(), file: Some(draft) },
        })
    }

    fn append(&mut self, frame: &[u8]) -> S3Result<()> {
        match self {
            Self::Memory(bytes) => {
                bytes.extend_from_slice(frame);
                Ok(())
            }
            Self::Nowhere => Ok(()),
            Self::File(_, file) => file.write_all(frame).map_err(internal),
        }
    }
}

/// What s3s says when a chunk's signature, its framing or the payload's hash is wrong, or
/// when the client went away.
fn body_error(error: impl Into<StdError>) -> s3s::S3Error {
    match error.into().downcast::<s3s::S3Error>() {
        Ok(error) => *error,
        Err(error) => {
            let mut answer =
                s3_error!(IncompleteBody, "The request body could not be read: {error}");
            answer.set_source(error);
            answer
        }
    }
}

/// One body that has arrived: a part of an upload, or a whole object.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) digests: Digests,
    bytes: Bytes,
    file: Option<DraftFile>,
}

/// An object's bytes, ready to be published.
pub(crate) struct Received {
    pub(crate) etag: String,
    pub(crate) checksum: Option<Checksum>,
    /// When it was made; None: when it is published.
    pub(crate) modified: Option<SystemTime>,
    size: u64,
    segments: Vec<Bytes>,
    file: Option<DraftFile>,
}

impl Received {
    /// An object put in one piece, with the checksum its client chose.
    pub(crate) fn whole(part: Part, algorithm: Algorithm) -> Self {
        Self {
            etag: part.digests.etag(),
            checksum: part.digests.checksum(algorithm),
            modified: None,
            size: part.digests.size,
            segments: if part.file.is_some() { Vec::new() } else { vec![part.bytes] },
            file: part.file,
        }
    }

    /// An object of several parts. In files, the parts are joined behind the first one.
    pub(crate) fn joined(
        parts: Vec<Part>,
        etag: String,
        checksum: Option<Checksum>,
    ) -> std::io::Result<Self> {
        let size = parts.iter().map(|part| part.digests.size).sum();
        let (mut segments, mut first) = (Vec::new(), None::<(DraftFile, File)>);
        for part in parts {
            match (part.file, &mut first) {
                (None, _) => segments.push(part.bytes),
                (Some(draft), None) => {
                    let file = File::options().append(true).open(draft.path())?;
                    first = Some((draft, file));
                }
                (Some(draft), Some((_, whole))) => {
                    std::io::copy(&mut File::open(draft.path())?, whole)?;
                }
            }
        }
        let modified = None;
        Ok(Self { etag, checksum, modified, size, segments, file: first.map(|(draft, _)| draft) })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn into_parts(self) -> (Vec<Bytes>, Option<DraftFile>) {
        (self.segments, self.file)
    }
}
