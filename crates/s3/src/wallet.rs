//! The credentials in use, looked up once for everybody.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as Provided;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider};
use object::{Clock, Error, ErrorKind, Result};
use tokio::sync::Mutex;

use crate::listing::innermost;

/// How long before their end credentials are looked up anew.
const MARGIN: Duration = Duration::from_secs(60);
/// The longest look-up: instance metadata that is not there must not hang a mount.
const LOOK_UP_MAX: Duration = Duration::from_secs(10);

/// Keeps the credentials that a provider gave, for our own requests and the SDK's alike.
#[derive(Clone)]
pub(crate) struct Wallet(Arc<Inner>);

struct Inner {
    provider: SharedCredentialsProvider,
    held: Mutex<Option<Credentials>>,
    clock: Clock,
}

impl Wallet {
    /// An empty wallet.
    pub(crate) fn new(provider: SharedCredentialsProvider, clock: Clock) -> Self {
        Self(Arc::new(Inner { provider, held: Mutex::new(None), clock }))
    }

    /// The credentials to use now. While one task looks them up, the others wait for it.
    pub(crate) async fn credentials(&self) -> Result<Credentials> {
        self.look_up().await.map_err(|e| {
            let message = format!("no credentials were found: {}", innermost(&e));
            Error::caused(ErrorKind::Credentials, message, None, Some(Box::new(e)))
        })
    }

    /// The store refused `used`: look up others, unless somebody did already.
    pub(crate) async fn renew(&self, used: &Credentials) {
        let mut held = self.0.held.lock().await;
        if held.as_ref().is_some_and(|now| now == used) {
            *held = None;
        }
    }

    async fn look_up(&self) -> provider::Result {
        let mut held = self.0.held.lock().await;
        let now = UNIX_EPOCH + self.0.clock.now().0;
        let lasts = |c: &Credentials, margin| c.expiry().is_none_or(|end| end > now + margin);
        if let Some(credentials) = held.as_ref().filter(|c| lasts(c, MARGIN)) {
            return Ok(credentials.clone());
        }
        let late = |_| Err(CredentialsError::provider_timed_out(LOOK_UP_MAX));
        let asked = self.0.provider.provide_credentials();
        match tokio::time::timeout(LOOK_UP_MAX, asked).await.unwrap_or_else(late) {
            Ok(credentials) => Ok(held.insert(credentials).clone()),
            // Those that are there still serve for a moment.
            Err(error) => held.clone().filter(|c| lasts(c, Duration::ZERO)).ok_or(error),
        }
    }
}

impl ProvideCredentials for Wallet {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        Provided::new(self.look_up())
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wallet")
    }
}

#[cfg(test)]
mod tests;
