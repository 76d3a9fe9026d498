use object::StorageState;

use super::*;
use crate::fact::Tag;
use crate::ttl::Ttl;

fn tree(names_max: usize) -> Tree {
    Tree::new(Policy::new(Ttl::Indefinite, None), names_max, "p/")
}

fn at(seconds: u64) -> Time {
    Time::from_secs(1000 + seconds)
}

fn file(name: &str, version: u8) -> Arc<Fact> {
    let tag = Tag::Sum([version; 16], 0);
    let (size, modified, storage) = (1, 1, StorageState::Online);
    Arc::new(Fact { name: name.into(), size, modified, tag, storage, kind: Kind::File })
}

#[test]
fn a_directory_stays_as_long_as_a_name_in_it_is_held() {
    let mut tree = tree(100);
    let above = tree.admit(ROOT, &Fact::directory("a"), at(0)).unwrap();
    let below = tree.admit(above, &Fact::directory("b"), at(0)).unwrap();
    let leaf = tree.admit(below, &file("c", 1), at(0)).unwrap();
    tree.refer(leaf);
    tree.vanish(ROOT, "a", at(1));
    assert_eq!(tree.key(leaf), "p/a/b/c");
    assert!(!tree.is_current(above) && tree.node(below).is_some());
    tree.vanish(below, "c", at(1));
    tree.forget(leaf, 1);
    assert!(tree.node(leaf).is_none());
}

#[test]
fn what_was_seen_earlier_does_not_undo_what_was_seen_later() {
    let mut tree = tree(100);
    let new = tree.admit(ROOT, &file("a", 2), at(5)).unwrap();
    assert_eq!(tree.admit(ROOT, &file("a", 1), at(4)), Some(new));
    tree.vanish(ROOT, "a", at(3));
    assert!(tree.is_current(new));
    tree.vanish(ROOT, "a", at(6));
    assert_eq!(tree.admit(ROOT, &file("a", 1), at(4)), None);
    let again = tree.admit(ROOT, &file("a", 2), at(7)).unwrap();
    assert_ne!(again, new);
}

#[test]
fn names_stay_below_their_limit_as_far_as_the_kernel_lets_them() {
    let mut tree = tree(10);
    for number in 0..50 {
        let id = tree.admit(ROOT, &file(&number.to_string(), 1), at(number)).unwrap();
        assert!(tree.node(id).is_some());
        assert!(tree.nodes.len() <= 11);
    }
    let facts: Vec<_> = (0..8).map(|n| file(&n.to_string(), 1)).collect();
    tree.install(ROOT, &Arc::new(Snapshot::new(facts, at(60), None)));
    assert!(tree.nodes.len() + tree.snapshot_names <= 10);
    // Nothing that the counts stand for was lost on the way.
    tree.drop_snapshots();
    assert_eq!((tree.snapshot_names, tree.snapshot_bytes), (0, 0));
}

#[test]
fn the_youngest_sight_of_a_name_counts() {
    let mut tree = tree(100);
    tree.admit(ROOT, &file("a", 1), at(5)).unwrap();
    let snapshot = |version, seen| Arc::new(Snapshot::new(vec![file("a", version)], seen, None));
    let known = |tree: &Tree| match tree.know(ROOT, "a", at(9), Trust::Opened) {
        Known::Present(fact, _) => fact.tag.clone(),
        _ => Tag::Unconfirmed,
    };
    tree.install(ROOT, &snapshot(2, at(4)));
    assert_eq!(known(&tree), file("a", 1).tag);
    tree.install(ROOT, &snapshot(2, at(6)));
    assert_eq!(known(&tree), file("a", 2).tag);
    tree.install(ROOT, &Arc::new(Snapshot::new(vec![], at(8), None)));
    assert!(matches!(tree.know(ROOT, "a", at(9), Trust::Shown), Known::Absent(_)));
    assert!(matches!(tree.know(ROOT, "a", at(60), Trust::Shown), Known::Unknown));
}

#[test]
fn inode_numbers_do_not_depend_on_where_the_root_is() {
    let mut whole = Tree::new(Policy::new(Ttl::Indefinite, None), 100, "");
    let above = whole.admit(ROOT, &Fact::directory("p"), at(0)).unwrap();
    let by_path = whole.admit(above, &file("a", 1), at(0)).unwrap();
    let mut part = tree(100);
    let by_prefix = part.admit(ROOT, &file("a", 1), at(0)).unwrap();
    assert_eq!(whole.node(by_path).unwrap().ino(), part.node(by_prefix).unwrap().ino());
    // Fixed for ever: a change of the hash would change every number on every mount.
    assert_eq!(part.node(by_prefix).unwrap().ino(), 0x5b30_9b48_a417_74db);
}

#[test]
fn absences_are_remembered_up_to_a_bound_and_the_oldest_goes_first() {
    const BOUND: u64 = 16_384;
    let mut tree = tree(100);
    for number in 0..=BOUND {
        tree.vanish(ROOT, &number.to_string(), at(0));
    }
    let absent = |tree: &Tree, number: u64| {
        matches!(tree.know(ROOT, &number.to_string(), at(1), Trust::Shown), Known::Absent(_))
    };
    assert!(!absent(&tree, 0));
    assert!((1..=BOUND).all(|number| absent(&tree, number)));
}
