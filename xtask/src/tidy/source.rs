//! The Rust files of the workspace.

use std::path::Path;

use super::root;

/// One file.
pub(super) struct Source {
    /// From the workspace's root, with slashes.
    pub(super) path: String,
    text: String,
}

impl Source {
    /// All lines.
    pub(super) fn lines(&self) -> Vec<&str> {
        self.text.lines().collect()
    }

    /// Lines that are no comments.
    pub(super) fn code_lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines().filter(|line| !line.trim_start().starts_with("//"))
    }

    /// Whether it holds tests only.
    pub(super) fn is_test(&self) -> bool {
        self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.starts_with("xtask/src/tidy")
    }

    /// Whether it is part of what is shipped.
    pub(super) fn is_product(&self) -> bool {
        let for_tests = ["crates/model/", "crates/testkit/", "xtask/"];
        !self.is_test() && !for_tests.iter().any(|place| self.path.starts_with(place))
    }
}

/// All Rust files of ours.
pub(super) fn all() -> Vec<Source> {
    let mut files = Vec::new();
    for place in ["crates", "xtask"] {
        collect(&root().join(place), &mut files);
    }
    assert!(files.len() > 50, "the sources are where they are looked for");
    files
}

fn collect(directory: &Path, files: &mut Vec<Source>) {
    let entries = std::fs::read_dir(directory).expect("a directory of sources can be listed");
    for entry in entries {
        let path = entry.expect("it can be listed to its end").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source is text");
            let path = path.strip_prefix(root()).expect("it is below the root");
            files.push(Source { path: path.display().to_string(), text });
        }
    }
}

/// Whether a line has a word that no letter, digit or underscore touches, outside strings.
pub(super) fn has_word(line: &str, word: &str) -> bool {
    let outside: String = line.split('"').step_by(2).collect();
    let code = outside.split("//").next().unwrap_or_default();
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}
