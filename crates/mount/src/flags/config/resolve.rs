//! From what was typed to what it means.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use object::{Bucket, MAX_KEY};

use super::{
    Access, CacheConfig, Config, Limits, LogConfig, LogTarget, MaskedFeatures, SourceConfig, Ttl,
    ViewConfig,
};
use crate::flags::units::{CacheSize, show_size};
use crate::flags::{Environment, LowArgs, Usage, absolute};

const MIB: u64 = 1 << 20;
/// The least memory a mount works in.
const MEMORY_LEAST: u64 = 64 * MIB;
const MEMORY_DEFAULT: u64 = 192 * MIB;
/// S3's bounds of one part (S3 User Guide, "Multipart upload limits").
const PART_LEAST: u64 = 5 * MIB;
const PART_MOST: u64 = 5 * 1024 * MIB;
const PART_DEFAULT: u64 = 8 * MIB;
const DEADLINE_DEFAULT: Duration = Duration::from_secs(30);
const DEADLINE_LEAST: Duration = Duration::from_secs(1);
const DEADLINE_MOST: Duration = Duration::from_secs(3600);

/// What names are believed for where they are kept on the disk, as by AWS's Mountpoint.
const TTL_WITH_CACHE: Ttl = Ttl::For(Duration::from_secs(60));

/// Decides what the words mean. `here` is the directory that relative paths start from.
pub(crate) fn resolve(
    args: LowArgs,
    environment: &Environment,
    here: Option<&Path>,
) -> Result<Config, Usage> {
    let mut notes = Vec::new();
    let (bucket, prefix) = bucket_and_prefix(&args)?;
    let directory = args.directory.as_deref().ok_or(Usage::WordMissing("the directory"))?;
    Ok(Config {
        view: view(&args, &mut notes)?,
        limits: limits(&args, &mut notes)?,
        cache: cache(&args, here, &mut notes)?,
        log: log(&args, environment, here)?,
        directory: absolute(here, directory)?,
        create_directory: args.create_directory,
        foreground: args.foreground,
        masked: masked(&args.mask_kernel_features)?,
        runtime_directory: environment.runtime_directory.clone(),
        source: SourceConfig {
            bucket,
            prefix,
            region: args.region,
            endpoint_url: endpoint(args.endpoint_url, environment)?,
            force_path_style: args.force_path_style,
            anonymous: args.no_sign_request,
            profile: args.profile,
            ca_bundle: args
                .ca_bundle
                .or_else(|| environment.ca_bundle.clone())
                .map(|file| absolute(here, &file))
                .transpose()?,
            max_attempts: environment.attempts()?,
        },
        notes,
    })
}

/// The first word, taken apart.
fn bucket_and_prefix(args: &LowArgs) -> Result<(Bucket, String), Usage> {
    let word = args.bucket.as_deref().ok_or(Usage::WordMissing("the bucket"))?;
    let shown = word.to_string_lossy().into_owned();
    let bad = |why: String| Usage::BadBucket { word: shown.clone(), why };
    if let Some(swapped) = swapped(word, args.directory.as_deref()) {
        return Err(swapped);
    }
    let text = word.to_str().ok_or_else(|| bad("it is not UTF-8".into()))?;
    if text.starts_with("arn:") {
        return Err(bad("ARNs are not supported yet; give the access point's alias".into()));
    }
    let (name, in_uri) = match text.strip_prefix("s3://") {
        None => (text, None),
        Some(rest) => match rest.split_once('/') {
            None => (rest, None),
            Some((name, prefix)) => (name, Some(prefix).filter(|prefix| !prefix.is_empty())),
        },
    };
    let bucket = Bucket::new(name).map_err(|why| bad(why.to_string()))?;
    let prefix = match (in_uri, args.prefix.as_deref()) {
        (Some(_), Some(_)) => {
            return Err(Usage::BadValue {
                flag: "prefix",
                why: format!("`{shown}` names a prefix already"),
            });
        }
        (Some(prefix), None) | (None, Some(prefix)) => prefix,
        (None, None) => "",
    };
    if !prefix.is_empty() && !prefix.ends_with('/') {
        let why = format!("a prefix must end with `/`: write `{prefix}/`");
        return Err(match in_uri {
            Some(_) => bad(why),
            None => Usage::BadValue { flag: "prefix", why },
        });
    }
    if prefix.len() >= MAX_KEY {
        return Err(bad(format!("a prefix has less than {MAX_KEY} bytes")));
    }
    Ok((bucket, prefix.to_owned()))
}

/// Whether the two words were typed in the wrong order: a path first, a bucket second.
fn swapped(first: &OsStr, second: Option<&Path>) -> Option<Usage> {
    let first = first.to_str()?;
    let second = second?.to_str()?;
    let path = first.starts_with(['/', '.', '~']);
    let bucket = second.starts_with("s3://") || Bucket::new(second).is_ok();
    (path && bucket)
        .then(|| Usage::Swapped { directory: first.to_owned(), bucket: second.to_owned() })
}

/// The service's address. The client has the last word on it; this much is told at once.
fn endpoint(typed: Option<String>, environment: &Environment) -> Result<Option<String>, Usage> {
    let (url, variable) = match (typed, &environment.endpoint_url) {
        (Some(url), _) => (url, None),
        (None, Some((name, url))) => (url.clone(), Some(*name)),
        (None, None) => return Ok(None),
    };
    let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let why = match host {
        // Not repeated in the message: it may be a password.
        Some(host) if host.contains('@') => "credentials do not belong into the address".into(),
        Some(host) if !host.is_empty() && !host.starts_with(['/', ':']) => {
            return Ok(Some(url.trim_end_matches('/').to_owned()));
        }
        _ => format!("`{url}` is no address such as https://s3.example.org"),
    };
    Err(match variable {
        None => Usage::BadValue { flag: "endpoint-url", why },
        Some(name) => Usage::BadVariable { name, why },
    })
}

fn view(args: &LowArgs, notes: &mut Vec<String>) -> Result<ViewConfig, Usage> {
    let access = match (args.allow_other, args.allow_root) {
        (true, true) => return Err(Usage::Conflict("allow-other", "allow-root")),
        (true, false) => Access::Everyone,
        (false, true) => Access::OwnerAndRoot,
        (false, false) => Access::Owner,
    };
    if !args.read_only {
        notes.push("writing comes with a later version: this mount can only be read".into());
    }
    if args.metadata_ttl == Some(Ttl::For(Duration::ZERO)) {
        notes.push("--metadata-ttl 0 is understood as `minimal`".into());
    }
    let decided = |ttl| match ttl {
        Ttl::For(time) if time.is_zero() => Ttl::Minimal,
        other => other,
    };
    let default_ttl = if args.cache.is_some() { TTL_WITH_CACHE } else { Ttl::Minimal };
    Ok(ViewConfig {
        read_only: args.read_only,
        access,
        uid: args.uid,
        gid: args.gid,
        dir_mode: args.dir_mode.unwrap_or(0o755),
        file_mode: args.file_mode.unwrap_or(0o644),
        metadata_ttl: args.metadata_ttl.map_or(default_ttl, decided),
        negative_ttl: args.negative_metadata_ttl.map(decided),
    })
}

fn limits(args: &LowArgs, notes: &mut Vec<String>) -> Result<Limits, Usage> {
    let memory_target = args.memory_target.unwrap_or(MEMORY_DEFAULT);
    if memory_target < MEMORY_LEAST {
        let why = format!(
            "{} is too little, at least 64 MiB (a bare number is MiB)",
            show_size(memory_target)
        );
        return Err(Usage::BadValue { flag: "memory-target", why });
    }
    let (flag, part) = match (args.part_size, args.read_part_size) {
        (Some(_), Some(_)) => return Err(Usage::Conflict("part-size", "read-part-size")),
        (Some(part), None) => ("part-size", part),
        (None, part) => ("read-part-size", part.unwrap_or(PART_DEFAULT)),
    };
    if !(PART_LEAST..=PART_MOST).contains(&part) {
        let why =
            format!("{} is not between 5 MiB and 5 GiB (a bare number is bytes)", show_size(part));
        return Err(Usage::BadValue { flag, why });
    }
    let read_part_size = part_within(part, memory_target, args.memory_target.is_some())
        .map_err(|why| Usage::BadValue { flag, why })?;
    if read_part_size != part {
        notes.push(format!(
            "--{flag} is reduced to {} to fit into {} of memory; --memory-target gives it more",
            show_size(read_part_size),
            show_size(memory_target)
        ));
    }
    let read_deadline = args.read_deadline.unwrap_or(DEADLINE_DEFAULT);
    if !(DEADLINE_LEAST..=DEADLINE_MOST).contains(&read_deadline) {
        let why = "it takes from 1 second to 1 hour (a bare number is seconds)".into();
        return Err(Usage::BadValue { flag: "read-deadline", why });
    }
    let max_threads = args.max_threads.unwrap_or(16);
    if max_threads > 1024 {
        let why = format!("{max_threads} threads are more than the 1024 that can be useful");
        return Err(Usage::BadValue { flag: "max-threads", why });
    }
    let max_threads = max_threads as usize;
    Ok(Limits { max_threads, memory_target, read_part_size, read_deadline })
}

fn cache(
    args: &LowArgs,
    here: Option<&Path>,
    notes: &mut Vec<String>,
) -> Result<Option<CacheConfig>, Usage> {
    let Some(directory) = &args.cache else {
        return match args.max_cache_size {
            Some(_) => Err(Usage::BadValue {
                flag: "max-cache-size",
                why: "there is no cache to limit; --cache DIR makes one".into(),
            }),
            None => Ok(None),
        };
    };
    if let Some(CacheSize { bytes, guessed: true }) = args.max_cache_size {
        notes.push(format!(
            "--max-cache-size {bytes} is understood as bytes ({}), not as MiB",
            show_size(bytes)
        ));
    }
    Ok(Some(CacheConfig {
        directory: absolute(here, directory)?,
        limit: args.max_cache_size.map(|size| size.bytes),
        boot_id: args.boot_id.clone(),
    }))
}

/// A part that leaves room for a second one. Where both sizes were typed they must fit; where
/// the memory is our default, the part gives way.
fn part_within(part: u64, memory: u64, typed: bool) -> Result<u64, String> {
    let most = memory / 2;
    if part <= most {
        Ok(part)
    } else if typed {
        Err(format!(
            "two parts of {} do not fit into the {} of --memory-target",
            show_size(part),
            show_size(memory)
        ))
    } else {
        Ok(most)
    }
}

fn log(args: &LowArgs, environment: &Environment, here: Option<&Path>) -> Result<LogConfig, Usage> {
    if args.no_log && args.log_directory.is_some() {
        return Err(Usage::Conflict("no-log", "log-directory"));
    }
    if args.no_log && args.debug {
        return Err(Usage::Conflict("no-log", "debug"));
    }
    let target = match &args.log_directory {
        _ if args.no_log => LogTarget::Nowhere,
        Some(directory) => LogTarget::Directory(absolute(here, directory)?),
        None if args.foreground => LogTarget::Stderr,
        None => LogTarget::Syslog,
    };
    let filter = match &environment.log_filter {
        Some(filter) => filter.clone(),
        None => crate::log::filter(args.debug),
    };
    crate::log::check_filter(&filter)
        .map_err(|why| Usage::BadVariable { name: "MOUNTPOINT_LOG", why })?;
    Ok(LogConfig { target, filter })
}

fn masked(names: &[String]) -> Result<MaskedFeatures, Usage> {
    let mut masked = MaskedFeatures::default();
    for name in names {
        match name.as_str() {
            "passthrough" => masked.passthrough = true,
            "resend" => masked.resend = true,
            "readdirplus" => masked.readdirplus = true,
            "large-requests" => masked.large_requests = true,
            other => {
                let why = format!(
                    "`{other}` is none of passthrough, resend, readdirplus, large-requests"
                );
                return Err(Usage::BadValue { flag: "mask-kernel-features", why });
            }
        }
    }
    Ok(masked)
}
