use std::path::Path;

use object::{Budget, ETag, Flight, Key};

use super::*;
use crate::directory::Opened;
use crate::disk::Opening;
use crate::identity::Scope;
use crate::map::codec::Header;
use crate::space::Unlimited;

const SIZE: u64 = 2 * BLOCK;

/// An object as one process has it open; the next call is as another process.
fn opened(dir: &Path) -> Arc<Object> {
    let spacious = Unlimited::spacious();
    let opening = Opening { dir: dir.to_owned(), boot: "boot".into(), spacious };
    let disk = opening.open(&Arc::default()).unwrap();
    let scope = Scope { endpoint: "e".into(), bucket: "b".into() };
    let version = Version { key: Key::new("k").unwrap(), etag: ETag::new("t"), size: SIZE };
    let header = Header::new(&scope, &version);
    // Of an epoch before this one: bytes of it may have been lost.
    let Opened::Found(files) = disk.directory.make_object(&header, &Mark::default()).unwrap()
    else {
        panic!("it can be made")
    };
    Arc::new(Object::new(Arc::new(version), files, disk))
}

fn step(object: &Object, blocks: Range<u64>) -> Step {
    let begin = |absent: Range<u64>| {
        let lease = Budget::new(SIZE).try_lease(SIZE, 0).unwrap();
        let (flight, _) = Flight::new(object.span(absent.clone()), lease);
        Some(Filling::new(absent, flight))
    };
    object.step(blocks, Instant::now(), Some(begin)).unwrap()
}

fn write(object: &Object, number: u64) -> u32 {
    let bytes = vec![7; usize::try_from(BLOCK).unwrap()];
    std::os::unix::fs::FileExt::write_all_at(&object.files.data, &bytes, number * BLOCK).unwrap();
    crate::map::codec::crc(&[&bytes])
}

#[tokio::test]
async fn losing_a_block_that_is_fetched_here_does_not_give_its_claim_back() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (opened(dir.path()), opened(dir.path()));
    assert!(matches!(step(&ours, 0..2), Step::Begun(_)));
    assert_eq!(ours.lose(0).unwrap(), Loss::Absent);
    assert!(matches!(step(&theirs, 0..2), Step::Elsewhere(_)));
}

#[tokio::test]
async fn a_bad_block_is_lost_and_one_that_was_fetched_again_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let object = opened(dir.path());
    let right = write(&object, 0);
    object.record(0, right ^ 1).unwrap();
    assert_eq!(object.lose(0).unwrap(), Loss::Absent);
    assert_eq!(object.progress(0..1).unwrap(), 0);
    object.record(0, right).unwrap();
    assert_eq!(object.lose(0).unwrap(), Loss::Absent);
    assert_eq!(object.progress(0..1).unwrap(), 1, "its bytes are right");
}

#[tokio::test]
async fn a_bad_block_that_another_process_is_at_is_left_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (opened(dir.path()), opened(dir.path()));
    assert!(theirs.claim_all().unwrap());
    assert_eq!(ours.lose(0).unwrap(), Loss::Elsewhere);
    theirs.unclaim_all().unwrap();
    assert_eq!(ours.lose(0).unwrap(), Loss::Absent);
}

#[tokio::test]
async fn nobody_fetches_while_all_is_claimed() {
    let dir = tempfile::tempdir().unwrap();
    let object = opened(dir.path());
    assert!(object.claim_all().unwrap());
    assert!(matches!(step(&object, 0..2), Step::Elsewhere(_)));
    object.unclaim_all().unwrap();
    assert!(matches!(step(&object, 0..2), Step::Begun(_)));
}
