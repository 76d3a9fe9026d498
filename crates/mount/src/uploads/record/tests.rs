use proptest::prelude::*;

use super::*;

fn entry(key: &str, id: &str) -> Entry {
    let scope = Scope { endpoint: "aws".into(), bucket: "jars".into() };
    Entry { scope, key: key.into(), id: id.into(), begun: 7 }
}

fn intent(number: u64, key: &str) -> Intent {
    let scope = Scope { endpoint: "aws".into(), bucket: "jars".into() };
    Intent { number, scope, key: key.into(), at: 7 }
}

fn lines(records: &[Record]) -> Vec<u8> {
    records.iter().flat_map(|record| record.line().unwrap()).collect()
}

#[test]
fn what_was_begun_and_not_ended_is_open() {
    let odd = entry("a \n\"b\"/\u{1f980}", "u-2");
    let bytes = lines(&[
        Record::Begun(entry("a", "u-1")),
        Record::Begun(odd.clone()),
        Record::Ended("u-1".into()),
        Record::Ended("never begun".into()),
    ]);
    assert_eq!(Open::read(&bytes).uploads.into_values().collect::<Vec<_>>(), [odd]);
}

#[test]
fn what_was_intended_and_not_settled_is_open() {
    let bytes = lines(&[
        Record::Intended(intent(1, "a")),
        Record::Intended(intent(2, "a")),
        Record::Begun(entry("a", "u-1")),
        Record::Settled(1),
        Record::Settled(3),
    ]);
    let open = Open::read(&bytes);
    assert_eq!(open.intents.values().collect::<Vec<_>>(), [&intent(2, "a")]);
    assert_eq!(Open::read(&lines(&open.records().collect::<Vec<_>>())), open);
}

#[test]
fn a_line_fits_the_longest_names_there_are() {
    let longest = entry(&"\u{1}".repeat(object::MAX_KEY), &"\u{1}".repeat(ID_MAX));
    let bytes = lines(&[Record::Begun(longest.clone())]);
    assert_eq!(Open::read(&bytes).uploads.into_values().next(), Some(longest));
}

#[test]
fn a_torn_line_spoils_no_other() {
    let whole = lines(&[Record::Begun(entry("a", "u-1"))]);
    for cut in 0..whole.len() {
        let mut bytes = lines(&[Record::Begun(entry("z", "u-0"))]);
        bytes.extend(&whole[..cut]);
        bytes.extend(lines(&[Record::Begun(entry("b", "u-2"))]));
        let open = Open::read(&bytes).uploads;
        let ids: Vec<_> = open.keys().map(String::as_str).collect();
        // All but its last end of line makes a line whole, since an empty one follows.
        let expected =
            if cut < whole.len() - 1 { &["u-0", "u-2"][..] } else { &["u-0", "u-1", "u-2"] };
        assert_eq!(ids, expected, "cut at {cut}");
    }
}

#[test]
fn an_id_or_key_that_cannot_be_names_no_upload() {
    assert_eq!(entry("", "u").upload(), None);
    assert_eq!(entry(&"k".repeat(object::MAX_KEY + 1), "u").upload(), None);
    assert_eq!(entry("k", "").upload(), None);
    assert_eq!(entry("k", &"u".repeat(ID_MAX + 1)).upload(), None);
    assert_eq!(entry("k", "u").upload().unwrap().begun, Time::from_secs(7));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_name_an_upload(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(Open::read(&bytes), Open::default());
    }

    #[test]
    fn no_damage_of_one_byte_goes_unnoticed(at in 0usize..1000, flip in 1u8..) {
        let mut bytes = lines(&[Record::Begun(entry("some/key", "u-1"))]);
        let at = at % bytes.len();
        bytes[at] ^= flip;
        // Digits of the checksum may be written in capitals: the same line, not another.
        for (id, found) in Open::read(&bytes).uploads {
            prop_assert_eq!((id.as_str(), found), ("u-1", entry("some/key", "u-1")));
        }
    }
}
