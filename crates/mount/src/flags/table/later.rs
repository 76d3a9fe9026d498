//! Rows of flags that AWS's Mountpoint has and this version has not: known, so that a script
//! that uses one is told, never half obeyed.

use crate::flags::low::LowArgs;
use crate::flags::table::{Flag, Group};

type Row = Flag<LowArgs>;

const BUCKET: Group = Group::Bucket;
const MOUNT: Group = Group::Mount;
const WRITE: Group = Group::Write;
const CLIENT: Group = Group::Client;
const CACHE: Group = Group::Cache;
const RUN: Group = Group::Run;

/// The rows.
pub(super) static FLAGS: &[Row] = &[
    Row::later(BUCKET, "transfer-acceleration", None, "Use S3 Transfer Acceleration")
        .doc("Give the accelerated address with --endpoint-url, or drop the flag."),
    Row::later(BUCKET, "dual-stack", None, "Use addresses with IPv6")
        .doc("Give the dual-stack address with --endpoint-url, or drop the flag."),
    Row::later(BUCKET, "bucket-type", Some("TYPE"), "general-purpose or directory")
        .doc("General-purpose buckets need no flag; directory buckets are not supported yet."),
    Row::later(WRITE, "incremental-upload", None, "Let files be appended to")
        .doc("Write the whole file again: --allow-overwrite lets it be replaced."),
    Row::later(MOUNT, "auto-unmount", None, "Unmount when the daemon dies")
        .doc("Drop the flag: a mount whose daemon died is always unmounted."),
    Row::later(CLIENT, "maximum-throughput-gbps", Some("N"), "Expected network speed")
        .doc("Drop the flag: the number of connections adapts by itself."),
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
