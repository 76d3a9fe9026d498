//! Links between the documents.

use std::path::{Path, PathBuf};

use super::root;

/// Links to files that are not there.
pub(super) fn dead() -> Vec<String> {
    let mut documents = Vec::new();
    collect(root(), &mut documents);
    assert!(documents.len() >= 3, "the documents are where they are looked for");
    documents.iter().flat_map(|document| dead_in(document)).collect()
}

fn collect(directory: &Path, documents: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory can be listed") {
        let path = entry.expect("it can be listed to its end").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            collect(&path, documents);
        } else if name.ends_with(".md") {
            documents.push(path);
        }
    }
}

fn dead_in(document: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(document).expect("a document is text");
    let directory = document.parent().expect("a document is in a directory");
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets
        .filter(|target| !target.contains("://") && !target.starts_with('#'))
        .map(|target| target.split('#').next().unwrap_or_default())
        .filter(|target| !directory.join(target).exists())
        .map(|target| format!("{}: {target}", document.display()))
        .collect()
}
