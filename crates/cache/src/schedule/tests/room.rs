//! Room on the disk: never less is counted than is there, and in the end exactly that.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use ::object::{BLOCK, Version};

use super::node::{Node, Process, assert_at_rest, assert_right, scope, version};
use super::turns::{exploring, watched};
use super::{explore, together};
use crate::identity::Identity;
use crate::ledger::tests::counted;
use crate::ledger::{footprint, pair_charge};

/// Two blocks.
const SIZE: u64 = BLOCK + 5;

/// What the ledger says beyond what there is, in bytes.
fn surplus(process: &Process, start: u64, versions: &[Arc<Version>]) -> i64 {
    exploring(false, || surplus_now(process, start, versions))
}

fn surplus_now(process: &Process, start: u64, versions: &[Arc<Version>]) -> i64 {
    let directory = process.cache.current().directory.clone();
    let shard = |identity: &Identity| directory.shard(identity.shard()).unwrap();
    let charge = |version: &Arc<Version>| {
        let identity = Identity::of(&scope(), version);
        shard(&identity).map_or(0, |shard| pair_charge(&shard, &identity.to_string()).unwrap())
    };
    // The files first: what is counted was settled before.
    let files: u64 = versions.iter().map(charge).sum();
    let count = counted(directory.as_fd()).used - start;
    count.cast_signed() - files.cast_signed()
}

/// Everything was let go of: what is counted is what is there.
fn assert_settled(processes: &[Process], start: u64, versions: &[Arc<Version>]) {
    for process in processes {
        for version in versions {
            process.cache.backings.again(&Identity::of(&scope(), version));
            assert_at_rest(process, version);
        }
        // The second time the slab has not been in use since.
        process.tick();
        process.tick();
    }
    let [first, ..] = processes else { return };
    let count = counted(first.cache.current().directory.as_fd());
    assert_eq!(count.reserved, 0, "something is still reserved");
    if count.doubt == 0 {
        assert_eq!(surplus(first, start, versions), 0, "more is counted than there is");
    }
}

/// Runs `scene` with two processes that have room for `limit` bytes of objects.
fn with_room(
    node: &Arc<Node>,
    limit: u64,
    versions: &[Arc<Version>],
    scene: impl FnOnce(u64, &Process, &Process),
) {
    let empty = node.process_in("boot-1", Some(u64::MAX >> 1));
    let start = counted(empty.cache.current().directory.as_fd()).used;
    let process = || node.process_in("boot-1", Some(start + limit));
    let (one, two) = (process(), process());
    let (onlooker, watching) = (empty.clone(), versions.to_vec());
    let look = move || assert!(surplus(&onlooker, start, &watching) >= 0, "too little is counted");
    watched(look, || scene(start, &one, &two));
    exploring(false, || assert_settled(&[one, two, empty], start, versions));
}

#[test]
fn an_object_is_evicted_while_others_read_fill_and_hold_it() {
    explore(|node| {
        let jar = version("a.jar", SIZE);
        with_room(node, 8 * footprint(SIZE), std::slice::from_ref(&jar), |start, one, two| {
            let (first, second, evictor) = (one.clone(), two.clone(), two.clone());
            let (jar1, jar2) = (jar.clone(), jar.clone());
            let hold = move || {
                first.read(&jar1, 0..2);
                first.tick();
                if let Some(file) = first.hand_out(&jar1) {
                    let evicted = file.metadata().unwrap().nlink() == 0;
                    first.tick();
                    let held = if evicted { SIZE as i64 } else { 0 };
                    let counted = surplus(&first, start, std::slice::from_ref(&jar1));
                    assert!(counted >= held, "what is held is not counted");
                    assert_right(&file, &jar1);
                }
            };
            let fill = move || {
                second.read(&jar2, 0..2);
                second.hand_out(&jar2);
            };
            let evict = move || {
                for _ in 0..2 {
                    evictor.room.as_ref().unwrap().evict(1).unwrap();
                }
            };
            together([Box::new(hold), Box::new(fill), Box::new(evict)]);
        });
    });
}

#[test]
fn what_is_handed_out_while_it_is_evicted_and_fetched_again_is_right() {
    explore(|node| {
        let jar = version("a.jar", SIZE);
        with_room(node, 8 * footprint(SIZE), std::slice::from_ref(&jar), |_, one, two| {
            one.read(&jar, 0..2);
            one.tick();
            let (first, second, jar1, jar2) = (one.clone(), two.clone(), jar.clone(), jar.clone());
            let hand_out = move || {
                (0..2).for_each(|_| drop(first.hand_out(&jar1)));
            };
            let replace = move || {
                second.room.as_ref().unwrap().evict(1).unwrap();
                second.read(&jar2, 1..2);
            };
            together([Box::new(hand_out), Box::new(replace)]);
        });
    });
}

#[test]
fn two_objects_take_turns_where_there_is_room_for_one() {
    explore(|node| {
        let (a, b) = (version("a.jar", SIZE), version("b.jar", SIZE));
        with_room(node, footprint(SIZE) * 3 / 2, &[a.clone(), b.clone()], |_, one, two| {
            let reader = |process: &Process, version: &Arc<Version>| {
                let (process, version) = (process.clone(), version.clone());
                Box::new(move || {
                    process.read(&version, 0..2);
                    process.tick();
                }) as Box<_>
            };
            together([reader(one, &a), reader(one, &b), reader(two, &a), reader(two, &b)]);
        });
    });
}
