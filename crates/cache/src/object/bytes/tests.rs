use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use object::Budget;
use rustix::fs::fcntl_getfl;

use super::*;

/// A block with a tail that is no whole chunk.
fn chunks() -> Vec<Chunk> {
    let mut lease = Budget::new(BLOCK).try_lease(BLOCK, 0).unwrap();
    let lens = [CHUNK, CHUNK, CHUNK, 1000];
    let filled = lens.iter().zip(1_u8..).map(|(len, byte)| {
        let mut buffer = lease.buffer(*len);
        buffer.fill(byte);
        Arc::new(buffer)
    });
    filled.collect()
}

fn check(data: &File, chunks: &[Chunk], crc32c: u32) {
    let expected: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.iter().copied()).collect();
    let mut found = vec![0; expected.len()];
    data.read_exact_at(&mut found, BLOCK).unwrap();
    assert!(found == expected, "other bytes are there");
    assert_eq!(crc32c, crc(&[&expected]));
    assert_eq!(data.metadata().unwrap().len(), BLOCK + expected.len() as u64);
}

/// Beside this program: with a disk beneath it.
fn file() -> (tempfile::NamedTempFile, File) {
    let program = std::env::current_exe().unwrap();
    let file = tempfile::NamedTempFile::new_in(program.parent().unwrap()).unwrap();
    let data = file.reopen().unwrap();
    (file, data)
}

#[test]
fn whole_chunks_go_past_the_page_cache_and_the_tail_through_it() {
    let (_named, data) = file();
    let direct = Direct::to(&data).unwrap();
    assert!(fcntl_getfl(&direct.data).unwrap().contains(OFlags::DIRECT));
    assert!(!fcntl_getfl(&data).unwrap().contains(OFlags::DIRECT));
    let chunks = chunks();
    assert_eq!(direct.write(BLOCK, &chunks).len(), 1, "all but the tail");
    let crc32c = write_block(&data, Some(&direct), 1, &chunks).unwrap();
    check(&data, &chunks, crc32c);
    assert!(!direct.refused.load(Ordering::Relaxed));
}

#[test]
fn where_the_direct_way_is_refused_all_goes_the_other_one_from_then_on() {
    let (named, data) = file();
    let closed = OpenOptions::new().read(true).open(named.path()).unwrap();
    let direct = Direct { data: closed, refused: AtomicBool::new(false) };
    let chunks = chunks();
    for _ in 0..2 {
        let crc32c = write_block(&data, Some(&direct), 1, &chunks).unwrap();
        check(&data, &chunks, crc32c);
        assert!(direct.refused.load(Ordering::Relaxed));
    }
}
