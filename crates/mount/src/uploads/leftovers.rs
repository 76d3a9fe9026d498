//! The journals of mounts that are dead: what they left open is thrown away.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use cache::{Scope, lock};
use object::{Sink, Upload};

use super::place::Place;
use super::record::{Entry, Intent, Open, Record};
use super::{aside, nameless};

/// The most that is read of a journal, in bytes. A mount writes its own anew long before that,
/// unless thousands of uploads are open at once.
const READ_MAX: u64 = 16 << 20;

/// What became of what the dead had left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Uploads that were thrown away.
    pub aborted: usize,
    /// Uploads that could not be, or not be looked for: the next mount tries again.
    pub failed: usize,
    /// Uploads that are another mount's business: of another bucket or prefix.
    pub left: usize,
    /// Uploads that may be anybody's, and stay.
    pub unclear: usize,
}

/// Which uploads are looked at, and where they are.
pub struct Reach<'a> {
    /// Their bucket and store.
    pub scope: &'a Scope,
    /// What their keys begin with.
    pub prefix: &'a str,
    /// What throws them away.
    pub sink: &'a dyn Sink,
}

impl Reach<'_> {
    fn covers(&self, scope: &Scope, key: &str) -> bool {
        scope == self.scope && key.starts_with(self.prefix)
    }
}

/// Throws away the uploads within `reach` that mounts which are dead had noted in `place`, and
/// after `patience` those of whose beginning they did not live to hear. Touches no upload whose
/// owner lives and, but for what [`nameless`] says, none that is not in a journal.
///
/// # Errors
/// The place cannot be listed. What fails with one journal or upload is logged and passed over.
pub async fn sweep(place: Arc<Place>, reach: &Reach<'_>, patience: Duration) -> io::Result<Swept> {
    let started = reach.sink.now();
    let (mut swept, mut nameless) = (Swept::default(), Vec::new());
    let listed = place.clone();
    for name in aside(move || listed.names()).await? {
        let (opened, shown) = (place.clone(), name.clone());
        let taken = aside(move || Remains::take(opened, name)).await;
        match taken {
            Ok(Some(mut remains)) => {
                remains.clear(reach, &mut swept).await;
                let is_nameless = remains.intents(reach).next().is_some();
                match is_nameless {
                    true => nameless.push(remains),
                    false => remains.close().await,
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!("the journal {shown} cannot be read: {error}"),
        }
    }
    if !nameless.is_empty() {
        tokio::time::sleep(patience).await;
        nameless::settle(&place, &mut nameless, reach, started, &mut swept).await;
        for remains in nameless {
            remains.close().await;
        }
    }
    Ok(swept)
}

/// A journal of a dead mount, ours while this lives.
pub(super) struct Remains {
    place: Arc<Place>,
    pub(super) name: String,
    file: File,
    pub(super) open: Open,
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

    /// The intents that are within `reach`.
    pub(super) fn intents(&self, reach: &Reach<'_>) -> impl Iterator<Item = &Intent> {
        let within = |intent: &&Intent| reach.covers(&intent.scope, &intent.key);
        self.open.intents.values().filter(within)
    }

    /// Throws away the uploads within `reach` that it names.
    async fn clear(&mut self, reach: &Reach<'_>, swept: &mut Swept) {
        let entries: Vec<Entry> = self.open.uploads.values().cloned().collect();
        for entry in entries {
            let reached = reach.covers(&entry.scope, &entry.key);
            let Some(upload) = entry.upload().filter(|_| reached) else {
                swept.left += 1;
                continue;
            };
            if throw_away(&upload, reach, swept).await {
                self.strike(Record::Ended(entry.id));
            }
        }
        swept.left += self.open.intents.len() - self.intents(reach).count();
    }

    /// Removes the journal unless there is something left in it.
    async fn close(self) {
        if self.open.is_empty()
            && let Err(error) = aside(move || self.place.remove(&self.name)).await
        {
            tracing::warn!("a journal without uploads stays: {error}");
        }
    }

    /// Notes that something is not open any more, for whoever comes for the rest. A short line at
    /// the end of a file does not keep the runtime waiting.
    pub(super) fn strike(&mut self, record: Record) {
        let written = record.line().and_then(|line| (&self.file).write_all(&line));
        if let Err(error) = written {
            tracing::debug!("it will be seen to once more: {error}");
        }
        self.open.hear(record);
    }
}

/// Throws `upload` away, and counts it; whether it is gone.
pub(super) async fn throw_away(upload: &Upload, reach: &Reach<'_>, swept: &mut Swept) -> bool {
    let (key, id) = (upload.key.as_str(), &*upload.id);
    match reach.sink.abort(upload).await {
        Ok(()) => {
            swept.aborted += 1;
            tracing::info!(key, id, "an upload that a dead mount left open was thrown away");
            true
        }
        Err(error) => {
            swept.failed += 1;
            tracing::warn!(key, id, "an upload that a dead mount left open stays: {error}");
            false
        }
    }
}

/// The open uploads that the journals in `place` name, by their ids, and whether the mount that
/// began them lives.
pub(super) fn known(place: &Place) -> io::Result<BTreeMap<String, (Entry, bool)>> {
    let mut known = BTreeMap::new();
    for (open, alive) in journals(place, |_| true)? {
        known.extend(open.uploads.into_iter().map(|(id, entry)| (id, (entry, alive))));
    }
    Ok(known)
}

/// What the journals in `place` of these names say, and whether their owners live.
pub(super) fn journals(
    place: &Place,
    wanted: impl Fn(&str) -> bool,
) -> io::Result<Vec<(Open, bool)>> {
    let mut journals = Vec::new();
    for name in place.names()?.iter().filter(|name| wanted(name)) {
        let Some(file) = place.open(name)? else { continue };
        let alive = lock::held(&file, lock::WHOLE)?.is_some();
        journals.push((read(&file)?, alive));
    }
    Ok(journals)
}

fn read(file: &File) -> io::Result<Open> {
    let mut bytes = Vec::new();
    file.take(READ_MAX).read_to_end(&mut bytes)?;
    Ok(Open::read(&bytes))
}

#[cfg(test)]
mod tests;
