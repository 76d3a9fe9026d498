use std::convert::Infallible;
use std::sync::Mutex;

use hyper::Response;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::*;
use crate::Label;

/// An API server that answers with what it is given, in turn, and remembers what it was asked.
struct Server {
    api: Api,
    asked: Arc<Mutex<Vec<(Method, String, Value)>>>,
    _directory: tempfile::TempDir,
}

impl Server {
    async fn answering(answers: Vec<(u16, Value)>) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.crt"), made.cert.pem()).unwrap();
        std::fs::write(directory.path().join("token"), "secret\n").unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<Mutex<Vec<_>>>::default();
        let answers = Arc::new(Mutex::new(answers.into_iter()));
        tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(tls)), answers, asked.clone()));
        let api = Api::new("127.0.0.1", port, Account::in_directory(directory.path()));
        Self { api, asked, _directory: directory }
    }
}

type Answers = Arc<Mutex<std::vec::IntoIter<(u16, Value)>>>;
type Asked = Arc<Mutex<Vec<(Method, String, Value)>>>;

async fn serve(listener: TcpListener, tls: TlsAcceptor, answers: Answers, asked: Asked) {
    while let Ok((tcp, _)) = listener.accept().await {
        let Ok(stream) = tls.accept(tcp).await else { continue };
        let (answers, asked) = (answers.clone(), asked.clone());
        let answer = service_fn(move |request: Request<hyper::body::Incoming>| {
            let (answers, asked) = (answers.clone(), asked.clone());
            async move {
                assert_eq!(request.headers()[header::AUTHORIZATION], "Bearer secret");
                let (method, path) = (request.method().clone(), request.uri().path().to_owned());
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let body = serde_json::from_slice(&body).unwrap_or_default();
                asked.lock().unwrap().push((method, path, body));
                let (status, body) = answers.lock().unwrap().next().unwrap();
                let answer = Response::builder().status(status);
                Ok::<_, Infallible>(answer.body(Full::new(Bytes::from(body.to_string()))).unwrap())
            }
        });
        let _ = server::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
    }
}

fn node(version: &str) -> Value {
    json!({ "metadata": { "resourceVersion": version }, "spec": {} })
}

fn ready() -> Marks {
    let label = Label { key: "ready".into(), value: "true".into() };
    Marks { with_label: Some(label), ..Marks::default() }
}

#[tokio::test]
async fn a_node_that_others_change_is_looked_at_again() {
    let conflict = (409, json!({ "message": "the object has been modified" }));
    let answers = vec![(200, node("1")), conflict, (200, node("2")), (200, node("3"))];
    let server = Server::answering(answers).await;
    assert!(server.api.mark("n1", &ready()).await.unwrap());
    let asked = server.asked.lock().unwrap();
    assert!(asked.iter().all(|(_, path, _)| path == "/api/v1/nodes/n1"));
    let versions: Vec<_> = asked
        .iter()
        .filter(|(method, ..)| method == Method::PATCH)
        .map(|(_, _, body)| body["metadata"]["resourceVersion"].as_str().unwrap())
        .collect();
    assert_eq!(versions, ["1", "2"]);
}

#[tokio::test]
async fn a_node_that_is_marked_already_is_not_changed() {
    let mut marked = node("1");
    marked["metadata"]["labels"] = json!({ "ready": "true" });
    let server = Server::answering(vec![(200, marked)]).await;
    assert!(!server.api.mark("n1", &ready()).await.unwrap());
    assert_eq!(server.asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let forbidden = (403, json!({ "message": "nodes \"n1\" is forbidden" }));
    let server = Server::answering(vec![forbidden, (404, json!({})), (500, json!("?"))]).await;
    let mut said = Vec::new();
    for _ in 0..3 {
        said.push(server.api.mark("n1", &ready()).await.unwrap_err().to_string());
    }
    assert_eq!(
        said,
        [
            "the service account may not get node n1: nodes \"n1\" is forbidden",
            "there is no node n1",
            "the API server answered 500: "
        ]
    );
}

#[tokio::test]
async fn a_server_with_a_certificate_of_others_is_not_believed() {
    let server = Server::answering(vec![(200, node("1"))]).await;
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let bundle = server.api.account.directory.join("ca.crt");
    std::fs::write(bundle, other.cert.pem()).unwrap();
    let refused = server.api.mark("n1", &ready()).await.unwrap_err();
    assert!(matches!(refused, ApiError::Unreachable(..)), "{refused}");
    assert!(server.asked.lock().unwrap().is_empty());
}
