use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{Finding, Probe, tell, understand};

fn look(path: &Path) -> Probe {
    let mut said = Vec::new();
    tell(path, &mut said).unwrap();
    understand(path, &said)
}

#[test]
fn directories_files_and_nothing_are_told_apart() {
    let parent = tempfile::tempdir().unwrap();
    let parent = fs::canonicalize(parent.path()).unwrap();
    let file = parent.join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(look(&parent), Probe { path: parent.clone(), finding: Finding::Directory });
    assert_eq!(look(&file), Probe { path: file.clone(), finding: Finding::File });
    let missing = parent.join("missing");
    assert_eq!(look(&missing), Probe { path: missing, finding: Finding::Missing });
    assert_eq!(look(&file.join("below")).finding, Finding::Missing);
}

#[test]
fn links_and_dots_are_resolved() {
    let parent = tempfile::tempdir().unwrap();
    let parent = fs::canonicalize(parent.path()).unwrap();
    fs::create_dir_all(parent.join("real/below")).unwrap();
    symlink("real", parent.join("link")).unwrap();
    assert_eq!(look(&parent.join("link/./below/..")).path, parent.join("real"));
    // What fails is named by where it would be.
    assert_eq!(look(&parent.join("link/missing")).path, parent.join("real/missing"));
}

#[test]
fn a_child_that_was_cut_short_leaves_the_path_and_silence() {
    let asked = Path::new("/mnt/./s3/");
    assert_eq!(
        understand(asked, b"/mnt/real\0"),
        Probe { path: PathBuf::from("/mnt/real"), finding: Finding::Silent }
    );
    assert_eq!(
        understand(asked, b""),
        Probe { path: PathBuf::from("/mnt/s3"), finding: Finding::Silent }
    );
    assert_eq!(understand(asked, b"/x\0dead").finding, Finding::Dead);
    assert_eq!(understand(asked, b"/x\0boo").finding, Finding::Error("boo".into()));
}
