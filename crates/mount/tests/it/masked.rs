//! The core once more on kernels that lack what newer ones have.

use testkit::Server;

use crate::bytes::{every_means_reads_right_bytes, small_objects_are_right};
use crate::harness::{MIB, busy};

fn core(masked: &str) {
    let _turn = busy();
    let server = Server::lab();
    for ttl in ["60", "minimal"] {
        let words = ["--metadata-ttl", ttl, "--mask-kernel-features", masked];
        small_objects_are_right(&server.bucket(&format!("small-{ttl}")), 300, &words);
        every_means_reads_right_bytes(
            &server.bucket(&format!("large-{ttl}")),
            30 * MIB + 1,
            &words,
        );
    }
}

#[test]
fn without_passthrough() {
    core("passthrough");
}

#[test]
fn without_resend() {
    core("resend");
}

#[test]
fn without_readdirplus() {
    core("readdirplus");
}

#[test]
fn without_large_requests() {
    core("large-requests");
}

#[test]
fn without_any_of_them() {
    core("passthrough,resend,readdirplus,large-requests");
}
