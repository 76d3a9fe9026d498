//! A third server, written by yet others: `make test-stores`.

use testkit::Server;

use crate::bytes::{every_means_reads_right_bytes, small_objects_are_right};
use crate::harness::busy;

#[test]
#[ignore = "builds MinIO, minutes of work: make test-stores"]
fn minio_serves_right_bytes() {
    let _turn = busy();
    let server = Server::minio();
    small_objects_are_right(&server.bucket("small"), 3_000, &["--metadata-ttl", "60"]);
    small_objects_are_right(&server.bucket("minimal"), 300, &[]);
    every_means_reads_right_bytes(&server.bucket("large"), 50_000_001, &[]);
}
