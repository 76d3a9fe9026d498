//! One flight: tries, until its bytes have landed or nothing helps.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use object::{Error, ErrorKind, Pilot, Span, Version};
use tokio::time::{Instant, sleep_until};

use crate::fault::{Cure, Fault};
use crate::pace::{Place, back_off};
use crate::queue::Queue;
use crate::reply::Reply;
use crate::road::Road;
use crate::signer::Ask;
use crate::wire::{Connection, Silence};

/// How long an error document is waited for.
const COMPLAINT_WAIT: Duration = Duration::from_secs(2);
/// Kept connections that one try finds closed before it makes its own.
const STALE_MAX: usize = 3;

/// One flight on its road.
pub(crate) struct Fetch {
    road: Arc<Road>,
    version: Arc<Version>,
    pilot: Pilot,
    queue: Queue,
    deadline: Instant,
    who: Option<Credentials>,
    /// Tries that were given up for their silence.
    silences: u32,
    last: Option<Error>,
}

impl Fetch {
    pub(crate) fn new(
        road: Arc<Road>,
        version: Arc<Version>,
        pilot: Pilot,
        deadline: Instant,
    ) -> Self {
        Self {
            road,
            version,
            pilot,
            queue: Queue::default(),
            deadline,
            who: None,
            silences: 0,
            last: None,
        }
    }

    /// Flies to the end, whatever it is.
    pub(crate) async fn fly(mut self) {
        let outcome = self.tries().await;
        if let Err(error) = &outcome
            && error.kind() != ErrorKind::Abandoned
        {
            let (key, span) = (&self.version.key, self.pilot.span());
            tracing::warn!(%key, %span, ?error, "a read failed");
        }
        // The buffers go first: whoever hears of the end may count the budget.
        drop(self.queue);
        self.pilot.finish(outcome);
    }

    async fn tries(&mut self) -> object::Result<()> {
        let mut cured = Vec::new();
        for tries in 1.. {
            let fault = match self.attempt(tries).await {
                Ok(()) => return Ok(()),
                Err(fault) => fault,
            };
            self.queue.forget();
            self.silences += u32::from(fault.error.kind() == ErrorKind::Timeout);
            let now = Instant::now();
            let wait = match fault.cure {
                Cure::None => return Err(self.explain(fault.error)),
                // What new credentials or the right time do not cure once, they never will.
                Cure::Renew | Cure::SetClock if cured.contains(&fault.cure) => {
                    return Err(fault.error);
                }
                Cure::Renew | Cure::SetClock | Cure::Elsewhere => Duration::ZERO,
                Cure::Again | Cure::SlowDown => {
                    back_off(tries, fastrand::f64()).max(self.road.retries.take(now))
                }
            };
            cured.push(fault.cure);
            if tries >= self.road.max_attempts || now + wait >= self.deadline {
                return Err(fault.error);
            }
            tracing::debug!(key = %self.version.key, tries, ?wait, error = ?fault.error, "trying again");
            self.last = Some(fault.error);
            let waited = guard(&self.pilot, self.deadline, tokio::time::sleep(wait)).await;
            waited.map_err(|fault| self.explain(fault.error))?;
        }
        Ok(())
    }

    /// Says with a deadline what happened before it.
    fn explain(&mut self, error: Error) -> Error {
        match self.last.take() {
            Some(last) if error.kind() == ErrorKind::Timeout => {
                let message = format!("{} (before that: {})", error.message(), last.message());
                let id = last.request_id().map(str::to_owned);
                Error::caused(ErrorKind::Timeout, message, id, Some(Box::new(last)))
            }
            _ => error,
        }
    }

    async fn attempt(&mut self, tries: u32) -> Result<(), Fault> {
        let place = guard(&self.pilot, self.deadline, self.road.gate.enter()).await?;
        let counters = &self.road.counters;
        if tries > 1 {
            counters.retries.add(1);
        }
        let range = self.range();
        let (mut connection, reply) = self.answer(range).await?;
        if !matches!(reply.status, 200 | 206) {
            return Err(self.complaint(connection, &reply, &place).await);
        }
        self.check(&reply, range)?;
        self.body(&mut connection, &reply, range.is_none()).await?;
        if reply.keep {
            self.road.pool.keep(connection);
        }
        place.succeeded();
        self.road.succeeded();
        Ok(())
    }

    /// The bytes to ask for. An object that fits in one part is asked for unranged: only such an
    /// answer comes with a checksum that covers it.
    fn range(&self) -> Option<Span> {
        let span = self.pilot.span();
        let whole = span == self.version.whole() && span.len() <= self.road.part_size;
        (!whole).then(|| Span::new(self.pilot.landed(), span.end))
    }

    /// Sends the request over a kept or a new connection, up to the head of the answer.
    async fn answer(&mut self, range: Option<Span>) -> Result<(Connection, Reply), Fault> {
        let road = self.road.clone();
        self.who = match &road.wallet {
            Some(wallet) => {
                let found = guard(&self.pilot, self.deadline, wallet.credentials()).await?;
                Some(found.map_err(Fault::last)?)
            }
            None => None,
        };
        let ask = Ask { version: &self.version, range };
        let request = road.signer.request(&ask, self.who.as_ref()).map_err(Fault::last)?;
        let patience = road.latencies.patience(road.stall, self.silences);
        road.counters.gets.add(1);
        let mut stale = 0;
        loop {
            let mut connection = match road.pool.take().filter(|_| stale < STALE_MAX) {
                Some(connection) => connection,
                None => {
                    road.counters.connections.add(1);
                    guard(&self.pilot, self.deadline, road.pool.dial()).await??
                }
            };
            let sent = Instant::now();
            let exchange = road.patiently(patience, connection.exchange(&request));
            let answered = guard(&self.pilot, self.deadline, exchange).await??;
            match answered {
                Ok(reply) => {
                    road.latencies.saw(sent.elapsed());
                    return Ok((connection, reply));
                }
                // Closed by the other side while it was idle: nobody has seen the request.
                Err(Silence::Broken(_)) if connection.used && !connection.has_pending() => {
                    stale += 1;
                }
                Err(silence) => return Err(broken(silence, &connection)),
            }
        }
    }

    async fn complaint(&self, mut connection: Connection, reply: &Reply, place: &Place) -> Fault {
        let road = &self.road;
        let until = self.deadline.min(Instant::now() + COMPLAINT_WAIT);
        let read = guard(&self.pilot, until, connection.complaint(reply)).await;
        let (body, all) = read.unwrap_or_default();
        let fault = Fault::answered(reply, &body);
        if all && reply.keep {
            road.pool.keep(connection);
        }
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
        fault
    }

    /// Compares everything the head says with what was asked for.
    fn check(&self, reply: &Reply, range: Option<Span>) -> Result<(), Fault> {
        let wrong = |what: &str| Fault::corrupt(format!("the answer has {what}"), Some(reply));
        let (status, expected, length) = match range {
            Some(span) => (206, Some((span, self.version.size)), span.len()),
            None => (200, None, self.version.size),
        };
        if reply.status != status {
            return Err(wrong(&format!("status {} instead of {status}", reply.status)));
        }
        if reply.range != expected {
            return Err(wrong("another range than was asked for"));
        }
        if reply.chunked || reply.length != Some(length) {
            return Err(wrong("another length than was asked for"));
        }
        match &reply.etag {
            Some(etag) if *etag == self.version.etag => Ok(()),
            None => Err(wrong("no ETag")),
            Some(_) => {
                // A store that does not know If-Match, or a mistake that does not come twice.
                let message = "the object has another ETag than the version asked for";
                let id = reply.request_id.clone();
                let error = Error::caused(ErrorKind::Changed, message, id, None);
                Err(Fault { error, cure: Cure::Again })
            }
        }
    }

    async fn body(
        &mut self,
        connection: &mut Connection,
        reply: &Reply,
        whole: bool,
    ) -> Result<(), Fault> {
        let road = self.road.clone();
        let mut verifier = reply.checksum.filter(|_| whole).map(|c| c.verifier());
        let mut left = reply.length.unwrap_or_default();
        // What is verified as a whole lands at its end.
        let mut pause_at = if verifier.is_some() { u64::MAX } else { self.pilot.pause_at() };
        while left > 0 {
            if self.pilot.landed() >= pause_at {
                guard(&self.pilot, self.deadline, self.pilot.clear_to_land()).await?;
                pause_at = self.pilot.pause_at();
            }
            self.queue.stock(&mut self.pilot, pause_at);
            if self.queue.is_full() {
                return Err(Fault::corrupt("the answer has bytes without a place", Some(reply)));
            }
            // Bytes that always come at once leave no wait in which the deadline could strike.
            if Instant::now() >= self.deadline {
                return Err(Fault::last(late()));
            }
            let mut read = connection.give(&mut self.queue);
            if read == 0 {
                let patience = road.latencies.patience(road.stall, self.silences);
                let fill = road.patiently(patience, connection.fill(&mut self.queue));
                let filled = guard(&self.pilot, self.deadline, fill).await??;
                read = filled.map_err(|e| broken(Silence::Broken(e), connection))?;
            }
            if read == 0 {
                return Err(Fault::corrupt("the answer was cut short", Some(reply)));
            }
            left = left.saturating_sub(read as u64);
            road.counters.bytes.add(read as u64);
            self.queue.advance(read, &mut self.pilot, &mut verifier);
        }
        if verifier.is_some_and(|v| !v.agrees()) {
            return Err(Fault::corrupt("the bytes do not have the object's checksum", Some(reply)));
        }
        self.queue.release(&mut self.pilot);
        Ok(())
    }
}

/// Does `work` unless nobody wants it any more or the deadline comes.
async fn guard<T>(
    pilot: &Pilot,
    deadline: Instant,
    work: impl Future<Output = T>,
) -> Result<T, Fault> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = pilot.abandoned() => {
            Err(Fault::last(Error::new(ErrorKind::Abandoned, "nobody waits for the bytes")))
        }
        () = sleep_until(deadline) => Err(Fault::last(late())),
    }
}

fn late() -> Error {
    Error::new(ErrorKind::Timeout, "the bytes did not come before the deadline")
}

fn broken(silence: Silence, connection: &Connection) -> Fault {
    let kind = match &silence {
        Silence::Broken(_) => ErrorKind::Unreachable,
        Silence::Bad(_) => ErrorKind::Corrupt,
    };
    let message = format!("the connection to {} failed: {silence}", connection.address);
    Fault::transport(kind, message, Some(Box::new(silence)))
}
