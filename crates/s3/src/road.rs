//! What all requests of one client share: connections, credentials, budgets, counts.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use object::{Clock, Error, ErrorKind, Result};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::rustls::pki_types::ServerName;

use crate::config::Config;
use crate::detour::Detour;
use crate::endpoint::Endpoint;
use crate::fault::Fault;
use crate::pace::{Gate, Latencies, Tokens};
use crate::pool::{Pool, Tls};
use crate::signer::Signer;
use crate::stats::Counters;
use crate::trust::Trust;
use crate::wallet::Wallet;
use crate::wire::Connection;

/// Kept connections that one try finds closed before it makes its own.
const STALE_MAX: usize = 3;

/// The road to one endpoint.
pub(crate) struct Road {
    pub(crate) pool: Arc<Pool>,
    /// The proxy that is used, for people; empty without one.
    pub(crate) by_way: String,
    pub(crate) signer: Signer,
    /// `None`: requests are not signed.
    pub(crate) wallet: Option<Wallet>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) retries: Tokens,
    pub(crate) hedges: Tokens,
    /// How long the first bytes of GETs take.
    pub(crate) latencies: Latencies,
    /// How long HEADs and LISTs take.
    pub(crate) answers: Latencies,
    /// How long the store takes to answer when it has all of what it was sent.
    pub(crate) receipts: Latencies,
    /// Whether the store was seen not to know conditions on writes.
    pub(crate) unconditional: AtomicBool,
    pub(crate) counters: Arc<Counters>,
    pub(crate) max_attempts: u32,
    pub(crate) stall: Duration,
    /// The longest silence that is waited through when no second try may be made: after it a try
    /// has failed like one whose connection broke, and the next one is a retry.
    pub(crate) silence_max: Duration,
    pub(crate) part_size: u64,
    pub(crate) write_deadline: Duration,
}

impl Road {
    /// The road of unsigned requests.
    pub(crate) fn new(
        config: &Config,
        endpoint: &Endpoint,
        trust: &Trust,
        clock: Clock,
    ) -> Result<Self> {
        // The environment's, as for the SDK's client.
        let detour = Detour::find(endpoint, &Matcher::from_env())?;
        let tls = match endpoint.tls {
            true => {
                let name = ServerName::try_from(endpoint.host.clone()).map_err(|e| {
                    let message = format!("no certificate can name the host {}", endpoint.host);
                    Error::caused(ErrorKind::Invalid, message, None, Some(Box::new(e)))
                })?;
                Some(Tls::new(trust.rustls()?, name))
            }
            false => None,
        };
        let now = Instant::now();
        Ok(Self {
            signer: Signer::new(endpoint.clone(), detour.as_ref(), config, clock),
            by_way: Detour::mention(detour.as_ref()),
            pool: Pool::new(endpoint, tls, detour),
            wallet: None,
            gate: Gate::new(config.max_connections),
            // A dead store sees at most 100 retries and then 10 a second, whatever is asked for.
            retries: Tokens::new(100.0, 10.0, 0.5, now),
            // Second tries add at most a fifth to the requests that succeed, and 16 and then one
            // in two seconds when none does.
            hedges: Tokens::new(16.0, 0.5, 0.2, now),
            latencies: Latencies::default(),
            answers: Latencies::default(),
            receipts: Latencies::default(),
            unconditional: AtomicBool::new(false),
            counters: Arc::default(),
            max_attempts: config.max_attempts.max(1),
            stall: config.stall,
            silence_max: config.read_deadline / 3,
            part_size: config.part_size,
            write_deadline: config.write_deadline,
        })
    }

    /// A HEAD or LIST that was sent at `sent` has its answer.
    pub(crate) fn answered(&self, sent: Instant) {
        self.answers.saw(sent.elapsed());
        self.succeeded();
    }

    /// A request succeeded, which pays for some of those to come that do not.
    pub(crate) fn succeeded(&self) {
        self.retries.earn();
        self.hedges.earn();
    }

    /// A kept connection, or a new one.
    ///
    /// # Errors
    /// When none can be made.
    pub(crate) async fn connection(&self, stale: usize) -> std::result::Result<Connection, Fault> {
        match self.pool.take().filter(|_| stale < STALE_MAX) {
            Some(connection) => Ok(connection),
            None => {
                self.counters.connections.add(1);
                self.pool.dial().await
            }
        }
    }

    /// Does `work`, and gives it up for another connection when it takes longer than `patience`
    /// and the second tries are not used up; when they are, waits on, but not for ever.
    pub(crate) async fn patiently<T>(
        &self,
        patience: Duration,
        work: impl Future<Output = T>,
    ) -> std::result::Result<T, Fault> {
        tokio::pin!(work);
        let last = Instant::now() + self.silence_max.max(patience);
        loop {
            let pause = last.min(Instant::now() + patience);
            match timeout_at(pause, work.as_mut()).await {
                Ok(done) => return Ok(done),
                Err(_) if self.hedges.try_take(pause) => {
                    self.counters.hedges.add(1);
                    return Err(Fault::stalled());
                }
                Err(_) if pause >= last => return Err(Fault::silent()),
                Err(_) => {}
            }
        }
    }
}
