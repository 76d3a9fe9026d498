use super::*;

async fn fill(gate: &Arc<Gate>) -> Vec<Place> {
    let mut places = Vec::new();
    while gate.places.available_permits() > 0 {
        places.push(gate.enter().await);
    }
    places
}

#[tokio::test]
async fn a_round_of_nothing_but_refusals_halves_the_limit() {
    let gate = Gate::new(16);
    for expected in [16, 8, 4, 2, 1, 1] {
        let places = fill(&gate).await;
        assert_eq!((places.len(), gate.limit()), (expected, expected));
        places.iter().for_each(Place::refused);
    }
}

#[tokio::test]
async fn the_limit_recovers_by_one_for_each_round_of_successes_and_no_further_than_the_most() {
    let gate = Gate::new(8);
    fill(&gate).await.iter().for_each(Place::refused);
    for expected in [4, 5, 6, 7, 8, 8] {
        assert_eq!(gate.limit(), expected);
        let places = fill(&gate).await;
        assert_eq!(places.len(), expected);
        places.iter().for_each(Place::succeeded);
    }
}

#[tokio::test]
async fn a_refusal_for_every_ten_successes_leaves_room_for_sixteen_at_once() {
    let gate = Gate::new(64);
    for _ in 0..100 {
        let place = gate.enter().await;
        (0..10).for_each(|_| place.succeeded());
        place.refused();
    }
    assert!(gate.limit() >= 16, "{}", gate.limit());
    assert_eq!(fill(&gate).await.len(), gate.limit());
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
    assert_eq!(latencies.patience(least, 0), least);
    (0..100).for_each(|_| latencies.saw(Duration::from_millis(20)));
    assert_eq!(latencies.patience(least, 0), least);
    (0..100).for_each(|_| latencies.saw(Duration::from_millis(1500)));
    assert!(latencies.patience(least, 0) > Duration::from_secs(4));
    (0..200).for_each(|_| latencies.saw(Duration::from_secs(60)));
    assert_eq!(latencies.patience(least, 0), least * 10);
    let later =
        [1, 2, 3].map(|silences| latencies.patience(least, silences) / least.as_secs() as u32);
    assert_eq!(later.map(|d| d.as_secs()), [10, 20, 40]);
}

#[test]
fn back_off_doubles_up_to_its_limit() {
    assert_eq!(back_off(1, 1.0), Duration::from_millis(50));
    assert_eq!(back_off(3, 1.0), Duration::from_millis(200));
    assert_eq!(back_off(3, 0.5), Duration::from_millis(100));
    assert_eq!(back_off(40, 1.0), Duration::from_secs(5));
}
