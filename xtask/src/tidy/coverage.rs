//! The table of docs/guide-coverage.md: each row names what proves it, or says "later".

use super::evidence::Evidence;

/// What stands in the last cell of a row that nothing proves yet.
const LATER: &str = "**later**";
/// Number, what the guide says, ours, how it differs and why, proof.
const CELLS: usize = 5;
/// Where the files are that a row may name.
const PLACES: [&str; 5] = ["crates/", "deploy/", "docs/", "e2e/", "scripts/"];

/// What is wrong with the table.
pub(super) fn complaints(document: &str, evidence: &Evidence) -> Vec<String> {
    let rows: Vec<&str> = document.lines().filter(|line| is_row(line)).collect();
    let mut complaints = Vec::new();
    let mut later = 0;
    for (index, row) in rows.iter().enumerate() {
        let cells = cells(row);
        let number = index + 1;
        if cells.first() != Some(&number.to_string()) {
            complaints.push(format!("row {number}: its number is not {number}: {row}"));
        }
        if cells.len() != CELLS {
            complaints.push(format!("row {number}: {} cells, not {CELLS}: {row}", cells.len()));
            continue;
        }
        let wrong = match cells[CELLS - 1].as_str() {
            LATER => Vec::new(),
            proof => wrong_proofs(proof, evidence),
        };
        later += usize::from(cells[CELLS - 1] == LATER);
        let paths = cells.iter().flat_map(|cell| paths(cell));
        let missing = paths.filter(|path| !evidence.has_file(path));
        let missing = missing.map(|path| format!("{path} does not exist"));
        complaints
            .extend(wrong.into_iter().chain(missing).map(|wrong| format!("row {number}: {wrong}")));
    }
    let summary = summary(rows.len(), later);
    if !document.lines().any(|line| line == summary) {
        complaints.push(format!("the summary has to be: {summary}"));
    }
    complaints
}

/// The line that counts the rows.
fn summary(rows: usize, later: usize) -> String {
    format!("**{rows} rows: {} proven, {later} later.**", rows - later)
}

/// Whether a line is a row, and no heading or rule of a table.
fn is_row(line: &str) -> bool {
    let first = line.strip_prefix('|').and_then(|rest| rest.split('|').next());
    first.is_some_and(|cell| cell.trim().starts_with(|c: char| c.is_ascii_digit()))
}

/// The cells of a row. A bar behind a backslash is part of its cell.
fn cells(row: &str) -> Vec<String> {
    const BAR: &str = "\u{0}";
    let row = row.replace("\\|", BAR);
    let inner = row.trim().trim_start_matches('|');
    let inner = inner.strip_suffix('|').unwrap_or(inner);
    inner.split('|').map(|cell| cell.trim().replace(BAR, "|")).collect()
}

/// What of a proof does not exist; an empty one, or one with other words in it, is none.
fn wrong_proofs(cell: &str, evidence: &Evidence) -> Vec<String> {
    let named = |one: &str| {
        let name = one.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
        match name {
            Some(name) if evidence.proves(name) => None,
            Some(name) => Some(format!("nothing is called {name}, or it does not run")),
            None => Some(format!("{one:?} is neither a proof in backticks nor {LATER}")),
        }
    };
    cell.split(", ").filter_map(named).collect()
}

/// The files and directories that a cell names.
fn paths(cell: &str) -> Vec<&str> {
    let spans = cell.split('`').skip(1).step_by(2);
    let is_path = |span: &&str| {
        PLACES.iter().any(|place| span.starts_with(place)) && !span.contains([' ', '*', '{'])
    };
    spans.filter(is_path).collect()
}

#[cfg(test)]
mod tests;
