//! What can prove something: Rust tests, scenarios of the cluster, targets of the Makefile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::root;
use super::source;

/// The target whose cases are Python functions, and where they are.
const CASES: (&str, &str) = ("test-packages", "scripts/node-test");
/// The command of the cluster, which imports the scenarios that are played.
const CLUSTER: &str = "e2e/k8s";

/// Everything that a document may name as a proof, and the files it may name.
pub(super) struct Evidence {
    proofs: BTreeSet<String>,
    has_file: Box<dyn Fn(&str) -> bool>,
}

impl Evidence {
    /// What this repository has.
    pub(super) fn of_repository() -> Self {
        let mut proofs = BTreeSet::new();
        let files = source::all();
        let moved: BTreeMap<String, String> =
            files.iter().flat_map(|file| moved_by(&file.path, &file.lines())).collect();
        for file in &files {
            let path = moved.get(&file.path).unwrap_or(&file.path);
            proofs.extend(tests_of(path, &file.lines()));
        }
        proofs.extend(scenarios());
        proofs.extend(targets(&text(&root().join("Makefile"))).map(|name| format!("make {name}")));
        let cases = python_files(CASES.1);
        let cases = cases.iter().flat_map(|(_, text)| cases_of(text));
        proofs.extend(cases.map(|case| format!("make {}: {case}", CASES.0)));
        Self { proofs, has_file: Box::new(|path| root().join(path).exists()) }
    }

    /// These proofs and files.
    #[cfg(test)]
    pub(super) fn of_names(proofs: &[&str], files: &'static [&'static str]) -> Self {
        let proofs = proofs.iter().map(|&name| name.to_owned()).collect();
        Self { proofs, has_file: Box::new(|path| files.contains(&path)) }
    }

    /// Whether this is the name of something that runs.
    pub(super) fn proves(&self, name: &str) -> bool {
        self.proofs.contains(name)
    }

    /// Whether the repository has this file or directory.
    pub(super) fn has_file(&self, path: &str) -> bool {
        (self.has_file)(path)
    }
}

/// The tests of a file as cargo prints them, behind their crate: `mount flags::tests::NAME` and
/// `mount::it life::NAME`. One that is ignored proves nothing.
fn tests_of(path: &str, lines: &[&str]) -> Vec<String> {
    let Some((program, modules)) = place_of(path) else { return Vec::new() };
    let mut inner = None;
    let mut names = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let declared = line.strip_prefix("pub(crate) ").unwrap_or(line);
        if let Some(rest) = declared.strip_prefix("mod ") {
            inner = rest.strip_suffix(" {");
        } else if *line == "}" {
            inner = None;
        }
        if let Some(name) = function_of(line)
            && is_test(&lines[..index])
        {
            let modules = modules.iter().copied().chain(inner);
            let path: Vec<&str> = modules.chain([name]).collect();
            names.push(format!("{program} {}", path.join("::")));
        }
    }
    names
}

/// Files beside this one that it declares as modules of its own by `#[path = "…"]`, and where they
/// would be without that.
fn moved_by(path: &str, lines: &[&str]) -> Vec<(String, String)> {
    let mut moved = Vec::new();
    for pair in lines.windows(2) {
        let file = pair[0].strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]"));
        let module = pair[1].strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'));
        if let (Some(file), Some(module), Some((directory, _))) =
            (file, module, path.rsplit_once('/'))
        {
            let home = path.trim_end_matches(".rs");
            moved.push((format!("{directory}/{file}"), format!("{home}/{module}.rs")));
        }
    }
    moved
}

/// The program that a source belongs to, and its modules there.
fn place_of(path: &str) -> Option<(String, Vec<&str>)> {
    let path = path.strip_prefix("crates/").unwrap_or(path).strip_suffix(".rs")?;
    let mut parts: Vec<&str> = path.split('/').collect();
    let program = match parts[..] {
        [name, "src", ..] => name.to_owned(),
        [name, "tests", "it", ..] => format!("{name}::it"),
        _ => return None,
    };
    parts.drain(..if program.ends_with("::it") { 3 } else { 2 });
    if matches!(parts[..], [.., "mod"] | ["lib" | "main"]) {
        parts.pop();
    }
    Some((program, parts))
}

/// The name of the function that a line begins.
fn function_of(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("async ").unwrap_or(line);
    line.strip_prefix("fn ")?.split(['(', '<']).next()
}

/// Whether the attributes at the end of these lines make a test that is run.
fn is_test(above: &[&str]) -> bool {
    let attributes = above.iter().rev().map(|line| line.trim());
    let attributes =
        attributes.take_while(|line| line.starts_with("#[") || line.starts_with("///"));
    let attributes: Vec<&str> = attributes.collect();
    let has = |start: &str| attributes.iter().any(|line| line.starts_with(start));
    (has("#[test]") || has("#[tokio::test")) && !has("#[ignore")
}

/// `e2e NAME` for each scenario of a module that the command of the cluster imports.
fn scenarios() -> Vec<String> {
    let command = root().join(CLUSTER).join("__main__.py");
    let imported = if command.exists() { imported(&text(&command)) } else { Vec::new() };
    let files = python_files(&format!("{CLUSTER}/scenarios"));
    let played = files.iter().filter(|(name, _)| imported.contains(name));
    let names = played.flat_map(|(_, text)| scenarios_of(text));
    names.map(|name| format!("e2e {name}")).collect()
}

/// The modules of scenarios that a Python file imports.
fn imported(python: &str) -> Vec<String> {
    let Some((_, rest)) = python.split_once("from .scenarios import ") else { return Vec::new() };
    let end = if rest.starts_with('(') { ')' } else { '\n' };
    let list = rest.split(end).next().unwrap_or_default();
    let lines = list.lines().filter_map(|line| line.split('#').next());
    let words = lines.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The functions below `@scenario(…)`, as the command of the cluster calls them.
fn scenarios_of(python: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut decorated = false;
    for line in python.lines() {
        if line.starts_with("@scenario(") {
            decorated = true;
        } else if let Some(rest) = line.strip_prefix("def ") {
            let name = rest.split('(').next().unwrap_or_default();
            names.extend(decorated.then(|| name.replace('_', "-")));
            decorated = false;
        }
    }
    names
}

/// The functions that stand in the file's list of cases.
fn cases_of(python: &str) -> Vec<String> {
    let Some((_, list)) = python.split_once("\nCASES = [") else { return Vec::new() };
    let list = list.split(']').next().unwrap_or_default();
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.filter(|name| python.contains(&format!("\ndef {name}("))).map(str::to_owned).collect()
}

/// The targets of a Makefile that people type.
fn targets(makefile: &str) -> impl Iterator<Item = &str> {
    makefile.lines().filter_map(|line| {
        let (name, rest) = line.split_once(':')?;
        let is_typed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        (!name.is_empty() && name.chars().all(is_typed) && !rest.starts_with('=')).then_some(name)
    })
}

/// The Python files of a directory: name without its ending, and text. None where it is not.
fn python_files(directory: &str) -> Vec<(String, String)> {
    let Ok(entries) = std::fs::read_dir(root().join(directory)) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("it can be listed to its end").path());
    let python = paths.filter(|path| path.extension().is_some_and(|ending| ending == "py"));
    let name = |path: &Path| path.file_stem().and_then(|name| name.to_str()).map(str::to_owned);
    python.filter_map(|path| Some((name(&path)?, text(&path)))).collect()
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).expect("it is a text that can be read")
}

#[cfg(test)]
mod tests;
