use super::*;

fn read(words: &[&str]) -> Result<UploadsArgs, Usage> {
    let environment = Environment::from_lookup(|name| (name == "HOME").then(|| "/home/me".into()));
    match command(words.iter().map(OsString::from), &environment, Some(Path::new("/here")))? {
        Command::Uploads(args) => Ok(*args),
        other => panic!("{other:?}"),
    }
}

#[test]
fn uploads_are_listed_in_a_bucket_or_below_a_prefix_of_any_form() {
    let args = read(&["ls", "jars", "--endpoint-url", "http://h:1", "--cache", "c"]).unwrap();
    assert_eq!((args.action, args.source.bucket.as_str()), (Action::List, "jars"));
    assert_eq!(args.source.endpoint_url.as_deref(), Some("http://h:1"));
    assert_eq!(args.cache.as_deref(), Some(Path::new("/here/c")));
    assert_eq!(args.state_directory.as_deref(), Some(Path::new("/home/me/.local/state")));
    assert_eq!(read(&["ls", "s3://jars/a/b"]).unwrap().source.prefix, "a/b");
    assert_eq!(read(&["ls", "jars", "--prefix", "a"]).unwrap().source.prefix, "a");
}

#[test]
fn what_is_thrown_away_is_named() {
    let named = read(&["abort", "jars", "--key", "k", "--upload-id", "1", "--upload-id", "2"]);
    let key = Key::new("k").unwrap();
    assert_eq!(named.unwrap().action, Action::Abort { key, ids: vec!["1".into(), "2".into()] });
    let old = read(&["abort", "jars", "--older-than", "2d", "--prefix", ""]).unwrap();
    assert_eq!(old.action, Action::AbortOlder(Duration::from_secs(172_800)));
    assert_eq!(old.source.prefix, "");
}

#[test]
fn what_is_not_named_or_contradicts_itself_is_refused() {
    for words in [
        &[] as &[_],
        &["ls"],
        &["rm", "jars"],
        &["ls", "jars", "more"],
        &["ls", "jars", "--key", "k"],
        &["ls", "jars", "--upload-id", "1"],
        &["ls", "jars", "--older-than", "1d"],
        &["ls", "s3://jars/a", "--prefix", "b"],
        &["abort", "jars"],
        &["abort", "jars", "--prefix", "a/"],
        &["abort", "jars", "--key", "k"],
        &["abort", "jars", "--upload-id", "1"],
        &["abort", "jars", "--older-than", "1d"],
        &["abort", "jars", "--older-than", "soon", "--prefix", "a/"],
        &["abort", "jars", "--older-than", "1d", "--prefix", "a/", "--key", "k"],
        &["abort", "jars", "--older-than", "1d", "--prefix", "a/", "--upload-id", "1"],
        &["abort", "jars", "--key", "k", "--upload-id", "1", "--prefix", "a/"],
    ] {
        assert!(read(words).is_err(), "{words:?}");
    }
}

#[test]
fn help_tells_of_every_flag() {
    let help = command(["--help".into()].into_iter(), &Environment::default(), None);
    let Ok(Command::Print(text)) = help else { panic!("no help") };
    for flag in TABLES.iter().flat_map(|table| table.iter()) {
        assert!(text.contains(&format!("--{}", flag.name)), "--{}", flag.name);
    }
    assert!(text.lines().all(|line| line.chars().count() <= 90), "{text}");
}
