use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::endpoint::Place;
use crate::trust::Trust;

/// What comes of dialling through a proxy that answers like this, and what it was told.
async fn dialled(answer: &'static str) -> (Fault, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let proxy = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut told = Vec::new();
        while !told.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut told).await.unwrap();
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(told).unwrap()
    });
    let place = Place { bucket: "b", region: "r", url: Some("https://s3"), ..Place::default() };
    let place = Place { force_path_style: true, ..place };
    let endpoint = Endpoint::resolve(&place).await.unwrap();
    let name = ServerName::try_from("s3").unwrap();
    let tls = Tls::new(Trust::read(None).unwrap().rustls().unwrap(), name);
    let detour = Detour { host: "127.0.0.1".into(), port, authorization: None };
    let pool = Pool::new(&endpoint, Some(tls), Some(detour));
    (pool.dial().await.err().unwrap(), proxy.await.unwrap())
}

#[tokio::test]
async fn a_proxy_that_makes_no_tunnel_is_named_and_asked_again_only_if_it_failed() {
    let (fault, told) = dialled("HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(told, "CONNECT s3:443 HTTP/1.1\r\nhost: s3:443\r\n\r\n");
    assert!(fault.error.message().contains("the proxy 127.0.0.1"), "{fault:?}");
    assert_eq!(fault.cure, Cure::None);
    for answer in ["HTTP/1.1 502 No\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nchatter", "nonsense\r\n\r\n"]
    {
        let (fault, _) = dialled(answer).await;
        assert!(fault.error.message().contains("makes no tunnel"), "{fault:?}");
        assert_eq!(fault.cure, Cure::Again, "{answer}");
    }
}
