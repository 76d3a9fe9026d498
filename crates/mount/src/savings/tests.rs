use super::*;

fn account(served: u64, passed: u64) -> Savings {
    let s3 = s3::Stats { gets: 82, heads: 1, lists: 3, bytes: 670_000_000, ..Default::default() };
    let kernel = Counted { opens_passed: passed, opens_cached: 5, reads: 7, ..Default::default() };
    let cache = cache::Counts { served_bytes: served, seals: 5, ..Default::default() };
    Savings::new(s3, kernel, Some(cache), 8 << 20)
}

#[test]
fn what_was_avoided_is_the_guides_arithmetic() {
    // The guide's month: 1000 jobs of 10 executors with 5 JARs, of which the first 5000 reads
    // fetch: 45,000 GETs are not made.
    let avoided = account(0, 45_000).avoided.unwrap();
    assert_eq!((avoided.gets_for_bytes, avoided.gets_for_opens), (0, 45_000));
    assert!((avoided.usd - 0.018).abs() < 1e-12);
    let avoided = account((8 << 20) + 1, 3).avoided.unwrap();
    assert_eq!((avoided.gets_for_bytes, avoided.gets_for_opens), (2, 3));
    assert!((avoided.usd - 5.0 * 0.000_000_4).abs() < 1e-12);
}

#[test]
fn every_figure_is_in_the_text_and_in_the_json() {
    let savings = account(80 << 20, 50);
    let text = savings.to_string();
    for said in [
        "82 GETs, 1 HEADs, 3 LISTs",
        "639.0 MiB received",
        "50 read by the kernel alone, 5 through the page cache",
        "80.0 MiB read from it",
        "10 GETs for the bytes read from the cache (at 8.0 MiB a GET), and 50",
        "$0.000024 at the guide's $0.0004 for 1000 GETs",
    ] {
        assert!(text.contains(said), "{said:?} is not in {text}");
    }
    let json = serde_json::to_value(savings).unwrap();
    assert_eq!(json["s3"]["gets"], 82);
    assert_eq!(json["opens"]["passed_through"], 50);
    assert_eq!(json["cache"]["served_bytes"], 80 << 20);
    assert_eq!(json["avoided"]["usd_per_1000_gets"], 0.0004);
}

#[test]
fn without_a_cache_nothing_is_said_to_be_saved() {
    let savings = Savings::new(s3::Stats::default(), Counted::default(), None, 8 << 20);
    assert_eq!(savings.avoided, None);
    assert_eq!(savings.to_string().lines().count(), 2);
}

#[test]
fn bytes_are_shown_in_the_largest_unit() {
    let shown = [0, 1023, 1024, 1536, 5 << 20, u64::MAX].map(|bytes| Bytes(bytes).to_string());
    assert_eq!(shown, ["0 bytes", "1023 bytes", "1.0 KiB", "1.5 KiB", "5.0 MiB", "16777216.0 TiB"]);
}

#[test]
fn what_was_written_is_told_where_anything_was() {
    let s3 = s3::Stats {
        puts: 1000,
        begun: 2,
        parts: 30,
        copies: 4,
        completed: 1,
        aborted: 1,
        deletes: 5,
        bytes_sent: 3 << 20,
        ..Default::default()
    };
    let savings = Savings::new(s3, Counted::default(), None, 8 << 20);
    let line = "written to S3: 1000 PUTs, 2 uploads of 30 parts and 4 copied ones (1 completed, 1 \
                thrown away), 5 DELETEs; 3.0 MiB sent";
    assert_eq!(savings.to_string().lines().nth(1), Some(line));
    assert_eq!(serde_json::to_value(savings).unwrap()["writes"]["parts"], 30);
}
