//! What may be written, from what was typed.

use object::Algorithm;
use s3::{Attributes, Encryption};

use crate::flags::config::{PartSize, WriteConfig};
use crate::flags::low::{Checksums, LowArgs};
use crate::flags::units::show_size;
use crate::flags::{Limits, Usage};

use super::limits::{PART_DEFAULT, part_within, plausible_part};

/// Storage classes whose objects cannot be read before they are restored (S3 User Guide,
/// "Understanding and managing Amazon S3 storage classes").
const ARCHIVES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// What the words allow; `None` for a read-only mount.
pub(super) fn write(
    args: &LowArgs,
    limits: &Limits,
    notes: &mut Vec<String>,
) -> Result<Option<WriteConfig>, Usage> {
    // Looked at on a read-only mount too: what makes no sense there makes none anywhere.
    let attributes = attributes(args, notes)?;
    let parts = parts(args, limits, notes)?;
    if args.read_only {
        let changes = [
            ("allow-overwrite", args.allow_overwrite),
            ("allow-delete", args.allow_delete),
            ("ignore-attribute-changes", args.ignore_attribute_changes),
        ];
        return match changes.into_iter().find(|(_, typed)| *typed) {
            Some((name, _)) => Err(Usage::Conflict("read-only", name)),
            None => Ok(None),
        };
    }
    Ok(Some(WriteConfig {
        overwrite: args.allow_overwrite,
        delete: args.allow_delete,
        ignore_attributes: args.ignore_attribute_changes,
        parts,
        attributes,
    }))
}

fn attributes(args: &LowArgs, notes: &mut Vec<String>) -> Result<Attributes, Usage> {
    let kms = matches!(args.sse, Some(Encryption::Kms | Encryption::KmsTwice));
    if args.sse_kms_key_id.is_some() && !kms {
        return Err(Usage::BadValue {
            flag: "sse-kms-key-id",
            why: "it needs --sse aws:kms or --sse aws:kms:dsse".into(),
        });
    }
    if let Some(class) = &args.storage_class
        && ARCHIVES.contains(&class.as_str())
        && !args.read_only
    {
        notes.push(format!(
            "what is written with --storage-class {class} cannot be read back until it is restored"
        ));
    }
    Ok(Attributes {
        checksums: match args.upload_checksums {
            None => Some(Algorithm::Crc64Nvme),
            Some(Checksums::By(algorithm)) => Some(algorithm),
            Some(Checksums::Off) => None,
        },
        encryption: args.sse,
        kms_key: args.sse_kms_key_id.clone(),
        storage_class: args.storage_class.clone(),
        infer_content_type: args.infer_content_type,
    })
}

fn parts(args: &LowArgs, limits: &Limits, notes: &mut Vec<String>) -> Result<PartSize, Usage> {
    let memory = limits.memory_target;
    let (flag, typed) = match (args.part_size, args.write_part_size) {
        (Some(_), Some(_)) => return Err(Usage::Conflict("part-size", "write-part-size")),
        (Some(part), None) => ("part-size", part),
        (None, Some(part)) => ("write-part-size", part),
        (None, None) => return Ok(PartSize::Growing(PART_DEFAULT)),
    };
    plausible_part(flag, typed)?;
    let part = part_within(typed, memory, args.memory_target.is_some())
        .map_err(|why| Usage::BadValue { flag, why })?;
    // Of --part-size the same was said about reading.
    if part != typed && flag == "write-part-size" {
        notes.push(format!(
            "--{flag} is reduced to {} to fit into {} of memory; --memory-target gives it more",
            show_size(part),
            show_size(memory)
        ));
    }
    Ok(PartSize::Fixed(part))
}
