use super::*;
use proptest::prelude::*;

const READ: Caller = Caller { pid: 0, reads: true };
const STAT: Caller = Caller { pid: 0, reads: false };

fn status(own: &str, shared: &str) -> String {
    format!(
        "Name:\tdd\nThreads:\t1\nSigPnd:\t{own}\nShdPnd:\t{shared}\nSigBlk:\t0000000000000100\n"
    )
}

#[test]
fn a_pending_sigkill_is_seen_in_either_set() {
    let (none, kill, alarm) = ("0000000000000000", "0000000000000100", "0000000000002000");
    assert_eq!(fate_in(&status(kill, none)), Fate::Killed);
    assert_eq!(fate_in(&status(none, kill)), Fate::Killed);
    assert_eq!(fate_in(&status(alarm, alarm)), Fate::Alive);
    assert_eq!(fate_in(&status(none, none)), Fate::Alive);
}

#[test]
fn an_unreadable_status_tells_nothing() {
    assert_eq!(fate_in(""), Fate::Unknown);
    assert_eq!(fate_in(&status("zz", "0")), Fate::Unknown);
}

#[test]
fn only_the_killed_are_freed_at_once() {
    assert!(frees(Fate::Killed, STAT, Duration::ZERO));
    assert!(!frees(Fate::Alive, READ, Duration::from_secs(3600)));
    assert!(!frees(Fate::Unknown, STAT, Duration::from_secs(3600)));
    assert!(!frees(Fate::Unknown, READ, Duration::from_millis(1999)));
    assert!(frees(Fate::Unknown, READ, Duration::from_secs(2)));
}

#[test]
fn a_living_thread_a_gone_one_and_no_thread_are_told_apart() {
    assert_eq!(fate_of(std::process::id()), Fate::Alive);
    assert_eq!(fate_of(0), Fate::Unknown);
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let gone = child.id();
    child.wait().unwrap();
    assert_eq!(fate_of(gone), Fate::Killed);
}

#[test]
fn a_thread_on_its_way_out_by_a_signal_is_told_from_one_that_ends_by_itself() {
    let stat = |flags: u64, code: u64| {
        format!("7 (a) b) R 1 7 7 0 -1 {flags}{} {code}\n", " 0".repeat(42))
    };
    assert!(killed_in(&stat(0x40_0004, 9)));
    assert!(killed_in(&stat(4, 15 | 0x80)));
    assert!(!killed_in(&stat(4, 3 << 8)));
    assert!(!killed_in(&stat(0x40_0000, 9)));
    assert!(!killed_in(&stat(4, 0)));
    for odd in ["", ")", "7 (a", "7 (a) R", "7 (a) R 1 7 7 0 -1 x"] {
        assert!(!killed_in(odd));
    }
    assert!(!was_killed(std::process::id()));
    assert!(!was_killed(0));
}

#[test]
fn pids_of_another_namespace_are_not_trusted() {
    assert!(pids_known(own_pid_namespace()));
    assert!(!pids_known(own_pid_namespace() ^ 1));
    assert!(!pids_known(0));
}

proptest! {
    #[test]
    fn no_status_text_makes_it_panic(text in "(SigPnd:|ShdPnd:|[ \t\n0-9a-fx-z])*") {
        let _ = (fate_in(&text), killed_in(&text));
    }
}
