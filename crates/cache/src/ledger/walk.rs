//! The walk over all files that puts the shared count right, beside everything else.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use object::Time;

use super::Ledger;
use super::book::LedgerError;
use super::measure::measure;
use super::place::Place;

/// The pause between two places, for the sake of those who read.
const PAUSE: Duration = Duration::from_millis(4);

/// Begins a walk on a thread of its own, unless one goes on in this process already. It ends when
/// the ledger is dropped, and is resumed by whoever comes next.
pub(super) fn start(ledger: &Arc<Ledger>, now: Time) -> io::Result<()> {
    let (alive, dropped) = channel::<()>();
    let weak = Arc::downgrade(ledger);
    let walker = move || {
        let go_on = || dropped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout);
        if let Err(error) = walk(&weak, now, go_on) {
            tracing::debug!(%error, "counting the cache's files stopped");
        }
    };
    // Dropping the sender of the walk before ends its pause; it is over by then, or goes on
    // walking alone, since only one does.
    *ledger.walker.lock().unwrap_or_else(PoisonError::into_inner) = Some(alive);
    thread::Builder::new().name("cache-walk".to_owned()).spawn(walker)?;
    Ok(())
}

impl Ledger {
    /// Walks over all files now and puts the count right, unless somebody else is doing so. What
    /// changes meanwhile is counted. `now` is when it is said to have been.
    ///
    /// # Errors
    /// The ledger or a directory cannot be read.
    pub fn reconcile(self: &Arc<Self>, now: Time) -> Result<(), LedgerError> {
        walk(&Arc::downgrade(self), now, || true)
    }
}

/// Goes from place to place as long as `go_on` says so, and holds the ledger only in between.
fn walk(
    ledger: &Weak<Ledger>,
    now: Time,
    mut go_on: impl FnMut() -> bool,
) -> Result<(), LedgerError> {
    let Some(mut place) = ledger.upgrade().map_or(Ok(None), |ledger| begin(&ledger))? else {
        return Ok(());
    };
    loop {
        let Some(ledger) = ledger.upgrade() else { return Ok(()) };
        let more = look(&ledger, place, now);
        if !matches!(more, Ok(true)) {
            end(&ledger)?;
            return more.map(|_| ());
        }
        drop(ledger);
        if !go_on() {
            break;
        }
        place += 1;
    }
    ledger.upgrade().map_or(Ok(()), |ledger| end(&ledger))
}

fn begin(ledger: &Ledger) -> Result<Option<u16>, LedgerError> {
    if ledger.walking.swap(true, Ordering::AcqRel) {
        return Ok(None);
    }
    let claimed = ledger.book.claim_walk();
    if !matches!(claimed, Ok(true)) {
        ledger.walking.store(false, Ordering::Release);
        return Ok(claimed.map(|_| None)?);
    }
    let begun = ledger.book.visit(|page| {
        ledger.book.fold_dead(page, Some(ledger.slot))?;
        Ok::<_, io::Error>(page.header.begin_walk())
    });
    match begun {
        Ok(Ok(place)) => Ok(Some(place)),
        Ok(Err(error)) => end(ledger).and(Err(error.into())),
        Err(error) => end(ledger).and(Err(error)),
    }
}

/// Looks at one place; says whether there are more.
fn look(ledger: &Ledger, place: u16, now: Time) -> Result<bool, LedgerError> {
    let Some(at) = Place::of_index(place) else { return Ok(false) };
    if !ledger.book.visit(|page| page.header.look(place))? {
        return Ok(false);
    }
    let found = measure(&ledger.ours, at)?.bytes;
    ledger.book.visit(|page| page.header.looked(place, found, now.secs()))
}

fn end(ledger: &Ledger) -> Result<(), LedgerError> {
    ledger.walking.store(false, Ordering::Release);
    Ok(ledger.book.release_walk()?)
}
