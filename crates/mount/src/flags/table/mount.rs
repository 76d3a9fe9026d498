//! Rows about the mount itself, what it remembers, how it runs and where it logs.

use crate::flags::low::{LowArgs, Special};
use crate::flags::table::{Flag, Group};
use crate::flags::units::{cache_size, id, mode, ttl};
use crate::flags::value::{path, some, text};

type Row = Flag<LowArgs>;

/// The rows about the mount and its metadata.
pub(super) static FLAGS: &[Row] = &[
    Row::switch(Group::Mount, "read-only", "Mount read-only", |a| a.read_only = true).doc(
        "The kernel refuses every change. Without it new files can be written; overwriting \
             and deleting take flags of their own.",
    ),
    Row::switch(Group::Mount, "allow-other", "Let every user of the machine in", |a| {
        a.allow_other = true;
    })
    .doc(
        "Needed when Pods or services under other users read the mount. A user other than root \
         needs the line `user_allow_other` in /etc/fuse.conf. Not together with --allow-root.",
    ),
    Row::switch(Group::Mount, "allow-root", "Let root in beside the mounting user", |a| {
        a.allow_root = true;
    }),
    Row::value(Group::Mount, "uid", "ID", "Owner of everything in the mount", |a, v| {
        some(&mut a.uid, text(v).and_then(|t| id(&t)))
    })
    .doc("0 is taken, unlike by AWS's Mountpoint: it is what root's own mounts have anyway.")
    .default("the mounting user"),
    Row::value(Group::Mount, "gid", "ID", "Group of everything in the mount", |a, v| {
        some(&mut a.gid, text(v).and_then(|t| id(&t)))
    })
    .default("the mounting user's group"),
    Row::value(Group::Mount, "dir-mode", "OCTAL", "Permissions of directories", |a, v| {
        some(&mut a.dir_mode, text(v).and_then(|t| mode(&t)))
    })
    .default("0755"),
    Row::value(Group::Mount, "file-mode", "OCTAL", "Permissions of files", |a, v| {
        some(&mut a.file_mode, text(v).and_then(|t| mode(&t)))
    })
    .doc("0755 makes scripts in the bucket executable.")
    .default("0644"),
    Row::value(Group::Cache, "cache", "DIR", "Keep what was read in this directory", |a, v| {
        some(&mut a.cache, path(v))
    })
    .doc(
        "Everything that was read once is read from there from then on, also by other mounts \
         with the same directory, after a restart and after a crash; objects that are there as a \
         whole are read by the kernel itself. A sub-directory `mount-s3` with mode 0700 is made \
         in it. All mounts of one user that share a directory trust each other. A directory on \
         the node's disk is best: /tmp is memory on some systems. Raises the default of \
         --metadata-ttl to 60.",
    )
    .default("nothing is kept"),
    Row::value(Group::Cache, "max-cache-size", "SIZE", "Limit of the cache", |a, v| {
        some(&mut a.max_cache_size, text(v).and_then(|t| cache_size(&t)))
    })
    .doc(
        "MiB, or with a unit (10GiB). What the directory takes on the disk, as `du` counts it, \
         stays below. A bare number of 2^30 or more is taken for bytes. More than the disk has \
         is lowered to what it has. 0 keeps names only.",
    )
    .default("5 % of the file system stay free"),
    Row::value(Group::Cache, "boot-id", "ID", "Take this for the boot's number", |a, v| {
        some(&mut a.boot_id, text(v))
    })
    .hidden(),
    Row::value(Group::Cache, "metadata-ttl", "TIME", "How long names are believed", |a, v| {
        some(&mut a.metadata_ttl, text(v).and_then(|t| ttl(&t)))
    })
    .doc(
        "Seconds (or 5m, 1h), `minimal` (every open asks S3) or `indefinite` (for objects that \
         never change). 0 means `minimal`.",
    )
    .default("minimal; 60 with --cache"),
    Row::value(
        Group::Cache,
        "negative-metadata-ttl",
        "TIME",
        "How long a missing name is believed missing",
        |a, v| some(&mut a.negative_metadata_ttl, text(v).and_then(|t| ttl(&t))),
    )
    .doc("Takes what --metadata-ttl takes.")
    .default("as --metadata-ttl; with `indefinite` a few seconds"),
];

/// The rows about running and logs.
pub(super) static RUN: &[Row] = &[
    Row::switch(Group::Run, "foreground", "Stay in the foreground, log to stderr", |a| {
        a.foreground = true;
    })
    .short('f')
    .doc("Ctrl-C unmounts. Without it the command returns as soon as the mount serves."),
    Row::switch(Group::Run, "create-directory", "Make the directory if it does not exist", |a| {
        a.create_directory = true;
    })
    .doc("With everything above it, mode 0755. It stays when the bucket is unmounted."),
    Row::value(Group::Run, "log-directory", "DIR", "Write the log into this directory", |a, v| {
        some(&mut a.log_directory, path(v))
    })
    .short('l')
    .doc("Created if absent; one file per mount. MOUNTPOINT_LOG sets the filter.")
    .default("syslog; stderr with --foreground"),
    Row::switch(Group::Run, "debug", "Log more", |a| a.debug = true).short('d'),
    Row::switch(Group::Run, "no-log", "Log nothing", |a| a.no_log = true)
        .doc("Not together with --log-directory or --debug."),
    Row::switch(Group::Run, "help", "Print help; -h prints less", |a| {
        a.special = Some(Special::LongHelp);
    })
    .short('h'),
    Row::switch(Group::Run, "version", "Print the version", |a| {
        a.special = Some(Special::Version);
    })
    .short('V'),
    Row::value(
        Group::Run,
        "mask-kernel-features",
        "LIST",
        "Do not use these kernel features: passthrough,resend,readdirplus,large-requests",
        |a, v| {
            let list = text(v)?;
            a.mask_kernel_features.extend(list.split(',').map(|name| name.trim().to_owned()));
            Ok(())
        },
    )
    .hidden(),
    Row::value(Group::Run, "generate", "WHAT", "Print the reference page (markdown)", |a, v| {
        match text(v)?.as_str() {
            "markdown" => {
                a.special = Some(Special::Markdown);
                Ok(())
            }
            other => Err(format!("`{other}` cannot be generated; `markdown` can")),
        }
    })
    .hidden(),
];
