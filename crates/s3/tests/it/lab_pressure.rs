//! Many readers at once, while five percent of the answers are harmed in each way there is.

use std::sync::Arc;
use std::time::Duration;

use lab::{Lab, Rule};
use object::{ListingRequest, Span, Store, Version};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::lab_reads::{client, lab, reads_right, synthetic_object};

const READERS: u64 = 16;
const TIME: Duration = Duration::from_secs(10);

fn misbehave(lab: &Lab) {
    for rule in Rule::of_every_fault(0.05, 1, "small*") {
        lab.rules().add(rule);
    }
}

/// Looks up, reads and lists in turn; says how often, and the longest that one of it took.
async fn reader(s3: Arc<s3::S3>, objects: Vec<Arc<Version>>, number: u64) -> (u64, Duration) {
    let mut slowest = Duration::ZERO;
    let begun = Instant::now();
    for done in 0.. {
        let turn = number + done;
        let at = Instant::now();
        if at.duration_since(begun) > TIME {
            return (done, slowest);
        }
        let small = &objects[turn as usize % (objects.len() - 1)];
        match turn % 8 {
            0 => assert_eq!(s3.head(&small.key).await.unwrap().version, **small),
            1 => {
                let request = ListingRequest {
                    prefix: "small".into(),
                    delimited: true,
                    max_keys: 1000,
                    token: None,
                };
                assert_eq!(s3.list(&request).await.unwrap().objects.len(), objects.len() - 1);
            }
            2..=5 => reads_right(&s3, small, small.whole()).await,
            _ => {
                let start = turn * 131_072 % (60 << 20);
                let large = objects.last().unwrap();
                reads_right(&s3, large, Span::new(start, start + (1 << 20))).await;
            }
        }
        slowest = slowest.max(at.elapsed());
    }
    unreachable!("an endless loop")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_readers_get_on_and_extra_requests_stay_within_their_bounds() {
    let lab = lab().await;
    let s3 = Arc::new(client(&lab).await);
    let mut objects: Vec<_> =
        (0..50).map(|n| synthetic_object(&lab, &format!("small{n}"), 300_000)).collect();
    objects.push(synthetic_object(&lab, "large", 64 << 20));
    misbehave(&lab);
    let mut readers = JoinSet::new();
    for number in 0..READERS {
        readers.spawn(reader(s3.clone(), objects.clone(), number * 3));
    }
    let (counts, times): (Vec<_>, Vec<_>) = readers.join_all().await.into_iter().unzip();
    let done: u64 = counts.iter().sum();
    let slowest = times.into_iter().max().unwrap_or_default();
    let (stats, limit) = (s3.stats(), s3.concurrency());
    println!("{done} done, the slowest in {slowest:?}, {limit} places, {stats:?}");
    assert!(done >= 200, "{done} done: {stats:?}");
    assert!(slowest < Duration::from_secs(20), "{slowest:?}");
    // 16, one in two seconds, and a fifth of what succeeded.
    let seconds = TIME.as_secs() + slowest.as_secs();
    assert!(stats.hedges <= 16 + seconds / 2 + done / 5 + 1, "{done} done: {stats:?}");
}
