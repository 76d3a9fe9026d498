use super::*;

fn place<'a>(bucket: &'a str, url: Option<&'a str>) -> Place<'a> {
    Place { bucket, region: "eu-west-1", url, ..Place::default() }
}

#[tokio::test]
async fn buckets_of_aws_are_host_names_where_they_can_be() {
    let found = Endpoint::resolve(&place("abc", None)).await.unwrap();
    assert_eq!(found.url(), "https://abc.s3.eu-west-1.amazonaws.com");
    assert_eq!(
        (found.port, found.region.as_str(), found.service.as_str()),
        (443, "eu-west-1", "s3")
    );
    let found = Endpoint::resolve(&place("a_c", None)).await.unwrap();
    assert_eq!(found.url(), "https://s3.eu-west-1.amazonaws.com/a_c");
}

#[tokio::test]
async fn own_endpoints_keep_port_and_path() {
    let found = Endpoint::resolve(&place("abc", Some("http://127.0.0.1:9000/x/"))).await.unwrap();
    assert_eq!(found.url(), "http://127.0.0.1:9000/x/abc");
    let key = Key::new("a b/ü+~").unwrap();
    assert_eq!(found.path_of(&key), "/x/abc/a%20b/%C3%BC%2B~");
    let found = Endpoint::resolve(&place("abc", Some("http://[::1]:9000"))).await.unwrap();
    assert_eq!((found.host.as_str(), found.authority.as_str()), ("::1", "[::1]:9000"));
}

#[tokio::test]
async fn path_style_can_be_forced() {
    let mut place = place("abc", Some("https://s3.example.com"));
    let found = Endpoint::resolve(&place).await.unwrap();
    assert_eq!(found.url(), "https://abc.s3.example.com");
    place.force_path_style = true;
    let found = Endpoint::resolve(&place).await.unwrap();
    assert_eq!(found.url(), "https://s3.example.com/abc");
}

#[tokio::test]
async fn what_is_no_endpoint_is_refused_with_a_reason() {
    for url in ["ftp://x", "nonsense", ""] {
        let error = Endpoint::resolve(&place("abc", Some(url))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{url}: {error}");
    }
    let error = Endpoint::resolve(&place("abc--use1-az4--x-s3", None)).await.unwrap_err();
    assert!(error.to_string().contains("directory buckets"), "{error}");
}
