//! Which spans to fetch for the reads of one object: a pure state machine.
//!
//! The plan for an object of size S read from its start is exact: ceil(S / part) fetches, on one
//! absolute grid of parts, however the kernel cuts and reorders its requests. An object opened at
//! its end first (a zip or Parquet reader) costs at most one more: the tail, which later parts
//! leave out. Everything else is a handful of streams, each of which earns its window.

use object::{BLOCK, CHUNK, Span};

/// A first request of at least this many bytes at offset 0 promises that all will be read: it is
/// what `sendfile`, `cp` and every copying program do first.
const PROMISE: u64 = 64 << 10;
/// A first request this close to the end is a zip or Parquet reader looking for its directory.
const TAIL: u64 = 128 << 10;
/// Bytes read in a row that make a stream sequential.
const RUN: u64 = 256 << 10;
/// How far the requests of one stream may be out of order: the kernel's read-ahead is 1 MiB, and
/// 2 MiB where a program announced that it reads in order, in requests that overtake each other.
const SLACK: u64 = 2 * BLOCK;
/// How far behind the newest request of a stream an older one may still be waiting: two of the
/// kernel's largest read-ahead windows, and as much again.
const OUTSTANDING: u64 = 8 * BLOCK;
/// Streams followed at once in one object.
const STREAMS: usize = 32;

/// What bounds a reader. All in bytes, but the deadline.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Length of one fetch; a multiple of [`BLOCK`].
    pub part: u64,
    /// The most bytes fetched ahead of one stream.
    pub window: u64,
    /// Bytes that the source may hold on to after they were read, of all objects together.
    pub behind: u64,
    /// An object up to this size that is opened tail-first is fetched whole.
    pub whole: u64,
    /// How long one read may take before it fails.
    pub deadline: std::time::Duration,
}

/// Chunks by number: whether they are held, or held or known to lie in the kernel's page cache.
pub(super) trait Known {
    /// Whether the chunk is here or on its way.
    fn held(&self, chunk: u64) -> bool;
    /// Whether the chunk is here, on its way, or was given to the kernel before.
    fn seen(&self, chunk: u64) -> bool;
}

/// The plan for one object version.
#[derive(Debug)]
pub(super) struct Planner {
    size: u64,
    limits: Limits,
    /// The source's own unit, in bytes: a multiple of [`CHUNK`] that divides the part.
    grain: u64,
    started: bool,
    /// The object was opened at its end and the tail was not asked for yet.
    tail_due: bool,
    fetch_whole: bool,
    /// All of it is on its way to the source: what is read before it is there is fetched by whole
    /// parts, as it would be anyway.
    kept_whole: bool,
    streams: Vec<Stream>,
    clock: u64,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    /// Where the next request is expected.
    next: u64,
    /// Bytes read in a row.
    run: u64,
    /// Bytes to have ahead of `next`; 0 until the stream is sequential.
    window: u64,
    /// Everything before this was asked for.
    ahead: u64,
    used: u64,
}

impl Planner {
    pub(super) fn new(size: u64, limits: Limits, grain: u64) -> Self {
        Self {
            size,
            limits,
            grain,
            started: false,
            tail_due: false,
            fetch_whole: false,
            kept_whole: false,
            streams: vec![],
            clock: 0,
        }
    }

    /// Takes note of a request, once, before anything is planned for it.
    pub(super) fn note(&mut self, need: Span) {
        if !self.started && self.size > self.limits.part {
            self.tail_due = need.start > 0 && need.start + TAIL >= self.size;
            self.fetch_whole = self.tail_due && self.size <= self.limits.whole;
        }
        self.started = true;
        self.follow(need);
    }

    /// Whether a request may be one that overtook the first: nothing was read yet, and it is as
    /// large as a promise and close behind the start.
    pub(super) fn may_have_overtaken(&self, need: Span) -> bool {
        let close = need.start > 0 && need.start <= SLACK && need.start.is_multiple_of(PROMISE);
        !self.started && self.size > self.limits.part && close && need.len() >= PROMISE
    }

    /// Takes note that a span was asked for.
    pub(super) fn issued(&mut self, span: Span) {
        self.tail_due &= span != self.tail();
    }

    /// Whether a stream is about to read this chunk, where as many as `handles` read. Each is
    /// taken to follow one stream: what it left is not waited for, however well it had begun.
    pub(super) fn expects(&self, chunk: u64, handles: u64) -> bool {
        let part = self.limits.part;
        // What was fetched because it was read reaches to the end of a part, fetched ahead or not.
        let end = |s: &Stream| s.ahead.max((s.next / part + 1) * part);
        let start = |s: &Stream| s.next.saturating_sub(OUTSTANDING);
        let next = |s: &Stream| start(s) / CHUNK..end(s).div_ceil(CHUNK);
        let followed = |s: &&Stream| s.window > 0 && self.clock - s.used < handles;
        self.streams.iter().filter(followed).any(|s| next(s).contains(&chunk))
    }

    /// The spans that must be fetched for `need`.
    pub(super) fn demand(&self, need: Span, known: &impl Known) -> Vec<Span> {
        if need.chunks().all(|c| known.held(c)) {
            return vec![];
        }
        if self.size <= self.limits.part {
            return vec![Span::new(0, self.size)];
        }
        if self.tail_due && self.tail().covers(need) {
            return vec![self.tail()];
        }
        let in_order = self.kept_whole
            || need.start == 0
            || self.stream_at(need.end).is_some_and(|s| s.window > 0);
        let mut spans: Vec<Span> = Vec::new();
        for chunk in need.chunks() {
            let planned = spans.last().is_some_and(|s| chunk * CHUNK < s.end);
            if !planned && !known.held(chunk) {
                let span = if in_order { self.run_around(chunk, known) } else { self.one(chunk) };
                match spans.last_mut() {
                    Some(last) if last.end == span.start && !in_order => last.end = span.end,
                    _ => spans.push(span),
                }
            }
        }
        spans
    }

    /// The spans of an object that is to be fetched whole, once, for a source that keeps them
    /// whether or not anybody holds them.
    pub(super) fn take_whole(&mut self, known: &impl Known) -> Vec<Span> {
        if !std::mem::take(&mut self.fetch_whole) {
            return vec![];
        }
        self.kept_whole = true;
        self.unseen(Span::new(0, self.size), known)
    }

    /// Offers spans to fetch ahead of the stream that just read up to `end`, nearest first, at
    /// most `cap` bytes ahead; stops at the first that `issue` refuses.
    pub(super) fn ahead(
        &mut self,
        end: u64,
        cap: u64,
        known: &impl Known,
        mut issue: impl FnMut(Span) -> bool,
    ) {
        if self.fetch_whole {
            let spans = self.unseen(Span::new(0, self.size), known);
            self.fetch_whole = !spans.into_iter().all(&mut issue);
            return;
        }
        let (part, size) = (self.limits.part, self.size);
        let Some(index) = self.streams.iter().position(|s| s.next == end && s.window > 0) else {
            return;
        };
        let Some(mut stream) = self.streams.get(index).copied() else { return };
        let target = (stream.next + stream.window.min(cap)).min(size);
        stream.ahead = stream.ahead.max(stream.next / part * part);
        while stream.ahead < target {
            let next = (stream.ahead / part + 1) * part;
            let spans = self.unseen(Span::new(stream.ahead, next.min(size)), known);
            if !spans.into_iter().all(&mut issue) {
                break;
            }
            stream.ahead = next;
        }
        if let Some(kept) = self.streams.get_mut(index) {
            *kept = stream;
        }
    }

    /// The span to fetch when an object is opened at its end: a twentieth of it, 1 to 8 MiB, from
    /// a block border. It holds the directory of every JAR looked at.
    fn tail(&self) -> Span {
        let length = (self.size / 20).clamp(BLOCK, 8 * BLOCK);
        Span::new(self.size.saturating_sub(length) / BLOCK * BLOCK, self.size)
    }

    fn follow(&mut self, need: Span) {
        self.clock += 1;
        let (part, window, clock) = (self.limits.part, self.limits.window, self.clock);
        let near = |s: &&mut Stream| need.start.abs_diff(s.next) <= SLACK;
        let found = self.streams.iter_mut().filter(near);
        if let Some(stream) = found.min_by_key(|s| need.start.abs_diff(s.next)) {
            let crossed = need.end / part > stream.next / part;
            stream.next = stream.next.max(need.end);
            stream.run += need.len();
            stream.used = clock;
            if stream.window == 0 && stream.run >= RUN {
                stream.window = part;
            } else if crossed {
                stream.window = (stream.window * 2).min(window);
            }
            return;
        }
        let promised = need.start == 0 && need.len() >= PROMISE.min(self.size);
        let window = if promised { window } else { 0 };
        let stream =
            Stream { next: need.end, run: need.len(), window, ahead: need.start, used: clock };
        if self.streams.len() == STREAMS
            && let Some(oldest) = self.streams.iter_mut().min_by_key(|s| s.used)
        {
            *oldest = stream;
        } else {
            self.streams.push(stream);
        }
    }

    fn stream_at(&self, end: u64) -> Option<&Stream> {
        self.streams.iter().find(|s| s.next == end || s.used == self.clock)
    }

    /// The smallest span worth asking for that has this chunk.
    fn one(&self, chunk: u64) -> Span {
        Span::new(chunk * CHUNK, (chunk + 1) * CHUNK).aligned(self.grain, self.size)
    }

    /// The unseen run around a chunk inside its part: forward to the end of the part, backward as
    /// far as requests may be out of order.
    fn run_around(&self, chunk: u64, known: &impl Known) -> Span {
        let part = chunk * CHUNK / self.limits.part * self.limits.part;
        let part = Span::new(part, (part + self.limits.part).min(self.size)).chunks();
        let earliest = match self.kept_whole {
            true => part.start,
            false => part.start.max(chunk.saturating_sub(SLACK / CHUNK)),
        };
        let start = (earliest..chunk).rev().take_while(|c| !known.seen(*c)).last();
        let end = (chunk + 1..part.end).find(|c| known.seen(*c)).unwrap_or(part.end);
        Span::new(start.unwrap_or(chunk) * CHUNK, end * CHUNK).aligned(self.grain, self.size)
    }

    /// What was not seen of `span`, cut at the borders of parts.
    fn unseen(&self, span: Span, known: &impl Known) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for chunk in span.chunks().filter(|c| !known.seen(*c)) {
            let one = self.one(chunk);
            match spans.last_mut() {
                Some(last) if last.covers(one) => {}
                Some(last)
                    if last.end == one.start && !one.start.is_multiple_of(self.limits.part) =>
                {
                    last.end = one.end;
                }
                _ => spans.push(one),
            }
        }
        spans
    }
}

#[cfg(test)]
mod tests;
