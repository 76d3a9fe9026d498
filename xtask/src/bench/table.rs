//! A report for people; Markdown, so that it can be kept.

use std::fmt::Write as _;

use super::report::{Figures, Outcome, Report, Row, Spread, Target};

const HEAD: &str = "\
| case | mount | rate (baseline) | ratio, min / median | CPU (baseline) | ratio, min / median \
| reader, server CPU | VmHWM MiB (baseline) | GETs (plan) | other requests |\n\
|---|---|---|---|---|---|---|---|---|---|\n";

pub(super) fn text(report: &Report) -> String {
    let machine = &report.machine;
    let mut text = format!(
        "\n{}, {} cores, Linux {}; load at the start {}\n{}\n{HEAD}",
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.load,
        "Streams: MB/s and CPU s/GiB. Small files: files/s and CPU ms/file. Medians.\n",
    );
    for outcome in &report.outcomes {
        for row in &outcome.rows {
            text += &line(outcome, row);
        }
    }
    text + &targets(&report.targets)
}

/// What was promised, and whether it holds.
pub(super) fn targets(targets: &[Target]) -> String {
    let mut text = "\n| target | measured | limit | |\n|---|---|---|---|\n".to_owned();
    for target in targets {
        let met = if target.met { "met" } else { "**not met**" };
        let (name, measured, limit) = (&target.name, target.measured, target.limit);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {name} | {measured:.2} | {limit:.2} | {met} |");
    }
    text
}

fn line(outcome: &Outcome, row: &Row) -> String {
    let (ours, base) = (&row.figures, &outcome.baseline);
    let reader = ours.reader_cpu.map_or(f64::NAN, |cpu| cpu.median);
    let digits = if outcome.small { 0 } else { 1 };
    format!(
        "| {} | {} | {:.digits$} ({:.digits$}) | {} | {:.2} ({:.2}) | {} | {reader:.2}, {:.2} \
         | {} ({}) | {} | {} |\n",
        outcome.name,
        row.variant,
        ours.rate.median,
        base.rate.median,
        pair(row.rate_ratio),
        ours.cpu.median,
        base.cpu.median,
        pair(row.cpu_ratio),
        ours.server_cpu.median,
        ours.memory_peak >> 20,
        base.memory_peak >> 20,
        gets(ours, outcome.planned_gets),
        ours.other_requests,
    )
}

fn pair(spread: Spread) -> String {
    format!("{:.2} / {:.2}", spread.min, spread.median)
}

fn gets(figures: &Figures, plan: u64) -> String {
    let mark = if figures.as_planned { "" } else { " **not as planned**" };
    format!("{} ({plan}){mark}", figures.gets)
}
