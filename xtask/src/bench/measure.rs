//! The run: servers, rounds, samples.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use lab::Counters;
use serde::Serialize;

use super::case::{Case, Objects, VARIANT_FOR_WARMING, Variant, cases};
use super::job::{Job, Reading, reading};
use super::mounted::Mounted;
use super::options::Options;
use super::proc::Cpu;
use super::program::program;
use super::report::{Machine, Report};
use super::server::Server;
use super::{baseline, reader, table};

/// One client's reading of a case's objects.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Sample {
    pub(super) seconds: f64,
    pub(super) bytes: u64,
    /// Of the client: the baseline's process, or all processes of the mount, from their start.
    pub(super) cpu: Cpu,
    /// Of the program that reads from the mount.
    pub(super) reader_cpu: Option<Cpu>,
    pub(super) server_cpu: Cpu,
    /// The most memory that the client's largest process had resident, bytes.
    pub(super) memory_peak: u64,
    /// What the server was asked for.
    pub(super) counters: Counters,
}

/// All samples of a case. Samples of one index were taken one after the other.
#[derive(Debug, Serialize)]
pub(super) struct Samples {
    pub(super) baseline: Vec<Sample>,
    /// In the order of the case's variants.
    pub(super) variants: Vec<Vec<Sample>>,
}

/// Measures and reports. The exit code says whether every request was as planned: that is
/// exact, while targets in ratios are for people to judge.
pub(super) async fn all(options: &Options) -> Result<ExitCode> {
    let cases = cases(options);
    ensure!(!cases.is_empty(), "no case of this name; --list shows them");
    if options.list {
        for case in cases {
            println!("{}", case.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let stage = tempfile::tempdir()?;
    let mut bench = Bench {
        program: program(options.binary.as_deref(), stage.path())?,
        stage: stage.path(),
        mounts: 0,
    };
    let machine = Machine::here();
    let mut measured = vec![];
    for tls in [false, true] {
        let these: Vec<_> = cases.iter().filter(|case| case.tls == tls).collect();
        if these.is_empty() {
            continue;
        }
        let server = Server::start(tls, lab::Backing::Memory, stage.path()).await?;
        bench.warm_up(&server).await?;
        for case in these {
            server.put(&case.objects).await?;
            server.set_latency(case.latency_ms).await?;
            let samples = bench.case(&server, case, options.rounds).await;
            measured.push((case.clone(), samples.with_context(|| case.name.clone())?));
        }
        server.end().await?;
    }
    let report = Report::new(machine, options.quick, measured);
    print!("{}", table::text(&report));
    if let Some(path) = &options.json {
        fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(if report.is_as_planned() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Bench<'a> {
    program: PathBuf,
    stage: &'a Path,
    /// Mounts made so far; each gets a directory of its own.
    mounts: u32,
}

impl Bench<'_> {
    /// Brings clocks, allocators and code into the state that all that follows meets.
    async fn warm_up(&mut self, server: &Server) -> Result<()> {
        let objects = Objects::for_warming();
        server.put(&objects).await?;
        let case = Case::for_warming(objects);
        self.baseline(server, &case).await?;
        self.mount(server, &case, &VARIANT_FOR_WARMING).await?;
        Ok(())
    }

    async fn case(&mut self, server: &Server, case: &Case, rounds: usize) -> Result<Samples> {
        let mut samples = Samples { baseline: vec![], variants: vec![vec![]; case.variants.len()] };
        for round in 1..=rounds {
            eprintln!("{} round {round}/{rounds}", case.name);
            // Every other round runs backwards, so that a trend of the machine favours nobody.
            let backwards = round % 2 == 0;
            if !backwards {
                samples.baseline.push(self.baseline(server, case).await?);
            }
            let mut order: Vec<_> = case.variants.iter().zip(&mut samples.variants).collect();
            if backwards {
                order.reverse();
            }
            for (variant, taken) in order {
                taken.push(self.mount(server, case, variant).await?);
            }
            if backwards {
                samples.baseline.push(self.baseline(server, case).await?);
            }
        }
        Ok(samples)
    }

    async fn baseline(&self, server: &Server, case: &Case) -> Result<Sample> {
        let fetch = baseline::Fetch {
            access: server.access.clone(),
            objects: case.objects.clone(),
            in_flight: case.in_flight,
        };
        let mut command = Job::Fetch(fetch).command()?;
        if let Some(file) = &server.ca_file {
            command.env("SSL_CERT_FILE", file);
        }
        server.reset_counters().await?;
        let server_before = server.cpu()?;
        let Reading { seconds, bytes, cpu, memory_peak } = reading(&mut command).await?;
        Ok(Sample {
            seconds,
            bytes,
            cpu,
            reader_cpu: None,
            server_cpu: server.cpu()?.since(server_before),
            memory_peak,
            counters: server.counters().await?,
        })
    }

    async fn mount(&mut self, server: &Server, case: &Case, variant: &Variant) -> Result<Sample> {
        self.mounts += 1;
        let directory = self.stage.join(format!("mount-{}", self.mounts));
        server.reset_counters().await?;
        let server_before = server.cpu()?;
        let cache = directory.join("cache");
        let mut flags: Vec<OsString> = vec!["--read-only".into()];
        flags.extend(variant.flags.iter().map(OsString::from));
        if variant.cache {
            fs::create_dir_all(&cache)?;
            flags.extend(["--cache".into(), cache.clone().into()]);
        }
        let mounted = Mounted::start(&self.program, server, &flags, &directory).await?;
        let read = reader::Read {
            root: mounted.root.clone(),
            objects: case.objects.clone(),
            threads: case.threads,
            list_first: variant.list_first,
        };
        let read: Reading = reading(&mut Job::Read(read).command()?).await?;
        let family = mounted.family()?;
        let sample = Sample {
            seconds: read.seconds,
            bytes: read.bytes,
            cpu: family.cpu,
            reader_cpu: Some(read.cpu),
            server_cpu: server.cpu()?.since(server_before),
            memory_peak: family.memory_peak,
            counters: server.counters().await?,
        };
        mounted.end().await?;
        if variant.cache {
            fs::remove_dir_all(&cache)?;
        }
        Ok(sample)
    }
}
