//! What is told of the work, to people and to programs.

use std::io::{self, IsTerminal, Write};

use crate::control::protocol::{Answer, FileState, Progress};
use crate::savings::Bytes;

/// Lines of progress come at most so often where there is no terminal, in milliseconds.
const LINE_EVERY_MS: u64 = 2_000;
/// Cells of the bar.
const CELLS: u64 = 24;

/// How things are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// One JSON object a line, on standard output.
    Json,
    /// For people; with a bar that is drawn anew where standard error is a terminal.
    People {
        /// Whether it is one.
        bar: bool,
    },
    /// Nothing but failures.
    Quiet,
}

impl Style {
    /// How to tell things to whoever typed these flags.
    pub(super) fn of(json: bool, quiet: bool) -> Self {
        match (json, quiet) {
            (true, _) => Self::Json,
            (_, true) => Self::Quiet,
            _ => Self::People { bar: io::stderr().is_terminal() },
        }
    }
}

/// Tells what comes.
#[derive(Debug)]
pub(super) struct Show {
    style: Style,
    /// Whether each file is told of.
    files: bool,
    /// When a line was last written, in milliseconds since the beginning.
    last_ms: u64,
    bar: bool,
}

impl Show {
    pub(super) fn new(style: Style, files: bool) -> Self {
        Self { style, files, last_ms: 0, bar: false }
    }

    /// Tells of one answer.
    pub(super) fn tell(&mut self, answer: &Answer) {
        match (self.style, answer) {
            // Whoever reads lines needs no bar.
            (Style::Json, Answer::Progress(_)) => {}
            (Style::Json, answer) => {
                // A structure of strings and numbers can always be written.
                crate::say(&format!("{}\n", serde_json::to_string(answer).unwrap_or_default()));
            }
            (_, Answer::Failed { path, why }) => {
                self.clear();
                crate::complain(format_args!("mount-s3: {}: {why}\n", line(path)));
            }
            (Style::Quiet, _) => {}
            (Style::People { bar }, Answer::Progress(progress)) => self.progress(progress, bar),
            (_, Answer::File(state)) if self.files => {
                self.clear();
                crate::say(&file(state));
            }
            (_, Answer::Done(progress)) => {
                self.clear();
                crate::say(&summary(progress, self.files));
            }
            (_, Answer::Accepted { files }) => crate::say(&format!(
                "{files} files are fetched in the background; the mount's log tells what fails\n"
            )),
            _ => {}
        }
    }

    fn progress(&mut self, progress: &Progress, bar: bool) {
        if bar {
            self.bar = true;
            crate::complain(format_args!("\r\x1b[K{} {}", gauge(progress), status(progress)));
            let _ = io::stderr().flush();
        } else if progress.elapsed_ms >= self.last_ms.saturating_add(LINE_EVERY_MS) {
            self.last_ms = progress.elapsed_ms;
            crate::complain(format_args!("{}\n", status(progress)));
        }
    }

    /// Takes the bar away.
    fn clear(&mut self) {
        if std::mem::take(&mut self.bar) {
            crate::complain("\r\x1b[K");
        }
    }
}

fn line(path: &str) -> String {
    crate::log::one_line(path)
}

fn file(state: &FileState) -> String {
    let percent = match state.complete {
        true => 100,
        // Not complete is never shown as 100 %.
        false => (percent(state.resident, state.size)).min(99),
    };
    let pinned = if state.pinned { "  pinned" } else { "" };
    format!(
        "{percent:>3} %  {:>12}  {}{pinned}\n",
        Bytes(state.size).to_string(),
        line(&state.path)
    )
}

fn gauge(progress: &Progress) -> String {
    let full = progress.bytes_resident.min(progress.bytes) * CELLS / progress.bytes.max(1);
    (0..CELLS).map(|cell| if cell < full { '#' } else { '.' }).collect()
}

/// Files, bytes, rate and time left.
pub(super) fn status(progress: &Progress) -> String {
    let rate = rate(progress);
    let left = progress.bytes.saturating_sub(progress.bytes_resident);
    let time = match left.checked_div(rate) {
        _ if progress.files_known + progress.files_failed < progress.files => "looking up".into(),
        None => "waiting".into(),
        Some(seconds) => format!("{} left", clock(seconds)),
    };
    format!(
        "{}/{} files, {} of {}, {}/s, {time}",
        progress.files_done,
        progress.files,
        Bytes(progress.bytes_resident),
        Bytes(progress.bytes),
        Bytes(rate)
    )
}

fn summary(progress: &Progress, check: bool) -> String {
    let Progress { files, files_done, bytes, bytes_resident, bytes_fetched, .. } = *progress;
    let there = format!(
        "{files_done} of {files} files are in the cache, {} of {}",
        Bytes(bytes_resident),
        Bytes(bytes)
    );
    match check {
        true => format!("{there}\n"),
        false => format!(
            "{there}: {} fetched in {:.1} s, {}/s\n",
            Bytes(bytes_fetched),
            progress.elapsed_ms as f64 / 1000.0,
            Bytes(rate(progress))
        ),
    }
}

/// Bytes fetched a second.
fn rate(progress: &Progress) -> u64 {
    progress.bytes_fetched.saturating_mul(1000) / progress.elapsed_ms.max(1)
}

fn percent(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100).checked_div(whole).unwrap_or(0)
}

fn clock(seconds: u64) -> String {
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes}:{seconds:02}"),
        (hours, minutes) => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}
