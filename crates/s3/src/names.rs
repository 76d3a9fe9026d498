//! The addresses of a host name, used in turn.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a look-up is good for. S3's own answers live for seconds and name other addresses
/// each time.
const GOOD_FOR: Duration = Duration::from_secs(30);
/// How long an address that failed is passed over.
const AVOIDED_FOR: Duration = Duration::from_secs(10);

/// The addresses of one host.
pub(crate) struct Names {
    host: String,
    port: u16,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    addresses: Vec<SocketAddr>,
    looked_up: Option<Instant>,
    next: usize,
    failed: HashMap<SocketAddr, Instant>,
}

impl Names {
    pub(crate) fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port, book: Mutex::default() }
    }

    /// The address for the next connection.
    ///
    /// # Errors
    /// When the name has none, and had none before.
    pub(crate) async fn next(&self) -> io::Result<SocketAddr> {
        if let Some(address) = self.book().next(Instant::now()) {
            return Ok(address);
        }
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let mut book = self.book();
        match found {
            Ok(found) => book.learn(found.collect(), Instant::now()),
            // The addresses of before are better than none.
            Err(error) if book.addresses.is_empty() => return Err(error),
            Err(_) => book.looked_up = Some(Instant::now()),
        }
        book.next(Instant::now()).ok_or_else(|| io::Error::other("the name has no address"))
    }

    /// No connection to this address could be made.
    pub(crate) fn avoid(&self, address: SocketAddr) {
        self.book().failed.insert(address, Instant::now());
    }

    /// How many addresses are known.
    pub(crate) fn count(&self) -> usize {
        self.book().addresses.len()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn learn(&mut self, mut addresses: Vec<SocketAddr>, now: Instant) {
        addresses.dedup();
        self.failed.retain(|address, _| addresses.contains(address));
        self.addresses = addresses;
        self.looked_up = Some(now);
    }

    /// The next address in turn that has not just failed; when all have, the next one. `None`
    /// when the name has to be looked up (again).
    fn next(&mut self, now: Instant) -> Option<SocketAddr> {
        self.looked_up.filter(|then| now.duration_since(*then) < GOOD_FOR)?;
        self.failed.retain(|_, then| now.duration_since(*then) < AVOIDED_FOR);
        let count = self.addresses.len();
        let turn = self.next;
        let good = (turn..turn + count).find(|i| {
            self.addresses.get(i % count).is_some_and(|address| !self.failed.contains_key(address))
        });
        let chosen = good.unwrap_or(turn);
        self.next = (chosen + 1) % count.max(1);
        self.addresses.get(chosen.checked_rem(count)?).copied()
    }
}

#[cfg(test)]
mod tests;
