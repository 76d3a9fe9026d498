//! From what was typed to what it means.

mod limits;
mod source;
mod write;

use std::path::Path;
use std::time::Duration;

use super::{Access, CacheConfig, Config, LogConfig, LogTarget, MaskedFeatures, Ttl, ViewConfig};
use crate::flags::units::{CacheSize, show_size};
use crate::flags::{Environment, LowArgs, Usage, absolute};

pub(crate) use source::{bucket, chosen, source};

/// What names are believed for where they are kept on the disk, as by AWS's Mountpoint.
const TTL_WITH_CACHE: Ttl = Ttl::For(Duration::from_secs(60));

/// Decides what the words mean. `here` is the directory that relative paths start from.
pub(crate) fn resolve(
    args: LowArgs,
    environment: &Environment,
    here: Option<&Path>,
) -> Result<Config, Usage> {
    let mut notes = Vec::new();
    let (bucket, prefix) = source::mounted(&args)?;
    let directory = args.directory.as_deref().ok_or(Usage::WordMissing("the directory"))?;
    let limits = limits::limits(&args, &mut notes)?;
    Ok(Config {
        view: view(&args, &mut notes)?,
        write: write::write(&args, &limits, &mut notes)?,
        limits,
        cache: cache(&args, here, &mut notes)?,
        log: log(&args, environment, here)?,
        directory: absolute(here, directory)?,
        create_directory: args.create_directory,
        foreground: args.foreground,
        masked: masked(&args.mask_kernel_features)?,
        runtime_directory: environment.runtime_directory.clone(),
        state_directory: environment.state_directory.clone(),
        source: source::source((bucket, prefix), args.connection, environment, here)?,
        notes,
    })
}

fn view(args: &LowArgs, notes: &mut Vec<String>) -> Result<ViewConfig, Usage> {
    let access = match (args.allow_other, args.allow_root) {
        (true, true) => return Err(Usage::Conflict("allow-other", "allow-root")),
        (true, false) => Access::Everyone,
        (false, true) => Access::OwnerAndRoot,
        (false, false) => Access::Owner,
    };
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
