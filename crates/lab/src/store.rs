//! Buckets and objects: an index in memory, bytes in memory or in a directory.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

use s3s::dto::ETagCondition;
use s3s::{S3Result, s3_error};

use crate::clock;
use crate::disk::Disk;
use crate::draft::{Draft, Received};
use crate::frames::Frames;
use crate::object::{Content, Details, Object};
use crate::upload::Upload;

/// The conditions a write may carry.
#[derive(Debug, Default)]
pub(crate) struct Precondition {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
}

/// One bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) created: SystemTime,
    pub(crate) objects: BTreeMap<String, Arc<Object>>,
    /// By key, then by upload id.
    pub(crate) uploads: BTreeMap<(String, String), Upload>,
}

impl Bucket {
    fn new(created: SystemTime, objects: BTreeMap<String, Arc<Object>>) -> Self {
        Self { created, objects, uploads: BTreeMap::new() }
    }
}

/// All buckets. Locks are held for index work and renames only, never across an await.
#[derive(Debug)]
pub(crate) struct Store {
    buckets: RwLock<BTreeMap<String, Bucket>>,
    disk: Option<Disk>,
    /// Whether bodies are thrown away.
    forgets: bool,
    next_upload: AtomicU64,
}

impl Store {
    pub(crate) fn in_memory() -> Self {
        let (buckets, next_upload) = (RwLock::default(), AtomicU64::new(1));
        Self { buckets, disk: None, forgets: false, next_upload }
    }

    /// Bodies are thrown away.
    pub(crate) fn nowhere() -> Self {
        Self { forgets: true, ..Self::in_memory() }
    }

    /// Serves `directory`, whose sub-directories are buckets. Reads every file that has
    /// no valid sidecar, to know its ETag.
    pub(crate) fn in_directory(directory: &Path) -> std::io::Result<Self> {
        let disk = Disk::open(directory)?;
        let mut buckets = BTreeMap::new();
        for (name, created, objects) in disk.load()? {
            buckets.insert(name, Bucket::new(created, objects));
        }
        let buckets = RwLock::new(buckets);
        let next_upload = AtomicU64::new(1);
        Ok(Self { buckets, disk: Some(disk), forgets: false, next_upload })
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Bucket>> {
        self.buckets.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Bucket>> {
        self.buckets.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `look` on a bucket under the read lock.
    pub(crate) fn with_bucket<T>(
        &self,
        name: &str,
        look: impl FnOnce(&Bucket) -> T,
    ) -> S3Result<T> {
        self.read().get(name).map(look).ok_or_else(|| no_such_bucket(name))
    }

    /// Runs `change` on a bucket's uploads under the write lock.
    pub(crate) fn with_uploads<T>(
        &self,
        name: &str,
        change: impl FnOnce(&mut BTreeMap<(String, String), Upload>) -> S3Result<T>,
    ) -> S3Result<T> {
        let mut buckets = self.write();
        change(&mut buckets.get_mut(name).ok_or_else(|| no_such_bucket(name))?.uploads)
    }

    /// An upload id nobody had before in this process.
    pub(crate) fn upload_id(&self) -> String {
        let number = self.next_upload.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}{number:08x}", crate::synthetic::mix(clock::unix_ms(clock::now()) ^ number))
    }

    /// Creates a bucket; false where it was there.
    pub(crate) fn create_bucket(&self, name: &str) -> S3Result<bool> {
        let mut buckets = self.write();
        if buckets.contains_key(name) {
            return Ok(false);
        }
        if let Some(disk) = &self.disk {
            disk.create_bucket(name).map_err(internal)?;
        }
        buckets.insert(name.to_owned(), Bucket::new(clock::now(), BTreeMap::new()));
        Ok(true)
    }

    /// Deletes an empty bucket.
    pub(crate) fn delete_bucket(&self, name: &str) -> S3Result<()> {
        let mut buckets = self.write();
        let bucket = buckets.get(name).ok_or_else(|| no_such_bucket(name))?;
        if !bucket.objects.is_empty() {
            return Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty."));
        }
        if let Some(disk) = &self.disk {
            disk.delete_bucket(name).map_err(internal)?;
        }
        buckets.remove(name);
        Ok(())
    }

    /// The object under `key`.
    pub(crate) fn get(&self, bucket: &str, key: &str) -> S3Result<Arc<Object>> {
        self.with_bucket(bucket, |b| b.objects.get(key).cloned())?
            .ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))
    }

    /// An object and a file that surely holds this version's bytes, where it is in a file.
    pub(crate) fn open(
        &self,
        bucket: &str,
        key: &str,
    ) -> S3Result<(Arc<Object>, Option<Arc<File>>)> {
        loop {
            let object = self.get(bucket, key)?;
            let path = match &object.content {
                Content::File(path) => path,
                Content::Nowhere => {
                    return Err(s3_error!(NotImplemented, "No bytes are kept here"));
                }
                Content::Memory(_) | Content::Synthetic(_) => return Ok((object, None)),
            };
            let opened = File::open(path);
            // Index and file change together under the write lock: if the index still
            // says the same after the open, the file is this object's.
            if Arc::ptr_eq(&object, &self.get(bucket, key)?) {
                return Ok((object, Some(Arc::new(opened.map_err(internal)?))));
            }
        }
    }

    /// The bytes of `range` of an object that [`Self::open`] gave.
    pub(crate) fn frames(object: &Object, file: Option<Arc<File>>, range: Range<u64>) -> Frames {
        match (&object.content, file) {
            (Content::Memory(segments), _) => Frames::memory(segments.clone(), range),
            (Content::Synthetic(pattern), _) => Frames::synthetic(*pattern, range),
            (Content::File(_), Some(file)) => Frames::file(file, range),
            (Content::File(_), None) | (Content::Nowhere, _) => Frames::memory(Vec::new(), 0..0),
        }
    }

    /// Room for a body of about `size_hint` bytes.
    pub(crate) fn draft(&self, bucket: &str, size_hint: u64) -> S3Result<Draft> {
        match &self.disk {
            Some(disk) => Draft::in_file(disk.draft(bucket).map_err(internal)?),
            None if self.forgets => Ok(Draft::Nowhere),
            None => Ok(Draft::in_memory(size_hint)),
        }
    }

    /// Whether `condition` holds now, for a write that is checked again when it is published.
    pub(crate) fn check_condition(
        &self,
        (bucket, key): (&str, &str),
        condition: &Precondition,
    ) -> S3Result<()> {
        self.with_bucket(bucket, |b| check(condition, b.objects.get(key).map(Arc::as_ref)))?
    }

    /// Makes a received body the object under `key`, if `condition` holds.
    pub(crate) fn publish(
        &self,
        (bucket, key): (&str, &str),
        received: Received,
        details: Details,
        condition: &Precondition,
    ) -> S3Result<Arc<Object>> {
        let mut buckets = self.write();
        let objects = &mut buckets.get_mut(bucket).ok_or_else(|| no_such_bucket(bucket))?.objects;
        check(condition, objects.get(key).map(Arc::as_ref))?;
        let (size, etag, checksum) =
            (received.size(), received.etag.clone(), received.checksum.clone());
        let modified = received.modified.unwrap_or_else(clock::now);
        let describe =
            |content| Object::stored(content, size, modified, etag, checksum).with_details(details);
        let object = match (&self.disk, received.into_parts()) {
            (Some(disk), (segments, Some(draft))) if segments.is_empty() => {
                let old = objects.get(key).map(|object| &object.content);
                disk.publish((bucket, key), draft, old, describe).map_err(internal)?
            }
            _ if self.forgets => describe(Content::Nowhere),
            (_, (segments, _)) => describe(Content::Memory(segments)),
        };
        let object = Arc::new(object);
        objects.insert(key.to_owned(), object.clone());
        Ok(object)
    }

    /// Puts an object that needs no bytes, replacing what was there.
    pub(crate) fn insert(&self, bucket: &str, key: &str, object: Object) -> S3Result<Arc<Object>> {
        let mut buckets = self.write();
        let objects = &mut buckets.get_mut(bucket).ok_or_else(|| no_such_bucket(bucket))?.objects;
        self.forget(bucket, key, objects.get(key));
        let object = Arc::new(object);
        objects.insert(key.to_owned(), object.clone());
        Ok(object)
    }

    /// Puts many objects that need no bytes, under one lock.
    pub(crate) fn insert_many(
        &self,
        bucket: &str,
        many: impl Iterator<Item = (String, Object)>,
    ) -> S3Result<()> {
        let mut buckets = self.write();
        let objects = &mut buckets.get_mut(bucket).ok_or_else(|| no_such_bucket(bucket))?.objects;
        for (key, object) in many {
            self.forget(bucket, &key, objects.get(&key));
            objects.insert(key, Arc::new(object));
        }
        Ok(())
    }

    /// Replaces what is said about an object; its bytes, ETag and time stay.
    pub(crate) fn describe(
        &self,
        bucket: &str,
        key: &str,
        change: impl FnOnce(&mut Details),
    ) -> S3Result<()> {
        let object = self.get(bucket, key)?;
        let mut details = object.details();
        change(&mut details);
        let changed = Object::clone(&object).with_details(details);
        let mut buckets = self.write();
        let objects = &mut buckets.get_mut(bucket).ok_or_else(|| no_such_bucket(bucket))?.objects;
        if let Some(disk) = &self.disk {
            disk.write_sidecar(bucket, key, &changed).map_err(internal)?;
        }
        objects.insert(key.to_owned(), Arc::new(changed));
        Ok(())
    }

    /// Deletes an object; whether there was one.
    pub(crate) fn delete(&self, bucket: &str, key: &str) -> S3Result<bool> {
        let mut buckets = self.write();
        let objects = &mut buckets.get_mut(bucket).ok_or_else(|| no_such_bucket(bucket))?.objects;
        let old = objects.remove(key);
        self.forget(bucket, key, old.as_ref());
        Ok(old.is_some())
    }

    /// Deletes an object if it has this ETag; whether there was one.
    pub(crate) fn delete_if(
        &self,
        bucket: &str,
        key: &str,
        etag: &ETagCondition,
    ) -> S3Result<bool> {
        let mut buckets = self.write();
        let objects = &mut buckets.get_mut(bucket).ok_or_else(|| no_such_bucket(bucket))?.objects;
        let Some(old) = objects.get(key) else { return Ok(false) };
        let condition = Precondition { if_match: Some(etag.clone()), if_none_match: None };
        check(&condition, Some(old))?;
        let old = objects.remove(key);
        self.forget(bucket, key, old.as_ref());
        Ok(old.is_some())
    }

    fn forget(&self, bucket: &str, key: &str, old: Option<&Arc<Object>>) {
        if let (Some(disk), Some(old)) = (&self.disk, old) {
            disk.forget(bucket, key, &old.content);
        }
    }
}

fn check(condition: &Precondition, current: Option<&Object>) -> S3Result<()> {
    let holds = |wanted: &ETagCondition, object: &Object| match wanted {
        ETagCondition::Any => true,
        ETagCondition::ETag(etag) => etag.value() == object.etag(),
    };
    match (&condition.if_match, current) {
        (Some(_), None) => return Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
        (Some(wanted), Some(object)) if !holds(wanted, object) => return Err(precondition_failed()),
        _ => {}
    }
    match (&condition.if_none_match, current) {
        (Some(unwanted), Some(object)) if holds(unwanted, object) => Err(precondition_failed()),
        _ => Ok(()),
    }
}

/// The error of a condition that does not hold.
pub(crate) fn precondition_failed() -> s3s::S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}

/// The error of an unknown bucket.
pub(crate) fn no_such_bucket(name: &str) -> s3s::S3Error {
    s3_error!(NoSuchBucket, "The specified bucket does not exist: {name}")
}

/// The answer to trouble with the lab's own files.
pub(crate) fn internal(error: std::io::Error) -> s3s::S3Error {
    tracing::error!(%error, "lab store");
    s3s::S3Error::internal_error(error)
}
