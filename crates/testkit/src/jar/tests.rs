use std::process::Command;

use super::{archive, sizes};

#[test]
fn the_sizes_are_those_of_sparks_jars() {
    let sizes = sizes(252);
    let mib = |bytes: usize| bytes as f64 / (1024.0 * 1024.0);
    let total: f64 = sizes.iter().map(|&size| mib(size)).sum();
    assert!((300.0..340.0).contains(&total), "{total} MiB");
    assert!((0.2..0.26).contains(&mib(sizes[126])), "{} MiB", mib(sizes[126]));
}

#[test]
fn unzip_accepts_the_archives() {
    let directory = tempfile::tempdir().unwrap();
    for size in [0, 64, 100_000, 3_000_000] {
        let path = directory.path().join(format!("{size}.jar"));
        let bytes = archive("one", size);
        assert!(bytes.len() >= size && bytes.len() < size + size / 50 + 8192);
        std::fs::write(&path, bytes).unwrap();
        crate::run(Command::new("unzip").arg("-tq").arg(&path)).ok();
    }
}

#[test]
fn the_same_name_gives_the_same_bytes_and_another_others() {
    assert!(archive("a", 5000) == archive("a", 5000));
    assert!(archive("a", 5000) != archive("b", 5000));
}
