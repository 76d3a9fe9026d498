//! Rows of a document's tables whose last cell names what proves them, or says "later".

use super::evidence::Evidence;

/// What stands in the last cell of a row that nothing proves yet.
pub(super) const LATER: &str = "**later**";
/// Where the files are that a row may name.
const PLACES: [&str; 5] = ["crates/", "deploy/", "docs/", "e2e/", "scripts/"];

/// One row.
pub(super) struct Row<'a> {
    /// The line as it stands.
    pub(super) line: &'a str,
    /// What is between its bars.
    pub(super) cells: Vec<String>,
}

impl<'a> Row<'a> {
    /// The rows of all tables whose first cell is one that rows of this kind begin with; headings
    /// and rules are none.
    pub(super) fn all(document: &'a str, begins: impl Fn(&str) -> bool) -> Vec<Self> {
        let rows = document.lines().filter(|line| line.starts_with('|'));
        let rows = rows.map(|line| Row { line, cells: cells(line) });
        rows.filter(|row| row.cells.first().is_some_and(|cell| begins(cell))).collect()
    }

    /// The first cell.
    pub(super) fn name(&self) -> &str {
        self.cells.first().map_or("", String::as_str)
    }

    /// Whether nothing proves the row yet.
    pub(super) fn is_later(&self) -> bool {
        self.cells.last().is_some_and(|cell| cell == LATER)
    }

    /// What is wrong with a row that is to have so many cells: its shape, or else what it names.
    pub(super) fn complaints(&self, count: usize, evidence: &Evidence) -> Vec<String> {
        if self.cells.len() != count {
            return vec![format!("{} cells, not {count}: {}", self.cells.len(), self.line)];
        }
        let proof = self.cells.last().filter(|_| !self.is_later());
        let wrong = proof.map_or_else(Vec::new, |proof| wrong_proofs(proof, evidence));
        let paths = self.cells.iter().flat_map(|cell| paths(cell));
        let missing = paths.filter(|path| !evidence.has_file(path));
        wrong.into_iter().chain(missing.map(|path| format!("{path} does not exist"))).collect()
    }
}

/// What is wrong with the line that counts the rows.
pub(super) fn wrong_summary(document: &str, rows: &[Row<'_>]) -> Option<String> {
    let later = rows.iter().filter(|row| row.is_later()).count();
    let summary = summary(rows.len(), later);
    let there = document.lines().any(|line| line == summary);
    (!there).then(|| format!("the summary has to be: {summary}"))
}

/// The line that counts the rows.
pub(super) fn summary(rows: usize, later: usize) -> String {
    format!("**{rows} rows: {} proven, {later} later.**", rows - later)
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
