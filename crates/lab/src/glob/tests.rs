use super::matches;

#[test]
fn stars_cover_any_run_and_question_marks_one_character() {
    for (pattern, text, expected) in [
        ("*", "", true),
        ("*", "a/b", true),
        ("", "", true),
        ("", "a", false),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("a*c", "a/b/c", true),
        ("a*c", "a/b/cd", false),
        ("*.jar", "lib/x.jar", true),
        ("*a*b", "xaybzb", true),
        ("data/*", "data/", true),
        ("data/*", "dat", false),
        ("?", "é", true),
    ] {
        assert_eq!(matches(pattern, text), expected, "{pattern} over {text}");
    }
}
