//! A store whose bytes are read once per node.

use std::fs::File;
use std::sync::Arc;

use async_trait::async_trait;
use object::{
    BLOCK, Flight, Key, Lease, Listing, ListingRequest, Meta, Result, Source, Span, Store, Time,
    Version,
};

use crate::backing::backing;
use crate::cache::Cache;
use crate::identity::{Identity, Scope};
use crate::serve::Serving;

/// A [`Store`] around another one, from which it fetches what the cache does not hold. Names are
/// asked of the other one always.
pub struct Cached {
    cache: Arc<Cache>,
    scope: Arc<Scope>,
    store: Arc<dyn Store>,
}

impl Cached {
    pub(crate) fn new(cache: Arc<Cache>, scope: Scope, store: Arc<dyn Store>) -> Self {
        Self { cache, scope: Arc::new(scope), store }
    }
}

#[async_trait]
impl Source for Cached {
    fn read(&self, version: &Arc<Version>, span: Span, mut lease: Lease) -> Arc<Flight> {
        // Chunks are paid for by whoever fetched them.
        let (flight, pilot) = Flight::new(span, lease.split(0));
        let serving = Serving {
            cache: self.cache.clone(),
            inner: self.store.clone(),
            scope: self.scope.clone(),
            version: version.clone(),
            span,
            pilot,
            purse: lease,
        };
        tokio::spawn(serving.run());
        flight
    }

    fn grain(&self) -> u64 {
        BLOCK
    }

    async fn backing(&self, version: &Arc<Version>) -> Option<Arc<File>> {
        let identity = Identity::of(&self.scope, version);
        if let Some(file) = self.cache.backings.again(&identity) {
            self.cache.stats.backings.add(1);
            return Some(file);
        }
        let (scope, version) = (self.scope.clone(), version.clone());
        self.cache.blocking(move |cache| backing(cache, &scope, &version)).await.flatten()
    }
}

#[async_trait]
impl Store for Cached {
    async fn head(&self, key: &Key) -> Result<Meta> {
        self.store.head(key).await
    }

    async fn list(&self, request: &ListingRequest) -> Result<Listing> {
        self.store.list(request).await
    }

    async fn list_since(&self, request: &ListingRequest, since: Time) -> Result<Listing> {
        self.store.list_since(request, since).await
    }
}
