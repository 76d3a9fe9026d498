use super::*;
use crate::tidy::rows::summary;

fn evidence() -> Evidence {
    Evidence::of_names(
        &["mount::it life::it_lives", "e2e guide-first-job", "make check-deploy"],
        &["deploy/node/README.md"],
    )
}

/// A document of these rows with a right summary.
fn document(rows: &[&str], later: usize) -> String {
    let head = "| # | the guide | ours | difference | proof |\n|---|---|---|---|---|";
    format!("# Table\n\n{}\n\n{head}\n{}\n", summary(rows.len(), later), rows.join("\n"))
}

#[track_caller]
fn found(rows: &[&str], later: usize, expected: &str) {
    let complaints = complaints(&document(rows, later), &evidence());
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(complaints[0].contains(expected), "{expected:?} is not in {complaints:?}");
}

#[test]
fn a_right_table_is_left_alone() {
    let rows = [
        "| 1 | `mount \\| grep` | `deploy/node/README.md` | none | `mount::it life::it_lives`, `e2e guide-first-job` |",
        "| 2 | a pod | a pod | not yet | **later** |",
        "| 3 | a file | `deploy/*.yaml` | none | `make check-deploy` |",
    ];
    assert_eq!(complaints(&document(&rows, 1), &evidence()), Vec::<String>::new());
}

#[test]
fn a_proof_that_does_not_exist_is_found() {
    found(&["| 1 | a | b | c | `mount::it life::it_died` |"], 0, "mount::it life::it_died");
    found(&["| 1 | a | b | c | `e2e guide-last-job` |"], 0, "e2e guide-last-job");
    found(&["| 1 | a | b | c | `make everything` |"], 0, "make everything");
    let one_of_two = "| 1 | a | b | c | `make check-deploy`, `make tea` |";
    found(&[one_of_two], 0, "make tea");
}

#[test]
fn a_row_with_neither_proof_nor_later_is_found() {
    found(&["| 1 | a | b | c |  |"], 0, "neither a proof");
    found(&["| 1 | a | b | c | later |"], 0, "neither a proof");
    found(&["| 1 | a | b | c | `make check-deploy` and later |"], 0, "neither a proof");
}

#[test]
fn a_row_that_is_out_of_shape_is_found() {
    found(&["| 1 | a | b | `make check-deploy` |"], 0, "4 cells");
    found(&["| 1 | a | x | y | b | `make check-deploy` |"], 0, "6 cells");
    let twice = ["| 1 | a | b | c | **later** |", "| 1 | a | b | c | **later** |"];
    found(&twice, 2, "its number is not 2");
}

#[test]
fn a_file_that_does_not_exist_is_found() {
    let row = "| 1 | a | `deploy/node/GONE.md` | c | `make check-deploy` |";
    found(&[row], 0, "deploy/node/GONE.md does not exist");
}

#[test]
fn a_summary_that_does_not_count_right_is_found() {
    found(&["| 1 | a | b | c | **later** |"], 0, "**1 rows: 0 proven, 1 later.**");
    let none = complaints("no table, no summary", &evidence());
    assert_eq!(none, ["the summary has to be: **0 rows: 0 proven, 0 later.**"]);
}
