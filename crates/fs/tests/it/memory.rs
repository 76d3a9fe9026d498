//! What names take, measured at the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use fs::ROOT;

use crate::mount::{MINUTE, Mount};

struct Counting;

thread_local! {
    static HELD: Cell<i64> = const { Cell::new(0) };
}

fn count(bytes: usize, sign: i64) {
    let bytes = sign * i64::try_from(bytes).unwrap_or(i64::MAX);
    // A thread that ends has no counter any more; its last frees are nobody's.
    let _ = HELD.try_with(|held| held.set(held.get() + bytes));
}

// SAFETY: every call is passed on to the system allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that `count` names take with nodes that the kernel holds, a snapshot, and room to forget
/// them. The runtime of the test has one thread, so that the count is its own.
async fn bytes_per_name(count: usize) -> i64 {
    let mount = Mount::new(MINUTE);
    mount.fill("part-00000-of-", count);
    let before = HELD.get();
    let handle = mount.fs.opendir(ROOT).await.unwrap();
    let mut cookie = 0;
    loop {
        let some = mount.fs.readdir(handle, cookie, 500, |_| 1, true).await.unwrap();
        let Some(last) = some.last() else { break };
        cookie = last.cookie;
    }
    (HELD.get() - before) / i64::try_from(count).unwrap()
}

#[tokio::test]
async fn a_name_takes_at_most_300_bytes() {
    // Sizes at which hash tables are at their fullest, and just grown.
    for count in [10_000, 14_400, 57_000, 58_000, 100_000] {
        let bytes = bytes_per_name(count).await;
        println!("{count} names: {bytes} bytes each");
        assert!(bytes <= 300, "{count} names: {bytes} bytes each");
    }
}
