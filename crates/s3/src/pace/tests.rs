use super::*;

async fn fill(gate: &Arc<Gate>) -> Vec<Place> {
    let mut places = Vec::new();
    while gate.places.available_permits() > 0 {
        places.push(gate.enter().await);
    }
    places
}

#[tokio::test]
async fn one_burst_of_refusals_halves_the_limit_once() {
    let gate = Gate::new(16);
    let places = fill(&gate).await;
    assert_eq!(places.len(), 16);
    places.iter().for_each(Place::refused);
    assert_eq!(gate.limit(), 8);
    drop(places);
    let places = fill(&gate).await;
    assert_eq!(places.len(), 8);
    places.iter().for_each(Place::refused);
    assert_eq!(gate.limit(), 4);
}

#[tokio::test]
async fn the_limit_recovers_by_one_for_each_round_of_successes_and_no_further_than_the_most() {
    let gate = Gate::new(8);
    let first = gate.enter().await;
    first.refused();
    drop(first);
    for expected in [4, 5, 6, 7, 8, 8] {
        assert_eq!(gate.limit(), expected);
        let places = fill(&gate).await;
        assert_eq!(places.len(), expected);
        places.iter().for_each(Place::succeeded);
    }
}

#[tokio::test]
async fn the_limit_never_falls_below_one() {
    let gate = Gate::new(2);
    for _ in 0..5 {
        gate.enter().await.refused();
        assert_eq!(gate.limit(), 1);
    }
}

#[tokio::test]
async fn an_empty_bucket_gives_tokens_at_its_rate() {
    let now = Instant::now();
    let tokens = Tokens::new(2.0, 10.0, 0.5, now);
    assert_eq!(tokens.take(now), Duration::ZERO);
    assert_eq!(tokens.take(now), Duration::ZERO);
    assert!(!tokens.try_take(now));
    assert_eq!(tokens.take(now), Duration::from_millis(100));
    assert_eq!(tokens.take(now), Duration::from_millis(200));
    assert_eq!(tokens.take(now + Duration::from_millis(300)), Duration::ZERO);
}

#[tokio::test]
async fn successes_refill_a_bucket_up_to_its_brim() {
    let now = Instant::now();
    let tokens = Tokens::new(1.0, 0.001, 0.5, now);
    assert!(tokens.try_take(now));
    tokens.earn();
    assert!(!tokens.try_take(now));
    (0..10).for_each(|_| tokens.earn());
    assert!(tokens.try_take(now));
    assert!(!tokens.try_take(now));
}

#[test]
fn patience_follows_slow_stores_within_limits() {
    let least = Duration::from_secs(2);
    let latencies = Latencies::default();
    assert_eq!(latencies.patience(least), least);
    (0..100).for_each(|_| latencies.saw(Duration::from_millis(20)));
    assert_eq!(latencies.patience(least), least);
    (0..100).for_each(|_| latencies.saw(Duration::from_millis(1500)));
    assert!(latencies.patience(least) > Duration::from_secs(4));
    (0..200).for_each(|_| latencies.saw(Duration::from_secs(60)));
    assert_eq!(latencies.patience(least), least * 5);
}

#[test]
fn back_off_doubles_up_to_its_limit() {
    assert_eq!(back_off(1, 1.0), Duration::from_millis(50));
    assert_eq!(back_off(3, 1.0), Duration::from_millis(200));
    assert_eq!(back_off(3, 0.5), Duration::from_millis(100));
    assert_eq!(back_off(40, 1.0), Duration::from_secs(5));
}
