//! Where a bucket's requests go.

use aws_sdk_s3::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_smithy_types::Document;
use object::{Error, ErrorKind, Key, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

/// Everything but the unreserved characters and `/` (S3 API reference, "Signature Calculations":
/// `UriEncode` of an object key).
const KEY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// What decides where a bucket is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) region: &'a str,
    pub(crate) url: Option<&'a str>,
    pub(crate) force_path_style: bool,
    pub(crate) use_fips: bool,
    pub(crate) use_dual_stack: bool,
}

/// The address of a bucket, and what signatures name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The `Host` header: with the port, where it is not the scheme's own.
    pub(crate) authority: String,
    /// Path before the key, without `/` at its end.
    pub(crate) path: String,
    pub(crate) region: String,
    pub(crate) service: String,
}

impl Endpoint {
    /// Applies the AWS SDK's endpoint rules.
    pub(crate) async fn resolve(place: &Place<'_>) -> Result<Self> {
        let invalid = |e: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Invalid, format!("no endpoint for bucket {}: {e}", place.bucket))
        };
        let params = Params::builder()
            .bucket(place.bucket)
            .region(place.region)
            .use_fips(place.use_fips)
            .use_dual_stack(place.use_dual_stack)
            .accelerate(false)
            .force_path_style(place.force_path_style);
        let params = params.set_endpoint(place.url.map(str::to_owned));
        let params = params.build().map_err(|e| invalid(&e))?;
        let found =
            DefaultResolver::new().resolve_endpoint(&params).await.map_err(|e| invalid(&e))?;
        let scheme = Scheme::of(&found).unwrap_or_default();
        if scheme.name.as_deref().is_some_and(|name| name != "sigv4") {
            return Err(invalid(
                &"directory buckets and multi-region access points are not served",
            ));
        }
        Self::parse(found.url(), scheme.region.as_deref().unwrap_or(place.region), scheme.service)
            .ok_or_else(|| invalid(&format!("{} is no http or https URL", found.url())))
    }

    fn parse(url: &str, region: &str, service: Option<String>) -> Option<Self> {
        let uri: http::Uri = url.parse().ok()?;
        let tls = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let default = if tls { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(default);
        let host = uri.host()?.to_owned();
        let authority = if port == default { host.clone() } else { format!("{host}:{port}") };
        Some(Self {
            tls,
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            authority,
            path: uri.path().trim_end_matches('/').to_owned(),
            region: region.to_owned(),
            service: service.unwrap_or_else(|| "s3".to_owned()),
        })
    }

    /// The path of an object's URL.
    pub(crate) fn path_of(&self, key: &Key) -> String {
        format!("{}/{}", self.path, encoded(key.as_str()))
    }

    /// The URL of the bucket, for people.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.path)
    }
}

/// A key, or a value of a query, as URLs have it.
pub(crate) fn encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, KEY)
}

/// How the endpoint wants requests signed.
#[derive(Default)]
struct Scheme {
    name: Option<String>,
    region: Option<String>,
    service: Option<String>,
}

impl Scheme {
    fn of(endpoint: &aws_smithy_types::endpoint::Endpoint) -> Option<Self> {
        if let Some(scheme) = endpoint.auth_schemes().first() {
            let text = |name| scheme.get(name).and_then(Document::as_string).map(str::to_owned);
            return Some(Self {
                name: Some(scheme.name().to_owned()),
                region: text("signingRegion"),
                service: text("signingName"),
            });
        }
        let schemes = endpoint.properties().get("authSchemes")?.as_array()?;
        let scheme = schemes.first()?.as_object()?;
        let text = |name| scheme.get(name).and_then(Document::as_string).map(str::to_owned);
        Some(Self {
            name: text("name"),
            region: text("signingRegion"),
            service: text("signingName"),
        })
    }
}

#[cfg(test)]
mod tests;
