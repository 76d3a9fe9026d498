//! HEADs and LISTs: sent by the AWS SDK, and asked until they are answered by the rules that
//! GETs follow, out of the same budgets.

use std::error::Error as StdError;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::time::{Instant, sleep, timeout_at};

use crate::fault::{Cure, Obstacle};
use crate::listing;
use crate::pace::back_off;
use crate::road::Road;

/// Tries to reach an endpoint of which nothing is known yet. A port may be closed for a moment,
/// but whoever mistyped it wants to know at once.
const FIRST_TRIES: u32 = 2;

/// How one HEAD or LIST is asked.
pub(crate) struct Errand<'a> {
    pub(crate) road: &'a Road,
    /// The most time it takes, tries and waits included.
    pub(crate) within: Duration,
    /// Whether the endpoint was reached before. If not, what keeps it from being reached is
    /// believed soon.
    pub(crate) known: bool,
}

impl Errand<'_> {
    /// Has `ask` send the request until there is an answer or nothing helps.
    pub(crate) async fn run<T, E, F>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<T, SdkError<E, HttpResponse>>
    where
        E: StdError + ProvideErrorMetadata + RequestId + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let deadline = Instant::now() + self.within;
        match timeout_at(deadline, self.tries(ask)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(SdkError::timeout_error("the deadline came before the answer")),
        }
    }

    async fn tries<T, E, F>(&self, ask: impl Fn() -> F) -> Result<T, SdkError<E, HttpResponse>>
    where
        E: StdError + ProvideErrorMetadata + RequestId + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let (mut silences, mut renewed) = (0, false);
        for tries in 1..=self.road.max_attempts {
            if tries > 1 {
                self.road.counters.retries.add(1);
            }
            let who = self.who().await;
            let patience = self.road.answers.patience(self.road.stall, silences);
            let sent = Instant::now();
            let cure = match self.road.patiently(patience, ask()).await {
                Err(silence) => {
                    silences += 1;
                    silence.cure
                }
                Ok(Ok(answer)) => {
                    self.road.answered(sent);
                    return Ok(answer);
                }
                Ok(Err(error)) => {
                    let cure = listing::cure(&error);
                    if cure == Cure::None {
                        self.road.answered(sent);
                    }
                    let again = std::mem::replace(&mut renewed, cure == Cure::Renew);
                    if (cure == Cure::Renew && again) || self.is_last(&error, cure, tries) {
                        return Err(error);
                    }
                    cure
                }
            };
            self.prepare(cure, tries, who.as_ref()).await;
        }
        Err(SdkError::timeout_error("nothing but silence came"))
    }

    /// Whoever signs the next try. Looked up here, since it may take longer than an answer.
    async fn who(&self) -> Option<Credentials> {
        match &self.road.wallet {
            Some(wallet) => wallet.credentials().await.ok(),
            None => None,
        }
    }

    /// Whether no other try is worth it.
    fn is_last(&self, error: &(dyn StdError + 'static), cure: Cure, tries: u32) -> bool {
        let first = !self.known && tries >= FIRST_TRIES;
        match cure {
            // The SDK signs by a clock of its own, and what asks has no condition.
            Cure::None | Cure::SetClock | Cure::DropCondition => true,
            _ if tries >= self.road.max_attempts => true,
            _ => match Obstacle::find(error) {
                Some(Obstacle::Certificate) => true,
                Some(Obstacle::Address) => first,
                None => false,
            },
        }
    }

    /// Does what `cure` asks for before the next try.
    async fn prepare(&self, cure: Cure, tries: u32, who: Option<&Credentials>) {
        match (cure, &self.road.wallet, who) {
            (Cure::Elsewhere, _, _) => return,
            (Cure::Renew, Some(wallet), Some(who)) => return wallet.renew(who).await,
            (Cure::SlowDown, _, _) => self.road.counters.throttled.add(1),
            _ => {}
        }
        let wait = self.road.retries.take(Instant::now());
        sleep(wait.max(back_off(tries, fastrand::f64()))).await;
    }
}
