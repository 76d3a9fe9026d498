//! Rows about what may be written and what becomes of it in the store.

use std::ffi::OsStr;

use object::Algorithm;
use s3::Encryption;

use crate::flags::low::{Checksums, LowArgs};
use crate::flags::table::{Flag, Group};
use crate::flags::units::{SizeUnit, size};
use crate::flags::value::{header, some, text};

type Row = Flag<LowArgs>;

const GROUP: Group = Group::Write;

/// The rows.
pub(super) static FLAGS: &[Row] = &[
    Row::switch(GROUP, "allow-overwrite", "Let files be overwritten", |a| {
        a.allow_overwrite = true;
    })
    .doc("As a whole, when they are opened with O_TRUNC. Not together with --read-only."),
    Row::switch(GROUP, "allow-delete", "Let files be deleted", |a| a.allow_delete = true)
        .doc("At once, also for other clients of the bucket. Not together with --read-only."),
    Row::switch(
        GROUP,
        "ignore-attribute-changes",
        "Let chmod, chown and touch succeed without effect",
        |a| a.ignore_attribute_changes = true,
    )
    .doc(
        "For programs that give up when they cannot set mode, owner or times, such as `cp -p`, \
         tar and rsync. Mode and owner stay those of the mount, the time that of the last upload. \
         Not together with --read-only.",
    ),
    Row::value(GROUP, "write-part-size", "SIZE", "Size of one part of an upload", |a, v| {
        some(&mut a.write_part_size, text(v).and_then(|t| size(&t, SizeUnit::Bytes)))
    })
    .doc(
        "Like --part-size, for writing only. When neither is given, parts grow with the file, up \
         to an eighth of --memory-target. An object has 10,000 parts at most: the largest file is \
         in the log when the bucket is mounted.",
    )
    .default("8 MiB, growing"),
    Row::value(
        GROUP,
        "upload-checksums",
        "ALGORITHM",
        "Checksums of what is uploaded: crc64nvme, crc32c or off",
        |a, v| some(&mut a.upload_checksums, checksums(v)),
    )
    .doc(
        "Computed when a program writes the bytes, and checked by the store. Some S3-compatible \
         stores know only crc32c, or none.",
    )
    .default("crc64nvme"),
    Row::value(GROUP, "storage-class", "CLASS", "Storage class of new objects", |a, v| {
        some(&mut a.storage_class, text(v).and_then(header))
    })
    .doc("As the store names it, for example INTELLIGENT_TIERING.")
    .default("the store's"),
    Row::value(
        GROUP,
        "sse",
        "TYPE",
        "Encryption of new objects: aws:kms, aws:kms:dsse or AES256",
        |a, v| some(&mut a.sse, sse(v)),
    )
    .default("the bucket's"),
    Row::value(GROUP, "sse-kms-key-id", "ARN", "Key that encrypts new objects", |a, v| {
        some(&mut a.sse_kms_key_id, text(v).and_then(key_arn))
    })
    .doc("The ARN of a key, neither its id nor an alias. Needs --sse aws:kms or aws:kms:dsse.")
    .default("the account's key for S3"),
    Row::switch(GROUP, "infer-content-type", "Content type by the end of the name", |a| {
        a.infer_content_type = true;
    })
    .doc("Without it, and where the end says nothing, new objects are binary/octet-stream."),
];

fn checksums(value: &OsStr) -> Result<Checksums, String> {
    match text(value)?.to_ascii_lowercase().as_str() {
        "crc64nvme" => Ok(Checksums::By(Algorithm::Crc64Nvme)),
        "crc32c" => Ok(Checksums::By(Algorithm::Crc32c)),
        "off" => Ok(Checksums::Off),
        other => Err(format!("`{other}` is none of crc64nvme, crc32c, off")),
    }
}

fn sse(value: &OsStr) -> Result<Encryption, String> {
    let name = text(value)?;
    let none = || format!("`{name}` is none of aws:kms, aws:kms:dsse, AES256");
    Encryption::named(&name).ok_or_else(none)
}

/// A key's ARN. An alias could be given to another key while the mount runs, and what the store
/// answers is compared with this.
fn key_arn(text: String) -> Result<String, String> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let is_key = matches!(parts.as_slice(), ["arn", _, "kms", .., last] if !last.is_empty());
    if is_key && !text.contains(":alias/") {
        return header(text);
    }
    Err(format!(
        "`{text}` is no ARN of a key such as arn:aws:kms:eu-west-1:111122223333:key/…; aliases \
         and ids are not taken"
    ))
}
