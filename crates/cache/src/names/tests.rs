use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use object::{ETag, Key, Meta, StorageState, Version};
use proptest::prelude::*;

use super::*;
use crate::disk::Opening;
use crate::space::Unlimited;
use crate::space::tests::full_disk;

fn scope() -> Scope {
    Scope { endpoint: "http://e".into(), bucket: "b".into() }
}

fn asked(prefix: &str) -> ListingRequest {
    ListingRequest { prefix: prefix.into(), delimited: true, max_keys: 1000, token: None }
}

fn shows(keys: &[&str], fetched: u64) -> Listing {
    let meta = |key: &&str| Meta {
        version: Version { key: Key::new(key).unwrap(), etag: ETag::new("\"e\""), size: 7 },
        modified: Time::from_secs(5),
        storage: StorageState::Unknown,
    };
    Listing {
        objects: keys.iter().map(meta).collect(),
        prefixes: vec!["d/".into()],
        next: Some("token\n".into()),
        fetched: Time::from_secs(fetched),
    }
}

fn disk(dir: &Path) -> Arc<Disk> {
    let spacious = Unlimited::spacious();
    Opening { dir: dir.to_owned(), boot: "boot".into(), spacious }.open(&Arc::default()).unwrap()
}

fn pages(dir: &Path) -> Vec<std::path::PathBuf> {
    let shards = std::fs::read_dir(dir.join("mount-s3/names")).unwrap();
    let files = shards.flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap());
    files.map(|file| file.unwrap().path()).collect()
}

const T: fn(u64) -> Time = Time::from_secs;

fn recall(disk: &Disk, prefix: &str, since: u64, now: u64) -> Option<Listing> {
    Names::recall(disk, &scope(), &asked(prefix), (T(since), T(now)))
}

#[test]
fn a_page_is_recalled_by_another_process_for_as_long_as_it_is_young_enough() {
    let dir = tempfile::tempdir().unwrap();
    let page = shows(&["a", "b\u{1F600}\n"], 100);
    Names::default().remember(&disk(dir.path()), &scope(), &asked("p"), &page);
    let later = disk(dir.path());
    assert_eq!(recall(&later, "p", 100, 200), Some(page.clone()));
    assert_eq!(recall(&later, "p", 101, 200), None);
    assert_eq!(recall(&later, "p", 0, 99), None, "the clock went back");
    assert_eq!(recall(&later, "q", 0, 200), None);
    let mut other = asked("p");
    other.token = Some(String::new());
    assert_eq!(Names::recall(&later, &scope(), &other, (T(0), T(200))), None);
    let elsewhere = Scope { endpoint: "http://f".into(), bucket: "b".into() };
    assert_eq!(Names::recall(&later, &elsewhere, &asked("p"), (T(0), T(200))), None);
}

#[test]
fn a_newer_page_takes_the_place_of_the_older() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, names) = (disk(dir.path()), Names::default());
    names.remember(&disk, &scope(), &asked("p"), &shows(&["a"], 100));
    names.remember(&disk, &scope(), &asked("p"), &shows(&["b"], 110));
    assert_eq!(recall(&disk, "p", 0, 200), Some(shows(&["b"], 110)));
    assert_eq!(pages(dir.path()).len(), 1);
}

#[test]
fn pages_that_changed_places_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, names) = (disk(dir.path()), Names::default());
    names.remember(&disk, &scope(), &asked("p"), &shows(&["a"], 100));
    let from = pages(dir.path()).remove(0);
    names.remember(&disk, &scope(), &asked("q"), &shows(&["b"], 100));
    let to = pages(dir.path()).into_iter().find(|page| *page != from).unwrap();
    std::fs::copy(&from, &to).unwrap();
    assert_eq!(recall(&disk, "q", 0, 200), None);
    assert!(recall(&disk, "p", 0, 200).is_some());
}

#[test]
fn what_is_no_file_is_no_page_and_nothing_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(dir.path());
    Names::default().remember(&disk, &scope(), &asked("p"), &shows(&["a"], 100));
    let page = pages(dir.path()).remove(0);
    let pipe = |path: &Path| {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        Ok(mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0)?)
    };
    let link = |path: &Path| std::os::unix::fs::symlink("/etc/passwd", path);
    for plant in [|path: &Path| std::fs::create_dir(path), link, pipe] {
        let _ = std::fs::remove_file(&page);
        let _ = std::fs::remove_dir(&page);
        plant(&page).unwrap();
        assert_eq!(recall(&disk, "p", 0, 200), None);
    }
}

#[test]
fn a_shard_stays_below_its_share_and_the_youngest_pages_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, names) = (disk(dir.path()), Names::default());
    for number in 0..28_000 {
        names.remember(&disk, &scope(), &asked(&number.to_string()), &shows(&["a"], number));
    }
    let left = pages(dir.path()).len() as u64;
    let each = SHARD_MAX / UNIT;
    assert!((each * 200..=256 * (each + u64::from(LOOK_EVERY))).contains(&left), "{left}");
    assert!(recall(&disk, "27999", 0, 1 << 40).is_some());
}

#[test]
fn a_full_disk_only_means_that_nothing_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let disk = full_disk(dir.path());
    Names::default().remember(&disk, &scope(), &asked("p"), &shows(&["a"], 100));
    assert_eq!(recall(&disk, "p", 0, 200), None);
    assert!(pages(dir.path()).is_empty());
}

proptest! {
    #[test]
    fn no_changed_byte_goes_unnoticed(at in 0usize..400, to in any::<u8>()) {
        let place = page::Place::of(&scope(), &asked("p"));
        let mut bytes = page::encode(&place, &shows(&["a", "b"], 100)).unwrap();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        prop_assert_eq!(page::decode(&place, &bytes), None);
        prop_assert_eq!(page::decode(&place, &bytes[..at]), None);
    }

    #[test]
    fn whatever_is_listed_is_read_back(
        keys in proptest::collection::vec(".{1,40}", 0..20),
        next in proptest::option::of(".{0,40}"),
        size in any::<u64>(),
        fetched in 0u64..1 << 40,
    ) {
        let mut page = shows(&[], 1);
        page.fetched = Time(Duration::from_millis(fetched));
        page.next = next;
        page.objects = keys.iter().map(|key| Meta {
            version: Version { key: Key::new(key).unwrap(), etag: ETag::new(key), size },
            modified: Time::from_secs(size),
            storage: StorageState::Online,
        }).collect();
        let place = page::Place::of(&scope(), &asked("p"));
        prop_assert_eq!(page::decode(&place, &page::encode(&place, &page).unwrap()), Some(page));
    }
}

#[test]
fn what_was_listed_before_a_change_from_here_is_recalled_by_no_process() {
    let dir = tempfile::tempdir().unwrap();
    let names = Names::default();
    names.remember(&disk(dir.path()), &scope(), &asked("p"), &shows(&["a"], 100));
    names.outdate(&disk(dir.path()), &scope(), T(101));
    assert_eq!(recall(&disk(dir.path()), "p", 0, 200), None);
    let other = Scope { bucket: "other".into(), ..scope() };
    names.remember(&disk(dir.path()), &other, &asked("p"), &shows(&["a"], 100));
    let recalled = Names::recall(&disk(dir.path()), &other, &asked("p"), (T(0), T(200)));
    assert_eq!(recalled, Some(shows(&["a"], 100)), "of another bucket nothing was changed");
    names.remember(&disk(dir.path()), &scope(), &asked("p"), &shows(&["b"], 102));
    assert_eq!(recall(&disk(dir.path()), "p", 0, 200), Some(shows(&["b"], 102)));
}
