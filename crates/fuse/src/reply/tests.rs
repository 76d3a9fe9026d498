use super::*;
use proptest::prelude::*;

#[test]
fn every_open_mode_has_its_flags() {
    let check = |mode, no_flush, flags, backing_id| {
        let wire = Opened { fh: 9, mode, no_flush }.wire();
        assert_eq!(wire, abi::OpenOut { fh: 9, open_flags: flags, backing_id });
    };
    check(OpenMode::Cached { keep: false }, false, 0, 0);
    check(OpenMode::Cached { keep: true }, true, 0b10_0010, 0);
    check(OpenMode::Direct { parallel_writes: false }, false, 1, 0);
    check(OpenMode::Direct { parallel_writes: true }, false, 0b100_0001, 0);
    check(OpenMode::Passthrough { id: BackingId(3), direct: false }, true, 0b1010_0000, 3);
    check(OpenMode::Passthrough { id: BackingId(3), direct: true }, true, 0b1010_0001, 3);
}

#[test]
fn a_negative_entry_has_a_lifetime_and_no_node() {
    let wire = Entry::negative(Duration::from_millis(1500)).wire();
    assert_eq!((wire.nodeid, wire.entry_valid, wire.entry_valid_nsec), (0, 1, 500_000_000));
}

#[test]
fn nodeid_and_inode_number_are_different_things() {
    let attr = Attr { ino: 99, ..Attr::default() };
    let wire = Entry { nodeid: 5, attr, ..Entry::default() }.wire();
    assert_eq!((wire.nodeid, wire.attr.ino), (5, 99));
}

proptest! {
    #[test]
    fn lifetimes_never_overflow_the_kernels_clock(seconds: u64, nanos in 0u32..1_000_000_000) {
        let (wire, wire_nanos) = wire_time(Duration::new(seconds, nanos));
        prop_assert!(wire <= u64::from(u32::MAX) && (wire == seconds || seconds > wire));
        prop_assert_eq!(wire_nanos, nanos);
    }
}
