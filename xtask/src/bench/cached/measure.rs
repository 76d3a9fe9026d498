//! The run: places, rounds, samples.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use aws_sdk_s3::primitives::ByteStream;
use lab::{Backing, synthetic};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::java::{self, Java};
use super::options::Options;
use super::place::{Kind, Place};
use super::report::Report;
use super::visit::{Means, PAGE, Spent, Visit};
use super::vmstat::{drop_caches, file_system, refaults};
use crate::bench::baseline;
use crate::bench::case::{BUCKET, Objects, VERSION};
use crate::bench::job::{Job, reading};
use crate::bench::mounted::Mounted;
use crate::bench::program::program;
use crate::bench::report::Machine;
use crate::bench::server::Server;
use crate::bench::table;

/// Large enough that opening it is nothing beside reading it, bytes.
const SIZE: u64 = 256 << 20;
/// Where the file is, from each root.
const PREFIX: &str = "file/";
/// Where the JARs are, from each root.
const JARS: &str = "jars";
/// How often a measurement is made during which pages had to come back.
const TRIES: u32 = 3;
/// How long it may take until what was read is complete in the cache.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often that is looked at.
const POLL: Duration = Duration::from_millis(200);

/// What is done with the files of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    File(Means),
    Java,
}

impl Subject {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::File(means) => means.name(),
            Self::Java => "JVM start",
        }
    }
}

/// One measurement.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Sample {
    pub(super) seconds: f64,
    /// Seconds.
    pub(super) reader_cpu: f64,
    /// Seconds, in the same time.
    pub(super) mount_cpu: f64,
    /// READ requests that the daemon counted, where it tells.
    pub(super) reads: Option<u64>,
    /// Bytes that the mount wrote, to the kernel or elsewhere.
    pub(super) written: u64,
    /// Pages of the machine that had been given up and came back meanwhile.
    pub(super) refaults: u64,
    pub(super) tries: u32,
}

/// All samples of one subject; those of one index were taken one after the other.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) subject: Subject,
    pub(super) warm: bool,
    pub(super) places: Vec<(Kind, Vec<Sample>)>,
}

/// Measures and reports. The exit code says whether the kernel read by itself where it should:
/// that is exact, while targets in ratios are for people to judge.
pub(super) async fn all(options: &Options) -> Result<ExitCode> {
    let stage = match &options.directory {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir()?,
    };
    let program = program(options.binary.as_deref(), stage.path())?;
    let machine = Machine::here();
    let server = Server::start(false, Backing::Memory, stage.path()).await?;
    let mut bench = Bench { stage: stage.path(), places: vec![], java: None, series: vec![] };
    let no_java = bench.prepare(&server, options.jars.as_deref()).await?;
    bench.mount(&program, &server).await?;
    for round in 1..=options.rounds {
        eprintln!("round {round}/{}", options.rounds);
        bench.round(round % 2 == 0).await?;
    }
    for mounted in bench.places.into_iter().filter_map(|place| place.mounted) {
        mounted.end().await?;
    }
    server.end().await?;
    let report = Report::new(machine, file_system(stage.path())?, no_java, &bench.series);
    print!("{}{}", report.text(), table::targets(&report.targets));
    if let Some(path) = &options.json {
        fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(if report.is_passed_through() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Bench<'a> {
    stage: &'a Path,
    places: Vec<Place>,
    /// The directory of the Java program, where Java is measured.
    java: Option<PathBuf>,
    series: Vec<Series>,
}

impl Bench<'_> {
    /// Puts the same files beside the cache and into the bucket. Answers why Java is not
    /// measured, if so.
    async fn prepare(&mut self, server: &Server, jars: Option<&Path>) -> Result<Option<String>> {
        let object = Objects::new(PREFIX, 1, SIZE);
        server.put(&object).await?;
        let root = self.stage.join("plain");
        for directory in [PREFIX, JARS] {
            fs::create_dir_all(root.join(directory))?;
        }
        for key in object.keys() {
            write(&root.join(&key), &key)?;
        }
        let no_java = no_java(jars);
        if let (Some(jars), None) = (jars, &no_java) {
            let program = self.stage.join("program");
            java::compile(&program)?;
            copy_jars(server, jars, &root.join(JARS)).await?;
            self.java = Some(program);
        }
        self.places.push(Place { kind: Kind::Plain, root, mounted: None });
        Ok(no_java)
    }

    /// Makes both mounts, on one cache, which is filled by the first.
    async fn mount(&mut self, program: &Path, server: &Server) -> Result<()> {
        let cache = self.stage.join("cache");
        fs::create_dir(&cache)?;
        for (kind, name) in [(Kind::Passthrough, "passthrough"), (Kind::Masked, "masked")] {
            let mut flags: Vec<OsString> =
                vec!["--read-only".into(), "--cache".into(), cache.clone().into()];
            flags.extend(["--metadata-ttl", "indefinite"].map(Into::into));
            if kind == Kind::Masked {
                flags.extend(["--mask-kernel-features", "passthrough"].map(Into::into));
            }
            let mounted = Mounted::start(program, server, &flags, &self.stage.join(name)).await?;
            let place = Place { kind, root: mounted.root.clone(), mounted: Some(mounted) };
            if kind == Kind::Passthrough {
                self.fill(&place).await?;
            }
            self.places.push(place);
        }
        Ok(())
    }

    /// Reads every file until the kernel reads all of them by itself.
    async fn fill(&self, place: &Place) -> Result<()> {
        let mut files = vec![place.root.join(Objects::new(PREFIX, 1, SIZE).keys().concat())];
        if self.java.is_some() {
            files.extend(java::jars(&place.root.join(JARS))?);
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            // What the kernel kept of an incomplete file would be read without us as well.
            drop_caches()?;
            let mut through_us = vec![];
            for path in &files {
                let before = place.written()?;
                std::io::copy(&mut File::open(path)?, &mut std::io::sink())?;
                if place.written()? - before >= PAGE {
                    through_us.push(path);
                }
            }
            if through_us.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("the kernel does not read by itself: {through_us:?}");
            }
            sleep(POLL).await;
        }
    }

    /// Every other round runs backwards, so that a trend of the machine favours nobody.
    async fn round(&mut self, backwards: bool) -> Result<()> {
        let files = Means::ALL.map(Subject::File).into_iter();
        let java = self.java.is_some().then_some(Subject::Java);
        for subject in files.chain(java) {
            for warm in [true, false] {
                let mut taken = vec![];
                for place in &self.places {
                    taken.push((place.kind, place));
                }
                if backwards {
                    taken.reverse();
                }
                for (kind, place) in taken {
                    let sample = self.sample(place, subject, warm).await;
                    let sample = sample.with_context(|| format!("{} {kind:?}", subject.name()))?;
                    add(&mut self.series, (subject, warm, kind), sample);
                }
            }
        }
        Ok(())
    }

    async fn sample(&self, place: &Place, subject: Subject, warm: bool) -> Result<Sample> {
        let job = self.job(place, subject, warm)?;
        let mut tries = 0;
        loop {
            tries += 1;
            // A warm page cache, too: in what pieces the kernel keeps a file depends on how it was
            // read first, and a map of large pieces costs a tenth of one of small ones.
            drop_caches()?;
            if warm {
                self.warm_up(place, subject).await?;
            }
            let (reads, before) = (place.reads()?, refaults()?);
            let (written, cpu) = (place.written()?, place.cpu()?);
            let spent: Spent = reading(&mut job.command()?).await?;
            let sample = Sample {
                seconds: spent.seconds,
                reader_cpu: spent.cpu_seconds,
                mount_cpu: place.cpu()?.since(&cpu),
                written: place.written()? - written,
                refaults: refaults()? - before,
                reads: place.reads()?.zip(reads).map(|(now, before)| now - before),
                tries,
            };
            if !warm || sample.refaults == 0 || tries == TRIES {
                return Ok(sample);
            }
        }
    }

    /// Reads what will be read.
    async fn warm_up(&self, place: &Place, subject: Subject) -> Result<()> {
        let whole = match subject {
            Subject::File(_) => Subject::File(Means::Sequential),
            Subject::Java => Subject::Java,
        };
        let _: Spent = reading(&mut self.job(place, whole, true)?.command()?).await?;
        Ok(())
    }

    fn job(&self, place: &Place, subject: Subject, warm: bool) -> Result<Job> {
        match subject {
            Subject::File(means) => {
                let key = Objects::new(PREFIX, 1, SIZE).keys().concat();
                let (path, pages) = (place.root.join(&key), means.pages(warm));
                Ok(Job::Visit(Visit { path, key, size: SIZE, means, pages }))
            }
            Subject::Java => {
                let program = self.java.clone().context("no Java")?;
                Ok(Job::Java(Java { jars: place.root.join(JARS), program }))
            }
        }
    }
}

fn add(series: &mut Vec<Series>, of: (Subject, bool, Kind), sample: Sample) {
    let (subject, warm, kind) = of;
    let known = series.iter().position(|s| (s.subject, s.warm) == (subject, warm));
    let index = known.unwrap_or_else(|| {
        let places = [Kind::Plain, Kind::Passthrough, Kind::Masked].map(|kind| (kind, vec![]));
        series.push(Series { subject, warm, places: places.into() });
        series.len() - 1
    });
    let places = series.get_mut(index).into_iter().flat_map(|series| &mut series.places);
    places.filter(|(of, _)| *of == kind).for_each(|(_, samples)| samples.push(sample));
}

/// Why Java is not measured.
fn no_java(jars: Option<&Path>) -> Option<String> {
    if jars.is_none() {
        return Some("no JARs were given (--jars DIR)".to_owned());
    }
    let missing = ["java", "javac"].into_iter().find(|program| {
        let mut command = Command::new(program);
        command.arg("-version").stdout(Stdio::null()).stderr(Stdio::null());
        !command.status().is_ok_and(|status| status.success())
    });
    missing.map(|program| format!("there is no {program} on this machine"))
}

/// A synthetic object as a plain file, on the disk.
fn write(path: &Path, key: &str) -> Result<()> {
    let mut file = File::create(path)?;
    let mut buffer = vec![0; 1 << 20];
    for offset in (0..SIZE).step_by(buffer.len()) {
        synthetic::fill(key, VERSION, offset, &mut buffer);
        file.write_all(&buffer)?;
    }
    Ok(file.sync_all()?)
}

/// The JARs of a directory into the bucket and beside the cache.
async fn copy_jars(server: &Server, from: &Path, to: &Path) -> Result<()> {
    let client = baseline::client(&server.access);
    for jar in java::jars(from)? {
        let name = jar.file_name().and_then(|name| name.to_str()).context("a JAR's name")?;
        let bytes = fs::read(&jar)?;
        fs::write(to.join(name), &bytes)?;
        let request = client.put_object().bucket(BUCKET).key(format!("{JARS}/{name}"));
        request.body(ByteStream::from(bytes)).send().await.with_context(|| name.to_owned())?;
    }
    Ok(())
}
