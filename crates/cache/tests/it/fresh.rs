//! What was written long ago does not stay in the page cache.

use std::fs::File;
use std::process::Command;
use std::sync::Arc;

use object::{BLOCK, Span, Version};

use crate::harness::{Node, until};

const SIZE: u64 = 64 * BLOCK;

/// Fills the cache block by block, each brought to the disk before the next one, and answers how
/// many bytes of the file are in the page cache then.
async fn resident(fresh: u64) -> u64 {
    // Where files have a disk beneath them.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let node = Node { dir, fresh, ..Node::new() };
    let version = node.put("large", SIZE).await;
    let mount = node.mount();
    for start in (0..SIZE).step_by(BLOCK as usize) {
        mount.read(&version, Span::new(start, start + BLOCK)).await.unwrap();
        until("it is recorded", || mount.cache.counts().filled_bytes == start + BLOCK).await;
        File::open(node.file(&version, "data")).unwrap().sync_data().unwrap();
    }
    pages(&node, &version)
}

fn pages(node: &Node, version: &Arc<Version>) -> u64 {
    let columns = ["--bytes", "--noheadings", "--output", "RES"];
    let told = Command::new("fincore").args(columns).arg(node.file(version, "data")).output();
    String::from_utf8(told.unwrap().stdout).unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn beyond_a_bound_the_oldest_pages_are_let_go_of() {
    let (bounded, free) = (resident(16 * BLOCK).await, resident(u64::MAX).await);
    assert!((BLOCK..=20 * BLOCK).contains(&bounded), "{bounded} bytes stayed");
    assert!(free >= SIZE / 2, "{free} bytes stayed of {SIZE} that might");
}
