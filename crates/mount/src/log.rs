//! The log: where lines go, how they look, and that nobody waits for it.
//!
//! A line is made by whoever logs and handed to a [`Sink`]. The daemon hands it over through a
//! bounded queue to one thread, so that a full disk, a dead syslog or a stopped terminal costs
//! lines, never a request. The keeper has no threads and few lines, and writes them itself.

mod file;
mod line;
mod sink;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub use file::FileName;
use file::create_in;
pub use sink::Sink;

use crate::flags::config::{LogConfig, LogTarget};
use sink::{Direct, Outlet, Queue};

/// Our own crates, which say more than others do by default.
const OURS: [&str; 6] = ["mount", "fs", "fuse", "cache", "s3", "object"];

/// The filter without `MOUNTPOINT_LOG`: ours at INFO (DEBUG with `debug`), others at WARN.
pub fn filter(debug: bool) -> String {
    let level = if debug { "debug" } else { "info" };
    let ours = OURS.map(|name| format!("{name}={level}"));
    format!("warn,{}", ours.join(","))
}

/// Whether `filter` can be understood.
///
/// # Errors
/// What is wrong with it, for people.
pub fn check_filter(filter: &str) -> Result<(), String> {
    EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .parse(filter)
        .map(drop)
        .map_err(|why| format!("`{filter}` is no log filter: {why}"))
}

/// How lines get to the sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Through a bounded queue and a thread.
    Queued,
    /// By whoever logs.
    Immediate,
}

/// A log that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("the log directory {} cannot be used", directory.display())]
pub struct LogError {
    /// The directory that was given.
    pub directory: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// Opens where lines go. `file` is the name of the log file, the same for all processes of one
/// mount.
///
/// # Errors
/// The directory cannot be made or written to.
pub fn open(config: &LogConfig, file: &FileName) -> Result<Sink, LogError> {
    match &config.target {
        LogTarget::Nowhere => Ok(Sink::Nowhere),
        LogTarget::Stderr => Ok(Sink::Stderr),
        LogTarget::Syslog => Ok(Sink::syslog()),
        LogTarget::Directory(directory) => create_in(directory, file)
            .map(Sink::File)
            .map_err(|source| LogError { directory: directory.clone(), source }),
    }
}

/// The running log; lines still on their way are written out when it is dropped.
pub struct Log(Arc<dyn Outlet>);

impl Drop for Log {
    fn drop(&mut self) {
        self.0.drain(Duration::from_millis(500));
    }
}

/// Makes `sink` the log of this process. Called once; a second call changes nothing.
pub fn start(config: &LogConfig, sink: Sink, delivery: Delivery) -> Log {
    let syslog = matches!(sink, Sink::Syslog(_));
    let outlet: Arc<dyn Outlet> = match delivery {
        Delivery::Immediate => Arc::new(Direct::new(sink)),
        Delivery::Queued => Arc::new(Queue::start(sink)),
    };
    let log = Log(Arc::clone(&outlet));
    // The filter was checked when the command line was read.
    let filter = match config.target {
        LogTarget::Nowhere => EnvFilter::new("off"),
        _ => EnvFilter::new(&config.filter),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(line::LineWriter::new(outlet, syslog));
    let registry = tracing_subscriber::registry().with(filter);
    // The syslog has its own times; a file or a terminal needs ours.
    let started = if syslog {
        registry.with(lines.without_time().with_level(false)).try_init()
    } else {
        registry.with(lines).try_init()
    };
    drop(started);
    log_panics(config.target == LogTarget::Stderr);
    log
}

/// Sends panics to the log. Where that is not standard error, they are seen there too as long
/// as it leads anywhere.
fn log_panics(seen: bool) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or("no text");
        let trace = std::backtrace::Backtrace::force_capture();
        tracing::error!(target: "mount", "a thread panicked at {place}: {text}\n{trace}");
        if !seen {
            before(panic);
        }
    }));
}

/// `text` as one line without control characters.
pub fn one_line(text: &str) -> String {
    line::escape(text, 4_000)
}

#[cfg(test)]
mod tests;
