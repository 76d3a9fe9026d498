//! The asking side of the control socket: blocking, with deadlines.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::protocol::{Answer, Ask, BadLine, line};

/// How long a daemon may be silent. One that is at work says so several times a second.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// The longest line that is taken from a daemon, in bytes: a status tells of many things.
const ANSWER_MAX: u64 = 1 << 20;

/// A connection to a daemon.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to a daemon's socket.
    ///
    /// # Errors
    /// There is none, nobody listens, or it must not be used.
    pub fn connect(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Asks about the mount.
    ///
    /// # Errors
    /// The connection failed; [`io::ErrorKind::WouldBlock`] when the daemon does not listen.
    pub fn ask(&mut self, ask: &Ask) -> Result<(), BadLine> {
        self.stream.get_mut().write_all(&line(ask)?)?;
        Ok(())
    }

    /// Asks about these paths.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn ask_about(&mut self, ask: &Ask, paths: &[String]) -> Result<(), BadLine> {
        let mut out = io::BufWriter::new(self.stream.get_mut());
        out.write_all(&line(ask)?)?;
        for path in paths {
            out.write_all(&line(path)?)?;
        }
        out.write_all(&line(&None::<String>)?)?;
        out.flush()?;
        Ok(())
    }

    /// The next thing that the daemon says; nothing when it closed the connection.
    ///
    /// # Errors
    /// The connection failed, or what came is no answer; [`io::ErrorKind::WouldBlock`] when the
    /// daemon was silent for [`PATIENCE`].
    pub fn answer(&mut self) -> Result<Option<Answer>, BadLine> {
        let mut line = Vec::new();
        self.stream.by_ref().take(ANSWER_MAX).read_until(b'\n', &mut line)?;
        match line.last() {
            None => Ok(None),
            Some(b'\n') => Ok(Some(serde_json::from_slice(&line)?)),
            Some(_) => Err(BadLine::Cut),
        }
    }
}
