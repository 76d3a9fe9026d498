//! What all tries of one request have in common: until when, how often, by whom.

use std::time::Duration;

use aws_credential_types::Credentials;
use object::{Error, ErrorKind, Result};
use tokio::time::Instant;

use crate::fault::{Cure, Fault};
use crate::pace::{Place, back_off};
use crate::reply::Reply;
use crate::road::Road;
use crate::wire::{Connection, Silence};

/// How long an error document is waited for.
pub(crate) const COMPLAINT_WAIT: Duration = Duration::from_secs(2);

/// The tries of one request.
pub(crate) struct Tries {
    pub(crate) deadline: Instant,
    /// Who signs the one that is under way.
    pub(crate) who: Option<Credentials>,
    /// Those that were given up for their silence.
    pub(crate) silences: u32,
    /// Those begun.
    count: u32,
    cured: Vec<Cure>,
    last: Option<Error>,
}

impl Tries {
    /// None yet, and none after `deadline`.
    pub(crate) fn until(deadline: Instant) -> Self {
        Self { deadline, who: None, silences: 0, count: 0, cured: Vec::new(), last: None }
    }

    /// One is going to be made.
    pub(crate) fn begin(&mut self, road: &Road) {
        self.count += 1;
        if self.count > 1 {
            road.counters.retries.add(1);
        }
    }

    /// Looks up who signs it.
    pub(crate) async fn identify(&mut self, road: &Road) -> std::result::Result<(), Fault> {
        self.who = match &road.wallet {
            Some(wallet) => Some(wallet.credentials().await.map_err(Fault::last)?),
            None => None,
        };
        Ok(())
    }

    /// Does what an answer that is a `fault` asks for at once.
    pub(crate) async fn heed(&self, road: &Road, fault: &Fault, reply: &Reply, place: &Place) {
        match (fault.cure, &road.wallet, &self.who) {
            (Cure::SlowDown, _, _) => {
                place.refused();
                road.counters.throttled.add(1);
            }
            (Cure::Renew, Some(wallet), Some(who)) => wallet.renew(who).await,
            (Cure::SetClock, _, _) => {
                reply.date.iter().for_each(|date| road.signer.set_clock(date));
            }
            _ => {}
        }
    }

    /// The last one came to `fault`: how long to wait before another one.
    ///
    /// # Errors
    /// When no other try is worth it, what all came to.
    pub(crate) fn again(&mut self, road: &Road, what: &str, fault: Fault) -> Result<Duration> {
        self.silences += u32::from(fault.error.kind() == ErrorKind::Timeout);
        let now = Instant::now();
        let wait = match fault.cure {
            Cure::None => return Err(self.explain(fault.error)),
            // What new credentials or the right time do not cure once, they never will.
            Cure::Renew | Cure::SetClock | Cure::DropCondition
                if self.cured.contains(&fault.cure) =>
            {
                return Err(fault.error);
            }
            Cure::Renew | Cure::SetClock | Cure::DropCondition | Cure::Elsewhere => Duration::ZERO,
            Cure::Again | Cure::SlowDown | Cure::Conflict => {
                back_off(self.count, fastrand::f64()).max(road.retries.take(now))
            }
        };
        self.cured.push(fault.cure);
        if self.count >= road.max_attempts || now + wait >= self.deadline {
            return Err(fault.error);
        }
        tracing::debug!(%what, tries = self.count, ?wait, error = ?fault.error, "trying again");
        self.last = Some(fault.error);
        Ok(wait)
    }

    /// Says with a deadline what happened before it.
    pub(crate) fn explain(&mut self, error: Error) -> Error {
        match self.last.take() {
            Some(last) if error.kind() == ErrorKind::Timeout => {
                let message = format!("{} (before that: {})", error.message(), last.message());
                let id = last.request_id().map(str::to_owned);
                Error::caused(ErrorKind::Timeout, message, id, Some(Box::new(last)))
            }
            _ => error,
        }
    }
}

/// The deadline came.
pub(crate) fn late() -> Error {
    Error::new(ErrorKind::Timeout, "the bytes did not come before the deadline")
}

/// A connection that failed before the answer.
pub(crate) fn broken(silence: Silence, connection: &Connection) -> Fault {
    let kind = match &silence {
        Silence::Broken(_) => ErrorKind::Unreachable,
        Silence::Bad(_) => ErrorKind::Corrupt,
    };
    let message = format!("the connection to {} failed: {silence}", connection.address);
    Fault::transport(kind, message, Some(Box::new(silence)))
}
