use super::*;
use crate::endpoint::Place;

async fn endpoint(url: &str) -> Endpoint {
    let place = Place { bucket: "b-b", region: "eu-west-1", url: Some(url), ..Place::default() };
    Endpoint::resolve(&Place { force_path_style: true, ..place }).await.unwrap()
}

async fn found(url: &str, proxies: hyper_util::client::proxy::matcher::Builder) -> Option<Detour> {
    Detour::find(&endpoint(url).await, &proxies.build()).unwrap()
}

#[tokio::test]
async fn each_scheme_has_its_proxy_unless_the_host_is_excepted() {
    let proxies = || Matcher::builder().http("http://plain:1").https("secure:2").no("in.side");
    assert_eq!(found("http://s3", proxies()).await.unwrap().host, "plain");
    let secure = found("https://s3:9000", proxies()).await.unwrap();
    assert_eq!((secure.host.as_str(), secure.port), ("secure", 2));
    assert!(found("https://s3.in.side", proxies()).await.is_none());
    assert!(found("http://s3", Matcher::builder()).await.is_none());
    let any = found("http://s3", Matcher::builder().all("http://[::1]")).await.unwrap();
    assert_eq!((any.host.as_str(), any.port), ("::1", 80));
}

#[tokio::test]
async fn proxies_of_other_kinds_are_refused_and_not_passed_by() {
    for url in ["https://proxy", "socks5h://proxy"] {
        let proxies = Matcher::builder().all(url).build();
        let error = Detour::find(&endpoint("https://s3").await, &proxies).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().starts_with("the proxy"), "{error}");
    }
}

#[tokio::test]
async fn a_tunnel_is_asked_for_by_name_and_port_and_password() {
    let proxy = Matcher::builder().all("http://user:p%40ss@proxy:3128");
    let detour = found("https://s3", proxy).await.unwrap();
    assert_eq!(
        detour.tunnel(&endpoint("https://s3").await),
        "CONNECT s3:443 HTTP/1.1\r\nhost: s3:443\r\n\
         proxy-authorization: Basic dXNlcjpwQHNz\r\n\r\n"
    );
    assert!(!format!("{detour:?}").contains("dXNlc"));
    let open = found("http://s3", Matcher::builder().all("proxy")).await.unwrap();
    assert_eq!(
        open.tunnel(&endpoint("https://[::1]:9000").await),
        "CONNECT [::1]:9000 HTTP/1.1\r\nhost: [::1]:9000\r\n\r\n"
    );
}
