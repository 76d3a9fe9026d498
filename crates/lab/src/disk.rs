//! A directory as backing.
//!
//! ```text
//! DIR/BUCKET/some/key              an object, under its own key where a path can spell it
//! DIR/BUCKET/.lab/objects/HASH     an object whose key no path can spell (`a//b`, `a/`, `..`,
//!                                  `a` beside `a/b`, a component over 255 bytes)
//! DIR/BUCKET/.lab/meta/HASH.json   what S3 says about an object (ETag, checksum, metadata)
//! DIR/BUCKET/.lab/draft/N          a body that is arriving
//! ```
//! HASH is the SHA-256 of the key. A sidecar counts while the file has the size and time
//! it names; a file without one is served too, and its digests are taken at start.
//! Files that others add or change later are seen at the next start.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::checksum::{Algorithm, Checksum, Hasher};
use crate::clock;
use crate::draft::DraftFile;
use crate::object::{Content, Details, Object};

/// The lab's own corner of a bucket's directory.
const CORNER: &str = ".lab";

/// A loaded bucket: name, creation time, objects.
type Loaded = (String, SystemTime, BTreeMap<String, Arc<Object>>);

/// A directory of buckets.
#[derive(Debug)]
pub(crate) struct Disk {
    root: PathBuf,
    next_draft: AtomicU64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Sidecar {
    key: String,
    size: u64,
    /// Modification time of the file, in nanoseconds since the epoch.
    file_time_ns: u128,
    modified_ms: u64,
    etag: String,
    checksum: Option<Checksum>,
    details: Details,
}

impl Disk {
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        Ok(Self { root: root.canonicalize()?, next_draft: AtomicU64::new(0) })
    }

    /// Every bucket under the root.
    pub(crate) fn load(&self) -> io::Result<Vec<Loaded>> {
        let mut buckets = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.starts_with('.') || !entry.file_type()?.is_dir() {
                continue;
            }
            let created = entry.metadata()?.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            // Drafts of a process that is gone.
            let _ = fs::remove_dir_all(self.corner(&name).join("draft"));
            buckets.push((name.clone(), clock::to_millis(created), self.load_objects(&name)?));
        }
        Ok(buckets)
    }

    fn load_objects(&self, bucket: &str) -> io::Result<BTreeMap<String, Arc<Object>>> {
        let mut objects = BTreeMap::new();
        let directory = self.root.join(bucket);
        let mut open = vec![directory.clone()];
        while let Some(at) = open.pop() {
            for entry in fs::read_dir(&at)? {
                let path = entry?.path();
                if path == directory.join(CORNER) {
                    continue;
                }
                if fs::symlink_metadata(&path)?.is_dir() {
                    open.push(path);
                } else if let Some(key) = key_of(&directory, &path) {
                    // A dangling link or an unreadable file is left out, not fatal.
                    match self.load_object(bucket, &key, path) {
                        Ok(object) => drop(objects.insert(key, Arc::new(object))),
                        Err(error) => tracing::warn!(%error, bucket, key, "file left out"),
                    }
                }
            }
        }
        for (key, object) in self.load_unspellable(bucket)? {
            objects.insert(key, Arc::new(object));
        }
        Ok(objects)
    }

    fn load_object(&self, bucket: &str, key: &str, path: PathBuf) -> io::Result<Object> {
        let found = fs::metadata(&path)?;
        if !found.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        if let Some(object) = self.described(bucket, key, &path)? {
            return Ok(object);
        }
        let mut hasher = Hasher::new(&[]);
        let mut file = fs::File::open(&path)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            match io::Read::read(&mut file, &mut buffer)? {
                0 => break,
                length => hasher.update(&buffer[..length]),
            }
        }
        let digests = hasher.finish();
        let modified = clock::to_millis(found.modified()?);
        let checksum = digests.checksum(Algorithm::Crc64Nvme);
        let object =
            Object::stored(Content::File(path), digests.size, modified, digests.etag(), checksum);
        if let Err(error) = self.write_sidecar(bucket, key, &object) {
            tracing::warn!(%error, bucket, key, "sidecar not kept; the file is read again at next start");
        }
        Ok(object)
    }

    /// The objects in the corner, whose keys only their sidecars know.
    fn load_unspellable(&self, bucket: &str) -> io::Result<Vec<(String, Object)>> {
        let mut found = Vec::new();
        let entries = match fs::read_dir(self.corner(bucket).join("objects")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            let Some(hash) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let sidecar = self.corner(bucket).join("meta").join(format!("{hash}.json"));
            let key = fs::read(sidecar)
                .ok()
                .and_then(|text| serde_json::from_slice::<Sidecar>(&text).ok())
                .map(|sidecar| sidecar.key);
            if let Some(key) = key
                && let Some(object) = self.described(bucket, &key, &path)?
            {
                found.push((key, object));
            }
        }
        Ok(found)
    }

    /// The object at `path` as its sidecar describes it, if that still fits the file.
    fn described(&self, bucket: &str, key: &str, path: &Path) -> io::Result<Option<Object>> {
        let Ok(text) = fs::read(self.sidecar(bucket, key)) else { return Ok(None) };
        let Ok(sidecar) = serde_json::from_slice::<Sidecar>(&text) else { return Ok(None) };
        let found = fs::metadata(path)?;
        let fits = sidecar.key == key
            && sidecar.size == found.len()
            && sidecar.file_time_ns == nanoseconds(found.modified()?);
        Ok(fits.then(|| {
            let modified = clock::from_unix_ms(sidecar.modified_ms);
            let content = Content::File(path.to_owned());
            Object::stored(content, sidecar.size, modified, sidecar.etag, sidecar.checksum)
                .with_details(sidecar.details)
        }))
    }

    pub(crate) fn create_bucket(&self, bucket: &str) -> io::Result<()> {
        fs::create_dir_all(self.root.join(bucket))
    }

    pub(crate) fn delete_bucket(&self, bucket: &str) -> io::Result<()> {
        fs::remove_dir_all(self.root.join(bucket))
    }

    /// A path for an arriving body.
    pub(crate) fn draft(&self, bucket: &str) -> io::Result<DraftFile> {
        let directory = self.corner(bucket).join("draft");
        fs::create_dir_all(&directory)?;
        let number = self.next_draft.fetch_add(1, Ordering::Relaxed);
        Ok(DraftFile::new(directory.join(number.to_string())))
    }

    /// Moves a draft to where `key` lives. The caller holds the index's write lock.
    pub(crate) fn publish(
        &self,
        (bucket, key): (&str, &str),
        draft: DraftFile,
        old: Option<&Content>,
        describe: impl FnOnce(Content) -> Object,
    ) -> io::Result<Object> {
        let path = self.place(bucket, key, draft.path())?;
        if let Some(Content::File(before)) = old
            && *before != path
        {
            let _ = fs::remove_file(before);
        }
        let object = describe(Content::File(path));
        self.write_sidecar(bucket, key, &object)?;
        Ok(object)
    }

    fn place(&self, bucket: &str, key: &str, draft: &Path) -> io::Result<PathBuf> {
        if let Some(path) = self.spelled(bucket, key) {
            let made = path.parent().map_or(Ok(()), fs::create_dir_all);
            // Fails where another key already needs a directory to be a file, or the reverse.
            if made.and_then(|()| fs::rename(draft, &path)).is_ok() {
                return Ok(path);
            }
        }
        let directory = self.corner(bucket).join("objects");
        fs::create_dir_all(&directory)?;
        let path = directory.join(hash(key));
        fs::rename(draft, &path)?;
        Ok(path)
    }

    /// Writes what S3 says about a stored object.
    pub(crate) fn write_sidecar(&self, bucket: &str, key: &str, object: &Object) -> io::Result<()> {
        let Content::File(path) = &object.content else { return Ok(()) };
        let sidecar = Sidecar {
            key: key.to_owned(),
            size: object.size,
            file_time_ns: nanoseconds(fs::metadata(path)?.modified()?),
            modified_ms: clock::unix_ms(object.modified),
            etag: object.etag(),
            checksum: object.checksum().cloned(),
            details: object.details(),
        };
        let target = self.sidecar(bucket, key);
        fs::create_dir_all(self.corner(bucket).join("meta"))?;
        let draft = target.with_extension("tmp");
        fs::write(&draft, serde_json::to_vec(&sidecar).map_err(io::Error::other)?)?;
        fs::rename(draft, target)
    }

    /// Removes a deleted object's file, its sidecar, and directories left empty.
    pub(crate) fn forget(&self, bucket: &str, key: &str, content: &Content) {
        let Content::File(path) = content else { return };
        let _ = fs::remove_file(path);
        let _ = fs::remove_file(self.sidecar(bucket, key));
        let directory = self.root.join(bucket);
        let mut parent = path.parent();
        while let Some(at) = parent.filter(|at| *at != directory && at.starts_with(&directory)) {
            // Stops at the first directory that still holds something.
            if fs::remove_dir(at).is_err() {
                break;
            }
            parent = at.parent();
        }
    }

    fn corner(&self, bucket: &str) -> PathBuf {
        self.root.join(bucket).join(CORNER)
    }

    fn sidecar(&self, bucket: &str, key: &str) -> PathBuf {
        self.corner(bucket).join("meta").join(format!("{}.json", hash(key)))
    }

    /// The path that spells `key` itself, where one can.
    fn spelled(&self, bucket: &str, key: &str) -> Option<PathBuf> {
        let plain = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part.len() <= 255
                && !part.contains('\0')
        };
        let fits =
            key.len() <= 2048 && key.split('/').all(plain) && key.split('/').next() != Some(CORNER);
        fits.then(|| self.root.join(bucket).join(key))
    }
}

/// The key a file's place spells.
fn key_of(directory: &Path, path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path
        .strip_prefix(directory)
        .ok()?
        .components()
        .map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    parts.map(|parts| parts.join("/"))
}

fn hash(key: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(key).iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn nanoseconds(time: SystemTime) -> u128 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos()
}
