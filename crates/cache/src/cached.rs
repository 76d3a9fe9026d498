//! A store whose bytes are read once per node.

use std::fs::File;
use std::sync::Arc;

use async_trait::async_trait;
use object::{
    BLOCK, Flight, Key, Lease, Listing, ListingRequest, Meta, Result, Source, Span, Store, Time,
    Version,
};

use crate::backing::{backing, opened};
use crate::cache::Cache;
use crate::identity::{Identity, Scope};
use crate::names::Names;
use crate::serve::Serving;

/// A [`Store`] around another one, from which it fetches what the cache does not hold. Listings are
/// kept too, for those to whom an older one will do.
pub struct Cached {
    pub(crate) cache: Arc<Cache>,
    pub(crate) scope: Arc<Scope>,
    pub(crate) store: Arc<dyn Store>,
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

    async fn keep(&self, version: &Arc<Version>, span: Span, lease: Lease) {
        // Whoever reads it later will hear what is wrong.
        if let Err(error) = Cached::keep(self, version, span, lease).await {
            tracing::debug!(key = %version.key, %span, "not kept: {error}");
        }
    }

    fn opened(&self, version: &Arc<Version>) {
        let (cache, scope, version) = (self.cache.clone(), self.scope.clone(), version.clone());
        tokio::task::spawn_blocking(move || opened(&cache, &scope, &version));
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
        let now = self.cache.clock.now();
        if since >= now {
            return self.store.list(request).await;
        }
        let (scope, asked) = (self.scope.clone(), request.clone());
        let recall =
            move |cache: &Arc<Cache>| Names::recall(&cache.current(), &scope, &asked, (since, now));
        if let Some(listing) = self.cache.blocking(recall).await.flatten() {
            return Ok(listing);
        }
        let listing = self.store.list(request).await?;
        let (scope, asked, answer) = (self.scope.clone(), request.clone(), listing.clone());
        // Nobody waits for the disk.
        let cache = self.cache.clone();
        tokio::task::spawn_blocking(move || {
            cache.names.remember(&cache.current(), &scope, &asked, &answer);
        });
        Ok(listing)
    }
}
