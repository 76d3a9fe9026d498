//! Of a large fill no more than a bound goes through the page cache.

use std::fs;
use std::process::Command;

use object::{BLOCK, Span};

use crate::harness::{Node, content, until};

const SIZE: u64 = 64 * BLOCK;

/// Fills the cache piece by piece, and answers how many bytes of the file are in the page cache
/// then.
async fn resident(fresh: u64) -> u64 {
    // Where files have a disk beneath them.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let node = Node { dir, fresh, ..Node::new() };
    let version = node.put("large", SIZE).await;
    let mount = node.mount();
    for start in (0..SIZE).step_by(4 * BLOCK as usize) {
        let end = start + 4 * BLOCK;
        mount.read(&version, Span::new(start, end)).await.unwrap();
        until("it is recorded", || mount.cache.counts().filled_bytes == end).await;
    }
    let file = node.file(&version, "data");
    let columns = ["--bytes", "--noheadings", "--output", "RES"];
    let told = Command::new("fincore").args(columns).arg(&file).output().unwrap();
    let resident = String::from_utf8(told.stdout).unwrap().trim().parse().unwrap();
    assert_eq!(fs::read(file).unwrap(), content("large", SIZE), "what way it went");
    resident
}

#[tokio::test]
async fn beyond_a_bound_what_is_fetched_goes_past_the_page_cache() {
    let (bounded, none, free) =
        (resident(16 * BLOCK).await, resident(0).await, resident(u64::MAX).await);
    assert_eq!(none, 0, "bytes went through the page cache");
    // A little more is admitted as time goes by.
    assert!((BLOCK..=32 * BLOCK).contains(&bounded), "{bounded} bytes stayed");
    assert!(free >= SIZE / 2, "{free} bytes stayed of {SIZE} that might");
}
