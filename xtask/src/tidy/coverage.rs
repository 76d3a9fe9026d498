//! The table of docs/guide-coverage.md: each row names what proves it, or says "later".

use super::evidence::Evidence;
use super::rows::{Row, wrong_summary};

/// Number, what the guide says, ours, how it differs and why, proof.
const CELLS: usize = 5;

/// What is wrong with the table.
pub(super) fn complaints(document: &str, evidence: &Evidence) -> Vec<String> {
    let rows = Row::all(document, |cell| cell.starts_with(|c: char| c.is_ascii_digit()));
    let mut complaints = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let number = index + 1;
        if row.name() != number.to_string() {
            complaints.push(format!("row {number}: its number is not {number}: {}", row.line));
        }
        let wrong = row.complaints(CELLS, evidence);
        complaints.extend(wrong.into_iter().map(|wrong| format!("row {number}: {wrong}")));
    }
    complaints.extend(wrong_summary(document, &rows));
    complaints
}

#[cfg(test)]
mod tests;
