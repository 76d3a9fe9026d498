//! The run: servers, rounds, samples.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use lab::{Backing, Counters};
use serde::Serialize;
use tokio::process::Command;

use super::case::{Case, cases};
use super::options::Options;
use super::report::{self, Report};
use super::upload::{Look, Upload};
use super::writer::Write;
use crate::bench::case::Objects;
use crate::bench::job::{Job, Reading, reading};
use crate::bench::mounted::Mounted;
use crate::bench::proc::Cpu;
use crate::bench::program::program;
use crate::bench::report::Machine;
use crate::bench::server::Server;

/// Size and checksum of every object, as the server has them.
type Seen = Vec<(Option<i64>, Option<String>)>;

/// One client's writing of a case's objects.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Sample {
    pub(super) seconds: f64,
    /// Of the baseline's process; or of the program that writes to the mount.
    pub(super) writer_cpu: Cpu,
    /// Of all processes of the mount, from their start.
    pub(super) mount_cpu: Option<Cpu>,
    pub(super) server_cpu: Cpu,
    /// The most memory that the client's largest process had resident, bytes.
    pub(super) memory_peak: u64,
    /// What the server was asked for.
    pub(super) counters: Counters,
    #[serde(skip)]
    seen: Seen,
}

/// All samples of a case. Those of one index were taken one after the other.
#[derive(Debug, Default, Serialize)]
pub(super) struct Samples {
    pub(super) baseline: Vec<Sample>,
    pub(super) mount: Vec<Sample>,
}

/// Measures and reports. The exit code says whether every request was as planned.
pub(super) async fn all(options: &Options) -> Result<ExitCode> {
    let cases = cases(options);
    ensure!(!cases.is_empty(), "no case of this name");
    let stage = tempfile::tempdir()?;
    let program = program(options.binary.as_deref(), stage.path())?;
    let mut bench = Bench { program, stage: stage.path(), measurements: 0 };
    let machine = Machine::here();
    let mut measured = vec![];
    for tls in [false, true] {
        let these: Vec<_> = cases.iter().filter(|case| case.tls == tls).collect();
        if these.is_empty() {
            continue;
        }
        let server = Server::start(tls, Backing::Nowhere, stage.path()).await?;
        for case in these {
            server.set_latency(case.latency_ms).await?;
            let samples = bench.case(&server, case, options.rounds).await;
            measured.push((case.clone(), samples.with_context(|| case.name)?));
        }
        server.end().await?;
    }
    let report = Report::new(machine, options.quick, measured);
    print!("{}", report::text(&report));
    if let Some(path) = &options.json {
        fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(if report.is_as_planned() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Bench<'a> {
    program: PathBuf,
    stage: &'a Path,
    /// Measurements made so far; each writes objects of its own.
    measurements: u32,
}

impl Bench<'_> {
    async fn case(&mut self, server: &Server, case: &Case, rounds: usize) -> Result<Samples> {
        let mut samples = Samples::default();
        for round in 0..=rounds {
            // The first round brings everything into the state that the others meet.
            eprintln!("{} round {round}/{rounds}", case.name);
            // Every other round runs backwards, so that a trend of the machine favours nobody.
            let (baseline, mount) = if round % 2 == 0 {
                let mount = self.mount(server, case).await?;
                (self.baseline(server, case).await?, mount)
            } else {
                (self.baseline(server, case).await?, self.mount(server, case).await?)
            };
            ensure!(baseline.seen == mount.seen, "the mount wrote other bytes than the baseline");
            if round > 0 {
                samples.baseline.push(baseline);
                samples.mount.push(mount);
            }
        }
        Ok(samples)
    }

    fn objects(&mut self, case: &Case) -> Objects {
        self.measurements += 1;
        case.objects(self.measurements)
    }

    async fn baseline(&mut self, server: &Server, case: &Case) -> Result<Sample> {
        let objects = self.objects(case);
        let (access, in_flight) = (server.access.clone(), case.in_flight);
        let upload = Upload { access, objects: objects.clone(), in_flight };
        server.reset_counters().await?;
        let before = server.cpu()?;
        let mut command = trusting(server, Job::Upload(upload).command()?);
        let Reading { seconds, cpu, memory_peak, .. } = reading(&mut command).await?;
        Ok(Sample {
            seconds,
            writer_cpu: cpu,
            mount_cpu: None,
            server_cpu: server.cpu()?.since(before),
            memory_peak,
            counters: server.counters().await?,
            seen: look(server, objects).await?,
        })
    }

    async fn mount(&mut self, server: &Server, case: &Case) -> Result<Sample> {
        let objects = self.objects(case);
        let directory = self.stage.join(format!("mount-{}", self.measurements));
        server.reset_counters().await?;
        let before = server.cpu()?;
        let mounted = Mounted::start(&self.program, server, &[], &directory).await?;
        let root = mounted.root.clone();
        let write = Write { root, objects: objects.clone(), threads: case.threads };
        let wrote: Reading = reading(&mut Job::Write(write).command()?).await?;
        let family = mounted.family()?;
        let (server_cpu, counters) = (server.cpu()?.since(before), server.counters().await?);
        mounted.end().await?;
        Ok(Sample {
            seconds: wrote.seconds,
            writer_cpu: wrote.cpu,
            mount_cpu: Some(family.cpu),
            server_cpu,
            memory_peak: family.memory_peak,
            counters,
            seen: look(server, objects).await?,
        })
    }
}

async fn look(server: &Server, objects: Objects) -> Result<Seen> {
    let look = Look { access: server.access.clone(), objects };
    reading(&mut trusting(server, Job::Look(look).command()?)).await
}

/// The same command, which trusts the server's certificate.
fn trusting(server: &Server, mut command: Command) -> Command {
    if let Some(file) = &server.ca_file {
        command.env("SSL_CERT_FILE", file);
    }
    command
}
