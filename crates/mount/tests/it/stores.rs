//! Servers written by yet others: `make test-stores`.

use testkit::Server;

use crate::bytes::{every_means_reads_right_bytes, small_objects_are_right};
use crate::harness::busy;
use crate::written::{
    files_of_any_size_come_back, programs_write, several_write_to_one_descriptor,
    what_is_there_is_kept,
};

fn right_bytes_are_served(server: &Server) {
    small_objects_are_right(&server.bucket("small"), 3_000, &["--metadata-ttl", "60"]);
    small_objects_are_right(&server.bucket("minimal"), 300, &[]);
    every_means_reads_right_bytes(&server.bucket("large"), 50_000_001, &[]);
}

fn is_written_to_like_the_others(server: &Server) {
    files_of_any_size_come_back(server);
    several_write_to_one_descriptor(server);
    what_is_there_is_kept(server);
    programs_write(server);
}

#[test]
#[ignore = "builds MinIO, minutes of work: make test-stores"]
fn minio_serves_right_bytes() {
    let _turn = busy();
    right_bytes_are_served(&Server::minio());
}

#[test]
#[ignore = "builds MinIO, minutes of work: make test-stores"]
fn minio_is_written_to_like_the_others() {
    let _turn = busy();
    is_written_to_like_the_others(&Server::minio());
}

#[test]
#[ignore = "builds Versity S3 Gateway, a minute of work: make test-stores"]
fn versitygw_serves_right_bytes() {
    let _turn = busy();
    right_bytes_are_served(&Server::versitygw());
}

#[test]
#[ignore = "builds Versity S3 Gateway, a minute of work: make test-stores"]
fn versitygw_is_written_to_like_the_others() {
    let _turn = busy();
    is_written_to_like_the_others(&Server::versitygw());
}
