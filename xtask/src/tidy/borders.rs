//! Which crate may use which.

use super::root;

/// The table of ARCHITECTURE.md: a crate of ours, and those of ours that it may use.
const MAY_USE: [(&str, &[&str]); 10] = [
    ("object", &[]),
    ("fuse", &[]),
    ("cluster", &[]),
    ("lab", &[]),
    ("model", &[]),
    ("s3", &["object"]),
    ("fs", &["object"]),
    ("cache", &["object"]),
    ("mount", &["object", "s3", "fuse", "fs", "cache", "cluster", "lab"]),
    ("testkit", &["lab"]),
];

/// The crates of the workspace.
pub(super) fn crates() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("crates")).expect("crates can be listed");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry
            .expect("it can be listed to its end")
            .file_name()
            .into_string()
            .expect("a name is text")
    };
    entries.map(name).collect()
}

/// Dependencies that the table does not allow, and crates it does not know.
pub(super) fn violations() -> Vec<String> {
    let crates = crates();
    let mut violations = Vec::new();
    for name in &crates {
        let Some((_, allowed)) = MAY_USE.iter().find(|(known, _)| known == name) else {
            violations.push(format!("{name} is not in the table"));
            continue;
        };
        let manifest = root().join("crates").join(name).join("Cargo.toml");
        let manifest = std::fs::read_to_string(manifest).expect("a manifest can be read");
        for used in dependencies(&manifest) {
            if crates.contains(&used) && !allowed.contains(&used.as_str()) {
                violations.push(format!("{name} uses {used}"));
            }
        }
    }
    violations
}

/// The names under `[dependencies]`.
fn dependencies(manifest: &str) -> Vec<String> {
    let section = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let section = section.take_while(|line| !line.starts_with('['));
    let name = |line: &str| {
        let end = line.find(['.', ' ', '='])?;
        Some(line[..end].to_owned())
    };
    section.filter(|line| !line.starts_with('#')).filter_map(name).collect()
}
