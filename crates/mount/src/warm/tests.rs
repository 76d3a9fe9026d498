use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::pace::Pace;
use super::select::{Pattern, Unselected, paths};
use super::show::status;
use crate::control::protocol::Progress;

fn tree() -> tempfile::TempDir {
    let top = tempfile::tempdir().unwrap();
    for path in ["a.jar", "jars/b.jar", "jars/c.txt", "jars/deep/d.jar", "x[1].jar", "empty/.gone"]
    {
        let path = top.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    fs::remove_file(top.path().join("empty/.gone")).unwrap();
    top
}

fn files(pattern: &str, top: &Path) -> Result<Vec<String>, String> {
    let found = Pattern::new(pattern, top).and_then(|pattern| pattern.files(top));
    found.map_err(|error| error.to_string())
}

#[test]
fn patterns_mean_what_shells_mean_by_them() {
    let top = tree();
    let all = ["a.jar", "jars/b.jar", "jars/c.txt", "jars/deep/d.jar", "x[1].jar"];
    for (pattern, expected) in [
        ("", &all[..]),
        ("*.jar", &["a.jar", "x[1].jar"]),
        ("jars/*.jar", &["jars/b.jar"]),
        ("**/*.jar", &["a.jar", "jars/b.jar", "jars/deep/d.jar", "x[1].jar"]),
        ("jars/**", &["jars/b.jar", "jars/c.txt", "jars/deep/d.jar"]),
        ("*/*/d.jar", &["jars/deep/d.jar"]),
        ("jars/{b,deep/d}.jar", &["jars/b.jar", "jars/deep/d.jar"]),
        ("jars/?.[jt]*", &["jars/b.jar", "jars/c.txt"]),
        ("jars", &["jars/b.jar", "jars/c.txt", "jars/deep/d.jar"]),
        ("jars/deep/", &["jars/deep/d.jar"]),
        ("./a.jar", &["a.jar"]),
    ] {
        assert_eq!(files(pattern, top.path()).unwrap(), expected, "{pattern}");
    }
    let absolute = format!("{}/jars/*.txt", top.path().display());
    assert_eq!(files(&absolute, top.path()).unwrap(), ["jars/c.txt"]);
}

#[test]
fn patterns_without_a_file_or_a_meaning_are_told() {
    let top = tree();
    for (pattern, why) in [
        ("*.zip", "no file matches `*.zip`"),
        ("no/where/*", "no file matches"),
        ("a.jar/*", "no file matches"),
        ("empty", "no file matches"),
        ("[", "is no pattern"),
        ("../*", "does not lie below"),
        ("/etc/*", "does not lie below"),
    ] {
        let said = files(pattern, top.path()).unwrap_err();
        assert!(said.contains(why), "{pattern}: {said}");
    }
    let nothing = tempfile::tempdir().unwrap();
    assert_eq!(files("", nothing.path()), Ok(Vec::new()));
}

#[test]
fn only_where_a_pattern_can_match_is_looked() {
    let top = tree();
    // Whoever comes by here stops.
    fs::create_dir(top.path().join("other")).unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"\xff.jar");
    fs::write(top.path().join("other").join(odd), "").unwrap();
    assert_eq!(files("jars/*.jar", top.path()).unwrap(), ["jars/b.jar"]);
    assert_eq!(files("*.jar", top.path()).unwrap(), ["a.jar", "x[1].jar"]);
    assert!(files("**/*.jar", top.path()).unwrap_err().contains("UTF-8"));
}

#[test]
fn a_list_has_one_path_a_line_and_comments() {
    let top = Path::new("/mnt/s3");
    let text = "# jars\n\na.jar\r\n/mnt/s3/jars/b c.jar\n./d#.jar\n  \n";
    assert_eq!(paths(text, top).unwrap(), ["a.jar", "jars/b c.jar", "d#.jar"]);
    for outside in ["/etc/passwd", "../x", "a/../../x", "/mnt/s3x/a"] {
        let found = paths(outside, top);
        assert!(matches!(found, Err(Unselected::Outside(_))), "{outside}: {found:?}");
    }
}

proptest! {
    #[test]
    fn no_pattern_and_no_list_is_too_odd(text in "\\PC{0,30}") {
        let top = Path::new("/nowhere/at/all");
        if let Ok(pattern) = Pattern::new(&text, top) {
            let _ = pattern.files(top);
        }
        for path in paths(&text, top).unwrap_or_default() {
            prop_assert!(!path.split('/').any(|part| part == ".."));
        }
    }

    #[test]
    fn a_pace_is_kept_over_any_stretch(
        rate in 1_u64..1 << 40,
        takes in proptest::collection::vec((0_u64..64 << 20, 0_u64..2_000), 1..50),
    ) {
        let began = Instant::now();
        let pace = Pace::new(rate, began);
        let (mut now, mut bytes, mut last) = (began, 0, began);
        for (take, pause) in takes {
            now += Duration::from_millis(pause);
            let slot = pace.slot(take, now);
            prop_assert!(slot.begin >= now.max(last) && slot.end >= slot.begin);
            bytes += take;
            last = slot.end;
            let most = (slot.end - began).as_secs_f64() * rate as f64;
            prop_assert!(bytes as f64 <= most * 1.000_001 + 1.0, "{bytes} of {most}");
        }
    }
}

#[test]
fn the_line_of_progress_has_files_bytes_rate_and_time_left() {
    let progress = Progress {
        files: 5,
        files_known: 5,
        files_done: 2,
        bytes: 100 << 20,
        bytes_resident: 40 << 20,
        bytes_fetched: 30 << 20,
        elapsed_ms: 3_000,
        running: true,
        ..Progress::default()
    };
    assert_eq!(status(&progress), "2/5 files, 40.0 MiB of 100.0 MiB, 10.0 MiB/s, 0:06 left");
    let slow = Progress { bytes: 1 << 40, ..progress };
    assert!(status(&slow).ends_with(" 29:07:33 left"), "{}", status(&slow));
    let unknown = Progress { files_known: 4, ..progress };
    assert!(status(&unknown).ends_with("looking up"));
    let nothing = Progress { bytes_fetched: 0, ..progress };
    assert!(status(&nothing).ends_with("waiting"));
}
