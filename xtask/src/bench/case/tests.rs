use super::*;

fn options(words: &[&str]) -> Options {
    Options::parse(words.iter().map(Into::into)).unwrap().unwrap()
}

#[test]
fn the_plan_counts_a_last_part_of_any_length() {
    assert_eq!(Objects::new("a/", 1, PART).gets(), 1);
    assert_eq!(Objects::new("a/", 3, PART + 1).gets(), 6);
    assert_eq!(Objects::new("a/", 2_000, 16 << 10).gets(), 2_000);
}

#[test]
fn streams_share_the_total_evenly() {
    for case in cases(&options(&[])).iter().filter(|case| case.kind == Kind::Streams) {
        assert_eq!(case.objects.bytes(), 5 << 30, "{}", case.name);
        assert_eq!(case.objects.gets(), 640, "{}", case.name);
    }
}

#[test]
fn names_are_unique_and_select() {
    let all = cases(&options(&["--quick"]));
    let names: std::collections::BTreeSet<_> = all.iter().map(|case| &case.name).collect();
    assert_eq!((names.len(), all.len()), (10, 10));
    let some = cases(&options(&["--only", "tls", "--only", "small-1-"]));
    let names: Vec<_> = some.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(
        names,
        ["streams-1-tls", "streams-4-tls", "streams-16-tls", "small-1-0ms", "small-1-20ms"]
    );
}

#[test]
fn with_a_cache_streams_are_read_without_and_with_an_empty_one() {
    let all = cases(&options(&["--cache"]));
    for case in &all {
        let caches: Vec<bool> = case.variants.iter().map(|variant| variant.cache).collect();
        assert_eq!(caches, [false, case.kind == Kind::Streams], "{}", case.name);
    }
}

#[test]
fn keys_are_those_of_the_servers_many_objects() {
    assert_eq!(Objects::new("a/", 2, 1).keys(), ["a/0000000", "a/0000001"]);
}
