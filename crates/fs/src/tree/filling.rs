//! Directories that are being filled: in which this mount makes one file after another while it
//! writes others. There one listing tells of many names that they are not there, where a look at
//! each would cost a request that all other makers wait for: the kernel makes one name of a
//! directory at a time.

use std::collections::HashMap;
use std::time::Duration;

use object::Time;

use super::Tree;
use crate::attr::NodeId;
use crate::ttl::{GRANT, Window};

/// Names made in a run from which on a directory is being filled.
const RUN: u32 = 8;
/// How long after the last name a run ends.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a directory that is too large to be listed for this, or cannot be, is left alone.
const LEFT_ALONE: Duration = Duration::from_secs(10);

/// What is made and written in a directory.
#[derive(Default)]
pub(super) struct Filling {
    /// Names made in a run, and when the last of them was.
    made: u32,
    last: Time,
    /// Until when it is not to be listed.
    left_alone: Time,
    /// In which what a listing does not have is not there.
    absences: Option<Window>,
    /// Its successor is being asked for.
    renewing: bool,
}

impl Filling {
    fn runs(&self, now: Time) -> bool {
        self.made >= RUN && now.since(self.last) <= PAUSE
    }
}

/// By directory.
pub(super) type Fillings = HashMap<NodeId, Filling>;

impl Tree {
    /// Whether `directory` is to be listed for the sake of names that it does not have.
    pub(crate) fn is_worth_listing(&self, directory: NodeId, now: Time) -> bool {
        self.filling(directory, now).is_some_and(|filling| now >= filling.left_alone)
    }

    /// Whether what `directory` was listed for will soon be over, and nobody has been told so yet.
    pub(crate) fn is_to_be_listed_again(&mut self, directory: NodeId, now: Time) -> bool {
        let Some(filling) = self.filling(directory, now) else { return false };
        let ends = filling.absences.map(|window| window.left(now));
        let soon = ends.is_some_and(|left| !left.is_zero() && left <= GRANT / 2);
        let due = soon && !filling.renewing;
        if due && let Some(filling) = self.own.fillings.get_mut(&directory) {
            filling.renewing = true;
        }
        due
    }

    /// `directory` was listed at `fetched` for the sake of names that it does not have.
    pub(crate) fn listed_for_absences(&mut self, directory: NodeId, fetched: Time, now: Time) {
        if let Some(filling) = self.own.fillings.get_mut(&directory) {
            // Counted from the answer, as other looks are: see `Shared::ask`.
            filling.absences = Some(Window::new(fetched, now + GRANT));
            filling.renewing = false;
        }
    }

    /// `directory` is not worth listing after all.
    pub(crate) fn leave_alone(&mut self, directory: NodeId, now: Time) {
        if let Some(filling) = self.own.fillings.get_mut(&directory) {
            filling.left_alone = now + LEFT_ALONE;
            filling.renewing = false;
        }
    }

    /// Whether an absence in `directory` that was seen at `seen` still counts because of this.
    pub(super) fn is_absent_while_filled(&self, directory: NodeId, seen: Time, now: Time) -> bool {
        let absences = self.filling(directory, now).and_then(|filling| filling.absences);
        absences.is_some_and(|window| window.covers(seen, now))
    }

    /// A name was made in `directory`.
    pub(super) fn note_made(&mut self, directory: NodeId, now: Time) {
        let filling = self.own.fillings.entry(directory).or_default();
        if now.since(filling.last) > PAUSE {
            filling.made = 0;
        }
        (filling.made, filling.last) = (filling.made.saturating_add(1), now);
    }

    /// `directory`, if it is being filled.
    fn filling(&self, directory: NodeId, now: Time) -> Option<&Filling> {
        let filling = self.own.fillings.get(&directory).filter(|filling| filling.runs(now))?;
        self.is_written_in(directory).then_some(filling)
    }
}
