use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn a_head_ends_at_the_first_empty_line_however_it_is_cut(
        head in "[a\r\n]{0,12}", body in "[a\r\n]{0,12}", cuts in proptest::collection::vec(1_usize..5, 1..20),
    ) {
        let text = format!("{head}\r\n\r\n{body}");
        let end = text.find("\r\n\r\n").unwrap() + 4;
        let (mut matched, mut at, mut cuts) = (0, 0, cuts.into_iter().cycle());
        let found = loop {
            let next = (at + cuts.next().unwrap()).min(text.len());
            let slice = [IoSlice::new(&text.as_bytes()[at..next])];
            if let Some(length) = head_length(matched, &slice) {
                break at + length;
            }
            matched = match_after(matched, &slice, next - at);
            at = next;
        };
        prop_assert_eq!(found, end);
    }
}

#[test]
fn a_cut_allows_the_head_and_the_body_up_to_it() {
    let mut script =
        Script { phase: Phase::Head { matched: 0 }, expected: 10, ..Script::default() };
    script.cut = Some(Cut { at: 4, then: Then::Close });
    let buffers = [IoSlice::new(b"HTTP\r\n\r\n"), IoSlice::new(b"0123456789")];
    assert_eq!(script.allowance(&buffers), (12, 4));
    assert!(script.take_due().is_none());
    script.advance(&buffers, 12);
    assert!(matches!(script.take_due(), Some(Then::Close)));
    assert!(script.take_due().is_none());
}
