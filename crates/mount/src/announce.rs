//! `mount-s3 announce`: a Kubernetes node is marked as ready while its mounts serve.
//!
//! It looks at the mounts as a probe does, and never asks S3: pods go on being sent to a node
//! whose mounts serve what they have while S3 is away.
//!
//! Exit codes: 0 ended by a signal, or announced (`--check`); 1 it is not; 2 usage.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use cluster::{Account, Api, Marks};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use crate::flags::Environment;
use crate::flags::announce::AnnounceArgs;
use crate::flags::warm::WarmArgs;
use crate::message::Problem;
use crate::state::Records;
use crate::status::{self, State};
use crate::warm;

/// How often the mounts are looked at.
const EVERY: Duration = Duration::from_secs(2);
/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Announces the node, or says whether it is announced.
///
/// # Errors
/// Why it cannot even be tried.
pub fn run(args: &AnnounceArgs, environment: &Environment) -> Result<ExitCode, Problem> {
    let uid = rustix::process::geteuid().as_raw();
    let records = Records::of_user(uid, environment.runtime_directory.as_deref());
    if args.check {
        let announced = records.announced().exists();
        return Ok(if announced { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let impossible = |why: String, fix: &str| Problem {
        what: format!("node {} cannot be announced", args.node),
        why,
        fix: fix.to_owned(),
    };
    let Some((host, port)) = environment.kubernetes.clone() else {
        let why = "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set".into();
        return Err(impossible(why, "run it in a pod, with a service account's token"));
    };
    let announcer = Announcer {
        args: args.clone(),
        environment: environment.clone(),
        api: Api::new(host, port, Account::of_pod()),
        records,
    };
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| impossible(error.to_string(), "see ulimit -u"))?;
    let ended = runtime.block_on(announcer.until_a_signal());
    // A look at a mount that hangs is not waited for.
    runtime.shutdown_background();
    ended.map_err(|error| impossible(error.to_string(), "see ulimit -n"))?;
    Ok(ExitCode::SUCCESS)
}

struct Announcer {
    args: AnnounceArgs,
    environment: Environment,
    api: Api,
    records: Records,
}

impl Announcer {
    async fn until_a_signal(&self) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            () = self.go_on() => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        self.note(false);
        if let Err(error) = self.api.mark(&self.args.node, &self.away()).await {
            self.say(&format!("its label may still be there: {error}"));
        }
        Ok(())
    }

    /// Warms, announces, watches, withdraws and announces again, without end.
    async fn go_on(&self) {
        let mut warm = self.args.warm.is_empty();
        let mut said = String::new();
        let mut is_marked = None;
        loop {
            let trouble = self.trouble(&mut warm).await;
            let ready = trouble.is_none();
            let marks = if ready { self.ready() } else { self.away() };
            let marked = match is_marked == Some(ready) {
                true => Ok(false),
                false => self.api.mark(&self.args.node, &marks).await,
            };
            let line = match (&marked, &trouble) {
                (Err(error), _) => error.to_string(),
                (Ok(_), Some(trouble)) => format!("not ready: {trouble}"),
                (Ok(_), None) => "its mounts serve, and what is to be warm is cached".to_owned(),
            };
            if line != said {
                self.say(&line);
                said = line;
            }
            is_marked = marked.is_ok().then_some(ready);
            self.note(ready && marked.is_ok());
            sleep(if marked.is_ok() { EVERY } else { AGAIN }).await;
        }
    }

    /// Why the node is not ready; nothing when it is. Fetches what is to be warm, once.
    async fn trouble(&self, warm: &mut bool) -> Option<String> {
        let (directories, records) = (self.args.directories.clone(), self.records.clone());
        if let Some(trouble) = aside(move || not_serving(&directories, &records)).await {
            return Some(trouble);
        }
        if !*warm {
            let (args, environment) = (self.args.clone(), self.environment.clone());
            if let Some(trouble) = aside(move || not_warmed(&args, &environment)).await {
                return Some(trouble);
            }
            *warm = true;
        }
        None
    }

    fn ready(&self) -> Marks {
        Marks {
            without_taint: self.args.remove_taint.clone(),
            with_label: self.args.label.clone(),
            without_label: None,
        }
    }

    fn away(&self) -> Marks {
        let label = self.args.label.as_ref().map(|label| label.key.clone());
        Marks { without_label: label, ..Marks::default() }
    }

    /// Notes for `--check` whether the node is announced.
    fn note(&self, announced: bool) {
        if let Err(error) = self.records.note_announced(announced) {
            self.say(&format!("--check will not know: {error}"));
        }
    }

    fn say(&self, what: &str) {
        crate::say(&format!("node {}: {}\n", self.args.node, crate::log::one_line(what)));
    }
}

/// Does what may block, and says what of it is trouble.
async fn aside(look: impl FnOnce() -> Option<String> + Send + 'static) -> Option<String> {
    let looked = tokio::task::spawn_blocking(look).await;
    looked.unwrap_or_else(|error| Some(error.to_string()))
}

/// The first mount that does not serve, and why.
fn not_serving(directories: &[PathBuf], records: &Records) -> Option<String> {
    directories.iter().find_map(|directory| {
        let why = match status::look(directory, records, false) {
            Ok(report) if report.state == State::Serving => return None,
            Ok(report) => report.state.trouble(directory).unwrap_or_default(),
            Err(cause) => cause.problem("", directory).why,
        };
        Some(format!("{}: {why}", directory.display()))
    })
}

/// Why what is to be warm is not all in the cache.
fn not_warmed(args: &AnnounceArgs, environment: &Environment) -> Option<String> {
    args.warm.iter().find_map(|(directory, list)| {
        let patterns = match patterns(list) {
            Ok(patterns) if patterns.is_empty() => return None,
            Ok(patterns) => patterns,
            Err(error) => return Some(format!("{}: {error}", list.display())),
        };
        let order = WarmArgs::quiet(directory.clone(), patterns, args.pin);
        match warm::run(&order, environment) {
            Ok(code) if code == ExitCode::SUCCESS => None,
            Ok(_) => Some(format!("some files of {} could not be fetched", directory.display())),
            Err(problem) => Some(format!("{}: {}", problem.what, problem.why)),
        }
    })
}

fn patterns(list: &Path) -> std::io::Result<Vec<String>> {
    let text = std::fs::read_to_string(list)?;
    let lines = text.lines().map(str::trim);
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests;
