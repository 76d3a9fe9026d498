//! The S3 listener: connections, and what happens to an answer between s3s and hyper.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use http::{HeaderName, HeaderValue, Method, Request, Response};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::service::S3Service;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::log::Exchange;
use crate::rules::{Fault, Fired};
use crate::shaped::{Counted, Pace, Shaped};
use crate::state::State;
use crate::wire::{Cut, Script, Then, Transport, Wire, lock};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");
const BUCKET_REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");

/// What every connection needs.
pub(crate) struct Server {
    pub(crate) service: S3Service,
    pub(crate) state: Arc<State>,
    pub(crate) tls: Option<TlsAcceptor>,
    connections: AtomicU64,
}

/// Tells hyper to drop the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection ends here")]
struct Abort;

impl Server {
    pub(crate) fn new(service: S3Service, state: Arc<State>, tls: Option<TlsAcceptor>) -> Self {
        Self { service, state, tls, connections: AtomicU64::new(0) }
    }

    /// Serves `listener` until `stop` closes; then every connection is dropped.
    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener, mut stop: watch::Receiver<()>) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                _ = stop.changed() => return,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((tcp, _)) => {
                        self.state.tally.connected();
                        connections.spawn(self.clone().connection(tcp));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "accept");
                        // Out of descriptors, mostly: let some connections end first.
                        tokio::task::yield_now().await;
                    }
                },
            }
        }
    }

    async fn connection(self: Arc<Self>, tcp: TcpStream) {
        let number = self.connections.fetch_add(1, Ordering::SeqCst) + 1;
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, "nodelay");
        }
        let transport = match &self.tls {
            None => Transport::Plain(tcp),
            Some(acceptor) => match acceptor.accept(tcp).await {
                Ok(tls) => Transport::Tls(Box::new(tls)),
                Err(error) => return tracing::debug!(%error, "TLS handshake"),
            },
        };
        let script = Arc::new(Mutex::new(Script::default()));
        let wire = Wire::new(transport, script.clone());
        let server = self.clone();
        let service =
            service_fn(move |request| server.clone().answer(number, script.clone(), request));
        let served = hyper::server::conn::http1::Builder::new()
            .header_read_timeout(None)
            .max_buf_size(1 << 20)
            .serve_connection(TokioIo::new(wire), service)
            .await;
        if let Err(error) = served {
            tracing::debug!(%error, connection = number, "connection ended");
        }
    }

    async fn answer(
        self: Arc<Self>,
        connection: u64,
        script: Arc<Mutex<Script>>,
        request: Request<Incoming>,
    ) -> Result<Response<Shaped>, Abort> {
        let is_head = request.method() == Method::HEAD;
        let range = request.headers().get(http::header::RANGE);
        let range = range.and_then(|range| range.to_str().ok()).map(str::to_owned);
        let exchange = self.state.log.begin(connection, range);
        let mut request = request
            .map(|body| s3s::Body::http_body_unsync(Counted { body, exchange: exchange.clone() }));
        request.extensions_mut().insert(exchange.clone());
        let response = self.service.call(request).await.map_err(|error| {
            tracing::error!(?error, "s3s");
            Abort
        })?;
        exchange.identify(&self.state.tally, "Rejected", "", "");

        let faults = exchange.faults();
        if faults.iter().any(|one| matches!(one.fault, Fault::Reset | Fault::AnswerLost)) {
            lock(&script).reset();
            return Err(Abort);
        }
        for latency in faults.iter().filter_map(Fired::latency) {
            tokio::time::sleep(latency).await;
        }
        let mut response = self.finished(response, &exchange);
        let (length, cut) = harm(&mut response, faults, is_head);
        exchange.answered(response.status().as_u16());
        lock(&script).begin(exchange, length, cut);
        Ok(response)
    }

    /// Adds what S3 says in every answer.
    fn finished(&self, response: Response<s3s::Body>, exchange: &Exchange) -> Response<Shaped> {
        let (mut parts, mut body) = response.into_parts();
        if parts.status.is_client_error() || parts.status.is_server_error() {
            body = completed_error(body, exchange.request_id(), &self.state.region);
        }
        if let Ok(id) = HeaderValue::from_str(exchange.request_id()) {
            parts.headers.insert(REQUEST_ID, id);
        }
        let known = exchange
            .identity()
            .is_some_and(|identity| self.state.store.read().contains_key(&identity.bucket));
        if known && let Ok(region) = HeaderValue::from_str(&self.state.region) {
            parts.headers.insert(BUCKET_REGION, region);
        }
        Response::from_parts(parts, Shaped::new(body))
    }
}

/// An XML error with the request's id and, where the region was wrong, the right one.
fn completed_error(mut body: s3s::Body, request_id: &str, region: &str) -> s3s::Body {
    let Some(bytes) = body.take_bytes() else { return body };
    let text = String::from_utf8_lossy(&bytes);
    let Some(open) = text.strip_suffix("</Error>") else { return s3s::Body::from(bytes) };
    let region = match text.contains("<Code>AuthorizationHeaderMalformed</Code>") {
        true => format!("<Region>{region}</Region>"),
        false => String::new(),
    };
    format!("{open}{region}<RequestId>{request_id}</RequestId></Error>").into()
}

/// Does to the answer what the faults say. Answers the number of body bytes that will be
/// written, and what happens at one of them.
fn harm(response: &mut Response<Shaped>, faults: Vec<Fired>, is_head: bool) -> (u64, Option<Cut>) {
    if faults.iter().any(|one| one.fault == Fault::ErrorInBody) && response.status().is_success() {
        put_error_in_body(response);
    }
    let length = response.body().size_hint().exact().unwrap_or(0);
    let length = if is_head { 0 } else { length };
    let place = |at: Option<u64>| at.unwrap_or(length / 2).min(length.saturating_sub(1));
    let mut cut = None;
    for one in faults {
        let (at, then) = match one.fault {
            Fault::WrongContentRange => {
                shift_content_range(response);
                continue;
            }
            Fault::FlipBit { at } if length > 0 => {
                response.body_mut().flip = Some(place(at));
                continue;
            }
            Fault::Bandwidth { bytes_per_second } => {
                response.body_mut().pace = Some(Pace::new(bytes_per_second));
                continue;
            }
            Fault::ResetBody { at } => (place(at), Then::Reset),
            Fault::Truncate { at } => (place(at), Then::Close),
            Fault::StallBody { at } => (place(at), Then::Stall(one)),
            Fault::Overlong { extra } => {
                (length, Then::Overlong(Bytes::from(vec![b'+'; extra as usize])))
            }
            _ => continue,
        };
        if length > 0 {
            cut = Some(Cut { at, then });
        }
    }
    (length, cut)
}

fn put_error_in_body(response: &mut Response<Shaped>) {
    let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>InternalError</Code><Message>We \
                encountered an internal error. Please try again.</Message></Error>";
    *response.body_mut() = Shaped::new(s3s::Body::from(text.to_owned()));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
}

fn shift_content_range(response: &mut Response<Shaped>) {
    let shifted = response.headers().get(CONTENT_RANGE).and_then(|value| {
        let (range, size) = value.to_str().ok()?.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        HeaderValue::from_str(&format!("bytes {}-{}/{size}", first + 1, last + 1)).ok()
    });
    if let Some(shifted) = shifted {
        response.headers_mut().insert(CONTENT_RANGE, shifted);
    }
}
