//! The process that talks to S3 and serves the mount.

use std::fs;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use anyhow::Context;
use fuse::Device;
use fuse::mount::table::Connection;
use rustix::process::{
    Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit,
};
use rustix::thread::set_name;

use super::link::{Answer, Request};
use super::{Link, Place, detach_stdio};
use crate::flags::Config;
use crate::log::{self, Delivery};
use crate::message::{self, Problem};

/// Open files that a mount may need: connections, cached objects, cloned devices.
const OPEN_FILES: u64 = 1 << 20;

/// What the daemon's body tells the world through: it asks the keeper to mount, and says when
/// the mount serves.
#[derive(Debug)]
pub struct Ready {
    link: Link,
    foreground: bool,
}

/// A mount that was just made; nobody serves it yet.
#[derive(Debug)]
pub struct Mounted {
    /// The descriptor to serve it by; INIT has not been answered.
    pub device: Device,
    /// The kernel's number of it.
    pub connection: Connection,
}

impl Ready {
    /// Has the directory mounted. To be called when the store has answered, and followed at once
    /// by the handshake: until then whoever looks at the directory waits.
    ///
    /// # Errors
    /// A [`Problem`] when it cannot be mounted; anything else when the keeper is gone.
    pub fn mount(&self) -> anyhow::Result<Mounted> {
        self.link.send(&Request::Mount, None).context("the keeper is gone")?;
        let answer = self.link.receive().context("the keeper cannot be understood")?;
        match answer.context("the keeper is gone")? {
            (Answer::Mounted { connection: number }, Some(fd)) => {
                Ok(Mounted { device: Device::from_fd(fd), connection: Connection { number } })
            }
            (Answer::Mounted { .. }, None) => anyhow::bail!("the keeper sent no device"),
            (Answer::Refused(what, why, fix), _) => Err(Problem { what, why, fix }.into()),
        }
    }

    /// Says that the mount serves: the user's command returns. In the background, standard
    /// output and error are given up; from here on there is only the log.
    ///
    /// # Errors
    /// The keeper is gone.
    pub fn serving(self, region: Option<&str>) -> anyhow::Result<()> {
        detach_stdio(!self.foreground).context("/dev/null cannot be opened")?;
        set_parent_process_death_signal(None).context("the keeper's death stays fatal")?;
        let region = region.map(str::to_owned);
        self.link.send(&Request::Serving { region }, None).context("the keeper is gone")
    }
}

/// Serves the mount that `config` describes until it ends.
pub(super) fn run(config: Config, place: &Place) -> ExitCode {
    // A name is for people; a process without one works as well.
    let _ = set_name(c"mount-s3");
    let sink = match log::open(&config.log, &place.log_file) {
        Ok(sink) => sink,
        Err(error) => return fail(&error.into(), &config),
    };
    let _log = log::start(&config.log, sink, Delivery::Queued);
    let result = prepare(&config).and_then(|ready| crate::serve::serve(config.clone(), ready));
    match result {
        Ok(()) => {
            tracing::info!("unmounted {}", config.directory.display());
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error, &config),
    }
}

fn fail(error: &anyhow::Error, config: &Config) -> ExitCode {
    tracing::error!("{error:#}");
    // After the mount served, standard error leads nowhere in the background.
    crate::complain(message::explain(error, config));
    ExitCode::FAILURE
}

fn prepare(config: &Config) -> anyhow::Result<Ready> {
    let link = Link::inherited().context("the link to the keeper is missing")?;
    detach_stdio(false).context("/dev/null cannot be opened")?;
    // Until the mount serves, a daemon without a keeper is of no use to anybody.
    set_parent_process_death_signal(Some(Signal::TERM))?;
    std::env::set_current_dir("/").context("/ cannot be entered")?;
    raise_open_files();
    volunteer_for_the_oom_killer();
    watch_signals(link.duplicate()?, config)?;
    Ok(Ready { link, foreground: config.foreground })
}

/// Raises the limit of open files as far as allowed.
fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(OPEN_FILES, |most| most.min(OPEN_FILES));
    if current.is_some_and(|now| now < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!("the limit of open files stays at {current:?}: {error}");
        }
    }
}

/// Should memory run out, the daemon is to be killed before the keeper: one leaves a mount that
/// is taken away cleanly, the other one that nobody takes away.
fn volunteer_for_the_oom_killer() {
    const FILE: &str = "/proc/self/oom_score_adj";
    const MORE: i32 = 100;
    let raised = fs::read_to_string(FILE)
        .and_then(|text| text.trim().parse::<i32>().map_err(io::Error::other))
        .and_then(|score| fs::write(FILE, (score + MORE).min(1_000).to_string()));
    if let Err(error) = raised {
        tracing::debug!("oom_score_adj stays as it is: {error}");
    }
}

/// Has SIGTERM, SIGINT and SIGHUP passed on to the keeper, which unmounts; that ends the session
/// and so the daemon.
fn watch_signals(keeper: Link, config: &Config) -> anyhow::Result<()> {
    let signals = super::keeper::signals().context("signals cannot be watched")?;
    let directory = config.directory.clone();
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            while arrived(&signals) {
                if keeper.send(&Request::Unmount, None).is_ok() {
                    continue;
                }
                // The keeper was killed: its work is ours.
                tracing::warn!("the keeper is gone; unmounting without it");
                let ours = fuse::mount::table::mount_at(&directory)
                    .is_ok_and(|mount| mount.is_some_and(|m| m.kind == crate::mountpoint::KIND));
                if !ours || crate::mountpoint::detach(&directory).is_err() {
                    std::process::exit(1);
                }
            }
        })
        .context("no thread for signals")?;
    Ok(())
}

fn arrived(mut signals: &UnixStream) -> bool {
    let mut byte = [0];
    loop {
        match signals.read(&mut byte) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(length) => return length > 0,
            Err(_) => return false,
        }
    }
}
