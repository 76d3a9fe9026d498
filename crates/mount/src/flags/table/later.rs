//! Rows of flags that AWS's Mountpoint has and this version has not: known, so that a script
//! that uses one is told, never half obeyed.

use crate::flags::low::LowArgs;
use crate::flags::table::{Flag, Group};

type Row = Flag<LowArgs>;

const BUCKET: Group = Group::Bucket;
const MOUNT: Group = Group::Mount;
const CLIENT: Group = Group::Client;
const CACHE: Group = Group::Cache;
const RUN: Group = Group::Run;

/// What to do without the flags that only matter for writing.
const READS_ONLY: &str = "This version reads only; drop the flag until writing is there.";

/// The rows.
pub(super) static FLAGS: &[Row] = &[
    Row::later(BUCKET, "transfer-acceleration", None, "Use S3 Transfer Acceleration")
        .doc("Give the accelerated address with --endpoint-url, or drop the flag."),
    Row::later(BUCKET, "dual-stack", None, "Use addresses with IPv6")
        .doc("Give the dual-stack address with --endpoint-url, or drop the flag."),
    Row::later(BUCKET, "requester-pays", None, "Pay for the requests to another's bucket")
        .doc("Use a bucket whose owner pays."),
    Row::later(BUCKET, "bucket-type", Some("TYPE"), "general-purpose or directory")
        .doc("General-purpose buckets need no flag; directory buckets are not supported yet."),
    Row::later(BUCKET, "storage-class", Some("CLASS"), "Storage class of new objects")
        .doc(READS_ONLY),
    Row::later(BUCKET, "expected-bucket-owner", Some("ID"), "Account that must own the bucket")
        .doc("Drop the flag; limit the identity's policy to the bucket instead."),
    Row::later(BUCKET, "sse", Some("TYPE"), "Encryption of new objects").doc(READS_ONLY),
    Row::later(BUCKET, "sse-kms-key-id", Some("ARN"), "Key that encrypts new objects")
        .doc(READS_ONLY),
    Row::later(BUCKET, "upload-checksums", Some("ALGORITHM"), "Checksums of new objects")
        .doc(READS_ONLY),
    Row::later(BUCKET, "infer-content-type", None, "Content type by file name").doc(READS_ONLY),
    Row::later(MOUNT, "allow-delete", None, "Let files be deleted").doc(READS_ONLY),
    Row::later(MOUNT, "allow-overwrite", None, "Let files be overwritten").doc(READS_ONLY),
    Row::later(MOUNT, "incremental-upload", None, "Let files be appended to").doc(READS_ONLY),
    Row::later(MOUNT, "auto-unmount", None, "Unmount when the daemon dies")
        .doc("Drop the flag: a mount whose daemon died is always unmounted."),
    Row::later(CLIENT, "maximum-throughput-gbps", Some("N"), "Expected network speed")
        .doc("Drop the flag: the number of connections adapts by itself."),
    Row::later(CLIENT, "write-part-size", Some("SIZE"), "Size of one write to S3").doc(READS_ONLY),
    Row::later(CLIENT, "bind", Some("INTERFACE"), "Network interface to use")
        .doc("Drop the flag: the system's routes decide."),
    Row::later(CLIENT, "user-agent-prefix", Some("TEXT"), "Put before the user agent")
        .doc("Drop the flag."),
    Row::later(CACHE, "cache-xz", Some("BUCKET"), "Share a cache on S3 Express One Zone")
        .doc("Use --cache: each node keeps what it read on its own disk."),
    Row::later(CACHE, "cache-block-size", Some("SIZE"), "Block size of the cache")
        .doc("Drop the flag: blocks are 1 MiB, and complete objects are read as whole files."),
    Row::later(RUN, "debug-crt", None, "Log the client's details")
        .doc("Use --debug, or MOUNTPOINT_LOG with a filter."),
    Row::later(RUN, "log-metrics", None, "Log a summary of the metrics").doc("Drop the flag."),
    Row::later(RUN, "otlp-endpoint", Some("URL"), "Push metrics to this address")
        .doc("Drop the flag."),
    Row::later(RUN, "otlp-export-interval", Some("TIME"), "How often metrics are pushed")
        .doc("Drop the flag."),
];
