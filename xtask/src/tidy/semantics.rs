//! The tables of docs/semantics.md: each point of what users know from Mountpoint for Amazon S3
//! has one row, which names what proves ours, or says "later".

use std::collections::BTreeMap;

use super::evidence::Evidence;
use super::rows::{Row, wrong_summary};

/// Id, what it is about, ours, proof.
const CELLS: usize = 4;
/// The points: the letter of each family, and how many it has.
const FAMILIES: [(char, usize); 6] = [('F', 7), ('N', 11), ('A', 6), ('O', 23), ('K', 7), ('M', 8)];
/// What the third cell says first. The last one says why nothing proves it.
const VERDICTS: [&str; 4] = ["same", "better: ", "different: ", "later: "];

/// What is wrong with the tables.
pub(super) fn complaints(document: &str, evidence: &Evidence) -> Vec<String> {
    let rows = Row::all(document, is_id);
    let mut complaints = wrong_ids(&rows);
    for row in &rows {
        let verdict = row.cells.get(2).map_or("", String::as_str);
        let wrong = row.complaints(CELLS, evidence).into_iter().chain(wrong_verdict(row, verdict));
        complaints.extend(wrong.map(|wrong| format!("{}: {wrong}", row.name())));
    }
    complaints.extend(wrong_summary(document, &rows));
    complaints
}

/// `F-01` and the like.
fn is_id(cell: &str) -> bool {
    let Some((family, number)) = cell.split_once('-') else { return false };
    let letter = family.len() == 1 && family.starts_with(|c: char| c.is_ascii_uppercase());
    letter && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Ids that are missing, there twice, or nobody's.
fn wrong_ids(rows: &[Row<'_>]) -> Vec<String> {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows {
        *times.entry(row.name().to_owned()).or_default() += 1;
    }
    let mut wrong = Vec::new();
    let points = FAMILIES.iter().flat_map(|(family, count)| {
        (1..=*count).map(move |number| format!("{family}-{number:02}"))
    });
    for point in points {
        match times.remove(&point) {
            Some(1) => {}
            Some(count) => wrong.push(format!("{point}: there are {count} rows of it")),
            None => wrong.push(format!("{point}: there is no row of it")),
        }
    }
    wrong.extend(times.into_keys().map(|id| format!("{id}: there is no such point")));
    wrong
}

/// What is wrong with what a row says of ours.
fn wrong_verdict(row: &Row<'_>, verdict: &str) -> Option<String> {
    if !VERDICTS.iter().any(|known| verdict.starts_with(known)) {
        return Some(format!("{verdict:?} is neither same, better, different nor later"));
    }
    let later = verdict.starts_with(VERDICTS[3]);
    (later != row.is_later()).then(|| "it is later in one cell and not in the other".to_owned())
}

#[cfg(test)]
mod tests;
