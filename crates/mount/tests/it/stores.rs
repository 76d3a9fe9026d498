//! A third server, written by yet others: `make test-stores`.

use std::process::Command;

use testkit::{Server, run};

use crate::bytes::{every_means_reads_right_bytes, small_objects_are_right};
use crate::harness::busy;
use crate::written::{
    files_of_any_size_come_back, open_mount, programs_write, several_write_to_one_descriptor,
    what_is_there_is_kept,
};

#[test]
#[ignore = "builds MinIO, minutes of work: make test-stores"]
fn minio_serves_right_bytes() {
    let _turn = busy();
    let server = Server::minio();
    small_objects_are_right(&server.bucket("small"), 3_000, &["--metadata-ttl", "60"]);
    small_objects_are_right(&server.bucket("minimal"), 300, &[]);
    every_means_reads_right_bytes(&server.bucket("large"), 50_000_001, &[]);
}

#[test]
#[ignore = "builds MinIO, minutes of work: make test-stores"]
fn minio_is_written_to_like_the_others() {
    let _turn = busy();
    let server = Server::minio();
    files_of_any_size_come_back(&server);
    several_write_to_one_descriptor(&server, &["--upload-checksums", "off"]);
    what_is_there_is_kept(&server);
    programs_write(&server);
    // A part that it copies has no checksum there, and has to have one.
    let mount = open_mount(&server.bucket("checksums"), &[]);
    let script = "{ head -c 9000000 /dev/zero; /bin/echo more; } > f";
    let ran = run(Command::new("bash").args(["-ec", script]).current_dir(mount.directory()));
    assert_ne!(ran.code, Some(0));
    assert!(mount.start().log().contains("--upload-checksums off"), "{}", mount.start().log());
}
