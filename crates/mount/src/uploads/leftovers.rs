//! The journals of mounts that are dead: what they left open is thrown away.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

use cache::{Scope, lock};
use object::Sink;

use super::place::Place;
use super::record::{Entry, Record, open_uploads};

/// The most that is read of a journal, in bytes. A mount writes its own anew long before that,
/// unless thousands of uploads are open at once.
const READ_MAX: u64 = 16 << 20;

/// What became of what the dead had left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Uploads that were thrown away.
    pub aborted: usize,
    /// Uploads that could not be: they are tried again by the next mount.
    pub failed: usize,
    /// Uploads that are another mount's business: of another bucket or prefix.
    pub left: usize,
}

/// Throws away the uploads in `scope` of keys below `prefix` that mounts which are dead had noted
/// in `place`. Touches no upload that is not in a journal, and none whose owner lives.
///
/// # Errors
/// The place cannot be listed. What fails with one journal or upload is logged and passed over.
pub async fn sweep(
    place: Arc<Place>,
    scope: &Scope,
    prefix: &str,
    sink: Arc<dyn Sink>,
) -> io::Result<Swept> {
    let mut swept = Swept::default();
    let listed = place.clone();
    for name in aside(move || listed.names()).await? {
        let (opened, shown) = (place.clone(), name.clone());
        let taken = aside(move || Remains::take(opened, name)).await;
        match taken {
            Ok(Some(remains)) => remains.clear(scope, prefix, &*sink, &mut swept).await,
            Ok(None) => {}
            Err(error) => tracing::warn!("the journal {shown} cannot be read: {error}"),
        }
    }
    Ok(swept)
}

/// A journal of a dead mount, ours while this lives.
struct Remains {
    place: Arc<Place>,
    name: String,
    file: File,
    open: BTreeMap<String, Entry>,
}

impl Remains {
    /// Takes the journal over; `None` when its owner lives or it is none.
    fn take(place: Arc<Place>, name: String) -> io::Result<Option<Self>> {
        let Some(file) = place.open(&name)? else { return Ok(None) };
        // Somebody else may have been through with it just now.
        if !lock::try_lock(&file, lock::WHOLE)? || !place.holds(&name, &file) {
            return Ok(None);
        }
        let open = read(&file)?;
        Ok(Some(Self { place, name, file, open }))
    }

    async fn clear(mut self, scope: &Scope, prefix: &str, sink: &dyn Sink, swept: &mut Swept) {
        for entry in std::mem::take(&mut self.open).into_values() {
            let reached = entry.scope == *scope && entry.key.starts_with(prefix);
            let Some(upload) = entry.upload().filter(|_| reached) else {
                swept.left += 1;
                self.open.insert(entry.id.clone(), entry);
                continue;
            };
            match sink.abort(&upload).await {
                Ok(()) => {
                    swept.aborted += 1;
                    tracing::info!(
                        key = entry.key,
                        upload = entry.id,
                        "an upload that a dead mount left open was thrown away"
                    );
                    self.strike(entry.id);
                }
                Err(error) => {
                    swept.failed += 1;
                    tracing::warn!(
                        key = entry.key,
                        upload = entry.id,
                        "an upload that a dead mount left open stays: {error}"
                    );
                    self.open.insert(entry.id.clone(), entry);
                }
            }
        }
        if self.open.is_empty()
            && let Err(error) = aside(move || self.place.remove(&self.name)).await
        {
            tracing::warn!("a journal without uploads stays: {error}");
        }
    }

    /// Notes that an upload ended, for whoever comes for the rest. A short line at the end of a
    /// file does not keep the runtime waiting.
    fn strike(&self, id: String) {
        let written = Record::Ended(id).line().and_then(|line| (&self.file).write_all(&line));
        if let Err(error) = written {
            tracing::debug!("it will be thrown away once more: {error}");
        }
    }
}

/// The open uploads that the journals in `place` name, by their ids, and whether the mount that
/// began them lives.
pub(super) fn known(place: &Place) -> io::Result<BTreeMap<String, (Entry, bool)>> {
    let mut known = BTreeMap::new();
    for name in place.names()? {
        let Some(file) = place.open(&name)? else { continue };
        let alive = lock::held(&file, lock::WHOLE)?.is_some();
        known.extend(read(&file)?.into_iter().map(|(id, entry)| (id, (entry, alive))));
    }
    Ok(known)
}

fn read(file: &File) -> io::Result<BTreeMap<String, Entry>> {
    let mut bytes = Vec::new();
    file.take(READ_MAX).read_to_end(&mut bytes)?;
    Ok(open_uploads(&bytes))
}

/// Does what waits for the disk where that keeps nobody else waiting.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests;
