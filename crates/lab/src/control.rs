//! The control endpoint: plain HTTP and JSON on a listener of its own, so that no bucket
//! name is reserved. See the crate's documentation for its requests.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Error;
use crate::object::Restore;
use crate::rules::Rule;
use crate::state::State;

/// The largest body taken, in bytes.
const BODY_MAX: usize = 1 << 30;

/// Serves `listener` until `stop` closes.
pub(crate) async fn run(state: Arc<State>, listener: TcpListener, mut stop: watch::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.changed() => return,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok((tcp, _)) = accepted else {
            tokio::task::yield_now().await;
            continue;
        };
        let state = state.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| serve(state.clone(), request));
            let served = hyper::server::conn::http1::Builder::new()
                .header_read_timeout(None)
                .serve_connection(TokioIo::new(tcp), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "control connection");
            }
        });
    }
}

/// Why a control request is refused.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("no such request: {0}")]
    Unknown(String),
    #[error("the body is not what this request takes: {0}")]
    Body(String),
    #[error(transparent)]
    Lab(#[from] Error),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unknown(_) => StatusCode::NOT_FOUND,
            Self::Body(_) => StatusCode::BAD_REQUEST,
            Self::Lab(_) => StatusCode::CONFLICT,
        }
    }
}

async fn serve(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, value) = match respond(&state, request).await {
        Ok(value) => (StatusCode::OK, value),
        Err(refusal) => (refusal.status(), json!({ "error": refusal.to_string() })),
    };
    let mut response = Response::new(Full::new(Bytes::from(format!("{value}\n"))));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    Ok(response)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Synthetic {
    One {
        bucket: String,
        key: String,
        size: u64,
        #[serde(default = "first_version")]
        version: u64,
    },
    Many {
        bucket: String,
        prefix: String,
        count: u64,
        size: u64,
    },
}

fn first_version() -> u64 {
    1
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(Rule),
    More(Vec<Rule>),
}

#[derive(Deserialize)]
struct Restored {
    bucket: String,
    key: String,
    restore: Option<Restore>,
}

async fn respond(state: &State, request: Request<Incoming>) -> Result<Value, Refusal> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, BODY_MAX).collect().await;
    let body = body.map_err(|error| Refusal::Body(error.to_string()))?.to_bytes();
    let (first, rest) =
        parts.uri.path()[1..].split_once('/').unwrap_or((&parts.uri.path()[1..], ""));
    match (&parts.method, first, rest) {
        (&Method::GET, "counters", "") => written(state.tally.snapshot()),
        (&Method::POST, "reset", "") => {
            state.reset();
            Ok(json!({}))
        }
        (&Method::GET, "log", "") => written(state.log.lines()),
        (_, "rules", rest) => rules(state, &parts.method, rest, &body),
        (&Method::POST, "synthetic", "") => synthetic(state, parse(&body)?),
        (_, "objects", place) => objects(state, &parts.method, (&parts.uri, place), body).await,
        (&Method::POST, "restore", "") => {
            let Restored { bucket, key, restore } = parse(&body)?;
            state.restore(&bucket, &key, restore)?;
            Ok(json!({}))
        }
        _ => Err(unknown(&parts.method, &parts.uri)),
    }
}

fn rules(state: &State, method: &Method, id: &str, body: &[u8]) -> Result<Value, Refusal> {
    match (method, id) {
        (&Method::GET, "") => written(state.rules.standing()),
        (&Method::POST, "") => {
            let rules = match parse(body)? {
                OneOrMore::One(rule) => vec![rule],
                OneOrMore::More(rules) => rules,
            };
            let ids: Vec<_> = rules.into_iter().map(|rule| state.rules.add(rule)).collect();
            Ok(json!({ "ids": ids }))
        }
        (&Method::DELETE, "") => {
            state.rules.clear();
            Ok(json!({}))
        }
        (&Method::DELETE, id) => {
            let id = id.parse().map_err(|_| Refusal::Unknown(format!("rule {id}")))?;
            Ok(json!({ "removed": state.rules.remove(id) }))
        }
        _ => Err(Refusal::Unknown(format!("{method} /rules"))),
    }
}

fn synthetic(state: &State, wanted: Synthetic) -> Result<Value, Refusal> {
    match wanted {
        Synthetic::One { bucket, key, size, version } => {
            let etag = state.put_synthetic((&bucket, &key), size, version)?;
            Ok(json!({ "etag": etag }))
        }
        Synthetic::Many { bucket, prefix, count, size } => {
            state.put_synthetic_many((&bucket, &prefix), count, size)?;
            Ok(json!({ "count": count }))
        }
    }
}

async fn objects(
    state: &State,
    method: &Method,
    (uri, place): (&Uri, &str),
    body: Bytes,
) -> Result<Value, Refusal> {
    let place = percent_encoding::percent_decode_str(place).decode_utf8_lossy();
    let Some((bucket, key)) = place.split_once('/').filter(|(_, key)| !key.is_empty()) else {
        return Err(unknown(method, uri));
    };
    match *method {
        Method::PUT => {
            let class = uri.query().and_then(|query| query.strip_prefix("storage_class="));
            let etag = state.put((bucket, key), body, class.map(str::to_owned)).await?;
            Ok(json!({ "etag": etag }))
        }
        Method::DELETE => {
            let deleted = state.store.delete(bucket, key).map_err(Error::from)?;
            Ok(json!({ "deleted": deleted }))
        }
        _ => Err(unknown(method, uri)),
    }
}

fn unknown(method: &Method, uri: &Uri) -> Refusal {
    Refusal::Unknown(format!("{method} {}", uri.path()))
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::Body(error.to_string()))
}

fn written(value: impl Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(value).map_err(|error| Refusal::Body(error.to_string()))
}
