//! From samples to ratios and targets.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use serde::Serialize;

use super::case::{Case, Kind};
use super::measure::{Sample, Samples};
use crate::bench::report::{Machine, Spread, Target};
use crate::bench::table;

const MIB: u64 = 1 << 20;

const HEAD: &str = "\
| case | rate (baseline) | ratio, min / median | CPU of mount and writer (baseline) \
| ratio, min / median | of it the writer | server CPU | VmHWM MiB (baseline) \
| requests that change something |\n\
|---|---|---|---|---|---|---|---|---|\n";

/// One case.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    name: &'static str,
    /// A large object: MB (10^6 bytes) a second. Small ones: objects a second.
    rate: Spread,
    baseline_rate: Spread,
    rate_ratio: Spread,
    /// Large: CPU seconds per GiB. Small: CPU milliseconds per object.
    cpu: Spread,
    baseline_cpu: Spread,
    cpu_ratio: Spread,
    writer_cpu: Spread,
    server_cpu: Spread,
    /// The worst of the rounds, bytes.
    memory_peak: u64,
    baseline_memory_peak: u64,
    /// The most of all rounds.
    changes: u64,
    as_planned: bool,
    samples: Samples,
}

/// What is printed and written.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    machine: Machine,
    quick: bool,
    rows: Vec<Row>,
    targets: Vec<Target>,
}

impl Report {
    pub(super) fn new(machine: Machine, quick: bool, measured: Vec<(Case, Samples)>) -> Self {
        let mut report = Self { machine, quick, rows: vec![], targets: vec![] };
        for (case, samples) in measured {
            let row = row(&case, samples);
            report.targets.extend(targets(&case, &row));
            report.rows.push(row);
        }
        report
    }

    /// Whether every request of every mount was as planned.
    pub(super) fn is_as_planned(&self) -> bool {
        self.rows.iter().all(|row| row.as_planned)
    }
}

/// CPU seconds of everything but the server.
fn cpu(sample: &Sample) -> f64 {
    sample.writer_cpu.total() + sample.mount_cpu.map_or(0.0, |cpu| cpu.total())
}

fn row(case: &Case, samples: Samples) -> Row {
    let bytes = (case.count * case.size) as f64;
    let (amount, units) = match case.kind {
        Kind::Stream => (bytes / 1e6, bytes / (1_u64 << 30) as f64),
        Kind::Small => (case.count as f64, case.count as f64 / 1000.0),
    };
    let of = |samples: &[Sample], figure: &dyn Fn(&Sample) -> f64| {
        Spread::of(samples.iter().map(figure))
    };
    let ratio = |figure: &dyn Fn(&Sample) -> f64| {
        let pairs = samples.mount.iter().zip(&samples.baseline);
        Spread::of(pairs.map(|(mount, baseline)| figure(mount) / figure(baseline)))
    };
    let peak = |samples: &[Sample]| samples.iter().map(|s| s.memory_peak).max().unwrap_or(0);
    let rate = |sample: &Sample| amount / sample.seconds;
    let changes = samples.mount.iter().map(|sample| Case::changes(&sample.counters));
    Row {
        name: case.name,
        rate: of(&samples.mount, &rate),
        baseline_rate: of(&samples.baseline, &rate),
        rate_ratio: ratio(&rate),
        cpu: of(&samples.mount, &|s| cpu(s) / units),
        baseline_cpu: of(&samples.baseline, &|s| cpu(s) / units),
        cpu_ratio: ratio(&cpu),
        writer_cpu: of(&samples.mount, &|s| s.writer_cpu.total() / units),
        server_cpu: of(&samples.mount, &|s| s.server_cpu.total() / units),
        memory_peak: peak(&samples.mount),
        baseline_memory_peak: peak(&samples.baseline),
        changes: changes.max().unwrap_or(0),
        as_planned: samples.mount.iter().all(|sample| case.is_as_planned(&sample.counters)),
        samples,
    }
}

fn targets(case: &Case, row: &Row) -> Vec<Target> {
    let name = |what: &str| format!("{}: {what}", case.name);
    match case.kind {
        Kind::Stream => vec![
            Target::at_least(name("throughput / baseline"), row.rate_ratio.median, 0.8),
            Target::at_most(name("CPU / baseline"), row.cpu_ratio.median, 1.2),
            Target::at_most(name("VmHWM, MiB"), row.memory_peak as f64 / MIB as f64, 128.0),
        ],
        Kind::Small => {
            let what = name("rate / one request after another");
            vec![Target::at_least(what, row.rate_ratio.median, 10.0)]
        }
    }
}

/// The report for people; Markdown, so that it can be kept.
pub(super) fn text(report: &Report) -> String {
    let machine = &report.machine;
    let mut text = format!(
        "\n{}, {} cores, Linux {}; load at the start {}\n\
         Streams: MB/s and CPU s/GiB. Small files: files/s and CPU ms/file. Medians.\n\n{HEAD}",
        machine.processor, machine.cores, machine.kernel, machine.load,
    );
    for row in &report.rows {
        let pair = |spread: Spread| format!("{:.2} / {:.2}", spread.min, spread.median);
        let mark = if row.as_planned { "" } else { " **not as planned**" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {:.1} ({:.1}) | {} | {:.2} ({:.2}) | {} | {:.2} | {:.2} | {} ({}) | {}{mark} |",
            row.name,
            row.rate.median,
            row.baseline_rate.median,
            pair(row.rate_ratio),
            row.cpu.median,
            row.baseline_cpu.median,
            pair(row.cpu_ratio),
            row.writer_cpu.median,
            row.server_cpu.median,
            row.memory_peak / MIB,
            row.baseline_memory_peak / MIB,
            row.changes,
        );
    }
    text + &table::targets(&report.targets)
}
