//! Rules: which requests are denied or harmed, and how.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::glob;
use crate::synthetic::mix;

#[cfg(test)]
mod tests;

/// One rule. Patterns are globs: `*` stands for any run of characters, `?` for one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// S3 operations covered, e.g. `GetObject`, `*Object`.
    #[serde(default = "anything")]
    pub operation: String,
    /// Buckets covered.
    #[serde(default = "anything")]
    pub bucket: String,
    /// Keys covered; for listings, prefixes.
    #[serde(default = "anything")]
    pub key: String,
    /// Keys (or prefixes) left alone although `key` covers them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub except: Option<String>,
    /// Which of the covered requests.
    #[serde(default)]
    pub which: Which,
    /// What happens to them.
    pub fault: Fault,
}

impl Rule {
    /// A rule for every request of the operations that `operation` covers.
    pub fn new(operation: &str, fault: Fault) -> Self {
        Self {
            operation: operation.to_owned(),
            bucket: anything(),
            key: anything(),
            except: None,
            which: Which::Always,
            fault,
        }
    }

    /// A rule for each fault there is, which strikes with `probability`: those of answers on all
    /// operations, those of bodies on reads. Bits are flipped in the objects that `checked`
    /// covers only: whose bodies come whole, with a checksum to find it by. The rules draw from
    /// `seed` and the numbers after it.
    pub fn of_every_fault(probability: f64, seed: u64, checked: &str) -> Vec<Self> {
        let on_everything = [
            Fault::Latency { ms: 30 },
            Fault::Bandwidth { bytes_per_second: 4_000_000 },
            Fault::SlowDown,
            Fault::InternalError,
            Fault::Reset,
            Fault::AnswerLost,
            Fault::Stall,
            Fault::ResetBody { at: None },
            Fault::StallBody { at: None },
            Fault::Truncate { at: None },
            Fault::Overlong { extra: 777 },
        ];
        let on_reads = [Fault::WrongContentRange, Fault::ErrorInBody];
        let everything = on_everything.into_iter().map(|fault| Self::new("*", fault));
        let reads = on_reads.into_iter().map(|fault| Self::new("GetObject", fault));
        let flips = Self::new("GetObject", Fault::FlipBit { at: None }).on(checked);
        let rules = everything.chain(reads).chain([flips]);
        (seed..).zip(rules).map(|(seed, r)| r.which(Which::Share { probability, seed })).collect()
    }

    /// The same rule for the keys (or prefixes) that `pattern` covers.
    #[must_use]
    pub fn on(mut self, pattern: &str) -> Self {
        pattern.clone_into(&mut self.key);
        self
    }

    /// The same rule, leaving alone the keys (or prefixes) that `pattern` covers.
    #[must_use]
    pub fn except(mut self, pattern: &str) -> Self {
        self.except = Some(pattern.to_owned());
        self
    }

    /// The same rule for some of the requests.
    #[must_use]
    pub fn which(mut self, which: Which) -> Self {
        self.which = which;
        self
    }

    fn covers(&self, operation: &str, bucket: &str, key: &str) -> bool {
        glob::matches(&self.operation, operation)
            && glob::matches(&self.bucket, bucket)
            && glob::matches(&self.key, key)
            && !self.except.as_deref().is_some_and(|except| glob::matches(except, key))
    }
}

fn anything() -> String {
    "*".to_owned()
}

/// Which of the requests a rule covers it acts on. They are numbered from 1, in the order
/// in which they arrive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// All of them.
    #[default]
    Always,
    /// The one with this number.
    Nth(u64),
    /// This many, from the first.
    First(u64),
    /// Each with this probability; the same seed chooses the same numbers.
    Share {
        /// 0 to 1.
        probability: f64,
        /// Decides which numbers.
        seed: u64,
    },
}

impl Which {
    fn takes(self, number: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Nth(n) => number == n,
            Self::First(n) => number <= n,
            Self::Share { probability, seed } => {
                // The top 53 bits are a fraction that f64 holds exactly.
                let fraction = (mix(mix(seed) ^ number) >> 11) as f64 / (1_u64 << 53) as f64;
                fraction < probability
            }
        }
    }
}

/// What happens to a request. Offsets count body bytes of the answer; without one, the
/// middle is meant, and one behind the body's end is moved to its last byte. Faults of
/// the body do nothing to an answer without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// 403 AccessDenied; nothing is carried out.
    Deny,
    /// The answer begins this much later.
    Latency {
        /// Milliseconds.
        ms: u64,
    },
    /// The body flows at this rate.
    Bandwidth {
        /// Bytes per second.
        bytes_per_second: u64,
    },
    /// 503 SlowDown; nothing is carried out.
    SlowDown,
    /// 500 InternalError; nothing is carried out.
    InternalError,
    /// 409 ConditionalRequestConflict: somebody else writes the same key now; nothing is carried
    /// out.
    Conflict,
    /// 507 QuotaExceeded; nothing is carried out.
    Full,
    /// 501 NotImplemented to a write with a condition, as of a store that knows none.
    NoConditions,
    /// 400 InvalidArgument to a copy into an upload that was begun with a checksum, as of a store
    /// that computes none of what it copies.
    NoCopySums,
    /// The connection is reset (TCP RST) before the answer; nothing is carried out.
    Reset,
    /// The request is carried out, then the connection is reset instead of an answer.
    AnswerLost,
    /// The connection is reset in the body.
    ResetBody {
        /// Bytes sent before; what the client had not read yet may be lost too.
        at: Option<u64>,
    },
    /// No answer until the rule is removed.
    Stall,
    /// The body stops until the rule is removed.
    StallBody {
        /// Bytes sent before.
        at: Option<u64>,
    },
    /// The connection is closed (FIN) in the body.
    Truncate {
        /// Bytes sent before.
        at: Option<u64>,
    },
    /// More bytes follow the body than Content-Length said, then the connection is closed.
    Overlong {
        /// How many more.
        extra: u32,
    },
    /// One bit of one byte is flipped.
    FlipBit {
        /// The byte.
        at: Option<u64>,
    },
    /// `Content-Range` names a range one byte further on than the one sent.
    WrongContentRange,
    /// The status stays (200 or 206), the body is an XML error.
    ErrorInBody,
}

/// A rule's name in its lab.
pub type RuleId = u64;

/// A rule that is in force.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Standing {
    /// Its name.
    pub id: RuleId,
    /// The rule.
    pub rule: Rule,
    /// Requests it covered so far.
    pub covered: u64,
    /// Requests it acted on so far.
    pub fired: u64,
}

/// A fault that a request is to meet.
#[derive(Debug, Clone)]
pub(crate) struct Fired {
    pub(crate) rule: RuleId,
    pub(crate) fault: Fault,
    /// Closes when the rule is removed.
    removed: watch::Receiver<()>,
}

impl Fired {
    /// Waits until the rule is removed.
    pub(crate) async fn rule_removed(mut self) {
        // Nothing is ever sent: an error says that the sender is gone.
        while self.removed.changed().await.is_ok() {}
    }

    pub(crate) fn latency(&self) -> Option<Duration> {
        match self.fault {
            Fault::Latency { ms } => Some(Duration::from_millis(ms)),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Active {
    id: RuleId,
    rule: Rule,
    covered: AtomicU64,
    fired: AtomicU64,
    alive: watch::Sender<()>,
}

/// The rules in force. All that cover a request are counted and may act on it.
#[derive(Debug, Default)]
pub struct Rules {
    active: Mutex<Vec<Active>>,
    last_id: AtomicU64,
}

impl Rules {
    /// Puts a rule in force.
    pub fn add(&self, rule: Rule) -> RuleId {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let active = Active {
            id,
            rule,
            covered: AtomicU64::new(0),
            fired: AtomicU64::new(0),
            alive: watch::Sender::new(()),
        };
        self.lock().push(active);
        id
    }

    /// Takes a rule back and lets go what it stalled; whether it was in force.
    pub fn remove(&self, id: RuleId) -> bool {
        let mut active = self.lock();
        let before = active.len();
        active.retain(|one| one.id != id);
        active.len() < before
    }

    /// Takes all rules back.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// The rules in force, in the order in which they were added.
    pub fn standing(&self) -> Vec<Standing> {
        let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        let stand = |one: &Active| Standing {
            id: one.id,
            rule: one.rule.clone(),
            covered: read(&one.covered),
            fired: read(&one.fired),
        };
        self.lock().iter().map(stand).collect()
    }

    /// What a request is to meet.
    pub(crate) fn fire(&self, operation: &str, bucket: &str, key: &str) -> Vec<Fired> {
        let mut fired = Vec::new();
        for one in self.lock().iter().filter(|one| one.rule.covers(operation, bucket, key)) {
            let number = one.covered.fetch_add(1, Ordering::SeqCst) + 1;
            if one.rule.which.takes(number) {
                one.fired.fetch_add(1, Ordering::SeqCst);
                let removed = one.alive.subscribe();
                fired.push(Fired { rule: one.id, fault: one.rule.fault, removed });
            }
        }
        fired
    }

    /// Whether a rule denies a request, without counting it.
    pub(crate) fn denies(&self, operation: &str, bucket: &str, key: &str) -> bool {
        self.lock()
            .iter()
            .any(|one| one.rule.fault == Fault::Deny && one.rule.covers(operation, bucket, key))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Active>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
