//! The AWS SDK's client, set up for HEADs and LISTs.

use std::sync::Arc;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::{
    BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    ConfigBag, IdentityCache, Intercept, RuntimeComponents, SharedHttpClient,
};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_types::body::SdkBody;
use aws_types::service_config::ServiceConfigKey;
use http_body_util::Limited;

use crate::config::{Config, Identity};
use crate::endpoint::Place;
use crate::pool::CONNECT_MAX;
use crate::stats::Counters;
use crate::store_clock::StoreClock;
use crate::wallet::Wallet;

/// The longest answer to a LIST that is read, in bytes: 1000 entries of the longest keys, every
/// byte of them escaped, are some 5 MiB.
const ANSWER_MAX: usize = 32 << 20;
/// Where a bucket is looked for when nobody says: S3's own default, corrected by its answer.
const FIRST_REGION: &str = "us-east-1";

/// What the environment and the shared configuration files add to a [`Config`].
pub(crate) struct Surroundings {
    sdk: SdkConfig,
    http: SharedHttpClient,
    url: Option<String>,
    /// Where to ask first.
    pub(crate) region: String,
}

impl Surroundings {
    /// Reads them. Nothing is asked over the network: the region is not taken from instance
    /// metadata, which may not be there, since the store tells it.
    pub(crate) async fn read(config: &Config, http: SharedHttpClient) -> Self {
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http.clone());
        let mut chain = aws_config::profile::ProfileFileRegionProvider::builder();
        if let Identity::Chain { profile: Some(profile) } = &config.identity {
            loader = loader.profile_name(profile);
            chain = chain.profile_name(profile);
        }
        let region = match &config.region {
            Some(region) => Some(Region::new(region.clone())),
            None => {
                use aws_config::environment::EnvironmentVariableRegionProvider as Environment;
                use aws_config::meta::region::RegionProviderChain;
                let chain = chain.build();
                RegionProviderChain::first_try(Environment::new()).or_else(chain).region().await
            }
        };
        let region = region.map_or_else(|| FIRST_REGION.to_owned(), |r| r.as_ref().to_owned());
        loader = loader.region(Region::new(region.clone()));
        loader = match &config.identity {
            Identity::Anonymous => loader.no_credentials(),
            Identity::Provider(provider) => loader.credentials_provider(provider.clone()),
            Identity::Chain { profile: None } => loader,
            Identity::Chain { profile: Some(profile) } => {
                let around = ProviderConfig::without_region()
                    .with_region(Some(Region::new(region.clone())))
                    .with_http_client(http.clone());
                let provider = ProfileFileCredentialsProvider::builder();
                let provider = provider.profile_name(profile).configure(&around);
                loader.credentials_provider(provider.build())
            }
        };
        let sdk = loader.load().await;
        let url = config.endpoint_url.clone().or_else(|| endpoint_url(&sdk));
        Self { sdk, http, url, region }
    }

    /// Where the bucket is if it is in `region`.
    pub(crate) fn place<'a>(&'a self, config: &'a Config, region: &'a str) -> Place<'a> {
        Place {
            bucket: config.bucket.as_str(),
            region,
            url: self.url.as_deref(),
            force_path_style: config.force_path_style,
            use_fips: self.sdk.use_fips().unwrap_or(false),
            use_dual_stack: self.sdk.use_dual_stack().unwrap_or(false),
        }
    }

    /// Whether the bucket is on AWS itself.
    pub(crate) fn is_aws(&self) -> bool {
        self.url.is_none()
    }

    /// Where credentials come from; `None` when requests are not signed.
    pub(crate) fn provider(&self, config: &Config) -> Option<SharedCredentialsProvider> {
        let anonymous = matches!(config.identity, Identity::Anonymous);
        self.sdk.credentials_provider().filter(|_| !anonymous)
    }

    /// A client for `region`.
    pub(crate) fn client(
        &self,
        config: &Config,
        region: &str,
        wallet: Option<&Wallet>,
        watch: Watch,
    ) -> Client {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_MAX).build();
        let mut builder = aws_sdk_s3::config::Builder::from(&self.sdk)
            .region(Region::new(region.to_owned()))
            .http_client(self.http.clone())
            .force_path_style(config.force_path_style)
            .timeout_config(timeouts)
            // An `Errand` tries again.
            .retry_config(RetryConfig::disabled())
            .identity_cache(IdentityCache::no_cache())
            .interceptor(watch);
        builder.set_endpoint_url(self.url.clone());
        builder.set_app_name(AppName::new("mount-s3").ok());
        builder = match wallet {
            Some(wallet) => builder.credentials_provider(wallet.clone()),
            None => builder.allow_no_auth(),
        };
        Client::from_conf(builder.build())
    }
}

/// The endpoint of the environment or profile: the one for S3 before the general one.
fn endpoint_url(sdk: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id("s3")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    let own = sdk.service_config().and_then(|config| config.load_config(key));
    own.or_else(|| sdk.endpoint_url().map(str::to_owned))
}

/// Counts what is sent, names who sends it, and bounds what comes back and hears its time.
#[derive(Debug)]
pub(crate) struct Watch {
    counters: Arc<Counters>,
    store_clock: Arc<StoreClock>,
    user_agent: String,
    standing: Vec<(&'static str, String)>,
}

impl Watch {
    pub(crate) fn new(
        config: &Config,
        counters: Arc<Counters>,
        store_clock: Arc<StoreClock>,
    ) -> Self {
        let user_agent = config.user_agent.clone();
        Self { counters, store_clock, user_agent, standing: config.standing() }
    }
}

#[dyn_dispatch_hint]
impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "Watch"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        for (name, value) in &self.standing {
            context.request_mut().headers_mut().try_insert(*name, value.clone())?;
        }
        Ok(())
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        match bag.load::<Metadata>().map(Metadata::name) {
            Some("HeadObject") => self.counters.heads.add(1),
            Some("ListObjectsV2") => self.counters.lists.add(1),
            Some("ListMultipartUploads" | "ListParts") => self.counters.upload_lists.add(1),
            _ => {}
        }
        // Not among the signed headers, so it may still change here.
        context.request_mut().headers_mut().try_insert("user-agent", self.user_agent.clone())?;
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            self.store_clock.heard(date);
        }
        let body = context.response_mut().body_mut();
        let all = std::mem::replace(body, SdkBody::taken());
        *body = SdkBody::from_body_1_x(Limited::new(all, ANSWER_MAX));
        Ok(())
    }
}
