use super::*;

#[track_caller]
fn tests(path: &str, text: &str, expected: &[&str]) {
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(tests_of(path, &lines), expected);
}

#[test]
fn tests_have_the_names_that_cargo_prints() {
    let two = "#[test]\nfn one() {}\n#[tokio::test(flavor = \"x\")]\nasync fn two() {}\n";
    tests("crates/a/tests/it/life.rs", two, &["a::it life::one", "a::it life::two"]);
    tests("crates/a/tests/it/main.rs", two, &["a::it one", "a::it two"]);
    tests("crates/a/src/b/tests.rs", two, &["a b::tests::one", "a b::tests::two"]);
    tests("crates/a/src/lib.rs", two, &["a one", "a two"]);
    tests("crates/a/src/b/mod.rs", two, &["a b::one", "a b::two"]);
    tests("xtask/src/tidy.rs", two, &["xtask tidy::one", "xtask tidy::two"]);
    let inline = "fn f() {}\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn one() {}\n}\n";
    tests("crates/a/src/b.rs", inline, &["a b::tests::one"]);
    let public = inline.replace("mod tests", "pub(crate) mod tests");
    tests("crates/a/src/b.rs", &public, &["a b::tests::one"]);
    let generated = "proptest! {\n    #[test]\n    fn any(n in 0..9) {}\n}\n";
    tests("crates/a/src/tests.rs", generated, &["a tests::any"]);
}

#[test]
fn a_file_that_another_declares_has_its_modules() {
    let lines = ["#[cfg(test)]", "#[path = \"tests.rs\"]", "mod tests;", "mod other;"];
    let moved = moved_by("crates/a/src/b/c.rs", &lines);
    let there = ("crates/a/src/b/tests.rs".to_owned(), "crates/a/src/b/c/tests.rs".to_owned());
    assert_eq!(moved, [there]);
}

#[test]
fn what_is_no_test_or_is_ignored_is_no_proof() {
    let path = "crates/a/tests/it/life.rs";
    tests(path, "fn helper() {}\n", &[]);
    tests(path, "#[test]\n#[ignore = \"takes long\"]\nfn long() {}\n", &[]);
    tests(path, "/// Long.\n#[ignore]\n/// More.\n#[test]\nfn long() {}\n", &[]);
    tests(path, "#[test]\nfn one() {}\nfn helper() {}\n", &["a::it life::one"]);
    tests("crates/a/benches/b.rs", "#[test]\nfn one() {}\n", &[]);
}

#[test]
fn a_scenario_is_what_is_decorated_in_a_module_that_is_imported() {
    let python = "@scenario()\ndef one_node(scene):\n    pass\n\ndef helper(scene):\n    pass\n\n\
                  @scenario(one_node,\n          other)\ndef two(scene):\n    pass\n";
    assert_eq!(scenarios_of(python), ["one-node", "two"]);
    let line =
        "from . import facts\nfrom .scenarios import chart, guide  # noqa: F401 (they)\nimport x\n";
    assert_eq!(imported(line), ["chart", "guide"]);
    let lines = "from .scenarios import (  # noqa\n    chart,\n    guide,\n)\nimport x\n";
    assert_eq!(imported(lines), ["chart", "guide"]);
    assert_eq!(imported("import x\n"), Vec::<String>::new());
}

#[test]
fn a_case_is_listed_and_defined() {
    let python = "\ndef one(tests):\n    pass\n\ndef unlisted(tests):\n    pass\n\nCASES = [\n    one,\n    gone,\n]\n";
    assert_eq!(cases_of(python), ["one"]);
    assert_eq!(cases_of("def one(tests): pass\n"), Vec::<String>::new());
}

#[test]
fn targets_are_no_variables_recipes_or_special_names() {
    let makefile = ".PHONY: image\nIMAGE := a:b\nname:= x\nimage: setup ## Make it: now\n\t@echo a: b\nmake-2:\n";
    assert_eq!(targets(makefile).collect::<Vec<_>>(), ["image", "make-2"]);
}

#[test]
fn this_repository_has_proofs_of_each_kind() {
    let evidence = Evidence::of_repository();
    for name in [
        "mount::it life::the_mount_table_shows_what_the_guide_promises",
        "fs reader::driver::tests::the_last_close_gives_everything_up",
        "mount flags::tests::the_size_of_a_cache_is_understood_as_it_was_meant",
        "xtask tidy::evidence::tests::this_repository_has_proofs_of_each_kind",
        "e2e chart-mounts",
        "make test",
        "make test-packages: fstab_and_mount_8_work",
    ] {
        assert!(evidence.proves(name), "{name}");
    }
    let ignored =
        "mount::it faults::twenty_thousand_checked_reads_under_five_percent_of_every_fault";
    for name in [ignored, "e2e no-such-scenario", "make no-such-target", ""] {
        assert!(!evidence.proves(name), "{name}");
    }
    assert!(evidence.has_file("Makefile") && !evidence.has_file("Makefile.gone"));
}
