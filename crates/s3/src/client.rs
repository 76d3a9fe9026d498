//! The store.

use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::list_objects_v2::{ListObjectsV2Error, ListObjectsV2Output};
use aws_sdk_s3::types::{EncodingType, OptionalObjectAttributes};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use object::{
    Clock, Error, ErrorKind, Flight, Key, Lease, Listing, ListingRequest, Meta, Result, Source,
    Span, Store, Version,
};
use tokio::time::Instant;

use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::errand::Errand;
use crate::fetch::Fetch;
use crate::listing;
use crate::queue::is_flyable;
use crate::road::Road;
use crate::sdk::{Surroundings, Watch};
use crate::stats::{Counters, Stats};
use crate::store_clock::StoreClock;
use crate::trust::Trust;
use crate::wallet::Wallet;

/// How often a bucket may say that it is elsewhere before nobody believes it any more.
const REGIONS_MAX: usize = 3;

/// A bucket of an S3-compatible store.
pub struct S3 {
    pub(crate) road: Arc<Road>,
    pub(crate) client: Client,
    pub(crate) bucket: String,
    clock: Clock,
    pub(crate) store_clock: Arc<StoreClock>,
    pub(crate) config: Config,
    pub(crate) is_aws: bool,
    /// Whether the store sums up what it copies into an upload that has checksums.
    pub(crate) sums_copies: OnceLock<bool>,
}

/// What was found out while connecting.
#[derive(Clone, Debug)]
pub struct Preflight {
    /// The bucket's region, given or found.
    pub region: String,
    /// The bucket's URL.
    pub endpoint: String,
    /// The access key in use; `None` when requests are not signed.
    pub access_key: Option<String>,
    /// The first entry under the prefix, or that listing it is denied. Reading may be allowed
    /// all the same, so that is not a failure yet.
    pub listing: Result<Listing>,
}

impl S3 {
    /// Connects to the bucket and asks it for the first entry under `prefix`: one LIST, and one
    /// more for each region the bucket turns out not to be in.
    ///
    /// # Errors
    /// [`ErrorKind::Credentials`] when there are none or the store does not know them,
    /// [`ErrorKind::WrongRegion`] when a region is given and it is another,
    /// [`ErrorKind::NoSuchBucket`], [`ErrorKind::Unreachable`], [`ErrorKind::Invalid`] for a
    /// set-up that cannot be, and whatever else the store said.
    pub async fn connect(config: Config, clock: Clock, prefix: &str) -> Result<(S3, Preflight)> {
        let trust = Trust::read(config.ca_bundle.as_deref())?;
        let counters = Arc::<Counters>::default();
        let store_clock = Arc::new(StoreClock::new(clock.clone()));
        let around = Surroundings::read(&config, trust.sdk_client()?).await;
        let wallet = around.provider(&config).map(|p| Wallet::new(p, clock.clone()));
        let access_key = match &wallet {
            Some(wallet) => Some(wallet.credentials().await?.access_key_id().to_owned()),
            None => None,
        };
        let first = ListingRequest {
            prefix: prefix.to_owned(),
            delimited: false,
            max_keys: 1,
            token: None,
        };
        let mut region = around.region.clone();
        for _ in 0..REGIONS_MAX {
            let endpoint = Endpoint::resolve(&around.place(&config, &region)).await?;
            let watch = Watch::new(&config, counters.clone(), store_clock.clone());
            let client = around.client(&config, &region, wallet.as_ref(), watch);
            let road = Road::new(&config, &endpoint, &trust, clock.clone())?;
            let road =
                Arc::new(Road { wallet: wallet.clone(), counters: counters.clone(), ..road });
            let s3 = S3 {
                road,
                client,
                bucket: config.bucket.as_str().to_owned(),
                clock: clock.clone(),
                store_clock: store_clock.clone(),
                config: config.clone(),
                is_aws: around.is_aws(),
                sums_copies: OnceLock::new(),
            };
            let fetched = clock.now();
            let answer = s3.ask(&first, false).await;
            let elsewhere = answer.as_ref().err().and_then(|e| listing::right_region(e, &region));
            if let (Some(right), None) = (elsewhere, &config.region) {
                tracing::info!(asked = %region, %right, "the bucket is in another region");
                region = right;
                continue;
            }
            let listing = match s3.page(&first, answer, fetched) {
                Err(error) if error.kind() != ErrorKind::Denied => return Err(error),
                page => page,
            };
            let endpoint = endpoint.url();
            return Ok((s3, Preflight { region, endpoint, access_key, listing }));
        }
        Err(Error::new(ErrorKind::WrongRegion, "the bucket names another region each time"))
    }

    /// What was sent and received so far.
    pub fn stats(&self) -> Stats {
        self.road.counters.stats()
    }

    /// Requests with bodies that may be in flight now: fewer than configured after the store
    /// asked to slow down.
    pub fn concurrency(&self) -> usize {
        self.road.gate.limit()
    }

    /// `known`: the endpoint was reached before.
    async fn ask(
        &self,
        request: &ListingRequest,
        known: bool,
    ) -> std::result::Result<ListObjectsV2Output, SdkError<ListObjectsV2Error, HttpResponse>> {
        let request = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(&request.prefix)
            .set_delimiter(request.delimited.then(|| "/".to_owned()))
            .max_keys(request.max_keys.into())
            .set_continuation_token(request.token.clone())
            .encoding_type(EncodingType::Url)
            .set_optional_object_attributes(
                self.is_aws.then(|| vec![OptionalObjectAttributes::RestoreStatus]),
            );
        self.errand(known).run(|| request.clone().send()).await
    }

    pub(crate) fn errand(&self, known: bool) -> Errand<'_> {
        Errand { road: &self.road, within: self.config.read_deadline, known }
    }

    fn page(
        &self,
        request: &ListingRequest,
        answer: std::result::Result<
            ListObjectsV2Output,
            SdkError<ListObjectsV2Error, HttpResponse>,
        >,
        fetched: object::Time,
    ) -> Result<Listing> {
        let within = self.config.read_deadline;
        let what =
            || format!("listing s3://{}/{}{}", self.bucket, request.prefix, self.road.by_way);
        let answer = answer.map_err(|e| match e {
            // A LIST names no object: what is not found is the bucket.
            e if is_not_found(&e) => {
                no_such_bucket(&self.bucket, listing::failed(&what(), e, within))
            }
            e => listing::failed(&what(), e, within),
        })?;
        listing::listed(request, &answer, fetched, self.is_aws)
    }
}

fn is_not_found<E>(error: &SdkError<E, HttpResponse>) -> bool {
    error.raw_response().is_some_and(|r| r.status().as_u16() == 404)
}

fn no_such_bucket(bucket: &str, error: Error) -> Error {
    let id = error.request_id().map(str::to_owned);
    let message = format!("there is no bucket {bucket}");
    Error::caused(ErrorKind::NoSuchBucket, message, id, Some(Box::new(error)))
}

impl Source for S3 {
    fn read(&self, version: &Arc<Version>, span: Span, lease: Lease) -> Arc<Flight> {
        let flyable = is_flyable(span, version.size, lease.bytes());
        let (flight, pilot) = Flight::new(span, lease);
        if span.is_empty() {
            pilot.finish(Ok(()));
        } else if !flyable {
            let message = format!("{span} of {} bytes cannot be read", version.size);
            pilot.finish(Err(Error::new(ErrorKind::Invalid, message)));
        } else {
            let deadline = Instant::now() + self.config.read_deadline;
            let fetch = Fetch::new(self.road.clone(), version.clone(), pilot, deadline);
            tokio::spawn(fetch.fly());
        }
        flight
    }
}

#[async_trait]
impl Store for S3 {
    async fn head(&self, key: &Key) -> Result<Meta> {
        let request = self.client.head_object().bucket(&self.bucket).key(key.as_str());
        let sent = self.errand(true).run(|| request.clone().send()).await;
        let what = || format!("looking up s3://{}/{key}{}", self.bucket, self.road.by_way);
        let answer = sent.map_err(|e| listing::failed(&what(), e, self.config.read_deadline))?;
        listing::headed(key, &answer)
    }

    async fn list(&self, request: &ListingRequest) -> Result<Listing> {
        let fetched = self.clock.now();
        let answer = self.ask(request, true).await;
        self.page(request, answer, fetched)
    }
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}
