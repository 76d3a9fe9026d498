use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const READER: Caller = Caller { pid: 10, reads: true };

#[test]
fn a_request_is_claimed_once() {
    let pending = Pending::new(2);
    let ticket = pending.register(1, 42, READER);
    assert_eq!((pending.len(), pending.caller(42)), (1, Some(READER)));
    assert!(pending.claim(&ticket));
    assert!(!pending.claim(&ticket));
    assert_eq!((pending.len(), pending.caller(42)), (0, None));
}

#[test]
fn an_interrupted_request_cannot_be_answered_any_more() {
    let pending = Pending::new(2);
    let ticket = pending.register(0, 42, READER);
    assert!(pending.claim_unique(42).is_some());
    assert!(!pending.is_live(&ticket));
    assert!(!pending.claim(&ticket));
    assert!(pending.claim_unique(42).is_none());
}

#[test]
fn a_reused_slot_does_not_serve_the_old_ticket() {
    let pending = Pending::new(1);
    let old = pending.register(0, 42, READER);
    assert!(pending.claim_unique(42).is_some());
    let new = pending.register(0, 44, READER);
    assert!(!pending.claim(&old));
    assert!(pending.claim(&new));
}

#[test]
fn a_resent_request_is_found_by_its_plain_number_and_answered_by_its_full_one() {
    let pending = Pending::new(1);
    pending.register(0, 42 | UNIQUE_RESEND, READER);
    assert_eq!(pending.caller(42), Some(READER));
    assert_eq!(pending.claim_unique(42).map(|found| found.0), Some(42 | UNIQUE_RESEND));
}

#[test]
fn a_hook_comes_with_the_interrupt_or_is_given_back() {
    let calls = Arc::new(AtomicUsize::new(0));
    let hook = |calls: &Arc<AtomicUsize>| -> Hook {
        let calls = calls.clone();
        Box::new(move || {
            calls.fetch_add(1, Ordering::SeqCst);
        })
    };
    let pending = Pending::new(1);
    let ticket = pending.register(0, 42, READER);
    assert!(pending.set_hook(&ticket, hook(&calls)).is_ok());
    let (_, found) = pending.claim_unique(42).unwrap();
    found.unwrap()();
    assert!(pending.set_hook(&ticket, hook(&calls)).is_err());
    let answered = pending.register(0, 44, READER);
    assert!(pending.set_hook(&answered, hook(&calls)).is_ok());
    assert!(pending.claim(&answered));
    assert_eq!((calls.load(Ordering::SeqCst), Arc::strong_count(&calls)), (1, 1));
}

#[test]
fn abandoned_requests_are_nobodys() {
    let pending = Pending::new(3);
    let tickets: Vec<_> = (1..10).map(|n| pending.register(n, n as u64 * 2, READER)).collect();
    assert_eq!(pending.abandon(), 9);
    assert!(tickets.iter().all(|ticket| !pending.claim(ticket)));
    assert_eq!(pending.len(), 0);
}

#[test]
fn free_slots_are_not_found_by_number_zero() {
    let pending = Pending::new(1);
    let ticket = pending.register(0, 42, READER);
    assert!(pending.claim(&ticket));
    assert_eq!(pending.caller(0), None);
    assert_eq!(pending.caller(UNIQUE_RESEND), None);
}
