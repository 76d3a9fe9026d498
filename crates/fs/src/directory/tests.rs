use std::collections::BTreeMap;

use object::{ETag, Key, Meta, StorageState, Version};
use proptest::prelude::*;

use super::*;

fn meta(key: &str) -> Meta {
    let version = Version { key: Key::new(key).unwrap(), etag: ETag::new("e"), size: 1 };
    Meta { version, modified: Time::from_secs(1), storage: StorageState::Online }
}

/// The entries of a delimited listing of `keys` in the order of the store, in pages of `each`.
fn pages(keys: &[String], each: usize) -> Vec<Listing> {
    let mut entries: Vec<String> = keys
        .iter()
        .map(|key| match key.split_once('/') {
            Some((name, _)) => format!("{name}/"),
            None => key.clone(),
        })
        .collect();
    entries.sort();
    entries.dedup();
    let page = |entries: &[String]| {
        let (prefixes, objects): (Vec<_>, Vec<_>) =
            entries.iter().cloned().partition(|entry| entry.ends_with('/'));
        let objects = objects.iter().map(|key| meta(key)).collect();
        Listing { objects, prefixes, next: None, fetched: Time::default() }
    };
    entries.chunks(each).map(page).collect()
}

fn streamed(keys: &[String], each: usize) -> Vec<(String, Kind)> {
    let (mut order, mut out) = (KeyOrder::default(), Vec::new());
    for page in &pages(keys, each) {
        for sighting in sightings("", page, true, &Hidden::default()) {
            order.push(sighting, "", &mut out);
        }
    }
    order.finish(&mut out);
    out.iter().map(|fact| (fact.name.to_string(), fact.kind)).collect()
}

fn expected(keys: &[String]) -> BTreeMap<String, Kind> {
    let mut names = BTreeMap::new();
    for key in keys {
        match key.split_once('/') {
            Some((name, _)) => names.insert(name.to_owned(), Kind::Directory),
            None => {
                names.entry(key.clone()).or_insert(Kind::File);
                None
            }
        };
    }
    names
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|&key| key.to_owned()).collect()
}

#[test]
fn a_directory_pages_after_its_object_wins() {
    let keys = owned(&["a", "a!", "a-1", "a-2", "a.txt", "a/x", "b"]);
    let names = streamed(&keys, 2);
    let of_a: Vec<_> = names.iter().filter(|(name, _)| name == "a").collect();
    assert_eq!(of_a, [&("a".to_owned(), Kind::Directory)]);
    assert_eq!(names.len(), 6);
}

#[test]
fn an_object_without_a_directory_is_kept_back_and_comes() {
    let names = streamed(&owned(&["a", "a!", "a-1", "a0", "b"]), 1);
    assert_eq!(names.iter().filter(|(name, _)| name == "a").count(), 1);
    assert_eq!(names.last().unwrap().0, "b");
}

#[test]
fn hidden_keys_and_markers_show_no_name() {
    let listing = Listing {
        objects: vec![meta("d/"), meta("d/a"), meta("d/.."), meta("e/x")],
        prefixes: owned(&["d//", "d/sub/", "d/./"]),
        next: None,
        fetched: Time::default(),
    };
    let seen = sightings("d/", &listing, true, &Hidden::default());
    let names: Vec<_> = seen.iter().map(|s| &*s.fact.name).collect();
    assert_eq!(names, ["a", "sub"]);
}

proptest! {
    #[test]
    fn a_stream_and_a_snapshot_show_each_name_once(
        keys in prop::collection::vec("[ab]{1,3}([!./0][ab]{1,2}){0,2}", 0..30),
        each in 1usize..5,
    ) {
        let want = expected(&keys);
        let streamed = streamed(&keys, each);
        prop_assert_eq!(streamed.len(), want.len());
        let sorted: BTreeMap<_, _> = streamed.into_iter().collect();
        prop_assert_eq!(&sorted, &want);

        let all = pages(&keys, each);
        let facts = all.iter().flat_map(|page| sightings("", page, true, &Hidden::default()));
        let snapshot = Snapshot::new(facts.map(|s| s.fact).collect(), Time::default(), None);
        let shown: Vec<_> =
            snapshot.facts().iter().map(|f| (f.name.to_string(), f.kind)).collect();
        prop_assert_eq!(shown, want.into_iter().collect::<Vec<_>>());
    }
}
