use super::*;
use crate::tidy::rows::summary;

const GOOD: &str = "| same | `fs::it names::it_is_so` |";

fn evidence() -> Evidence {
    Evidence::of_names(&["fs::it names::it_is_so", "fs ttl::tests::it_lasts"], &["docs/names.md"])
}

/// A document with a right row of each point, in which `change` changed the rows.
fn document(later: usize, change: impl FnOnce(&mut Vec<String>)) -> String {
    let points = FAMILIES.iter().flat_map(|(family, count)| (1..=*count).map(move |n| (family, n)));
    let mut rows: Vec<String> =
        points.map(|(family, n)| format!("| {family}-{n:02} | a point {GOOD}")).collect();
    change(&mut rows);
    let head = "| id | about | ours | proof |\n|---|---|---|---|";
    format!("# Table\n\n{}\n\n{head}\n{}\n", summary(rows.len(), later), rows.join("\n"))
}

/// The one complaint about a document whose row of N-02 goes on like this.
#[track_caller]
fn found(row: &str, later: usize, expected: &str) {
    let changed = document(later, |rows| {
        let place = rows.iter().position(|row| row.starts_with("| N-02")).unwrap();
        rows[place] = format!("| N-02 | {row}");
    });
    check(&changed, expected);
}

#[track_caller]
fn check(document: &str, expected: &str) {
    let complaints = complaints(document, &evidence());
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(complaints[0].contains(expected), "{expected:?} is not in {complaints:?}");
}

#[test]
fn right_tables_are_left_alone() {
    let changed = document(1, |rows| {
        rows[0] = "| F-01 | a `\\|` b | better: `docs/names.md` | `fs::it names::it_is_so`, `fs ttl::tests::it_lasts` |".into();
        rows[1] = "| F-02 | a point | later: nobody asked for it | **later** |".into();
        // Text between the tables is none of them, and neither is another table.
        rows.insert(7, "\n## Names\n\n| key | shown as |\n|---|---|\n| `a` | a file |\n".into());
    });
    let changed = changed.replace("**63 rows: 62", "**62 rows: 61");
    assert_eq!(complaints(&changed, &evidence()), Vec::<String>::new());
}

#[test]
fn a_point_without_a_row_is_found() {
    let gone = document(0, |rows| drop(rows.remove(0)));
    check(&gone, "F-01: there is no row of it");
    let last = document(0, |rows| drop(rows.pop()));
    check(&last, "M-08: there is no row of it");
}

#[test]
fn a_point_with_two_rows_is_found() {
    let twice = document(0, |rows| rows.push(rows[3].clone()));
    check(&twice, "F-04: there are 2 rows of it");
}

#[test]
fn a_row_of_no_point_is_found() {
    for id in ["F-08", "X-01", "N-00", "A-1"] {
        let more = document(0, |rows| rows.push(format!("| {id} | a point {GOOD}")));
        check(&more, &format!("{id}: there is no such point"));
    }
}

#[test]
fn a_proof_that_does_not_exist_is_found() {
    found("a | same | `fs::it names::it_was_so` |", 0, "N-02: nothing is called fs::it names");
    found("a | same | `fs::it names::it_is_so`, `make tea` |", 0, "N-02: nothing is called make");
    found("a | better: `docs/gone.md` | `fs ttl::tests::it_lasts` |", 0, "docs/gone.md does not");
}

#[test]
fn a_row_with_neither_proof_nor_later_is_found() {
    found("a | same |  |", 0, "neither a proof");
    found("a | same | it is plain |", 0, "neither a proof");
}

#[test]
fn a_verdict_that_is_none_or_says_nothing_is_found() {
    for verdict in ["", "the same", "better", "different, in a way", "**later**"] {
        found(&format!("a | {verdict} | `fs ttl::tests::it_lasts` |"), 0, "is neither same");
    }
}

#[test]
fn what_is_later_is_later_in_both_cells() {
    found("a | same | **later** |", 1, "later in one cell");
    found("a | later: not yet | `fs ttl::tests::it_lasts` |", 0, "later in one cell");
}

#[test]
fn a_row_that_is_out_of_shape_is_found() {
    found("a | same | b | `fs ttl::tests::it_lasts` |", 0, "5 cells, not 4");
}

#[test]
fn a_summary_that_does_not_count_right_is_found() {
    let wrong = document(1, |_| {});
    check(&wrong, "**62 rows: 62 proven, 0 later.**");
}
