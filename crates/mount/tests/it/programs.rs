//! Programs that people run on a mount find there what they find on ext4.

use std::path::Path;
use std::process::Command;

use testkit::{Bucket, Ran, Server, jar, run_within};

use crate::harness::{busy, mount, program, seaweedfs};

const LIMIT: std::time::Duration = std::time::Duration::from_secs(120);

fn in_directory(directory: &Path, script: &str) -> Ran {
    run_within(Command::new("sh").args(["-ec", script]).current_dir(directory), LIMIT)
}

/// The JARs of a Spark distribution, on the local disk and in the bucket.
fn jars_on_both_sides(bucket: &Bucket<'_>, local: &Path) {
    std::fs::create_dir(local.join("jars")).unwrap();
    let archive = |(number, size): (usize, usize)| {
        let key = format!("jars/library-{number:03}.jar");
        let bytes = jar::archive(&key, size);
        std::fs::write(local.join(&key), &bytes).unwrap();
        (key, bytes)
    };
    bucket.put_all(jar::sizes(252).into_iter().enumerate().map(archive));
}

fn programs_agree(bucket: &Bucket<'_>) {
    let (local, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    jars_on_both_sides(bucket, local.path());
    let mount = mount(bucket, &["--metadata-ttl", "60"]);
    let copies = copies.path();

    let sums = "find . -type f -print0 | sort -z | xargs -0 sha256sum";
    assert_eq!(in_directory(mount.directory(), sums).ok(), in_directory(local.path(), sums).ok());
    let names = "find . -printf '%y %P %s\n' | sed '/^d/s/ [0-9]*$//' | sort";
    assert_eq!(in_directory(mount.directory(), names).ok(), in_directory(local.path(), names).ok());
    run_within(program(&["diff", "-r"], mount.directory()).arg(local.path()), LIMIT).ok();

    in_directory(mount.directory(), "for jar in jars/*; do unzip -tq \"$jar\"; done").ok();
    let differing =
        in_directory(mount.directory(), &format!("rsync -rcni . {}", local.path().display()));
    assert_eq!(differing.ok(), "", "rsync -c sees differences");

    run_within(program(&["cp", "-a"], &mount.path("jars")).arg(copies.join("cp")), LIMIT).ok();
    run_within(program(&["diff", "-r"], &copies.join("cp")).arg(local.path().join("jars")), LIMIT)
        .ok();
    std::fs::create_dir(copies.join("tar")).unwrap();
    in_directory(
        mount.directory(),
        &format!("tar -cf - jars | tar -xf - -C {}/tar", copies.display()),
    )
    .ok();
    run_within(program(&["diff", "-r"], &copies.join("tar")).arg(local.path()), LIMIT).ok();
}

#[test]
fn on_spark_jars_on_the_lab() {
    let _turn = busy();
    programs_agree(&Server::lab().bucket("jars"));
}

#[test]
fn on_spark_jars_on_seaweedfs() {
    let _turn = busy();
    programs_agree(&seaweedfs().bucket("jars"));
}

/// The real JARs: `make test-spark-jars` downloads them and says where they are.
#[test]
#[ignore = "a download of 317 MB: make test-spark-jars"]
fn on_the_real_spark_jars() {
    let jars = std::env::var("SPARK_JARS").expect("SPARK_JARS names a directory of JARs");
    let jars = Path::new(&jars);
    let server = Server::lab();
    let bucket = server.bucket("spark");
    let files = std::fs::read_dir(jars).unwrap().map(|entry| entry.unwrap());
    bucket.put_all(files.map(|file| {
        (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap())
    }));
    let mount = mount(&bucket, &["--metadata-ttl", "60"]);
    let sums = "sha256sum *";
    let ours = in_directory(mount.directory(), sums).ok();
    assert_eq!(ours, in_directory(jars, sums).ok());
    assert_eq!(ours.lines().count(), 252);
    in_directory(mount.directory(), "for jar in *.jar; do unzip -tq \"$jar\"; done").ok();
}
