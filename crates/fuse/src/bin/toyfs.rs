//! A file system of one file, as a daemon that can be killed: for tests of take-over, and the
//! smallest example of the crate.
//!
//! `toyfs INIT HOLD` serves the connection whose device is its standard input. INIT is `new`
//! (answer the kernel's INIT and print the result in hex), `new-clone` (the same, then serve
//! through a cloned device without RESEND) or the hex that a predecessor printed. READs from
//! offset HOLD on are never answered, and the first of them is told on standard output.

use std::error::Error;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use fuse::{
    Attr, Device, Entry, Features, Handler, InitState, Op, OpenMode, Opened, Reply, Request,
    ResendError, Session, Wanted,
};

const FILE: u64 = 2;
const NAME: &[u8] = b"file";
const SIZE: u64 = 8 << 20;
const TTL: Duration = Duration::from_secs(3600);

struct Toy {
    hold: u64,
    held: Sender<Reply>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match serve(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("toyfs: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(words: &[String]) -> Result<(), Box<dyn Error>> {
    let [init, hold] = words else { return Err("usage: toyfs new|new-clone|HEX HOLD".into()) };
    let device = Device::from_fd(io::stdin().as_fd().try_clone_to_owned()?);
    let session = match init.as_str() {
        "new" => greet(device, &Wanted::default())?,
        "new-clone" => {
            let wanted = Wanted::default();
            let features = wanted.features.without(Features::RESEND);
            let keeper = device.duplicate()?;
            let session = greet(device, &Wanted { features, ..wanted })?;
            Session::adopt(keeper.clone_connection()?, *session.init())
        }
        stored => {
            let session = Session::adopt(device, InitState::from_bytes(&unhex(stored)?)?);
            match session.resend() {
                Err(ResendError::Unsupported) => {}
                resent => resent?,
            }
            session
        }
    };
    let (held, holding) = channel();
    let toy = Arc::new(Toy { hold: hold.parse()?, held });
    let running = session.start(NonZeroUsize::MIN, toy)?;
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for reply in holding {
            kept.push(reply);
            if kept.len() == 1 {
                println!("holding");
            }
        }
    });
    running.wait();
    Ok(())
}

fn greet(device: Device, wanted: &Wanted) -> Result<Session, Box<dyn Error>> {
    let session = Session::handshake(device, wanted)?;
    println!("{}", session.init().to_bytes().map(|byte| format!("{byte:02x}")).concat());
    Ok(session)
}

fn unhex(text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let digits = |at: usize| text.get(at..at + 2).ok_or("an odd number of digits");
    (0..text.len()).step_by(2).map(|at| Ok(u8::from_str_radix(digits(at)?, 16)?)).collect()
}

fn attr(nodeid: u64) -> Attr {
    let (mode, size) = if nodeid == FILE { (0o100_444, SIZE) } else { (0o40_555, 0) };
    Attr { ino: nodeid, size, blocks: size / 512, mode, nlink: 1, ..Attr::default() }
}

impl Handler for Toy {
    fn handle(&self, request: Request<'_>, reply: Reply) {
        match request.op {
            Op::Lookup { name: NAME } => {
                let attr = attr(FILE);
                let entry = Entry { nodeid: FILE, ttl: TTL, attr, attr_ttl: TTL, generation: 0 };
                let _ = reply.entry(&entry);
            }
            Op::Lookup { .. } => reply.error(2),
            Op::Getattr { .. } => reply.attr(&attr(request.nodeid), TTL),
            Op::Open { .. } => {
                let mode = OpenMode::Cached { keep: true };
                let _ = reply.opened(&Opened { fh: 1, mode, no_flush: true });
            }
            Op::Read { offset, size, .. } if offset + u64::from(size) > self.hold => {
                let _ = self.held.send(reply);
            }
            Op::Read { offset, size, .. } => {
                let end = (offset + u64::from(size)).min(SIZE);
                let bytes: Vec<u8> = (offset..end).map(byte_at).collect();
                reply.data(&[&bytes]);
            }
            Op::Release { .. } | Op::Flush { .. } => reply.ok(),
            Op::Forget { .. } | Op::BatchForget(_) => reply.none(),
            _ => reply.error(38),
        }
    }
}

/// The file's content: a function of the place.
fn byte_at(at: u64) -> u8 {
    (at.wrapping_mul(31) ^ (at >> 9)) as u8
}
