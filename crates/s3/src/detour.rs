//! The proxy between us and an endpoint.

use std::fmt;

use hyper_util::client::proxy::matcher::Matcher;
use object::{Error, ErrorKind, Result};

use crate::endpoint::Endpoint;

/// An HTTP proxy. Requests to an `http` endpoint are sent to it whole (RFC 9112, 3.2.2), those to
/// an `https` endpoint go through a tunnel that it makes (RFC 9110, 9.3.6).
#[derive(Clone)]
pub(crate) struct Detour {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The value of `Proxy-Authorization`. A secret.
    pub(crate) authorization: Option<String>,
}

impl Detour {
    /// The proxy that `proxies` name for `endpoint`, if they name one.
    ///
    /// # Errors
    /// The proxy is not one that is spoken to in plain HTTP.
    pub(crate) fn find(endpoint: &Endpoint, proxies: &Matcher) -> Result<Option<Self>> {
        let invalid = |what: String| Error::new(ErrorKind::Invalid, what);
        let url = endpoint.url();
        let uri = url.parse().map_err(|_| invalid(format!("{url} is no URL")))?;
        let Some(found) = proxies.intercept(&uri) else { return Ok(None) };
        let (scheme, host) = (found.uri().scheme_str(), found.uri().host());
        let (Some("http"), Some(host)) = (scheme, host) else {
            let message = format!(
                "the proxy {} for {url} cannot be used: only http:// proxies are known",
                found.uri()
            );
            return Err(invalid(message));
        };
        let authorization = found.basic_auth().and_then(|value| value.to_str().ok());
        Ok(Some(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: found.uri().port_u16().unwrap_or(80),
            authorization: authorization.map(str::to_owned),
        }))
    }

    /// For people: where the requests go by, as the end of a sentence.
    pub(crate) fn mention(detour: Option<&Self>) -> String {
        match detour {
            Some(Self { host, port, .. }) => format!(" by way of the proxy {host}:{port}"),
            None => String::new(),
        }
    }

    /// The header that tells the proxy who asks, with its line end; empty when nobody has to.
    pub(crate) fn header(&self) -> String {
        match &self.authorization {
            Some(value) => format!("proxy-authorization: {value}\r\n"),
            None => String::new(),
        }
    }

    /// The request for a tunnel to `endpoint`.
    pub(crate) fn tunnel(&self, endpoint: &Endpoint) -> String {
        let host = match endpoint.host.contains(':') {
            true => format!("[{}]", endpoint.host),
            false => endpoint.host.clone(),
        };
        let (port, header) = (endpoint.port, self.header());
        format!("CONNECT {host}:{port} HTTP/1.1\r\nhost: {host}:{port}\r\n{header}\r\n")
    }
}

impl fmt::Debug for Detour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Detour({}:{})", self.host, self.port)
    }
}

#[cfg(test)]
mod tests;
