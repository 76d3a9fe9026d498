use std::fs;

use super::*;

fn directory(dir: &tempfile::TempDir) -> Directory {
    Directory::open(&dir.path().join("cache")).unwrap()
}

fn enter(directory: &Directory, boot: &str) -> Epoch {
    Epoch::enter(directory, boot).unwrap()
}

#[test]
fn a_boot_that_ended_uncleanly_ends_the_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let directory = directory(&dir);
    let first = enter(&directory, "boot-1").number();
    assert_eq!(enter(&directory, "boot-1").number(), first);
    assert_eq!(enter(&directory, "boot-2").number(), first + 1);
}

#[test]
fn a_clean_end_lets_the_epoch_go_on_in_the_next_boot() {
    let dir = tempfile::tempdir().unwrap();
    let first = {
        let directory = directory(&dir);
        let epoch = enter(&directory, "boot-1");
        let number = epoch.number();
        assert!(epoch.leave(&directory).unwrap());
        number
    };
    let directory = directory(&dir);
    assert_eq!(enter(&directory, "boot-2").number(), first);
    assert_eq!(enter(&directory, "boot-3").number(), first + 1);
}

#[test]
fn only_the_last_one_to_leave_makes_the_end_a_clean_one() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (directory(&dir), directory(&dir));
    let (first, second) = (enter(&one, "boot-1"), enter(&two, "boot-1"));
    assert!(!first.leave(&one).unwrap());
    drop(one);
    assert!(second.leave(&two).unwrap());
}

#[test]
fn a_torn_or_missing_file_begins_an_epoch_that_never_was() {
    let dir = tempfile::tempdir().unwrap();
    let directory = directory(&dir);
    let path = directory.path().join("epoch");
    let mut seen = vec![enter(&directory, "boot").number()];
    let whole = fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    flipped[9] ^= 1;
    for damaged in [&whole[..50], &flipped[..], b""] {
        fs::write(&path, damaged).unwrap();
        let number = enter(&directory, "boot").number();
        assert!(!seen.contains(&number));
        seen.push(number);
    }
    fs::remove_file(&path).unwrap();
    assert!(!seen.contains(&enter(&directory, "boot").number()));
}

#[test]
fn every_flip_of_a_byte_is_seen() {
    let state = State { boot: "0c5e8a6e-8a52".into(), number: 7, clean: true };
    let bytes = state.encode();
    assert_eq!(State::decode(&bytes), Some(state));
    for at in 0..LENGTH {
        for flip in 1..=255 {
            let mut bytes = bytes;
            bytes[at] ^= flip;
            assert_eq!(State::decode(&bytes), None);
        }
    }
}
