//! Listing a directory, once for all who ask.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use object::{Error, ErrorKind, Lease, Listing, ListingRequest, Result as StoreResult, Time};

use crate::attr::NodeId;
use crate::directory::{self, KeyOrder, Snapshot, sightings};
use crate::fact::Fact;
use crate::filesystem::Shared;
use crate::ttl::GRANT;

/// Names of a directory up to which it is listed as a whole.
const WHOLE_MAX: usize = 100_000;
/// Names of a directory up to which it is listed to know what it does not have.
const FILLED_MAX: usize = 4000;
/// Names in a page: the most that S3 gives.
const PAGE: u16 = 1000;
/// How long a snapshot waits for memory before it does without being kept.
const PATIENCE: Duration = Duration::from_millis(50);

/// A directory as far as it was listed.
#[derive(Clone)]
pub(crate) enum Collected {
    /// All of it.
    Whole(Arc<Snapshot>),
    /// The beginning of a directory that is too large for a snapshot.
    Head(Arc<Head>),
}

/// The beginning of a directory, in the order of the store.
pub(crate) struct Head {
    pub(crate) names: Vec<Arc<Fact>>,
    pub(crate) place: Place,
    pub(crate) fetched: Time,
}

/// A place between two pages of a listing.
#[derive(Clone, Default)]
pub(crate) struct Place {
    order: KeyOrder,
    token: Option<String>,
    over: bool,
}

impl Place {
    /// Whether the last page is behind.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }
}

impl Shared {
    /// Lists the directory `node`, or waits with those who do.
    pub(crate) async fn collect(self: &Arc<Self>, node: NodeId) -> StoreResult<Collected> {
        self.collect_up_to(node, WHOLE_MAX, Duration::MAX).await
    }

    /// Where a directory is being filled, lists it, so that memory knows of names that they are not
    /// there. Says whether it may know more than before.
    pub(crate) async fn list_for_absences(self: &Arc<Self>, node: NodeId) -> bool {
        let asked = self.clock.now();
        if !self.tree().is_worth_listing(node, asked) {
            return false;
        }
        let listed = self.collect_up_to(node, FILLED_MAX, GRANT).await;
        let (mut tree, now) = (self.tree(), self.clock.now());
        let Ok(Collected::Whole(snapshot)) = listed else {
            tree.leave_alone(node, now);
            return false;
        };
        // An answer that an earlier process kept, or that there was no memory to keep, does not
        // help the next one.
        match snapshot.is_kept() && asked.since(snapshot.fetched) <= GRANT {
            true => tree.listed_for_absences(node, snapshot.fetched, now),
            false => tree.leave_alone(node, now),
        }
        true
    }

    /// Does so in the background, when the last such listing is about to be too old.
    pub(crate) fn list_again_for_absences(self: &Arc<Self>, node: NodeId) {
        if self.tree().is_to_be_listed_again(node, self.clock.now()) {
            let shared = self.clone();
            self.background.spawn(async move {
                shared.list_for_absences(node).await;
            });
        }
    }

    /// Lists the directory `node` as long as it has no more than `most` names, or waits with
    /// those who have begun to no longer than `age` ago.
    async fn collect_up_to(
        self: &Arc<Self>,
        node: NodeId,
        most: usize,
        age: Duration,
    ) -> StoreResult<Collected> {
        let prefix = self.tree().key(node);
        let (shared, asked) = (self.clone(), (self.clock.now(), age));
        let list = || async move { shared.list_all(node, &prefix, most).await }.boxed();
        self.listings.join((node, most), asked, list).await
    }

    async fn list_all(&self, node: NodeId, prefix: &str, most: usize) -> StoreResult<Collected> {
        let (mut names, mut place) = (Vec::new(), Place::default());
        let mut fetched = self.next_page(prefix, &mut place, &mut names).await?;
        while !place.over && names.len() <= most {
            fetched = fetched.min(self.next_page(prefix, &mut place, &mut names).await?);
        }
        if !place.over {
            return Ok(Collected::Head(Arc::new(Head { names, place, fetched })));
        }
        let bytes = directory::cost(&names);
        let lease = self.snapshot_lease(bytes).await;
        let kept = lease.is_some();
        let snapshot = Arc::new(Snapshot::new(names, fetched, lease));
        if kept {
            self.tree().install(node, &snapshot);
        }
        Ok(Collected::Whole(snapshot))
    }

    /// Memory for a snapshot: together they take at most a quarter of the budget, and they wait
    /// only for so long that readers can give up what they fetched ahead.
    async fn snapshot_lease(&self, bytes: u64) -> Option<Lease> {
        let share = self.budget.total() / 4;
        if bytes > share {
            return None;
        }
        {
            let mut tree = self.tree();
            while tree.snapshot_bytes() + bytes > share && tree.drop_oldest_snapshot() {}
            if tree.snapshot_bytes() + bytes > share {
                return None;
            }
        }
        match self.budget.try_lease(bytes, 0) {
            Some(lease) => Some(lease),
            None => tokio::time::timeout(PATIENCE, self.budget.lease(bytes)).await.ok(),
        }
    }

    /// Fetches the page after `place`, moves it on, and appends to `names` what is settled.
    /// Answers when the page was asked for, by whoever did.
    pub(crate) async fn next_page(
        &self,
        prefix: &str,
        place: &mut Place,
        names: &mut Vec<Arc<Fact>>,
    ) -> StoreResult<Time> {
        let request = ListingRequest {
            prefix: prefix.to_owned(),
            delimited: true,
            max_keys: PAGE,
            token: place.token.clone(),
        };
        let since = self.policy.oldest(self.clock.now());
        let page: Listing = self.store.list_since(&request, since).await?;
        if page.next.is_some() && page.next == request.token {
            return Err(Error::new(ErrorKind::Corrupt, "the listing does not move on"));
        }
        for sighting in sightings(prefix, &page, self.listed_tags(), &self.hidden) {
            place.order.push(sighting, prefix, names);
        }
        place.token = page.next;
        if place.token.is_none() {
            place.order.finish(names);
            place.over = true;
        }
        Ok(page.fetched)
    }
}
