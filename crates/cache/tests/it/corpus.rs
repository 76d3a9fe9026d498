//! What the fuzzer of the map's codec has come upon, once more; see `fuzz/`.

#[path = "../../fuzz/check.rs"]
mod fuzz;

use std::fs;

use cache::map::codec::{HEADER, Header, MARK, Mark, Record};
use object::{BLOCK, ETag, Key, Version};

use crate::harness::scope;

/// A map such as the corpus began with.
fn map() -> Vec<u8> {
    let version =
        Version { key: Key::new("a.jar").unwrap(), etag: ETag::new("tag"), size: 3 * BLOCK };
    let header = Header::new(&scope(), &version);
    let mut bytes = header.encode().unwrap().to_vec();
    let mark = Mark { epoch: 7, pinned: true, ..Mark::default() };
    bytes[MARK].copy_from_slice(&mark.encode(&header.identity));
    bytes.extend(Record::encode(&header.identity, 0, 0x1234_5678));
    bytes.extend([0; 16]);
    bytes.extend(Record::encode(&header.identity, 2, 0));
    bytes
}

#[test]
fn the_corpus_is_understood_or_refused() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/map");
    let files: Vec<_> = fs::read_dir(corpus).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 3);
    for file in files {
        fuzz::check(&fs::read(file).unwrap());
    }
}

#[test]
fn a_map_that_is_changed_in_any_byte_or_cut_anywhere_is_understood_or_refused() {
    let good = map();
    fuzz::check(&good);
    for at in 0..good.len() {
        fuzz::check(&good[..at]);
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            fuzz::check(&bytes);
            let header = Header::decode(&bytes);
            let mark = header.as_ref().map(|header| Mark::decode(&bytes[MARK], &header.identity));
            assert_eq!(at < HEADER, header.is_err() || mark.is_ok_and(|mark| mark.is_err()));
        }
    }
}
