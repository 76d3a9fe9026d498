use super::*;
use proptest::prelude::*;

fn offer(minor: u32, flags: u64) -> Offer {
    Offer { major: 7, minor, max_readahead: 131_072, flags }
}

fn settle(minor: u32, flags: u64, wanted: &Wanted) -> (InitState, InitOut) {
    negotiate(&offer(minor, flags), wanted).unwrap()
}

#[test]
fn a_new_kernel_gets_everything_wanted() {
    let wanted = Wanted::default();
    let (state, out) = settle(45, u64::MAX, &wanted);
    assert!(state.features.has(wanted.features));
    assert!(!state.features.has(Features::ATOMIC_O_TRUNC));
    assert_eq!((out.max_write, out.max_pages, out.max_readahead), (1 << 20, 256, 131_072));
    assert_eq!((out.max_background, out.congestion_threshold, out.max_stack_depth), (64, 48, 1));
    // Nothing for NFS, no locks of our own, no page dropped by the look of its file, no cache of
    // what is written; in the second word only what is wanted, so no shared mapping of what is
    // read and written directly.
    let [posix_locks, export, flock, auto_invalidate, writeback] = [1, 4, 10, 12, 16];
    for bit in [posix_locks, export, flock, auto_invalidate, writeback] {
        assert_eq!(out.flags & (1 << bit), 0, "{bit}");
    }
    assert_eq!(out.flags2, 1 << 5 | 1 << 7);
    assert_eq!((out.major, out.minor), (7, 45));
}

#[test]
fn a_newer_kernel_is_spoken_to_in_our_version() {
    assert_eq!(settle(60, u64::MAX, &Wanted::default()).1.minor, abi::MINOR);
}

#[test]
fn a_kernel_without_the_second_word_gets_no_passthrough_and_no_resend() {
    let flags = !(1 << 30);
    let (state, out) = settle(31, flags, &Wanted::default());
    assert!(!state.features.has(Features::PASSTHROUGH));
    assert!(!state.features.has(Features::RESEND));
    assert_eq!((out.flags2, out.max_stack_depth), (0, 0));
}

#[test]
fn what_is_masked_is_not_asked_for() {
    let mask = Features::PASSTHROUGH
        .with(Features::RESEND)
        .with(Features::READDIRPLUS)
        .with(Features::LARGE_REQUESTS);
    let default = Wanted::default();
    let wanted = Wanted { features: default.features.without(mask), ..default };
    let (state, out) = settle(45, u64::MAX, &wanted);
    for one in [Features::PASSTHROUGH, Features::RESEND, Features::READDIRPLUS] {
        assert!(!state.features.has(one));
    }
    assert_eq!((out.max_write, out.max_pages), (128 << 10, 32));
}

#[test]
fn other_abis_are_refused() {
    let wanted = Wanted::default();
    assert_eq!(negotiate(&offer(22, u64::MAX), &wanted), None);
    let eight = Offer { major: 8, ..offer(0, u64::MAX) };
    assert_eq!(negotiate(&eight, &wanted), None);
}

#[test]
fn stored_states_of_another_format_are_refused() {
    let good = settle(45, u64::MAX, &Wanted::default()).0.to_bytes();
    assert!(InitState::from_bytes(&good).is_ok());
    assert_eq!(InitState::from_bytes(&good[1..]), Err(InitStateError));
    let mut other = good;
    other[0] = 2;
    assert_eq!(InitState::from_bytes(&other), Err(InitStateError));
    assert_eq!(InitState::from_bytes(&[0; InitState::STORED]), Err(InitStateError));
}

proptest! {
    #[test]
    fn states_survive_being_stored(
        minor in 23u32..100,
        flags: u64,
        request in 0u32..(32 << 20),
        readahead: u32,
        background: u16,
        pid_namespace: u64,
    ) {
        let wanted = Wanted {
            max_request: request,
            max_readahead: readahead,
            max_background: background,
            ..Wanted::default()
        };
        let (state, out) = settle(minor, flags, &wanted);
        let state = InitState { pid_namespace, ..state };
        prop_assert_eq!(InitState::from_bytes(&state.to_bytes()), Ok(state));
        prop_assert!(state.buffer_size() >= abi::BUFFER_MIN);
        prop_assert!(u32::from(out.max_pages) * PAGE >= out.max_write);
    }

    #[test]
    fn no_stored_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = InitState::from_bytes(&bytes);
    }
}
