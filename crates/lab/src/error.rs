//! What can go wrong with a lab.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a lab does not start, or a call on it fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The backing directory cannot be read or created.
    #[error("cannot serve the directory {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The request log cannot be opened.
    #[error("cannot write the request log {}: {source}", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The private key could not be used.
    #[error("cannot use the private key: {0}")]
    Key(String),
    /// TLS could not be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] tokio_rustls::rustls::Error),
    /// S3 would have answered an error.
    #[error("{code}: {message}")]
    S3 {
        /// S3's error code, e.g. `NoSuchKey`.
        code: String,
        /// Its message.
        message: String,
    },
    /// Signals cannot be waited for.
    #[error("cannot wait for signals: {0}")]
    Signal(std::io::Error),
    /// The banner or the counters could not be written.
    #[error("cannot write to standard output: {0}")]
    Output(std::io::Error),
}

impl From<s3s::S3Error> for Error {
    fn from(error: s3s::S3Error) -> Self {
        Self::S3 {
            code: error.code().as_str().to_owned(),
            message: error.message().unwrap_or_default().to_owned(),
        }
    }
}
