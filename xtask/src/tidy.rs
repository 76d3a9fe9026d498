//! The house rules that no lint knows, as tests of the sources themselves.
//!
//! Figures are a ratchet: a file over the limits fails, and limits only ever go down.

mod borders;
mod coverage;
mod evidence;
mod links;
mod rows;
mod semantics;
mod source;

use std::path::Path;

use evidence::Evidence;
use source::Source;

/// The most lines a file of code may have.
const FILE_LINES_MAX: usize = 600;
/// Of files without tests, this many in a hundred have at most [`FILE_LINES_USUAL`] lines.
const USUAL_SHARE: usize = 90;
const FILE_LINES_USUAL: usize = 400;
/// `unwrap` and `expect` in a thousand lines of non-test code.
const PANICS_PER_THOUSAND: usize = 1;

/// Where `unsafe` may stand: the kernel's wire, fork and exec, two system calls that tests need,
/// and the mapping of a file that a bench reads.
const UNSAFE_MAY_STAND_IN: [&str; 4] = [
    "crates/fuse/src/",
    "crates/mount/src/roles/sys.rs",
    "crates/testkit/src/sys.rs",
    "xtask/src/bench/cached/mapping.rs",
];

/// Names that say nothing about what is in a file.
const EMPTY_NAMES: [&str; 7] =
    ["util.rs", "utils.rs", "helper.rs", "helpers.rs", "misc.rs", "common.rs", "manager.rs"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in the workspace")
}

/// Fails with all complaints at once.
#[track_caller]
fn assert_none(rule: &str, complaints: impl IntoIterator<Item = String>) {
    let complaints: Vec<String> = complaints.into_iter().collect();
    assert!(complaints.is_empty(), "{rule}:\n  {}", complaints.join("\n  "));
}

#[test]
fn no_file_is_too_long() {
    let long = |file: &Source| file.lines().len() > FILE_LINES_MAX;
    let files = source::all();
    assert_none(
        "files over the limit",
        files.iter().filter(|file| long(file)).map(|f| format!("{}: {}", f.path, f.lines().len())),
    );
    let product: Vec<&Source> = files.iter().filter(|file| !file.is_test()).collect();
    let usual = product.iter().filter(|file| file.lines().len() <= FILE_LINES_USUAL).count();
    assert!(usual * 100 >= product.len() * USUAL_SHARE, "{usual} of {} are short", product.len());
}

#[test]
fn no_file_has_an_empty_name() {
    let empty =
        |file: &&Source| EMPTY_NAMES.iter().any(|name| file.path.ends_with(&format!("/{name}")));
    assert_none(
        "names that say nothing",
        source::all().iter().filter(empty).map(|f| f.path.clone()),
    );
}

#[test]
fn no_work_is_put_off_in_comments() {
    // Put together here, so that this file does not complain about itself.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let complaints = source::all().into_iter().flat_map(|file| {
        let marked = |line: &&str| marks.iter().any(|mark| line.contains(mark));
        let lines: Vec<String> = file
            .lines()
            .into_iter()
            .filter(marked)
            .map(|line| format!("{}: {line}", file.path))
            .collect();
        lines
    });
    assert_none("work put off", complaints);
}

#[test]
fn unsafe_stands_only_where_it_belongs() {
    let complaints = source::all().into_iter().filter_map(|file| {
        let allowed = UNSAFE_MAY_STAND_IN.iter().any(|place| file.path.starts_with(place));
        let test_of_fuse = file.path.starts_with("crates/fuse/tests/");
        // A global allocator, which counts in a test, has to be unsafe.
        let test_of_memory = file.path == "crates/fs/tests/it/memory.rs";
        let used = file.code_lines().any(|line| source::has_word(line, "unsafe"));
        (used && !allowed && !test_of_fuse && !test_of_memory).then_some(file.path)
    });
    assert_none("unsafe outside its places", complaints);
}

#[test]
fn every_crate_forbids_unsafe_where_it_has_none() {
    let complaints = borders::crates().into_iter().filter_map(|name| {
        let entry = ["lib.rs", "main.rs"]
            .map(|file| root().join("crates").join(&name).join("src").join(file));
        let text =
            entry.iter().find_map(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        let strict =
            text.contains("#![forbid(unsafe_code)]") || text.contains("#![deny(unsafe_code)]");
        (!strict && name != "fuse").then_some(name)
    });
    assert_none("crates that allow unsafe", complaints);
}

#[test]
fn product_code_hardly_ever_unwraps() {
    let product = source::all().into_iter().filter(|file| file.is_product());
    let (mut lines, mut panics) = (0, Vec::new());
    for file in product {
        for line in file.code_lines() {
            lines += 1;
            if line.contains(".unwrap()") || line.contains(".expect(\"") {
                panics.push(format!("{}: {}", file.path, line.trim()));
            }
        }
    }
    let allowed = lines * PANICS_PER_THOUSAND / 1000;
    assert!(panics.len() <= allowed, "{} in {lines} lines:\n{}", panics.len(), panics.join("\n"));
}

#[test]
fn crates_use_only_what_is_below_them() {
    assert_none("dependencies against the direction", borders::violations());
}

#[test]
fn layers_do_not_name_what_they_must_not_know() {
    let taboo = [
        ("crates/fs/src/", &["http::", "hyper", "aws_", " fuse::", "reqwest"][..]),
        ("crates/fuse/src/", &["S3", "s3::", "bucket", "etag", "aws_"][..]),
        ("crates/object/src/", &["hyper", "aws_", " fuse::", "std::fs::", "File::"][..]),
    ];
    // A file that somebody else has opened is a value there; opening one is not for it.
    const FILE_AS_VALUE: &str = "use std::fs::File;";
    let complaints = source::all().into_iter().flat_map(|file| {
        let words = taboo.iter().find(|(place, _)| file.path.starts_with(place));
        let words = words.map_or(&[][..], |(_, words)| words);
        let test = file.is_test();
        let named: Vec<String> = file
            .code_lines()
            .filter(|_| !test)
            .filter(|line| line.trim() != FILE_AS_VALUE || !file.path.starts_with("crates/object/"))
            .filter(|line| words.iter().any(|word| line.contains(word)))
            .map(|line| format!("{}: {}", file.path, line.trim()))
            .collect();
        named
    });
    assert_none("layers that know too much", complaints);
}

#[test]
fn links_in_documents_lead_somewhere() {
    assert_none("dead links", links::dead());
}

#[test]
fn every_row_of_the_guides_table_is_proven_or_comes_later() {
    let document = root().join("docs/guide-coverage.md");
    let document = std::fs::read_to_string(document).expect("the table is there");
    let evidence = Evidence::of_repository();
    assert_none("docs/guide-coverage.md", coverage::complaints(&document, &evidence));
}

#[test]
fn every_point_that_users_know_of_mounts_has_a_row_that_is_proven_or_comes_later() {
    let document = root().join("docs/semantics.md");
    let document = std::fs::read_to_string(document).expect("the tables are there");
    let evidence = Evidence::of_repository();
    assert_none("docs/semantics.md", semantics::complaints(&document, &evidence));
}
