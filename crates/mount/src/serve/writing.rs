//! What a mount that may be written to has beside one that may not.

use std::sync::Arc;
use std::time::Duration;

use fs::Fs;
use object::Sink;
use tokio::runtime::Handle;

use crate::flags::config::PartSize;
use crate::flags::units::show_size;
use crate::flags::{Config, WriteConfig};
use crate::savings::Bytes;
use crate::serve::node_cache::NodeCache;
use crate::uploads::{self, Journal, Journalled, Place};

/// Parts of one file that are on their way at once, at most.
const PARTS_IN_FLIGHT: usize = 8;

/// After this long an upload that a living program began, on another node say, has a part, and
/// one that a dead mount asked for in its last moment is there.
const PATIENCE: Duration = Duration::from_secs(12);

/// What the file system is told of writing.
pub(super) fn rules(config: &Config) -> fs::Writes {
    let Some(write) = &config.write else { return fs::Writes::default() };
    let (part_size, part_fixed) = match write.parts {
        PartSize::Fixed(size) => (size, true),
        PartSize::Growing(first) => (first, false),
    };
    fs::Writes {
        allow_overwrite: write.overwrite,
        allow_delete: write.delete,
        quiet_attributes: write.ignore_attributes,
        part_size,
        part_fixed,
        checksum: write.attributes.checksums,
        parts_in_flight: PARTS_IN_FLIGHT,
    }
}

/// Lets `files` be written to `sink`, whose uploads are written down from then on, through `cache`,
/// and has what dead mounts left open thrown away in the background. Nothing of it on a read-only
/// mount.
pub(super) fn open(
    config: &Config,
    files: &Fs,
    sink: Arc<dyn Sink>,
    cache: Option<&NodeCache>,
    runtime: &Handle,
) {
    let Some(write) = &config.write else { return };
    let sink = journalled(config, sink, runtime);
    files.write_to(match cache {
        Some(cache) => cache.before(sink),
        None => sink,
    });
    say(write, files);
}

fn journalled(config: &Config, sink: Arc<dyn Sink>, runtime: &Handle) -> Arc<dyn Sink> {
    let scope = config.source.scope();
    let made = Place::of(config).and_then(|place| {
        let place = Arc::new(place);
        Ok((place.clone(), Journal::create(place, scope.clone())?))
    });
    let (place, journal) = match made {
        Ok(made) => made,
        Err(error) => {
            uploads::complain(&error);
            return sink;
        }
    };
    let (store, prefix) = (sink.clone(), config.source.prefix.clone());
    runtime.spawn(async move {
        let reach = uploads::Reach { scope: &scope, prefix: &prefix, sink: &*store };
        match uploads::sweep(place, &reach, PATIENCE).await {
            Ok(swept) if swept.aborted + swept.failed + swept.unclear > 0 => tracing::info!(
                "dead mounts had left {} uploads open: {} are thrown away, {} stay",
                swept.aborted + swept.failed + swept.unclear,
                swept.aborted,
                swept.failed + swept.unclear
            ),
            Ok(_) => {}
            Err(error) => tracing::warn!("what dead mounts left open cannot be seen: {error}"),
        }
    });
    Arc::new(Journalled::new(sink, journal))
}

fn say(write: &WriteConfig, files: &Fs) {
    let largest = files.largest_object().unwrap_or_default();
    let parts = match write.parts {
        PartSize::Fixed(size) => format!("parts of {}", show_size(size)),
        PartSize::Growing(first) => format!("parts of {} and more", show_size(first)),
    };
    tracing::info!(
        "{}; the largest file is of {}, in 10,000 {parts}",
        write.permissions(),
        Bytes(largest)
    );
}
