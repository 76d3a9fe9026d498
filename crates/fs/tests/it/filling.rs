//! Directories in which many files are made at the same time: what looking at new names costs
//! there, and what may be missed.

use std::time::Duration;

use fs::{Errno, HandleId, NodeId, OpenOptions, Ttl};

use crate::mount::{MINUTE, Mount, config};

/// What minimal mode trusts a look for.
const GRANT: Duration = Duration::from_millis(100);

/// LOOKUP and CREATE.
async fn make(mount: &Mount, parent: NodeId, name: &str) -> HandleId {
    assert_eq!(mount.find(parent, name).await.unwrap_err(), Errno::NotFound);
    let options = OpenOptions { write: true, ..OpenOptions::default() };
    mount.fs.create(parent, name.as_bytes(), options).await.unwrap().1.handle
}

/// A directory `d` in which this mount has just made eight files, which are open.
async fn filled(mount: &Mount) -> (NodeId, Vec<HandleId>) {
    mount.put("d/there", "x");
    let parent = mount.walk("d").await.unwrap().node;
    let mut open = Vec::new();
    mount.asked();
    for number in 0..8 {
        open.push(make(mount, parent, &format!("first-{number}")).await);
    }
    assert_eq!(mount.asked(), (0, 8, 0), "one look for each");
    (parent, open)
}

#[tokio::test]
async fn one_listing_answers_for_a_hundred_milliseconds() {
    let mount = Mount::new(Ttl::Minimal);
    let (parent, _open) = filled(&mount).await;
    let began = mount.clock.now();
    for number in 0..100 {
        make(&mount, parent, &format!("next-{number}")).await;
    }
    let took = mount.clock.now().since(began);
    // One more as it is renewed early.
    let most = 2 + took.as_millis() as u64 / 50;
    let (heads, lists, gets) = mount.asked();
    assert!((1..=most).contains(&lists), "{lists} listings where {most} do");
    assert_eq!((heads, gets), (0, 0));
    mount.pass(2 * GRANT);
    make(&mount, parent, "later").await;
    assert_eq!(mount.asked(), (0, 1, 0));
    assert!(mount.find(parent, "there").await.is_ok());
    assert!(mount.find(parent, "next-7").await.is_ok());
}

#[tokio::test]
async fn a_listing_is_renewed_before_it_is_too_old_so_that_nobody_waits_for_it() {
    let mount = Mount::new(Ttl::Minimal);
    let (parent, _open) = filled(&mount).await;
    make(&mount, parent, "next").await;
    assert_eq!(mount.asked(), (0, 1, 0));
    for number in 0..3 {
        mount.pass(GRANT * 6 / 10);
        make(&mount, parent, &format!("renews-{number}")).await;
        mount.fs.settle().await;
        assert_eq!(mount.asked(), (0, 1, 0));
        // Of the listing before that only, this would be too late.
        make(&mount, parent, &format!("does-not-{number}")).await;
        mount.fs.settle().await;
        assert_eq!(mount.asked(), (0, 0, 0));
    }
}

#[tokio::test]
async fn within_a_ttl_one_listing_answers_for_all_of_it() {
    let mount = Mount::new(MINUTE);
    let (parent, _open) = filled(&mount).await;
    for number in 0..100 {
        make(&mount, parent, &format!("next-{number}")).await;
        mount.pass(Duration::from_millis(200));
    }
    assert_eq!(mount.asked(), (0, 1, 0));
}

#[tokio::test]
async fn what_somebody_else_makes_meanwhile_shows_within_that_time_and_is_never_replaced() {
    let mount = Mount::new(Ttl::Minimal);
    let (parent, _open) = filled(&mount).await;
    make(&mount, parent, "next").await;
    mount.put("d/theirs", "theirs");
    let ours = make(&mount, parent, "theirs").await;
    mount.write(ours, 0, b"ours").await.unwrap();
    assert_eq!(mount.close(ours).await, Err(Errno::Exists));
    assert_eq!(mount.stored("d/theirs").unwrap(), "theirs");
    mount.put("d/theirs, too", "x");
    mount.pass(2 * GRANT);
    assert!(mount.find(parent, "theirs, too").await.is_ok());
}

#[tokio::test]
async fn when_nothing_is_being_written_each_look_asks() {
    let mount = Mount::new(Ttl::Minimal);
    let (parent, mut open) = filled(&mount).await;
    open.push(make(&mount, parent, "next").await);
    for handle in open {
        mount.close(handle).await.unwrap();
    }
    mount.asked();
    mount.put("d/theirs", "theirs");
    assert!(mount.find(parent, "theirs").await.is_ok());
    assert_eq!(mount.asked(), (0, 1, 0));
}

#[tokio::test]
async fn a_directory_too_large_to_be_listed_for_this_is_tried_once_and_then_left_alone() {
    let mount = Mount::new(Ttl::Minimal);
    mount.fill("d/", 5001);
    let (parent, _open) = filled(&mount).await;
    for number in 0..10 {
        make(&mount, parent, &format!("next-{number}")).await;
    }
    assert_eq!(mount.asked(), (0, 5 + 10, 0));
    mount.pass(Duration::from_secs(1) + GRANT);
    make(&mount, parent, "after a pause").await;
    assert_eq!(mount.asked(), (0, 1, 0));
}

#[tokio::test]
async fn names_that_were_made_and_removed_here_are_what_this_mount_made_of_them() {
    let mount = Mount::with(crate::mount::allowing(config(Ttl::Minimal)));
    let (parent, _open) = filled(&mount).await;
    make(&mount, parent, "next").await;
    mount.asked();
    mount.rm("d/there").await.unwrap();
    assert_eq!(mount.find(parent, "there").await.unwrap_err(), Errno::NotFound);
    mount.echo("d/more", "text").await.unwrap();
    assert_eq!(mount.cat("d/more").await.unwrap(), "text");
}

#[tokio::test]
async fn what_was_published_here_is_known_also_when_its_node_is_gone_and_a_listing_is_older() {
    let mount = Mount::with(fs::Config { names_max: 4, ..config(MINUTE) });
    mount.put("d/a", "a");
    mount.put("d/b", "b");
    let parent = mount.walk("d").await.unwrap().node;
    mount.ls(parent).await.unwrap();
    mount.echo("d/new", "new").await.unwrap();
    for (name, count) in [("a", 1), ("b", 1), ("new", 1)] {
        let id = mount.find(parent, name).await.unwrap().node;
        mount.fs.forget(id, count + 10);
    }
    mount.asked();
    assert_eq!(mount.find(parent, "new").await.unwrap().attr.size, 3);
    assert_eq!(mount.asked(), (0, 0, 0), "from memory");
}
