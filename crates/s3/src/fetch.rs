//! One flight: tries, until its bytes have landed or nothing helps.

use std::sync::Arc;

use object::{Error, ErrorKind, Pilot, Span, Version};
use tokio::time::{Instant, sleep_until};

use crate::fault::{Cure, Fault};
use crate::pace::Place;
use crate::queue::Queue;
use crate::reply::Reply;
use crate::road::Road;
use crate::signer::Ask;
use crate::tries::{COMPLAINT_WAIT, Tries, broken, late};
use crate::wire::{Connection, Silence};

/// One flight on its road.
pub(crate) struct Fetch {
    road: Arc<Road>,
    version: Arc<Version>,
    pilot: Pilot,
    queue: Queue,
    tries: Tries,
}

impl Fetch {
    pub(crate) fn new(
        road: Arc<Road>,
        version: Arc<Version>,
        pilot: Pilot,
        deadline: Instant,
    ) -> Self {
        let tries = Tries::until(deadline);
        Self { road, version, pilot, queue: Queue::default(), tries }
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
        loop {
            let fault = match self.attempt().await {
                Ok(()) => return Ok(()),
                Err(fault) => fault,
            };
            self.queue.forget();
            let wait = self.tries.again(&self.road, self.version.key.as_str(), fault)?;
            let pause = tokio::time::sleep(wait);
            let waited = guard(&self.pilot, self.tries.deadline, pause).await;
            waited.map_err(|fault| self.tries.explain(fault.error))?;
        }
    }

    async fn attempt(&mut self) -> Result<(), Fault> {
        let place = guard(&self.pilot, self.tries.deadline, self.road.gate.enter()).await?;
        self.tries.begin(&self.road);
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
        let deadline = self.tries.deadline;
        guard(&self.pilot, deadline, self.tries.identify(&road)).await??;
        let ask = Ask::get(&self.version, range);
        let request = road.signer.request(&ask, self.tries.who.as_ref()).map_err(Fault::last)?;
        let patience = road.latencies.patience(road.stall, self.tries.silences);
        road.counters.gets.add(1);
        let mut stale = 0;
        loop {
            let mut connection = guard(&self.pilot, deadline, road.connection(stale)).await??;
            let sent = Instant::now();
            let exchange = road.patiently(patience, connection.exchange(&request));
            let answered = guard(&self.pilot, deadline, exchange).await??;
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
        let until = self.tries.deadline.min(Instant::now() + COMPLAINT_WAIT);
        let read = guard(&self.pilot, until, connection.document(reply)).await;
        let (body, all) = read.unwrap_or_default();
        let fault = Fault::answered(reply, &body);
        if all && reply.keep {
            road.pool.keep(connection);
        }
        self.tries.heed(road, &fault, reply, place).await;
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
                guard(&self.pilot, self.tries.deadline, self.pilot.clear_to_land()).await?;
                pause_at = self.pilot.pause_at();
            }
            self.queue.stock(&mut self.pilot, pause_at);
            if self.queue.is_full() {
                return Err(Fault::corrupt("the answer has bytes without a place", Some(reply)));
            }
            // Bytes that always come at once leave no wait in which the deadline could strike.
            if Instant::now() >= self.tries.deadline {
                return Err(Fault::last(late()));
            }
            let mut read = connection.give(&mut self.queue);
            if read == 0 {
                let patience = road.latencies.patience(road.stall, self.tries.silences);
                let fill = road.patiently(patience, connection.fill(&mut self.queue));
                let filled = guard(&self.pilot, self.tries.deadline, fill).await??;
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
