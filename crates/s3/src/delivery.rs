//! One request that changes the store: tries, until there is an answer or nothing helps.

use std::io::IoSlice;
use std::sync::atomic::Ordering;
use std::time::Duration;

use object::{Body, Condition, Error, ErrorKind};
use tokio::time::{Instant, sleep, timeout_at};

use crate::document::is_error;
use crate::fault::{Cure, Fault};
use crate::pace::Place;
use crate::reply::Reply;
use crate::road::Road;
use crate::signer::Ask;
use crate::stats::{Counter, Counters};
use crate::tries::{COMPLAINT_WAIT, Tries, broken, late};
use crate::wire::{Connection, Pushed, Silence};

/// By how much longer than for the bytes of a GET is waited for the answer to a write: the store
/// has to make bytes durable first.
const DURABLE: u32 = 5;

/// What is sent after the head.
pub(crate) enum Load<'a> {
    Nothing,
    Text(&'a str),
    Body(&'a Body),
}

impl Load<'_> {
    fn slices(&self) -> Vec<IoSlice<'_>> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Text(text) => vec![IoSlice::new(text.as_bytes())],
            Self::Body(body) => body.slices().map(IoSlice::new).collect(),
        }
    }
}

/// How long the store may be silent when it has all of the request.
pub(crate) enum Patience {
    /// As long as such answers take, since asking twice does no harm; then another connection is
    /// tried, within the allowance for second tries.
    Usual,
    /// So long; then the try has failed.
    Until(Duration),
}

/// What is delivered.
pub(crate) struct Parcel<'a> {
    /// What is done to the key, for people: `storing`.
    pub(crate) what: &'static str,
    /// The right that it takes, for people.
    pub(crate) right: &'static str,
    pub(crate) ask: Ask<'a>,
    pub(crate) load: Load<'a>,
    pub(crate) condition: &'a Condition,
    pub(crate) patience: Patience,
    /// What counts its tries.
    pub(crate) counter: fn(&Counters) -> &Counter,
}

/// A success.
pub(crate) struct Receipt {
    pub(crate) reply: Reply,
    /// The document that came with it.
    pub(crate) text: String,
}

/// The end of all tries without a success.
pub(crate) struct Refusal {
    pub(crate) error: Error,
    /// What the last try failed for.
    pub(crate) cure: Cure,
    /// Whether a try may have been carried out all the same: the store had all of the request, and
    /// said nothing or that it failed.
    pub(crate) doubtful: bool,
}

/// A parcel on its road.
pub(crate) struct Delivery<'a> {
    road: &'a Road,
    parcel: Parcel<'a>,
    tries: Tries,
    doubtful: bool,
    /// Of the try that is under way: whether the store has all of the request.
    sent: bool,
    /// And whether it refused it.
    refused: bool,
}

impl<'a> Delivery<'a> {
    /// A delivery that takes `within` at most, beside the time in which bytes are taken.
    pub(crate) fn new(road: &'a Road, parcel: Parcel<'a>, within: Duration) -> Self {
        let tries = Tries::until(Instant::now() + within);
        Self { road, parcel, tries, doubtful: false, sent: false, refused: false }
    }

    /// Delivers it.
    pub(crate) async fn run(mut self) -> Result<Receipt, Refusal> {
        loop {
            (self.sent, self.refused) = (false, false);
            let fault = match self.attempt().await {
                Ok(receipt) => return Ok(receipt),
                Err(fault) => fault,
            };
            self.doubtful |= self.sent && !self.refused;
            let cure = self.judge(&fault);
            let what = self.parcel.ask.key.as_str();
            match self.tries.again(self.road, what, Fault { cure, ..fault }) {
                Ok(wait) => sleep(wait).await,
                Err(error) => return Err(Refusal { error, cure, doubtful: self.doubtful }),
            }
        }
    }

    /// What helps against `fault`. Takes note of a store that knows no conditions.
    fn judge(&self, fault: &Fault) -> Cure {
        if fault.cure != Cure::DropCondition {
            return fault.cure;
        }
        if !self.parcel.ask.headers.iter().any(|(name, _)| is_condition(name)) {
            return Cure::None;
        }
        if !self.road.unconditional.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                error = ?fault.error,
                "the store knows no conditional writes: two writers of one new file do not \
                 notice each other"
            );
        }
        Cure::DropCondition
    }

    async fn attempt(&mut self) -> Result<Receipt, Fault> {
        let road = self.road;
        let place = self.within(road.gate.enter()).await?;
        self.tries.begin(road);
        let deadline = self.tries.deadline;
        let identified = timeout_at(deadline, self.tries.identify(road)).await;
        identified.map_err(|_| Fault::last(late()))??;
        let (mut connection, reply) = self.answer().await?;
        let success = matches!(reply.status, 200..300);
        let until = match success {
            true => self.tries.deadline,
            false => self.tries.deadline.min(Instant::now() + COMPLAINT_WAIT),
        };
        let read = timeout_at(until, connection.document(&reply)).await;
        let (body, all) = read.unwrap_or_default();
        let text = String::from_utf8_lossy(&body).into_owned();
        // Of one whose request was not sent to its end nobody knows where the next one begins.
        if all && reply.keep && self.sent {
            road.pool.keep(connection);
        }
        if success && !self.sent {
            self.doubtful = true;
            return Err(Fault::corrupt(
                "the answer came before the request was sent",
                Some(&reply),
            ));
        }
        if success && !all {
            return Err(Fault::corrupt("the answer was cut short", Some(&reply)));
        }
        if !success || is_error(&text) {
            return Err(self.complaint(&reply, &body, &place).await);
        }
        place.succeeded();
        road.succeeded();
        Ok(Receipt { reply, text })
    }

    async fn complaint(&mut self, reply: &Reply, body: &[u8], place: &Place) -> Fault {
        let fault = Fault::answered(reply, body);
        let failed = matches!(fault.cure, Cure::Again | Cure::SlowDown);
        self.refused = !failed || matches!(reply.status, 300..500);
        self.tries.heed(self.road, &fault, reply, place).await;
        fault
    }

    /// Sends the request over a kept or a new connection, up to the head of the answer.
    async fn answer(&mut self) -> Result<(Connection, Reply), Fault> {
        let road = self.road;
        self.parcel.ask.headers.retain(|(name, _)| !is_condition(name));
        if !road.unconditional.load(Ordering::Relaxed) {
            self.parcel.ask.headers.extend(header(self.parcel.condition));
        }
        let who = self.tries.who.as_ref();
        let request = road.signer.request(&self.parcel.ask, who).map_err(Fault::last)?;
        (self.parcel.counter)(&road.counters).add(1);
        let mut stale = 0;
        loop {
            self.sent = false;
            let mut connection = self.within(road.connection(stale)).await??;
            match self.exchange(&mut connection, &request).await? {
                Ok(reply) => return Ok((connection, reply)),
                // Closed by the other side while it was idle, most likely.
                Err(Silence::Broken(_)) if connection.used && !connection.has_pending() => {
                    self.doubtful |= self.sent;
                    stale += 1;
                }
                Err(silence) => return Err(broken(silence, &connection)),
            }
        }
    }

    async fn exchange(
        &mut self,
        connection: &mut Connection,
        request: &[u8],
    ) -> Result<Result<Reply, Silence>, Fault> {
        let begun = Instant::now();
        let early = self.send(connection, request).await?;
        // Bytes that the store takes are progress.
        self.tries.deadline += begun.elapsed();
        match early {
            Ok(Some(reply)) => return Ok(Ok(reply)),
            Ok(None) => self.sent = true,
            Err(silence) => return Ok(Err(silence)),
        }
        let waited = Instant::now();
        let answered = match self.parcel.patience {
            Patience::Usual => {
                let patience = self.usual();
                self.within(self.road.patiently(patience, connection.reply())).await??
            }
            Patience::Until(long) => {
                let until = waited + long;
                let answered = timeout_at(until, connection.reply());
                self.within(answered).await?.map_err(|_| Fault::silent())?
            }
        };
        if answered.is_ok() && matches!(self.parcel.patience, Patience::Usual) {
            self.road.receipts.saw(waited.elapsed());
        }
        Ok(answered)
    }

    /// Sends all of the request, or as much of it as the other side takes before it answers.
    async fn send(
        &self,
        connection: &mut Connection,
        request: &[u8],
    ) -> Result<Result<Option<Reply>, Silence>, Fault> {
        let mut slices = self.parcel.load.slices();
        slices.insert(0, IoSlice::new(request));
        let (mut rest, mut head) = (slices.as_mut_slice(), request.len());
        loop {
            let pushed = self.road.patiently(self.usual(), connection.push(rest)).await?;
            match pushed {
                Ok(Pushed::Sent(_)) if rest.is_empty() => return Ok(Ok(None)),
                Ok(Pushed::Sent(bytes)) => {
                    let of_head = bytes.min(head);
                    head -= of_head;
                    if let Load::Body(_) = self.parcel.load {
                        self.road.counters.bytes_sent.add((bytes - of_head) as u64);
                    }
                    IoSlice::advance_slices(&mut rest, bytes);
                }
                Ok(Pushed::Answered(reply)) => return Ok(Ok(Some(reply))),
                Err(silence) => return Ok(Err(silence)),
            }
        }
    }

    fn usual(&self) -> Duration {
        self.road.receipts.patience(self.road.stall * DURABLE, self.tries.silences)
    }

    async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, Fault> {
        timeout_at(self.tries.deadline, work).await.map_err(|_| Fault::last(late()))
    }
}

/// How a condition is said (S3 API reference, PutObject).
fn header(condition: &Condition) -> Option<(&'static str, String)> {
    match condition {
        Condition::Any => None,
        Condition::Absent => Some(("if-none-match", "*".to_owned())),
        Condition::Is(etag) => Some(("if-match", etag.quoted())),
    }
}

fn is_condition(header: &str) -> bool {
    matches!(header, "if-match" | "if-none-match")
}

impl Refusal {
    /// A failure that is found after the store said yes.
    pub(crate) fn after_success(error: Error) -> Self {
        Self { error, cure: Cure::None, doubtful: true }
    }

    /// Whether the store said that what `condition` demands is not so.
    pub(crate) fn is_changed(&self, condition: &Condition) -> bool {
        match self.error.kind() {
            ErrorKind::Changed => true,
            // Of an object that is not there nothing can be said (S3 API reference, PutObject).
            ErrorKind::NotFound => matches!(condition, Condition::Is(_)),
            _ => false,
        }
    }
}
