//! Rows about the part of the bucket that is mounted, and how it is read.

use crate::flags::low::LowArgs;
use crate::flags::table::{Flag, Group};
use crate::flags::units::{SizeUnit, count, duration, size};
use crate::flags::value::{some, text};

type Row = Flag<LowArgs>;

/// The rows.
pub(super) static FLAGS: &[Row] = &[
    Row::value(
        Group::Bucket,
        "prefix",
        "PREFIX",
        "Mount only the keys under this prefix",
        |a, v| some(&mut a.prefix, text(v)),
    )
    .doc("Must end with `/`. The same as writing s3://BUCKET/PREFIX/ for the bucket; not both."),
    Row::value(Group::Client, "max-threads", "N", "Threads that serve the kernel", |a, v| {
        some(&mut a.max_threads, text(v).and_then(|t| count(&t, 1)))
    })
    .default("16"),
    Row::value(Group::Client, "memory-target", "SIZE", "Memory for data in flight", |a, v| {
        some(&mut a.memory_target, text(v).and_then(|t| size(&t, SizeUnit::MebiBytes)))
    })
    .doc("A bare number is MiB; suffixes such as 256MiB or 1GiB are understood. At least 64 MiB.")
    .default("192 MiB"),
    Row::value(Group::Client, "part-size", "SIZE", "Size of one request to S3", |a, v| {
        some(&mut a.part_size, text(v).and_then(|t| size(&t, SizeUnit::Bytes)))
    })
    .doc(
        "A bare number is bytes; suffixes such as 16MiB are understood. From 5 MiB to 5 GiB. \
         For reading and for writing: not together with --read-part-size or --write-part-size.",
    )
    .default("8 MiB"),
    Row::value(Group::Client, "read-part-size", "SIZE", "Size of one read from S3", |a, v| {
        some(&mut a.read_part_size, text(v).and_then(|t| size(&t, SizeUnit::Bytes)))
    })
    .doc("Like --part-size, for reading only.")
    .default("8 MiB"),
    Row::value(Group::Client, "read-deadline", "TIME", "When a read gives up", |a, v| {
        some(&mut a.read_deadline, text(v).and_then(|t| duration(&t)))
    })
    .doc(
        "A read that S3 does not answer within this time, retries included, ends with an \
         input/output error (EIO) instead of waiting on. A bare number is seconds. From 1 second \
         to 1 hour.",
    )
    .default("30s"),
];
