use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// The listing by definition: filter, group, sort.
fn model(keys: &BTreeMap<String, ()>, prefix: &str, delimiter: &str, after: &str) -> Vec<String> {
    let lines: BTreeSet<String> = keys
        .keys()
        .filter(|key| key.starts_with(prefix) && (after.is_empty() || key.as_str() > after))
        .map(|key| match key[prefix.len()..].find(delimiter) {
            Some(at) if !delimiter.is_empty() => {
                key[..prefix.len() + at + delimiter.len()].to_owned()
            }
            _ => key.clone(),
        })
        .collect();
    lines.into_iter().collect()
}

fn walk(keys: &BTreeMap<String, ()>, mut query: Query<'_>) -> (Vec<String>, usize) {
    let (mut lines, mut pages) = (Vec::new(), 0);
    loop {
        let page = page(keys, &query);
        pages += 1;
        assert!(page.lines.len() <= query.limit);
        lines.extend(page.lines.iter().map(|line| match line {
            Line::Key(key, ()) => (*key).to_owned(),
            Line::CommonPrefix(prefix) => (*prefix).to_owned(),
        }));
        let Some(next) = page.next else { return (lines, pages) };
        query.after = After::from_token(&next.to_token()).unwrap();
    }
}

proptest! {
    #[test]
    fn pages_joined_are_the_listing_by_definition(
        keys in proptest::collection::btree_set("[ab/é\u{10ffff}\u{d7ff}-]{0,6}", 0..60),
        prefix in "[ab/]{0,2}",
        delimiter in prop_oneof![Just(""), Just("/"), Just("b"), Just("\u{10ffff}"), Just("//")],
        after in "[ab/]{0,3}",
        limit in 1_usize..7,
    ) {
        let keys: BTreeMap<String, ()> = keys.into_iter().map(|key| (key, ())).collect();
        let start = if after.is_empty() { After::Start } else { After::Key(after.clone()) };
        let query = Query { prefix: &prefix, delimiter, after: start, limit };
        let (lines, pages) = walk(&keys, query);
        let expected = model(&keys, &prefix, delimiter, &after);
        prop_assert_eq!(&lines, &expected);
        prop_assert_eq!(pages, expected.len().div_ceil(limit).max(1));
    }

    #[test]
    fn tokens_of_any_text_are_refused_or_read(token in ".*") {
        let _ = After::from_token(&token);
    }
}

#[test]
fn no_entries_asked_for_is_an_empty_last_page() {
    let keys = BTreeMap::from([("a".to_owned(), ())]);
    let page = page(&keys, &Query::default());
    assert!(page.lines.is_empty() && page.next.is_none());
}

#[test]
fn url_encoding_is_form_encoding_with_slashes_kept() {
    assert_eq!(url_encoded("a b/c+d%é\u{1}.txt"), "a+b/c%2Bd%25%C3%A9%01.txt");
}
