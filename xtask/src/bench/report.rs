//! From samples to ratios and targets.

#[cfg(test)]
mod tests;

use std::fs;

use serde::Serialize;

use super::case::{Case, FILLING_NAME, Kind, ROOMY_NAME};
use super::measure::{Sample, Samples};

const MIB: u64 = 1 << 20;

/// Where it was measured, and how busy the machine was when it began.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) kernel: String,
    /// As `/proc/loadavg` says it.
    pub(super) load: String,
}

impl Machine {
    pub(super) fn here() -> Self {
        let line = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let cpuinfo = line("/proc/cpuinfo");
        let name = cpuinfo.lines().find(|line| line.starts_with("model name"));
        let processor = name.and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown");
        Self {
            processor: processor.to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: line("/proc/sys/kernel/osrelease"),
            load: line("/proc/loadavg"),
        }
    }
}

/// The smallest, middle and largest of one figure over the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) max: f64,
}

impl Spread {
    /// Of no figures: not a number.
    pub(super) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let last = sorted.len().saturating_sub(1);
        let median = f64::midpoint(at(last / 2), at(last.div_ceil(2)));
        Self { min: at(0), median, max: at(last) }
    }
}

/// What one client did in a case.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    /// Large objects: MB (10^6 bytes) a second. Small ones: objects a second.
    pub(super) rate: Spread,
    /// Large objects: CPU seconds per GiB. Small ones: CPU milliseconds per object.
    pub(super) cpu: Spread,
    /// In the same unit.
    pub(super) server_cpu: Spread,
    /// In the same unit; the mount only.
    pub(super) reader_cpu: Option<Spread>,
    /// The worst of the rounds, bytes.
    pub(super) memory_peak: u64,
    /// GETs of the round that differs most from the plan.
    pub(super) gets: u64,
    /// All other requests of the round with most of them.
    pub(super) other_requests: u64,
    /// Whether every round had exactly the planned GETs, and no body byte twice.
    pub(super) as_planned: bool,
}

impl Figures {
    fn of(case: &Case, samples: &[Sample]) -> Self {
        let units = match case.kind {
            Kind::Streams => case.objects.bytes() as f64 / (1_u64 << 30) as f64,
            Kind::Small => case.objects.count as f64 / 1000.0,
        };
        let amount = match case.kind {
            Kind::Streams => case.objects.bytes() as f64 / 1e6,
            Kind::Small => case.objects.count as f64,
        };
        let gets = |sample: &Sample| sample.counters.requests("GetObject");
        let other = |sample: &Sample| sample.counters.total().requests - gets(sample);
        let fetched = |sample: &Sample| sample.counters.operation("GetObject").bytes_out;
        let plan = case.objects.gets();
        let planned =
            |sample: &Sample| gets(sample) == plan && fetched(sample) == case.objects.bytes();
        let reader = samples.iter().filter_map(|sample| sample.reader_cpu);
        let reader: Vec<f64> = reader.map(|cpu| cpu.total() / units).collect();
        Self {
            rate: Spread::of(samples.iter().map(|sample| amount / sample.seconds)),
            cpu: Spread::of(samples.iter().map(|sample| sample.cpu.total() / units)),
            server_cpu: Spread::of(samples.iter().map(|s| s.server_cpu.total() / units)),
            reader_cpu: (!reader.is_empty()).then(|| Spread::of(reader)),
            memory_peak: samples.iter().map(|s| s.memory_peak).max().unwrap_or_default(),
            gets: samples.iter().map(gets).max_by_key(|n| n.abs_diff(plan)).unwrap_or_default(),
            other_requests: samples.iter().map(other).max().unwrap_or_default(),
            as_planned: samples.iter().all(planned),
        }
    }
}

/// One variant of the mount beside the baseline.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) variant: &'static str,
    pub(super) figures: Figures,
    /// The mount's rate over the baseline's, within each round.
    pub(super) rate_ratio: Spread,
    /// The mount's CPU time over the baseline's, within each round.
    pub(super) cpu_ratio: Spread,
    /// Its rate over that of the variant with 1 GiB of memory, within each round.
    pub(super) roomy_ratio: Option<Spread>,
    /// CPU time of mount and reader with a cache that is being filled over that without, within
    /// each round.
    pub(super) filling_ratio: Option<Spread>,
}

/// One case.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) name: String,
    pub(super) small: bool,
    pub(super) planned_gets: u64,
    pub(super) baseline: Figures,
    pub(super) rows: Vec<Row>,
    samples: Samples,
}

/// A promise and what was measured.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) measured: f64,
    pub(super) limit: f64,
    pub(super) met: bool,
}

impl Target {
    pub(super) fn at_most(name: String, measured: f64, limit: f64) -> Self {
        Self { name, measured, limit, met: measured <= limit }
    }

    pub(super) fn at_least(name: String, measured: f64, limit: f64) -> Self {
        Self { name, measured, limit, met: measured >= limit }
    }
}

/// What is printed and written.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) quick: bool,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) targets: Vec<Target>,
}

impl Report {
    pub(super) fn new(machine: Machine, quick: bool, measured: Vec<(Case, Samples)>) -> Self {
        let targets = measured.iter().flat_map(|(case, samples)| targets(case, samples)).collect();
        let outcomes = measured.into_iter().map(|(case, samples)| outcome(&case, samples));
        Self { machine, quick, outcomes: outcomes.collect(), targets }
    }

    /// Whether every request was as planned, in every case and round.
    pub(super) fn is_as_planned(&self) -> bool {
        self.outcomes.iter().all(|outcome| {
            let mounts = outcome.rows.iter().map(|row| &row.figures);
            mounts.chain([&outcome.baseline]).all(|figures| figures.as_planned)
        })
    }
}

/// Quotients of samples of the same round.
fn ratio(over: &[Sample], under: &[Sample], figure: impl Fn(&Sample) -> f64) -> Spread {
    Spread::of(over.iter().zip(under).map(|(over, under)| figure(over) / figure(under)))
}

fn rate(sample: &Sample) -> f64 {
    sample.bytes as f64 / sample.seconds
}

fn cpu_with_reader(sample: &Sample) -> f64 {
    sample.cpu.total() + sample.reader_cpu.map_or(0.0, |cpu| cpu.total())
}

fn rows(case: &Case, samples: &Samples) -> Vec<Row> {
    let named = || case.variants.iter().map(|variant| variant.name).zip(&samples.variants);
    let roomy = named().find(|(name, _)| *name == ROOMY_NAME).map(|(_, taken)| taken);
    named()
        .map(|(variant, taken)| Row {
            variant,
            figures: Figures::of(case, taken),
            rate_ratio: ratio(taken, &samples.baseline, rate),
            cpu_ratio: ratio(taken, &samples.baseline, |sample| sample.cpu.total()),
            roomy_ratio: roomy
                .filter(|_| variant != ROOMY_NAME)
                .map(|roomy| ratio(taken, roomy, rate)),
            filling_ratio: samples
                .variants
                .first()
                .filter(|_| variant == FILLING_NAME)
                .map(|without| ratio(taken, without, cpu_with_reader)),
        })
        .collect()
}

fn outcome(case: &Case, samples: Samples) -> Outcome {
    Outcome {
        name: case.name.clone(),
        small: case.kind == Kind::Small,
        planned_gets: case.objects.gets(),
        baseline: Figures::of(case, &samples.baseline),
        rows: rows(case, &samples),
        samples,
    }
}

/// The targets of a case: for the first of its variants, and for a cache beside that.
fn targets(case: &Case, samples: &Samples) -> Vec<Target> {
    let mut rows = rows(case, samples).into_iter();
    let Some(row) = rows.next() else { return vec![] };
    let name = |what: &str| format!("{}: {what}", case.name);
    let mut targets = vec![
        Target::at_least(name("throughput / baseline"), row.rate_ratio.median, 0.8),
        Target::at_most(name("CPU / baseline"), row.cpu_ratio.median, 1.2),
    ];
    let mib = |bytes: u64| bytes as f64 / MIB as f64;
    let memory_max = match (case.kind, case.threads) {
        (Kind::Streams, 1) => Some(128 * MIB),
        (Kind::Streams, 16) => Some(256 * MIB),
        _ => None,
    };
    if let Some(max) = memory_max {
        let peak = mib(row.figures.memory_peak);
        targets.push(Target::at_most(name("VmHWM, MiB"), peak, mib(max)));
        if let Some(roomy) = row.roomy_ratio {
            targets.push(Target::at_least(name("throughput / with 1 GiB"), roomy.median, 0.9));
        }
    }
    for (filling, ratio) in rows.filter_map(|row| Some((row.figures, row.filling_ratio?))) {
        let what = name("CPU (mount and reader) filling a cache / without one");
        targets.push(Target::at_most(what, ratio.median, 1.5));
        let (with, without) = (filling.memory_peak, row.figures.memory_peak);
        let what = name("VmHWM filling a cache, MiB, at most that without");
        targets.push(Target::at_most(what, mib(with), mib(without)));
    }
    targets
}
