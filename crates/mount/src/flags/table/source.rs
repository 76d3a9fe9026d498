//! Rows about the bucket, who asks, and how it is read.

use crate::flags::low::LowArgs;
use crate::flags::table::{Flag, Group};
use crate::flags::units::{SizeUnit, count, duration, size};
use crate::flags::value::{path, some, text};

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
    Row::value(Group::Bucket, "region", "REGION", "Region of the bucket", |a, v| {
        some(&mut a.region, text(v))
    })
    .doc(
        "When not given, the region is found by asking the bucket, starting from AWS_REGION or \
         AWS_DEFAULT_REGION. When given, it is taken at its word: a wrong one is an error.",
    )
    .default("found out"),
    Row::value(Group::Bucket, "endpoint-url", "URL", "Address of the S3 service", |a, v| {
        some(&mut a.endpoint_url, text(v))
    })
    .doc("For S3-compatible stores and private endpoints, for example http://127.0.0.1:9000.")
    .default("AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, else AWS's own"),
    Row::switch(
        Group::Bucket,
        "force-path-style",
        "Put the bucket into the path, not into the host name",
        |a| a.force_path_style = true,
    )
    .doc("Most S3-compatible stores need it."),
    Row::switch(Group::Credentials, "no-sign-request", "Ask without credentials", |a| {
        a.no_sign_request = true;
    })
    .doc("For public buckets. Wins over --profile."),
    Row::value(
        Group::Credentials,
        "profile",
        "NAME",
        "Profile of the AWS configuration",
        |a, v| some(&mut a.profile, text(v)),
    )
    .doc(
        "Its credentials are used and no others, whatever the environment holds. When not given, \
         AWS_ACCESS_KEY_ID comes first and then the profile AWS_PROFILE, else `default`.",
    ),
    Row::value(
        Group::Credentials,
        "ca-bundle",
        "FILE",
        "Trust these certificates (PEM)",
        |a, v| some(&mut a.ca_bundle, path(v)),
    )
    .default("AWS_CA_BUNDLE, else the system's"),
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
         Not together with --read-part-size.",
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
