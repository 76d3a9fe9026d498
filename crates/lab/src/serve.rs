//! The lab as a program.

use std::io::Write as _;
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};

use crate::{Config, Error, Lab};

/// What `mount-s3 lab` was asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The lab.
    pub config: Config,
    /// Buckets that are created where they are missing.
    pub buckets: Vec<String>,
    /// Where the authority's certificate is written, with TLS.
    pub ca_file: Option<PathBuf>,
}

/// Serves until SIGINT or SIGTERM. Prints one line of JSON with the addresses and
/// credentials and a few example commands when it serves, and the counters when it ends.
///
/// The first line has the fields `endpoint`, `control`, `region`, `access_key`,
/// `secret_key`, `ca_file`: what a program that started the lab reads.
pub async fn serve(options: Options) -> Result<(), Error> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signal)?;
    let lab = Lab::start(options.config.clone()).await?;
    for bucket in &options.buckets {
        lab.create_bucket(bucket)?;
    }
    if let (Some(path), Some(pem)) = (&options.ca_file, lab.ca_pem()) {
        std::fs::write(path, pem).map_err(Error::Output)?;
    }
    print(&banner(&lab, &options))?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    let counters = lab.counters();
    lab.stop().await;
    let text = serde_json::to_string(&counters).map_err(|error| Error::Output(error.into()))?;
    print(&format!("{text}\n"))
}

fn banner(lab: &Lab, options: &Options) -> String {
    let Config { access_key, secret_key, region, .. } = &options.config;
    let (endpoint, control) = (lab.endpoint(), lab.control_endpoint());
    let facts = serde_json::json!({
        "endpoint": endpoint,
        "control": control,
        "region": region,
        "access_key": access_key,
        "secret_key": secret_key,
        "ca_file": options.ca_file.as_ref().map(|path| path.display().to_string()),
    });
    let bucket = options.buckets.first().map_or("BUCKET", String::as_str);
    format!(
        "{facts}\n\
         # export AWS_ACCESS_KEY_ID={access_key} AWS_SECRET_ACCESS_KEY={secret_key} AWS_REGION={region}\n\
         # mount-s3 {bucket} DIRECTORY --endpoint-url {endpoint} --force-path-style\n\
         # aws s3 ls s3://{bucket} --endpoint-url {endpoint}\n\
         # curl {control}/counters\n"
    )
}

fn print(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Error::Output)
}
