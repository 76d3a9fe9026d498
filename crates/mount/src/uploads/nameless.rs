//! Uploads of the dead that have no name: the store was asked to begin them, and whoever asked was
//! killed before the answer was written down.
//!
//! A store lists uploads by their keys, with their ids and when they were begun, and nothing that
//! an upload could be marked by. So one is taken for a dead mount's only if all of this holds:
//!
//! * it is of exactly the key that the mount had written down, before it asked;
//! * it was begun, by the store's own clock, after that and before we started;
//! * no other journal of this node names it, and no other mount of it begins one of that key;
//! * it has no part, some time after we started: whoever lives has sent one by then;
//! * there are no more such uploads than were asked for.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use object::{ErrorKind, Result, Time, Upload};

use super::aside;
use super::leftovers::{Reach, Remains, Swept, journals, throw_away};
use super::place::Place;
use super::record::Record;

/// For how long a store is asked to begin one upload, at most: five times the 60 s that
/// `s3::Config` has for writes.
const ASKED: Duration = Duration::from_secs(300);
/// By how much later than it is the store's clock may have been taken to be: clocks of its servers
/// differ, and they tell whole seconds.
const BEFORE: Duration = Duration::from_secs(2);
/// By how much earlier, and for how long a request may have been on its way that was sent before
/// its mount was killed.
const AFTER: Duration = Duration::from_secs(10);

/// What can be said of the uploads of one key.
enum Verdict {
    /// They are the dead mounts'.
    Theirs(Vec<Upload>),
    /// Some may be, and some not.
    Unclear(Vec<Upload>),
    /// It cannot be said yet.
    Open,
}

/// Throws away what was begun because of the intents in `remains` that are within `reach`. The
/// sweep was `started` at this time of the store's.
pub(super) async fn settle(
    place: &Arc<Place>,
    remains: &mut [Remains],
    reach: &Reach<'_>,
    started: Time,
    swept: &mut Swept,
) {
    let mut asked: BTreeMap<String, Vec<RangeInclusive<Time>>> = BTreeMap::new();
    for intent in remains.iter().flat_map(|remains| remains.intents(reach)) {
        asked.entry(intent.key.clone()).or_default().push(window(intent.at, started));
    }
    for (key, windows) in asked {
        let over = match judge(place, remains, reach, (&key, &windows)).await {
            Ok(Verdict::Theirs(uploads)) => {
                let mut over = true;
                for upload in &uploads {
                    over &= throw_away(upload, reach, swept).await;
                }
                over
            }
            Ok(Verdict::Unclear(uploads)) => {
                swept.unclear += uploads.len();
                uploads.iter().for_each(|upload| leave(upload, reach));
                // What is left of them another time is no clearer.
                true
            }
            Ok(Verdict::Open) => false,
            Err(error) => {
                swept.failed += windows.len();
                tracing::warn!(
                    key,
                    "what a dead mount may have left open cannot be looked for, which takes \
                     s3:ListBucketMultipartUploads and s3:ListMultipartUploadParts: {error}"
                );
                false
            }
        };
        if over {
            remains.iter_mut().for_each(|remains| strike(remains, reach, &key));
        }
    }
}

/// When an upload was begun that was intended at `at` by a mount that was dead when we started.
fn window(at: u64, started: Time) -> RangeInclusive<Time> {
    let at = Time::from_secs(at);
    let last = (at + ASKED).min(started) + AFTER;
    Time(at.0.saturating_sub(BEFORE))..=last
}

fn strike(remains: &mut Remains, reach: &Reach<'_>, key: &str) {
    let of_key = remains.intents(reach).filter(|intent| intent.key == key);
    let numbers: Vec<u64> = of_key.map(|intent| intent.number).collect();
    numbers.into_iter().for_each(|number| remains.strike(Record::Settled(number)));
}

async fn judge(
    place: &Arc<Place>,
    remains: &[Remains],
    reach: &Reach<'_>,
    (key, windows): (&str, &[RangeInclusive<Time>]),
) -> Result<Verdict> {
    let mut uploads = reach.sink.uploads(key).await?;
    uploads.retain(|upload| {
        let begun = || windows.iter().any(|window| window.contains(&upload.begun));
        upload.key.as_str() == key && begun()
    });
    // Only now: a mount writes down what it is going to begin before it does, so whatever of this
    // node was listed is written down.
    let ours: Vec<String> = remains.iter().map(|remains| remains.name.clone()).collect();
    let read = place.clone();
    let others = aside(move || journals(&read, |name| !ours.iter().any(|ours| ours == name)));
    let others = match others.await {
        Ok(others) => others,
        Err(error) => {
            let message = format!("the journals of this node cannot be read: {error}");
            return Err(object::Error::new(ErrorKind::Invalid, message));
        }
    };
    let mut intents = others.iter().flat_map(|(open, _)| open.intents.values());
    if intents.any(|intent| intent.scope == *reach.scope && intent.key == key) {
        return Ok(Verdict::Open);
    }
    let named = |upload: &Upload| {
        let open = others.iter().map(|(open, _)| open);
        let mut open = open.chain(remains.iter().map(|remains| &remains.open));
        open.any(|open| open.uploads.contains_key(&*upload.id))
    };
    let mut bare = Vec::new();
    for upload in uploads.into_iter().filter(|upload| !named(upload)) {
        match reach.sink.has_parts(&upload).await {
            Ok(true) => {}
            Ok(false) => bare.push(upload),
            Err(error) if error.kind() == ErrorKind::NoSuchUpload => {}
            Err(error) => return Err(error),
        }
    }
    match bare.len() <= windows.len() {
        true => Ok(Verdict::Theirs(bare)),
        false => Ok(Verdict::Unclear(bare)),
    }
}

/// Says that `upload` stays, and how to throw it away.
fn leave(upload: &Upload, reach: &Reach<'_>) {
    let (key, id) = (upload.key.as_str(), &*upload.id);
    tracing::warn!(
        key,
        id,
        "an upload stays that a dead mount may have left open, or anybody else begun; to throw it \
         away: mount-s3 uploads abort {} --key KEY --upload-id ID",
        reach.scope.bucket
    );
}

#[cfg(test)]
mod tests;
