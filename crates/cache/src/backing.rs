//! Files that are handed out for the kernel to read by itself.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use object::Version;
use tokio::time::Instant;

use crate::cache::{Broken, Cache};
use crate::identity::{Identity, Scope};
use crate::map::MapError;
use crate::map::codec::{Damage, Seal};
use crate::object::Object;
use crate::schedule::Mutex;
use crate::seal::{intact, seal, seal_of};
use crate::space::Counted;
use crate::table::lock;

/// How long a file is handed out again without noting that it is used.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

/// What was handed out and is still held by somebody.
#[derive(Default)]
pub(crate) struct Backings {
    handed: Mutex<HashMap<Identity, Handed>>,
    /// Handed out, and since unlinked or changed.
    past: Mutex<Vec<Handed>>,
}

struct Handed {
    file: Arc<File>,
    seal: Seal,
    noted: Instant,
    /// How many hold the file who do not read it.
    ours: usize,
    _counted: Counted,
}

impl Backings {
    /// The file of `identity`, if it was handed out before and is still what it was. Asks the
    /// disk for no more than the file's inode.
    pub(crate) fn again(&self, identity: &Identity) -> Option<Arc<File>> {
        let mut handed = lock(&self.handed);
        let entry = handed.get(identity)?;
        if seal_of(&entry.file).is_ok_and(|seal| seal == entry.seal) {
            let lately = entry.noted.elapsed() < TOUCH_EVERY;
            return lately.then(|| entry.file.clone());
        }
        let past = handed.remove(identity);
        lock(&self.past).extend(past);
        None
    }

    /// Ceases to count what nobody holds any more.
    pub(crate) fn close_unused(&self) {
        let used = |handed: &Handed| Arc::strong_count(&handed.file) > handed.ours;
        let (mut handed, mut past) = (lock(&self.handed), lock(&self.past));
        handed.retain(|_, handed| used(handed) || handed.noted.elapsed() < TOUCH_EVERY);
        past.retain(used);
    }

    /// Takes in a file that is about to be handed out for the first time, or once more.
    fn hand(&self, object: &Object, file: File, seal: Seal) -> io::Result<Arc<File>> {
        let mut handed = lock(&self.handed);
        if let Some(entry) = handed.get_mut(object.identity()).filter(|entry| entry.seal == seal) {
            entry.noted = Instant::now();
            return Ok(entry.file.clone());
        }
        let file = Arc::new(file);
        let counted = object.disk.space.hold(file.clone())?;
        let ours = Arc::strong_count(&file);
        let entry =
            Handed { file: file.clone(), seal, noted: Instant::now(), ours, _counted: counted };
        let past = handed.insert(*object.identity(), entry);
        lock(&self.past).extend(past);
        Ok(file)
    }
}

/// The whole object as a file, if it is sealed and nothing speaks against it; otherwise it is
/// looked into, and sealed if it can be, while the caller goes on without. Disk IO.
pub(crate) fn backing(
    cache: &Arc<Cache>,
    scope: &Scope,
    version: &Arc<Version>,
) -> Option<Arc<File>> {
    let object = cache.object(scope, version, false)?;
    match hand_out(cache, &object) {
        Ok(Some(file)) => return Some(file),
        Ok(None) => {}
        Err(MapError::Damaged(_)) => cache.drop_object(&object, Broken::Damaged),
        Err(MapError::Io(error)) => cache.reading.failed(&error, Instant::now()),
    }
    if !object.being_judged() {
        let cache = cache.clone();
        tokio::task::spawn_blocking(move || {
            seal(&cache, &object, true);
            object.judged();
        });
    }
    None
}

/// Somebody opened `version`, and reads it from wherever it is: another use, if it is complete.
/// Disk IO.
pub(crate) fn opened(cache: &Cache, scope: &Scope, version: &Arc<Version>) {
    if let Some(object) = cache.object(scope, version, false)
        && matches!(intact(&object), Ok(Some(_)))
    {
        note_use(&object);
    }
}

/// Where nothing can be noted, only eviction is misled.
fn note_use(object: &Object) {
    let _ = object.touch(Instant::now());
    let _ = object.files.note_use(true);
}

/// The file of a sealed object. Disk IO.
pub(crate) fn hand_out(cache: &Cache, object: &Object) -> Result<Option<Arc<File>>, MapError> {
    let Some(seal) = intact(object)? else { return Ok(None) };
    // Read-only, so that nobody who gets hold of it can write to it.
    let file = match object.disk.directory.open_data(object.identity()) {
        Ok(file) => file,
        Err(_) if object.is_gone() => return Ok(None),
        // The file is there and the name leads elsewhere.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Damage::Content.into());
        }
        Err(error) => return Err(error.into()),
    };
    match seal_of(&file)? {
        found if found == seal => {}
        found if found.inode != seal.inode => return Err(Damage::Content.into()),
        _ => return Ok(None),
    }
    note_use(object);
    let file = cache.backings.hand(object, file, seal)?;
    cache.stats.backings.add(1);
    Ok(Some(file))
}
