use super::*;

fn hits(which: Which, requests: u64) -> Vec<u64> {
    let rules = Rules::default();
    rules.add(Rule::new("GetObject", Fault::SlowDown).which(which));
    (1..=requests).filter(|_| !rules.fire("GetObject", "b", "k").is_empty()).collect()
}

#[test]
fn which_chooses_by_the_number_of_the_request() {
    assert_eq!(hits(Which::Always, 3), [1, 2, 3]);
    assert_eq!(hits(Which::Nth(2), 4), [2]);
    assert_eq!(hits(Which::First(2), 4), [1, 2]);
}

#[test]
fn a_share_is_about_its_probability_and_the_same_for_the_same_seed() {
    let share = |seed| Which::Share { probability: 0.05, seed };
    let hit = hits(share(1), 20_000);
    assert!((800..1200).contains(&hit.len()), "{}", hit.len());
    assert_eq!(hit, hits(share(1), 20_000));
    assert_ne!(hit, hits(share(2), 20_000));
}

#[test]
fn exceptions_and_other_operations_are_left_alone() {
    let rules = Rules::default();
    rules.add(Rule::new("ListObjectsV2", Fault::Deny).except("data/*"));
    assert!(rules.denies("ListObjectsV2", "b", ""));
    assert!(!rules.denies("ListObjectsV2", "b", "data/x"));
    assert!(!rules.denies("GetObject", "b", ""));
}

#[test]
fn a_rule_reads_as_short_json() {
    let rule: Rule =
        serde_json::from_str(r#"{"operation":"GetObject","fault":"slow_down"}"#).unwrap();
    assert_eq!(rule, Rule::new("GetObject", Fault::SlowDown));
    let text = r#"{"key":"*.jar","which":{"share":{"probability":0.5,"seed":1}},"fault":{"latency":{"ms":20}}}"#;
    let rule: Rule = serde_json::from_str(text).unwrap();
    assert_eq!(rule.which, Which::Share { probability: 0.5, seed: 1 });
    assert_eq!(rule.fault, Fault::Latency { ms: 20 });
}

#[tokio::test]
async fn a_removed_rule_lets_its_requests_go() {
    let rules = Rules::default();
    let id = rules.add(Rule::new("*", Fault::Stall));
    let fired = rules.fire("GetObject", "b", "k").remove(0);
    let waiting = tokio::spawn(fired.rule_removed());
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    assert!(rules.remove(id));
    tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
}
