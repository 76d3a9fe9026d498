//! One event, one line.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use super::sink::{Line, Outlet};

/// Gives each event a buffer that becomes one line when it is dropped.
pub(super) struct LineWriter {
    outlet: Arc<dyn Outlet>,
    /// Lines are cut to what a datagram of the syslog carries.
    syslog: bool,
}

impl LineWriter {
    pub(super) fn new(outlet: Arc<dyn Outlet>, syslog: bool) -> Self {
        Self { outlet, syslog }
    }
}

impl<'a> MakeWriter<'a> for LineWriter {
    type Writer = LineBuffer<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        LineBuffer { writer: self, severity: Severity::Info, bytes: Vec::with_capacity(200) }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Self::Writer {
        let severity = Severity::of(*meta.level());
        LineBuffer { writer: self, severity, bytes: Vec::with_capacity(200) }
    }
}

/// How much a line matters, in the syslog's numbers (RFC 5424, 6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Error = 3,
    Warning = 4,
    Info = 6,
    Debug = 7,
}

impl Severity {
    fn of(level: tracing::Level) -> Self {
        match level {
            tracing::Level::ERROR => Severity::Error,
            tracing::Level::WARN => Severity::Warning,
            tracing::Level::INFO => Severity::Info,
            _ => Severity::Debug,
        }
    }
}

/// Collects what one event says.
pub(super) struct LineBuffer<'a> {
    writer: &'a LineWriter,
    severity: Severity,
    bytes: Vec<u8>,
}

impl io::Write for LineBuffer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a datagram to the syslog holds at least everywhere (RFC 5424, 6.1), less its head.
const SYSLOG_TEXT_MAX: usize = 2_000;
/// The longest line anywhere; a backtrace fits.
const TEXT_MAX: usize = 32_000;

impl Drop for LineBuffer<'_> {
    fn drop(&mut self) {
        let most = if self.writer.syslog { SYSLOG_TEXT_MAX } else { TEXT_MAX };
        let text = escape(&String::from_utf8_lossy(&self.bytes), most);
        self.writer.outlet.deliver(Line { severity: self.severity, text });
    }
}

/// `text` as one line without control characters, so that a key with a newline in its name
/// cannot write log lines of its own; at most `most` bytes.
pub(super) fn escape(text: &str, most: usize) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.trim_end_matches('\n').chars() {
        if line.len() >= most {
            line.push('…');
            break;
        }
        match c {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            // Line separators end a line in some viewers.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                let _ = write!(line, "\\u{{{:x}}}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line
}
