use proptest::prelude::*;

use super::*;

#[test]
fn each_kind_of_key_is_shown_by_its_rule() {
    let long = "x".repeat(256);
    let cases = [
        ("", "a", Shown::File("a")),
        ("", "a/", Shown::Directory("a")),
        ("p/", "p/a/b", Shown::Directory("a")),
        ("p/", "p/", Shown::Marker),
        ("", "/a", Shown::Hidden(Reason::Empty)),
        ("a/", "a//b", Shown::Hidden(Reason::Empty)),
        ("", "./x", Shown::Hidden(Reason::Dots)),
        ("a/", "a/..", Shown::Hidden(Reason::Dots)),
        ("", "...", Shown::File("...")),
        ("", "a\0b", Shown::Hidden(Reason::Nul)),
        ("", long.as_str(), Shown::Hidden(Reason::TooLong)),
        ("", &long[..255], Shown::File(&long[..255])),
        ("", "a\nb\u{1}", Shown::File("a\nb\u{1}")),
        ("p/", "q/a", Shown::Hidden(Reason::Outside)),
    ];
    for (prefix, key, want) in cases {
        assert_eq!(shown(prefix, key), want, "{prefix:?} {key:?}");
    }
}

#[test]
fn a_name_no_key_can_have_is_refused() {
    let long = vec![b'x'; 256];
    let cases: [(&[u8], Errno); 6] = [
        (b"\xff\xfe", Errno::Invalid),
        (b"..", Errno::Invalid),
        (b"", Errno::Invalid),
        (b"a/b", Errno::Invalid),
        (b"a\0", Errno::Invalid),
        (&long, Errno::NameTooLong),
    ];
    for (name, want) in cases {
        assert_eq!(component(name), Err(want), "{name:?}");
    }
    assert_eq!(join(&"d/".repeat(512), "x"), Err(Errno::NameTooLong));
    assert_eq!(join(&"d/".repeat(511), "xy").unwrap().len(), 1024);
}

proptest! {
    #[test]
    fn no_listed_name_leaves_its_directory(
        prefix in "([a-c.]{1,3}/){0,2}",
        rest in "[a-c./\\x00\\n!-]{0,12}",
    ) {
        let key = format!("{prefix}{rest}");
        match shown(&prefix, &key) {
            Shown::File(name) => {
                prop_assert_eq!(component(name.as_bytes()), Ok(name));
                prop_assert_eq!(join(&prefix, name), Ok(key.clone()));
            }
            Shown::Directory(name) => {
                prop_assert_eq!(component(name.as_bytes()), Ok(name));
                let below = format!("{prefix}{name}/");
                prop_assert!(key.starts_with(&below));
            }
            Shown::Marker => prop_assert_eq!(&key, &prefix),
            Shown::Hidden(reason) => prop_assert_ne!(reason, Reason::Outside),
        }
    }

    #[test]
    fn any_two_texts_are_judged_without_a_crash(prefix in ".*", key in ".*") {
        shown(&prefix, &key);
        let _ = component(key.as_bytes());
    }
}
