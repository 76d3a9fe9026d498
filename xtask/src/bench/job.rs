//! The processes of a bench that are this program again, and what they say at their end.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::proc::{Cpu, own_cpu, own_memory_peak};
use super::{CHILD, baseline, cached, reader, server, write};

/// What a child does; it goes with it as JSON, its one argument.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Job {
    Serve(server::Service),
    Fetch(baseline::Fetch),
    Read(reader::Read),
    Visit(cached::Visit),
    Java(cached::Java),
    Upload(write::Upload),
    Write(write::Write),
    Look(write::Look),
}

/// What a client of the objects says at its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Reading {
    /// From the first request to the last byte.
    pub(super) seconds: f64,
    pub(super) bytes: u64,
    /// From the start of the process.
    pub(super) cpu: Cpu,
    pub(super) memory_peak: u64,
}

impl Reading {
    /// The reading of this process, which ends with it.
    fn of_self(seconds: f64, bytes: u64) -> Result<Self> {
        Ok(Self { seconds, bytes, cpu: own_cpu()?, memory_peak: own_memory_peak()? })
    }
}

impl Job {
    /// Does it, in this process.
    pub(super) fn carry_out(self) -> Result<()> {
        let (seconds, bytes) = match self {
            Self::Serve(service) => return service.carry_out(),
            Self::Fetch(fetch) => fetch.carry_out()?,
            Self::Read(read) => read.carry_out()?,
            Self::Visit(visit) => return say(&visit.carry_out()?),
            Self::Upload(upload) => upload.carry_out()?,
            Self::Write(write) => write.carry_out()?,
            Self::Look(look) => return say(&look.carry_out()?),
            Self::Java(java) => return say(&java.carry_out()?),
        };
        say(&Reading::of_self(seconds, bytes)?)
    }

    /// A process that does it, killed when its handle is dropped.
    pub(super) fn command(&self) -> Result<Command> {
        let program = PathBuf::from("/proc/self/exe");
        let mut command = Command::new(program);
        command.args(["bench", CHILD]).arg(serde_json::to_string(self)?);
        command.stdin(Stdio::null()).kill_on_drop(true);
        Ok(command)
    }
}

fn say(what: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(what)?);
    Ok(())
}

/// Waits for the end of a client and answers what it said.
pub(super) async fn reading<T: DeserializeOwned>(command: &mut Command) -> Result<T> {
    let output = command.stderr(Stdio::inherit()).output().await?;
    ensure!(output.status.success(), "a client of the bench ended with {}", output.status);
    serde_json::from_slice(&output.stdout).context("what a client said at its end")
}
