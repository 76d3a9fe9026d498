use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use object::Algorithm;
use proptest::prelude::*;
use s3::Encryption;

use super::table::{self, Action};
use super::units::{SizeUnit, duration, mode, show_size, size, ttl};
use super::{Access, Command, Config, Environment, LogTarget, PartSize, Ttl, Usage, command};

fn run(line: &[&str], environment: &Environment) -> Result<Command, Usage> {
    let words = line.iter().map(OsString::from).collect();
    command(words, environment, Some(Path::new("/home/me")))
}

fn config(line: &[&str]) -> Config {
    config_in(line, &[])
}

fn config_in(line: &[&str], variables: &[(&str, &str)]) -> Config {
    match run(line, &environment(variables)) {
        Ok(Command::Mount(config)) => *config,
        other => panic!("{line:?} gave {other:?}"),
    }
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::from_lookup(|name| {
        variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
    })
}

fn usage(line: &[&str]) -> Usage {
    match run(line, &Environment::default()) {
        Err(usage) => usage,
        other => panic!("{line:?} gave {other:?}"),
    }
}

fn text(line: &[&str]) -> String {
    match run(line, &Environment::default()) {
        Ok(Command::Print(text)) => text,
        other => panic!("{line:?} gave {other:?}"),
    }
}

#[test]
fn defaults_are_those_of_the_reference() {
    let config = config(&["my-bucket", "/mnt/s3"]);
    assert_eq!(config.source.bucket.as_str(), "my-bucket");
    assert_eq!(config.source.prefix, "");
    assert_eq!(config.source.max_attempts, 10);
    assert_eq!(config.directory, Path::new("/mnt/s3"));
    assert_eq!((config.view.dir_mode, config.view.file_mode), (0o755, 0o644));
    assert_eq!((config.view.uid, config.view.gid), (None, None));
    assert_eq!(config.view.access, Access::Owner);
    assert_eq!((config.view.metadata_ttl, config.view.negative_ttl), (Ttl::Minimal, None));
    assert_eq!(config.limits.max_threads, 16);
    assert_eq!(config.limits.memory_target, 192 << 20);
    assert_eq!(config.limits.read_part_size, 8 << 20);
    assert_eq!(config.limits.read_deadline, Duration::from_secs(30));
    assert_eq!(config.log.target, LogTarget::Syslog);
    assert!(!config.view.read_only && !config.foreground);
}

#[test]
fn every_flag_that_comes_later_is_refused_with_its_value_and_without() {
    let later: Vec<_> = table::flags().filter(|flag| flag.is_later()).collect();
    assert_eq!(later.len(), 14);
    for flag in later {
        let name = format!("--{}", flag.name);
        for line in [
            vec!["bucket", "/mnt", &name, "x"],
            vec![&name, "x", "bucket", "/mnt"],
            vec!["bucket", "/mnt", &name],
        ] {
            let refused = usage(&line);
            assert!(matches!(refused, Usage::NotYet { flag: f, .. } if f == flag.name), "{line:?}");
            assert!(!refused.fix().is_empty(), "{name} does not say what to do");
        }
    }
}

#[test]
fn the_table_is_sound_and_every_flag_is_told_in_the_help() {
    let (short, long, page) = (text(&["-h"]), text(&["--help"]), text(&["--generate", "markdown"]));
    let mut names = std::collections::HashSet::new();
    for flag in table::flags() {
        assert!(names.insert(flag.name.to_owned()), "--{} stands twice", flag.name);
        assert!(flag.short.is_none_or(|s| names.insert(s.to_string())), "-{:?}", flag.short);
        assert!(!flag.help.is_empty() && !flag.help.ends_with('.'), "--{}", flag.name);
        let takes = matches!(flag.action, Action::Value(_));
        assert!(flag.is_later() || takes == flag.value.is_some(), "--{}", flag.name);
        let name = format!("--{}", flag.name);
        assert_eq!(long.contains(&name), !flag.hidden, "{name} in --help");
        assert_eq!(page.contains(&name), !flag.hidden, "{name} in the reference page");
        assert_eq!(short.contains(&format!("{name} ")), !flag.hidden && !flag.is_later(), "{name}");
    }
    assert!(long.lines().all(|line| line.chars().count() <= 90), "--help has long lines");
}

#[test]
fn every_flag_with_a_value_says_when_it_is_missing_or_empty() {
    for flag in table::flags().filter(|flag| matches!(flag.action, Action::Value(_))) {
        let name = format!("--{}", flag.name);
        assert_eq!(usage(&["b", "/mnt", &name]), Usage::ValueMissing { flag: flag.name });
        let empty = usage(&["b", "/mnt", &name, " "]);
        assert!(matches!(empty, Usage::BadValue { flag: f, .. } if f == flag.name), "{empty:?}");
    }
}

#[test]
fn a_uri_names_bucket_and_prefix() {
    let part = config(&["s3://jars/spark/3.5/", "/mnt"]);
    assert_eq!((part.source.bucket.as_str(), &*part.source.prefix), ("jars", "spark/3.5/"));
    assert_eq!(config(&["s3://jars/", "/mnt"]).source.prefix, "");
    assert_eq!(config(&["s3://jars", "/mnt"]).source.prefix, "");
    assert_eq!(config(&["jars", "/mnt", "--prefix", "a/"]).source.prefix, "a/");
    assert_eq!(config(&["s3://jars/", "/mnt", "--prefix=a/"]).source.prefix, "a/");
}

#[test]
fn prefixes_that_cannot_be_are_refused() {
    assert!(matches!(usage(&["s3://jars/a", "/mnt"]), Usage::BadBucket { .. }));
    assert!(matches!(usage(&["jars", "/mnt", "--prefix", "a"]), Usage::BadValue { .. }));
    assert!(matches!(usage(&["s3://jars/a/", "/mnt", "--prefix", "b/"]), Usage::BadValue { .. }));
}

#[test]
fn buckets_named_like_subcommands_are_mounted_by_their_uri() {
    assert_eq!(config(&["s3://umount", "/mnt"]).source.bucket.as_str(), "umount");
    assert_eq!(config(&["s3://lab", "/mnt"]).source.bucket.as_str(), "lab");
    assert!(matches!(run(&["umount", "/mnt"], &Environment::default()), Ok(Command::Umount(_))));
    assert!(matches!(run(&["lab", "--memory"], &Environment::default()), Ok(Command::Lab(_))));
}

#[test]
fn swapped_words_are_recognised() {
    let swapped = usage(&["/mnt/s3", "my-bucket"]);
    assert_eq!(swapped.fix(), "the bucket comes first: mount-s3 my-bucket /mnt/s3");
    assert!(matches!(usage(&["./x", "s3://jars/a/"]), Usage::Swapped { .. }));
    assert!(matches!(usage(&["/mnt", "/mnt"]), Usage::BadBucket { .. }));
}

#[test]
fn a_blank_word_is_explained_by_the_comment_behind_a_backslash() {
    let blank = usage(&["--metadata-ttl", "indefinite", " "]);
    assert_eq!(blank, Usage::BlankWord);
    assert!(blank.fix().contains("# comment"));
    assert_eq!(usage(&["bucket", ""]), Usage::BlankWord);
}

#[test]
fn a_misspelt_flag_is_answered_by_the_right_one() {
    let near = |typed| match usage(&["bucket", "/mnt", typed]) {
        Usage::Unknown { near, .. } => near,
        other => panic!("{other:?}"),
    };
    assert_eq!(near("--alow-other"), Some("allow-other"));
    assert_eq!(near("--metadata-tll"), Some("metadata-ttl"));
    assert_eq!(near("--readonly"), Some("read-only"));
    assert_eq!(near("--frobnicate"), None);
    assert_eq!(near("-z"), None);
}

#[test]
fn words_too_few_and_too_many() {
    assert_eq!(usage(&[]), Usage::WordMissing("the bucket"));
    assert_eq!(usage(&["bucket"]), Usage::WordMissing("the directory"));
    assert_eq!(usage(&["bucket", "/mnt", "more"]), Usage::ExtraWord("more".into()));
}

#[test]
fn flags_that_exclude_each_other() {
    for (first, second) in [
        (vec!["--allow-other"], vec!["--allow-root"]),
        (vec!["--part-size", "8MiB"], vec!["--read-part-size", "8MiB"]),
        (vec!["--part-size", "8MiB"], vec!["--write-part-size", "8MiB"]),
        (vec!["--read-only"], vec!["--allow-overwrite"]),
        (vec!["--read-only"], vec!["--allow-delete"]),
        (vec!["--read-only"], vec!["--ignore-attribute-changes"]),
        (vec!["--requester-pays"], vec!["--no-sign-request"]),
        (vec!["--no-log"], vec!["--log-directory", "/var/log/x"]),
        (vec!["--no-log"], vec!["--debug"]),
    ] {
        let line = [vec!["bucket", "/mnt"], first, second].concat();
        assert!(matches!(usage(&line), Usage::Conflict(..)), "{line:?}");
    }
}

#[test]
fn bare_numbers_have_the_units_of_the_reference_and_suffixes_stand_beside_them() {
    let limits = |flag, value| config(&["bucket", "/mnt", flag, value]).limits;
    assert_eq!(limits("--memory-target", "512").memory_target, 512 << 20);
    assert_eq!(limits("--memory-target", "1GiB").memory_target, 1 << 30);
    assert_eq!(limits("--part-size", "16777216").read_part_size, 16 << 20);
    assert_eq!(limits("--read-part-size", "16MiB").read_part_size, 16 << 20);
    assert_eq!(limits("--read-deadline", "5").read_deadline, Duration::from_secs(5));
    let ttl = |value| config(&["bucket", "/mnt", "--metadata-ttl", value]).view.metadata_ttl;
    assert_eq!(ttl("60"), Ttl::For(Duration::from_secs(60)));
    assert_eq!(ttl("5m"), Ttl::For(Duration::from_secs(300)));
    assert_eq!(ttl("indefinite"), Ttl::Indefinite);
    assert_eq!(ttl("minimal"), Ttl::Minimal);
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    for (flag, value) in [
        ("--memory-target", "63"),
        ("--memory-target", "0"),
        ("--memory-target", "lots"),
        ("--part-size", "8"),
        ("--part-size", "6GiB"),
        ("--read-part-size", "-1"),
        ("--read-part-size", "99999999999999999999"),
        ("--max-threads", "0"),
        ("--max-threads", "100000"),
        ("--uid", "-1"),
        ("--gid", "4294967296"),
        ("--uid", "4294967295"),
        ("--gid", "4294967295"),
        ("--dir-mode", "1777"),
        ("--file-mode", "0888"),
        ("--metadata-ttl", "soon"),
        ("--metadata-ttl", "101y"),
        ("--negative-metadata-ttl", "3153600001"),
        ("--read-deadline", "0"),
        ("--read-deadline", "2h"),
        ("--mask-kernel-features", "gravity"),
        ("--endpoint-url", "localhost:9000"),
        ("--endpoint-url", "http://"),
        ("--write-part-size", "4MiB"),
        ("--upload-checksums", "sha256"),
        ("--sse", "aws:fsx"),
        ("--sse-kms-key-id", "arn:aws:kms:eu-west-1:111122223333:key/1"),
        ("--storage-class", "STANDARD IA"),
        ("--expected-bucket-owner", "12345678901"),
    ] {
        let refused = usage(&["bucket", "/mnt", flag, value]);
        let named = matches!(&refused, Usage::BadValue { flag: f, .. } if flag.ends_with(f));
        assert!(named, "{flag} {value}: {refused:?}");
    }
}

#[test]
fn a_password_in_the_address_is_refused_and_not_repeated() {
    let refused = usage(&["bucket", "/mnt", "--endpoint-url", "http://me:hunter2@host"]);
    assert!(!refused.to_string().contains("hunter2"), "{refused}");
}

#[test]
fn a_part_gives_way_to_the_default_memory_and_must_fit_into_a_typed_one() {
    let reduced = config(&["bucket", "/mnt", "--part-size", "1GiB"]);
    assert_eq!(reduced.limits.read_part_size, 96 << 20);
    assert!(reduced.notes.iter().any(|note| note.contains("96 MiB")), "{:?}", reduced.notes);
    let line = ["bucket", "/mnt", "--part-size", "1GiB", "--memory-target", "1GiB"];
    assert!(matches!(usage(&line), Usage::BadValue { flag: "part-size", .. }));
}

#[test]
fn a_mount_is_written_to_unless_it_is_read_only() {
    let write = |flags: &[&str]| config(&[&["b-1", "/m"], flags].concat()).write;
    let new_files = write(&[]).unwrap();
    assert!(!new_files.overwrite && !new_files.delete && !new_files.ignore_attributes);
    assert_eq!(new_files.parts, PartSize::Growing(8 << 20));
    let all =
        write(&["--allow-overwrite", "--allow-delete", "--ignore-attribute-changes"]).unwrap();
    assert!(all.overwrite && all.delete && all.ignore_attributes);
    assert_eq!(write(&["--read-only", "--storage-class", "STANDARD_IA"]), None);
}

#[test]
fn parts_of_uploads_are_of_the_size_that_was_typed() {
    let parts = |flags: &[&str]| config(&[&["b-1", "/m"], flags].concat()).write.unwrap().parts;
    assert_eq!(parts(&["--write-part-size", "16777216"]), PartSize::Fixed(16 << 20));
    assert_eq!(parts(&["--part-size", "16MiB"]), PartSize::Fixed(16 << 20));
    assert_eq!(parts(&["--write-part-size", "1GiB"]), PartSize::Fixed(96 << 20));
    let line = ["b-1", "/m", "--write-part-size", "1GiB", "--memory-target", "1GiB"];
    assert!(matches!(usage(&line), Usage::BadValue { flag: "write-part-size", .. }));
}

#[test]
fn new_objects_are_stored_as_they_are_told() {
    let upload =
        |flags: &[&str]| config(&[&["b-1", "/m"], flags].concat()).write.unwrap().attributes;
    let plain = upload(&[]);
    assert_eq!(plain.checksums, Some(Algorithm::Crc64Nvme));
    assert_eq!((plain.encryption, plain.storage_class), (None, None));
    assert_eq!(upload(&["--upload-checksums", "CRC32C"]).checksums, Some(Algorithm::Crc32c));
    assert_eq!(upload(&["--upload-checksums", "off"]).checksums, None);
    assert_eq!(upload(&["--sse", "AES256"]).encryption, Some(Encryption::S3));
    let arn = "arn:aws:kms:eu-west-1:111122223333:key/1";
    let kms = upload(&["--sse", "aws:kms:dsse", "--sse-kms-key-id", arn]);
    assert_eq!((kms.encryption, kms.kms_key.as_deref()), (Some(Encryption::KmsTwice), Some(arn)));
    let archived = config(&["b-1", "/m", "--storage-class", "GLACIER"]);
    assert!(archived.notes.iter().any(|note| note.contains("restored")), "{:?}", archived.notes);
}

#[test]
fn a_key_needs_the_kms_and_is_named_by_its_arn() {
    let arn = "arn:aws:kms:eu-west-1:111122223333:key/1";
    for line in [
        ["--sse", "AES256", "--sse-kms-key-id", arn],
        ["--sse", "aws:kms", "--sse-kms-key-id", "1234abcd-12ab-34cd-56ef-1234567890ab"],
        ["--sse", "aws:kms", "--sse-kms-key-id", "arn:aws:kms:eu-west-1:111122223333:alias/a"],
        ["--sse", "aws:kms", "--sse-kms-key-id", "arn:aws:s3:eu-west-1:111122223333:key/1"],
    ] {
        let refused = usage(&[&["b-1", "/m"][..], &line].concat());
        assert!(matches!(refused, Usage::BadValue { flag: "sse-kms-key-id", .. }), "{refused:?}");
    }
}

#[test]
fn who_owns_the_bucket_and_who_pays_is_passed_on() {
    let line = ["b-1", "/m", "--expected-bucket-owner", "111122223333", "--requester-pays"];
    let source = config(&line).source;
    assert_eq!(source.expected_owner.as_deref(), Some("111122223333"));
    assert!(source.requester_pays);
}

#[test]
fn zero_seconds_of_metadata_mean_minimal_and_are_noted() {
    let config = config(&["bucket", "/mnt", "--metadata-ttl", "0", "--negative-metadata-ttl", "0"]);
    assert_eq!(config.view.metadata_ttl, Ttl::Minimal);
    assert_eq!(config.view.negative_ttl, Some(Ttl::Minimal));
    assert!(config.notes.iter().any(|note| note.contains("minimal")));
}

#[test]
fn uid_zero_is_taken() {
    assert_eq!(config(&["bucket", "/mnt", "--uid", "0"]).view.uid, Some(0));
}

#[test]
fn the_environment_gives_what_the_words_do_not() {
    let variables = [
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_ENDPOINT_URL", "http://one:1"),
        ("AWS_ENDPOINT_URL_S3", "http://two:2/"),
        ("AWS_PROFILE", "work"),
        ("AWS_CA_BUNDLE", "ca.pem"),
        ("AWS_MAX_ATTEMPTS", "3"),
        ("MOUNTPOINT_LOG", "error"),
    ];
    let config = config_in(&["bucket", "mnt"], &variables);
    assert_eq!(config.source.region, None);
    assert_eq!(config.source.endpoint_url.as_deref(), Some("http://two:2"));
    // Left to the AWS SDK's chain, where keys in the environment come before it.
    assert_eq!(config.source.profile, None);
    assert_eq!(config.source.ca_bundle, Some(PathBuf::from("/home/me/ca.pem")));
    assert_eq!(config.source.max_attempts, 3);
    assert_eq!(config.log.filter, "error");
    assert_eq!(config.directory, Path::new("/home/me/mnt"));
    let typed = config_in(&["bucket", "mnt", "--profile", "mine"], &variables);
    assert_eq!(typed.source.profile.as_deref(), Some("mine"));
}

#[test]
fn variables_that_make_no_sense_are_named() {
    for (name, value) in [
        ("AWS_MAX_ATTEMPTS", "many"),
        ("MOUNTPOINT_LOG", "a=b=c"),
        ("AWS_ENDPOINT_URL", "x"),
        ("AWS_ENDPOINT_URL_S3", "x"),
    ] {
        let refused = run(&["bucket", "/mnt"], &environment(&[(name, value)]));
        let named = matches!(refused, Err(Usage::BadVariable { name: n, .. }) if n == name);
        assert!(named, "{name}={value}");
    }
}

#[test]
fn without_a_current_directory_only_absolute_paths_mean_something() {
    let read = |line: &[&str]| {
        command(line.iter().map(Into::into).collect(), &Environment::default(), None)
    };
    assert!(matches!(read(&["bucket", "/mnt"]), Ok(Command::Mount(_))));
    assert!(matches!(read(&["umount", "/mnt"]), Ok(Command::Umount(_))));
    for line in [
        &["bucket", "mnt"][..],
        &["umount", "mnt"],
        &["bucket", "/mnt", "--log-directory", "logs"],
        &["bucket", "/mnt", "--ca-bundle", "ca.pem"],
    ] {
        assert!(matches!(read(line), Err(Usage::Nowhere(_))), "{line:?}");
    }
}

#[test]
fn the_size_of_a_cache_is_understood_as_it_was_meant() {
    let limit = |size: &str| {
        let config = config(&["b-1", "/m", "--cache", "c", "--max-cache-size", size]);
        (config.cache.unwrap().limit.unwrap(), config.notes)
    };
    assert_eq!(limit("1024").0, 1 << 30);
    assert_eq!(limit("10GiB").0, 10 << 30);
    assert_eq!(limit("0").0, 0);
    // What tutorials have, meant as bytes: 10 GiB and 50 GiB.
    for (typed, bytes) in [("10737418240", 10u64 << 30), ("53687091200", 50 << 30)] {
        let (limit, notes) = limit(typed);
        assert_eq!(limit, bytes);
        assert!(notes.iter().any(|note| note.contains("understood as bytes")), "{notes:?}");
    }
}

#[test]
fn a_cache_raises_the_default_ttl_and_a_limit_needs_one() {
    let with = config(&["b-1", "/m", "--cache", "c"]);
    assert_eq!(with.cache.unwrap().directory, Path::new("/home/me/c"));
    assert_eq!(with.view.metadata_ttl, Ttl::For(Duration::from_secs(60)));
    let minimal = config(&["b-1", "/m", "--cache", "c", "--metadata-ttl", "minimal"]);
    assert_eq!(minimal.view.metadata_ttl, Ttl::Minimal);
    let alone = usage(&["b-1", "/m", "--max-cache-size", "5"]);
    assert!(matches!(alone, Usage::BadValue { flag: "max-cache-size", .. }), "{alone:?}");
}

#[test]
fn kernel_features_are_masked_by_name() {
    let masked = config(&["b-1", "/m", "--mask-kernel-features", "resend, large-requests"]).masked;
    assert!(masked.resend && masked.large_requests);
    assert!(!masked.passthrough && !masked.readdirplus);
}

#[test]
fn logs_go_where_they_are_told() {
    let target = |flags: &[&str]| config(&[&["bucket", "/mnt"], flags].concat()).log.target;
    assert_eq!(target(&["-f"]), LogTarget::Stderr);
    assert_eq!(target(&["-f", "-l", "logs"]), LogTarget::Directory("/home/me/logs".into()));
    assert_eq!(target(&["--no-log"]), LogTarget::Nowhere);
    let debug = config(&["bucket", "/mnt", "-d"]).log.filter;
    assert!(debug.contains("mount=debug") && debug.starts_with("warn"), "{debug}");
}

#[test]
fn the_guides_commands_are_understood_less_the_cache() {
    let guide = config(&[
        "--metadata-ttl",
        "indefinite",
        "--allow-other",
        "my-spark-jars-bucket",
        "/mnt/s3-jars",
    ]);
    assert_eq!(guide.view.access, Access::Everyone);
    assert_eq!(guide.view.metadata_ttl, Ttl::Indefinite);
    let logs = config(&["--log-directory", "/var/log/m", "--debug", "my-bucket", "/mnt/s3"]);
    assert_eq!(logs.log.target, LogTarget::Directory("/var/log/m".into()));
}

#[test]
fn units_of_size_time_and_mode() {
    assert_eq!(size("10GiB", SizeUnit::Bytes), Ok(10 << 30));
    assert_eq!(size("10 gb", SizeUnit::Bytes), Ok(10_000_000_000));
    assert_eq!(size("3k", SizeUnit::MebiBytes), Ok(3072));
    assert!(size("17179869184GiB", SizeUnit::Bytes).is_err());
    assert!(size("1.5GiB", SizeUnit::Bytes).is_err());
    assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
    assert_eq!(duration("2d"), Ok(Duration::from_secs(172_800)));
    assert!(duration("1w").is_err());
    assert_eq!(ttl("0"), Ok(Ttl::For(Duration::ZERO)));
    assert_eq!(mode("0755"), Ok(0o755));
    assert!(mode("+755").is_err());
    assert_eq!(show_size(96 << 20), "96 MiB");
    assert_eq!(show_size(1000), "1000 bytes");
}

proptest! {
    #[test]
    fn a_size_that_is_shown_reads_back(bytes in 0u64..1 << 50) {
        prop_assert_eq!(size(&show_size(bytes).replace(" bytes", "B"), SizeUnit::Bytes), Ok(bytes));
    }

    #[test]
    fn no_words_make_it_panic(words in prop::collection::vec("[ -~é\\n]{0,12}", 0..6)) {
        let words = words.into_iter().map(OsString::from).collect();
        let _ = command(words, &Environment::default(), Some(Path::new("/")));
    }

    #[test]
    fn no_value_of_any_flag_makes_it_panic(index in 0usize..70, value in "\\PC{0,20}") {
        let flags: Vec<_> = table::flags().collect();
        let name = format!("--{}", flags[index % flags.len()].name);
        let words = ["bucket", "/mnt", &name, &value].map(OsString::from).to_vec();
        let _ = command(words, &Environment::default(), Some(Path::new("/")));
    }
}
