//! Serving one connection: worker threads that read, decode and hand over.

use crate::abi::{self, Plain};
use crate::decode::{DecodeError, Op, Request, decode};
use crate::device::{BackingId, Device};
use crate::init::{Features, InitState, Wanted, negotiate};
use crate::interrupt::{self, Interrupts};
use crate::notify::Notifier;
use crate::pending::{Caller, Pending};
use crate::reply::{Channel, Reply};
use crate::worker::Crew;
use std::io::{self, IoSlice};
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// What the requests are given to.
pub trait Handler: Send + Sync + 'static {
    /// Takes one request. Must not wait for anything: what takes time is moved elsewhere along
    /// with the reply, after copying what is needed from the request.
    fn handle(&self, request: Request<'_>, reply: Reply);
}

/// Why no session came about.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The device could not be read or written.
    #[error("no INIT from the kernel")]
    Io(#[from] io::Error),
    /// The connection was initialised before; it can be adopted instead.
    #[error("the first message is not INIT: the connection is in use already")]
    NotInit,
    /// The kernel is too old, or of the far future.
    #[error("the kernel speaks FUSE {major}.{minor}; 7.23 or a later 7.x is needed")]
    Version {
        /// The kernel's major number.
        major: u32,
        /// The kernel's minor number.
        minor: u32,
    },
}

/// Why unanswered requests were not asked for again.
#[derive(Debug, thiserror::Error)]
pub enum ResendError {
    /// RESEND was not agreed upon (before Linux 6.9, or switched off).
    #[error("the kernel cannot send unanswered requests again")]
    Unsupported,
    /// The device refused.
    #[error("asking for unanswered requests failed")]
    Io(#[from] io::Error),
}

/// How a session came to its end.
#[derive(Debug)]
pub enum Ended {
    /// The file system was unmounted, or the connection aborted.
    Unmounted,
    /// [`Control::stop`] was called; the mount goes on without us.
    Stopped,
    /// The device failed.
    Failed(io::Error),
}

/// A connection whose INIT is settled, ready to be served.
#[derive(Debug)]
pub struct Session {
    device: Arc<Device>,
    init: InitState,
}

impl Session {
    /// Waits for the kernel's INIT on a device just mounted, and answers it.
    ///
    /// # Errors
    /// See [`HandshakeError`].
    pub fn handshake(device: Device, wanted: &Wanted) -> Result<Session, HandshakeError> {
        let mut buffer = vec![0; abi::BUFFER_MIN];
        let length = loop {
            match device.read(&mut buffer) {
                Ok(length) => break length,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => device.wait_readable()?,
                Err(e) => return Err(e.into()),
            }
        };
        let request = decode(buffer.get(..length).unwrap_or_default());
        let Ok(Request { unique, op: Op::Init(offer), .. }) = request else {
            if let Ok(request) = request {
                device.write_header(request.unique, -libc::EIO)?;
            }
            return Err(HandshakeError::NotInit);
        };
        let Some((init, out)) = negotiate(&offer, wanted) else {
            device.write_header(unique, -libc::EPROTO)?;
            return Err(HandshakeError::Version { major: offer.major, minor: offer.minor });
        };
        let len = (size_of::<abi::OutHeader>() + size_of::<abi::InitOut>()) as u32;
        let header = abi::OutHeader { len, error: 0, unique };
        device.write(&[IoSlice::new(header.as_bytes()), IoSlice::new(out.as_bytes())])?;
        let init = InitState { pid_namespace: interrupt::own_pid_namespace(), ..init };
        Ok(Session { device: Arc::new(device), init })
    }

    /// Goes on with a connection that another session initialised, possibly in another process.
    /// Call [`Session::resend`] afterwards for the requests it left behind.
    pub fn adopt(device: Device, init: InitState) -> Session {
        Session { device: Arc::new(device), init }
    }

    /// What was agreed upon with the kernel.
    pub fn init(&self) -> &InitState {
        &self.init
    }

    /// Has the kernel send all unanswered requests again, whoever read them: so nobody else may
    /// be answering any more. They come with [`Request::resent`] set, and may have been acted
    /// upon: an OPEN can have been counted, a RELEASE done.
    ///
    /// # Errors
    /// See [`ResendError`].
    pub fn resend(&self) -> Result<(), ResendError> {
        if !self.init.features.has(Features::RESEND) {
            return Err(ResendError::Unsupported);
        }
        Ok(self.device.write_header(0, abi::notify::RESEND)?)
    }

    /// Starts the notification thread.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn notifier(&self) -> io::Result<Notifier> {
        Notifier::start(self.device.clone(), self.init.minor)
    }

    /// Access to backing files, if passthrough was agreed upon.
    pub fn backing(&self) -> Option<Backing> {
        let agreed = self.init.features.has(Features::PASSTHROUGH);
        agreed.then(|| Backing(self.device.clone()))
    }

    /// Starts `workers` threads that give every request to `handler`.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn start(self, workers: NonZeroUsize, handler: Arc<dyn Handler>) -> io::Result<Running> {
        let pending = Pending::new(workers.get());
        let channel = Arc::new(Channel { device: self.device, pending });
        let interrupts = Arc::new(Interrupts::default());
        let crew = Arc::new(Crew::new()?);
        let pids_known = interrupt::pids_known(self.init.pid_namespace);
        let mut running = Running {
            control: Control { channel: channel.clone(), crew: crew.clone() },
            threads: Vec::with_capacity(workers.get()),
            interrupts: interrupts.clone(),
            watch: None,
        };
        let (watching, shared) = (interrupts.clone(), channel.clone());
        let watch = thread::Builder::new().name("fuse-interrupt".into());
        running.watch = Some(watch.spawn(move || watching.run(&shared, pids_known))?);
        for shard in 0..workers.get() {
            let worker = Worker {
                channel: channel.clone(),
                interrupts: interrupts.clone(),
                crew: crew.clone(),
                handler: handler.clone(),
                shard,
            };
            let size = self.init.buffer_size();
            let thread = thread::Builder::new().name(format!("fuse-{shard}"));
            running.threads.push(thread.spawn(move || worker.run(size))?);
        }
        Ok(running)
    }
}

/// Registers and gives up backing files on a session's connection.
#[derive(Clone, Debug)]
pub struct Backing(Arc<Device>);

impl Backing {
    /// As [`Device::open_backing`].
    ///
    /// # Errors
    /// As there.
    pub fn open(&self, file: BorrowedFd<'_>) -> io::Result<BackingId> {
        self.0.open_backing(file)
    }

    /// As [`Device::close_backing`].
    ///
    /// # Errors
    /// As there.
    pub fn close(&self, id: BackingId) -> io::Result<()> {
        self.0.close_backing(id)
    }
}

/// A session being served. Dropped, it stops as by [`Control::stop`].
pub struct Running {
    control: Control,
    threads: Vec<JoinHandle<Ended>>,
    interrupts: Arc<Interrupts>,
    watch: Option<JoinHandle<()>>,
}

impl Running {
    /// A handle to stop the session from elsewhere.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Waits until all workers have left, and says why they did.
    pub fn wait(mut self) -> Ended {
        self.join()
    }

    fn join(&mut self) -> Ended {
        let mut ended = Ended::Stopped;
        for thread in self.threads.drain(..) {
            match thread.join() {
                Ok(Ended::Stopped) => {}
                Ok(Ended::Failed(_)) if matches!(ended, Ended::Unmounted) => {}
                Ok(other) => ended = other,
                Err(_) => ended = Ended::Failed(io::Error::other("a worker panicked")),
            }
        }
        self.interrupts.close();
        if let Some(watch) = self.watch.take() {
            let _ = watch.join();
        }
        ended
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.control.stop();
        }
        self.join();
    }
}

/// Stops a session and tells of its state; cheap to clone.
#[derive(Clone)]
pub struct Control {
    channel: Arc<Channel>,
    crew: Arc<Crew>,
}

impl Control {
    /// Makes the workers leave, without unmounting, and waits until none reads any more (called
    /// by a handler, it does not wait for the worker it runs on). Requests that were read can
    /// still be answered.
    pub fn stop(&self) {
        self.crew.dismiss();
    }

    /// Requests read and not yet answered.
    pub fn in_flight(&self) -> usize {
        self.channel.pending.len()
    }

    /// Gives all unanswered requests up without answering them, so that a successor can have
    /// them by RESEND; later answers are swallowed. How many there were.
    pub fn abandon(&self) -> usize {
        self.channel.pending.abandon()
    }
}

/// One worker thread's belongings.
struct Worker {
    channel: Arc<Channel>,
    interrupts: Arc<Interrupts>,
    crew: Arc<Crew>,
    handler: Arc<dyn Handler>,
    shard: usize,
}

impl Worker {
    fn run(self, buffer_size: usize) -> Ended {
        let member = self.crew.join();
        let mut buffer = vec![0; buffer_size];
        while !member.is_dismissed() {
            let length = match self.channel.device.read(&mut buffer) {
                // A stand-in for the device ends like a socket does.
                Ok(0) => return Ended::Unmounted,
                Ok(length) => length,
                Err(error) => match self.recover(error) {
                    None => continue,
                    Some(ended) => return ended,
                },
            };
            self.serve(buffer.get(..length).unwrap_or_default());
        }
        Ended::Stopped
    }

    /// What a failed read means: `None` to read again.
    fn recover(&self, error: io::Error) -> Option<Ended> {
        match error.raw_os_error() {
            Some(libc::ENODEV | libc::ECONNABORTED) => Some(Ended::Unmounted),
            // A signal, or the request was given up while it was being read.
            Some(libc::EINTR | libc::ENOENT) => None,
            Some(libc::EAGAIN) => {
                let _ = self.channel.device.wait_readable();
                None
            }
            _ => {
                tracing::error!(%error, "reading requests failed");
                Some(Ended::Failed(error))
            }
        }
    }

    fn serve(&self, message: &[u8]) {
        match decode(message) {
            Ok(Request { op: Op::Interrupt { unique }, .. }) => self.interrupts.push(unique),
            Ok(request) => self.hand_over(request),
            Err(error) => {
                tracing::error!(%error, "undecodable request");
                if let DecodeError::Arguments { unique, .. } = error {
                    let _ = self.channel.device.write_header(unique, -libc::EIO);
                }
            }
        }
    }

    fn hand_over(&self, request: Request<'_>) {
        let answered = !matches!(request.op, Op::Forget { .. } | Op::BatchForget(_));
        let flush = matches!(request.op, Op::Flush { .. }).then_some(request.unique);
        let ticket = answered.then(|| {
            let caller = Caller { pid: request.pid, reads: matches!(request.op, Op::Read { .. }) };
            self.channel.pending.register(self.shard, request.unique, caller)
        });
        let reply = Reply::new(self.channel.clone(), ticket);
        // A bug met by one request must not take the mount from everybody; its reply, dropped
        // on the way out, answers EIO.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.handler.handle(request, reply)));
        if outcome.is_err() {
            tracing::error!("the handler panicked; the request failed with EIO");
        }
        if let Some(unique) = flush.filter(|unique| self.channel.pending.caller(*unique).is_some())
        {
            self.interrupts.push_flush(unique);
        }
    }
}
