//! The API server of the cluster, over HTTPS, as a pod reaches it.
//!
//! Source: Kubernetes documentation, "Accessing the Kubernetes API from a Pod" and "API Concepts"
//! (merge patches, resource versions).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::node::Marks;

/// How long one request may take, from connecting on.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes. A node lists its images.
const ANSWER_MAX: usize = 8 << 20;
/// How often a change is tried that others came before.
const TRIES: usize = 5;

/// Who asks: what a pod is given of its service account.
#[derive(Clone, Debug)]
pub struct Account {
    directory: PathBuf,
}

impl Account {
    /// What lies in `directory`: `token`, which is exchanged from time to time, and `ca.crt`.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Where every pod finds it.
    pub fn of_pod() -> Self {
        Self::in_directory("/var/run/secrets/kubernetes.io/serviceaccount")
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, ApiError> {
        let path = self.directory.join(name);
        std::fs::read(&path).map_err(|error| ApiError::Account { path, error })
    }
}

/// Why the API server did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// What the pod is given of its service account cannot be read.
    #[error("{path}: {error}", path = path.display())]
    Account {
        /// The file.
        path: PathBuf,
        /// What reading it said.
        error: io::Error,
    },
    /// It cannot be reached, or what it says is no HTTP.
    #[error("the API server {0}: {1}")]
    Unreachable(String, String),
    /// It answered that this may not be done.
    #[error("the service account may not {verb} node {node}: {why}")]
    Forbidden {
        /// What was asked.
        verb: &'static str,
        /// Of which node.
        node: String,
        /// What the API server said.
        why: String,
    },
    /// There is no such node.
    #[error("there is no node {0}")]
    NoNode(String),
    /// Others changed the node each time.
    #[error("node {0} is changed by others all the time")]
    Contended(String),
    /// Any other answer.
    #[error("the API server answered {status}: {why}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        why: String,
    },
}

/// The API server.
pub struct Api {
    host: String,
    port: u16,
    account: Account,
}

impl Api {
    /// The API server at `host` (a name or an address) and `port`, asked by `account`.
    pub fn new(host: impl Into<String>, port: u16, account: Account) -> Self {
        Self { host: host.into(), port, account }
    }

    /// Marks a node; says whether that changed anything.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn mark(&self, node: &str, marks: &Marks) -> Result<bool, ApiError> {
        for _ in 0..TRIES {
            let now = self.ask("get", Method::GET, node, None).await?;
            let Some(change) = marks.change(&now) else { return Ok(false) };
            match self.ask("patch", Method::PATCH, node, Some(&change)).await {
                // Somebody else was faster: look again.
                Err(ApiError::Refused { status: 409, .. }) => {}
                other => return other.map(|_| true),
            }
        }
        Err(ApiError::Contended(node.to_owned()))
    }

    async fn ask(
        &self,
        verb: &'static str,
        method: Method,
        node: &str,
        change: Option<&Value>,
    ) -> Result<Value, ApiError> {
        let unreachable =
            |why: String| ApiError::Unreachable(format!("{}:{}", self.host, self.port), why);
        let request = self.request(method, node, change)?;
        let exchange = timeout(PATIENCE, self.exchange(request));
        let (status, body) = match exchange.await {
            Ok(answer) => answer.map_err(|error| unreachable(error.to_string()))?,
            Err(_) => {
                return Err(unreachable(format!("no answer in {} s", PATIENCE.as_secs())));
            }
        };
        // Errors are a Status object, whose message is for people.
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let why = || body["message"].as_str().unwrap_or_default().to_owned();
        match status {
            StatusCode::OK => Ok(body),
            StatusCode::FORBIDDEN => {
                Err(ApiError::Forbidden { verb, node: node.to_owned(), why: why() })
            }
            StatusCode::NOT_FOUND => Err(ApiError::NoNode(node.to_owned())),
            other => Err(ApiError::Refused { status: other.as_u16(), why: why() }),
        }
    }

    fn request(
        &self,
        method: Method,
        node: &str,
        change: Option<&Value>,
    ) -> Result<Request<Full<Bytes>>, ApiError> {
        let token = self.account.read("token")?;
        let token = String::from_utf8_lossy(&token);
        let body = change.map(Value::to_string).unwrap_or_default();
        Request::builder()
            .method(method)
            .uri(format!("/api/v1/nodes/{node}"))
            .header(header::HOST, format!("{}:{}", self.host, self.port))
            .header(header::AUTHORIZATION, format!("Bearer {}", token.trim()))
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/merge-patch+json")
            .body(Full::new(Bytes::from(body)))
            // The token's bytes, or the node's name, are not what they must be.
            .map_err(|error| ApiError::Refused { status: 400, why: error.to_string() })
    }

    /// One request on a connection of its own.
    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let trusted = trusted(&self.account.directory.join("ca.crt"))?;
        let name = ServerName::try_from(self.host.clone())?;
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await?;
        let tls = TlsConnector::from(Arc::new(trusted)).connect(name, tcp).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(tls)).await?;
        let connection = tokio::spawn(connection);
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await?.to_bytes();
        connection.abort();
        Ok((status, body))
    }
}

/// TLS that believes the cluster's own certificates and no others.
fn trusted(bundle: &Path) -> Result<ClientConfig, Box<dyn std::error::Error + Send + Sync>> {
    let pem = std::fs::read(bundle).map_err(|error| format!("{}: {error}", bundle.display()))?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests;
