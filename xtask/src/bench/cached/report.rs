//! From samples to ratios and targets.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use serde::Serialize;

use super::measure::{Sample, Series, Subject};
use super::place::Kind;
use super::visit::PAGE;
use crate::bench::report::{Machine, Spread, Target};

const HEAD: &str = "\
| access | page cache | files | CPU ms, min / median | of the plain file's, min / median \
| of it the mount | time ms, min / median | of the plain file's, min / median | READs \
| MB through the mount | pages came back in |\n\
|---|---|---|---|---|---|---|---|---|---|---|\n";

/// A subject in one place.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    subject: &'static str,
    warm: bool,
    kind: Kind,
    /// Of reader and mount, seconds.
    cpu: Spread,
    /// The least of it over the least of the plain file's.
    cpu_ratio_of_min: f64,
    /// Within each round.
    cpu_ratio: Spread,
    /// Of the mount alone, seconds.
    mount_cpu: Spread,
    seconds: Spread,
    seconds_ratio_of_min: f64,
    seconds_ratio: Spread,
    /// The most READ requests of one measurement, where the daemon tells.
    reads: Option<u64>,
    /// The most bytes that the mount wrote in one measurement.
    written: u64,
    /// Measurements during which pages that had been given up came back, after all tries.
    unsettled: usize,
    samples: Vec<Sample>,
}

impl Row {
    fn new(series: &Series, kind: Kind, samples: &[Sample], plain: &[Sample]) -> Self {
        let cpu = |sample: &Sample| sample.reader_cpu + sample.mount_cpu;
        let seconds = |sample: &Sample| sample.seconds;
        let (cpu_of_min, cpu_ratio) = ratios(samples, plain, cpu);
        let (seconds_of_min, seconds_ratio) = ratios(samples, plain, seconds);
        Self {
            subject: series.subject.name(),
            warm: series.warm,
            kind,
            cpu: Spread::of(samples.iter().map(cpu)),
            cpu_ratio_of_min: cpu_of_min,
            cpu_ratio,
            mount_cpu: Spread::of(samples.iter().map(|sample| sample.mount_cpu)),
            seconds: Spread::of(samples.iter().map(seconds)),
            seconds_ratio_of_min: seconds_of_min,
            seconds_ratio,
            reads: samples.iter().map(|sample| sample.reads).max().flatten(),
            written: samples.iter().map(|sample| sample.written).max().unwrap_or_default(),
            unsettled: samples.iter().filter(|s| series.warm && s.refaults > 0).count(),
            samples: samples.to_vec(),
        }
    }

    fn line(&self) -> String {
        let ms = |spread: Spread| format!("{:.1} / {:.1}", spread.min * 1e3, spread.median * 1e3);
        let kind = match self.kind {
            Kind::Plain => "plain",
            Kind::Passthrough => "passthrough",
            Kind::Masked => "masked",
        };
        format!(
            "| {} | {} | {kind} | {} | {:.2} / {:.2} | {:.1} | {} | {:.2} / {:.2} | {} | {:.3} | {} |\n",
            self.subject,
            temperature(self.warm),
            ms(self.cpu),
            self.cpu_ratio_of_min,
            self.cpu_ratio.median,
            self.mount_cpu.median * 1e3,
            ms(self.seconds),
            self.seconds_ratio_of_min,
            self.seconds_ratio.median,
            self.reads.map_or_else(|| "-".to_owned(), |reads| reads.to_string()),
            self.written as f64 / 1e6,
            self.unsettled,
        )
    }
}

fn temperature(warm: bool) -> &'static str {
    if warm { "warm" } else { "dropped" }
}

/// The quotient of the least figures, and the quotients within each round.
fn ratios(over: &[Sample], under: &[Sample], figure: impl Fn(&Sample) -> f64) -> (f64, Spread) {
    let min = |samples: &[Sample]| Spread::of(samples.iter().map(&figure)).min;
    let rounds = over.iter().zip(under).map(|(over, under)| figure(over) / figure(under));
    (min(over) / min(under), Spread::of(rounds))
}

/// What is printed and written.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    machine: Machine,
    /// Of the cache and the plain files.
    file_system: String,
    /// Why Java was not measured.
    no_java: Option<String>,
    rows: Vec<Row>,
    pub(super) targets: Vec<Target>,
}

impl Report {
    pub(super) fn new(
        machine: Machine,
        file_system: String,
        no_java: Option<String>,
        series: &[Series],
    ) -> Self {
        let rows: Vec<_> = series.iter().flat_map(rows).collect();
        let mut targets: Vec<_> = series.iter().filter_map(target).collect();
        targets.extend(no_reads(&rows));
        Self { machine, file_system, no_java, rows, targets }
    }

    /// Whether no READ came to the daemon where the kernel was to read by itself: by its own
    /// counter, and by the bytes that it wrote while one file was read.
    pub(super) fn is_passed_through(&self) -> bool {
        no_reads(&self.rows).iter().all(|target| target.met)
    }

    /// The table of all rows.
    pub(super) fn text(&self) -> String {
        let machine = &self.machine;
        let mut text = format!(
            "\n{}, {} cores, Linux {}; load at the start {}; {}\n\n{HEAD}",
            machine.processor, machine.cores, machine.kernel, machine.load, self.file_system
        );
        text.extend(self.rows.iter().map(Row::line));
        if let Some(why) = &self.no_java {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "| JVM start | | not measured: {why} | | | | | | | | |");
        }
        text
    }
}

fn no_reads(rows: &[Row]) -> Vec<Target> {
    let passed = || rows.iter().filter(|row| row.kind == Kind::Passthrough);
    let java = Subject::Java.name();
    // Of many files even the names and opens are more than a page.
    let of_file = passed().filter(|row| row.subject != java);
    let pages = of_file.map(|row| row.written / PAGE).max().unwrap_or_default();
    let name = "pages from the daemon with passthrough".to_owned();
    let pages = Target::at_most(name, pages as f64, 0.0);
    let reads = passed().filter_map(|row| row.reads).max();
    let reads =
        reads.map(|reads| Target::at_most("READs with passthrough".to_owned(), reads as f64, 0.0));
    reads.into_iter().chain([pages]).collect()
}

fn samples(series: &Series, kind: Kind) -> &[Sample] {
    let found = series.places.iter().find(|(of, _)| *of == kind);
    found.map_or(&[], |(_, samples)| samples)
}

fn rows(series: &Series) -> Vec<Row> {
    let plain = samples(series, Kind::Plain);
    series.places.iter().map(|(kind, taken)| Row::new(series, *kind, taken, plain)).collect()
}

/// The promise about a way of reading, with passthrough.
fn target(series: &Series) -> Option<Target> {
    let Subject::File(means) = series.subject else { return None };
    let passed = rows(series).into_iter().find(|row| row.kind == Kind::Passthrough)?;
    let name = format!("{}, {}: CPU / plain", means.name(), temperature(series.warm));
    Some(Target::at_most(name, passed.cpu_ratio_of_min, means.limit()))
}
