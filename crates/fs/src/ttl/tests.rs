use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn left(ttl: Ttl, kind: Kind, age_ms: u64) -> Option<u64> {
    let seen = Time::from_secs(1000);
    let now = seen + Duration::from_millis(age_ms);
    let left = Policy::new(ttl, None).left(kind, seen, now, None);
    left.map(|l| u64::try_from(l.as_millis()).unwrap())
}

#[test]
fn each_mode_trusts_a_name_for_its_time() {
    assert_eq!(left(Ttl::Minimal, Kind::File, 60), Some(40));
    assert_eq!(left(Ttl::Minimal, Kind::File, 100), None);
    assert_eq!(left(Ttl::Minimal, Kind::Directory, 999), Some(1));
    assert_eq!(left(Ttl::Minimal, Kind::Directory, 1000), None);
    assert_eq!(left(Ttl::For(60 * SECOND), Kind::File, 59_000), Some(1000));
    assert_eq!(left(Ttl::For(60 * SECOND), Kind::Directory, 60_000), None);
    assert!(left(Ttl::Indefinite, Kind::File, 1 << 40).is_some());
}

#[test]
fn absence_is_trusted_by_its_own_rule() {
    let ten = Ttl::For(10 * SECOND);
    let cases = [
        (Ttl::Minimal, None, Duration::ZERO),
        (Ttl::For(60 * SECOND), None, 60 * SECOND),
        (Ttl::Indefinite, None, 5 * SECOND),
        (Ttl::Minimal, Some(ten), 10 * SECOND),
        (Ttl::For(60 * SECOND), Some(Ttl::Minimal), Duration::ZERO),
        (Ttl::For(60 * SECOND), Some(ten), 10 * SECOND),
        (Ttl::Indefinite, Some(ten), 10 * SECOND),
        (Ttl::Indefinite, Some(Ttl::Indefinite), FOR_EVER),
    ];
    for (ttl, negative, want) in cases {
        let seen = Time::from_secs(1000);
        let left = Policy::new(ttl, negative).absent_left(seen, seen);
        assert_eq!(left.unwrap_or_default(), want, "{ttl:?} {negative:?}");
        assert_eq!(Policy::new(ttl, negative).absent_left(seen, seen + want), None);
    }
}

#[test]
fn a_listing_in_use_answers_for_its_names_and_no_longer() {
    let policy = Policy::new(Ttl::Minimal, None);
    let seen = Time::from_secs(1000);
    let window = Some(Window { since: seen, until: seen + 5 * SECOND });
    assert!(policy.left(Kind::File, seen, seen + 5 * SECOND, window).is_some());
    assert!(policy.left(Kind::File, seen, seen + 6 * SECOND, window).is_none());
    let before = Time::from_secs(999);
    assert!(policy.left(Kind::File, before, seen + SECOND, window).is_none());
}
