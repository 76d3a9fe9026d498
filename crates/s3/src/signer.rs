//! Requests as bytes, signed.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use object::{Clock, Error, ErrorKind, Key, Result, Span, Time, Version};

use crate::config::Config;
use crate::detour::Detour;
use crate::endpoint::Endpoint;
use crate::store_clock::StoreClock;

/// One request, but for what every one has.
pub(crate) struct Ask<'a> {
    pub(crate) method: &'static str,
    pub(crate) key: &'a Key,
    /// What comes after the `?`, percent-encoded; empty for none.
    pub(crate) query: String,
    /// Headers of this request's own; they are signed.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The length of the body that follows; `None`: there is none to have a length.
    pub(crate) length: Option<u64>,
}

impl<'a> Ask<'a> {
    /// The GET of `range` of a version; without one, of all of it, with its checksum.
    pub(crate) fn get(version: &'a Version, range: Option<Span>) -> Self {
        let how = match range {
            Some(span) => ("range", format!("bytes={}-{}", span.start, span.end - 1)),
            None => ("x-amz-checksum-mode", "ENABLED".to_owned()),
        };
        let headers = vec![("if-match", version.etag.quoted()), how];
        Self { method: "GET", key: &version.key, query: String::new(), headers, length: None }
    }
}

/// Writes and signs requests for one endpoint.
pub(crate) struct Signer {
    endpoint: Endpoint,
    user_agent: String,
    /// Headers that every request has.
    standing: Vec<(&'static str, String)>,
    /// The time to sign by: ours, until the store refuses it and tells its own.
    clock: StoreClock,
    /// What comes before the path: nothing, or the whole URL for a proxy.
    origin: String,
    /// What the proxy has to be told, as lines of the head.
    to_proxy: String,
}

impl Signer {
    /// For requests to `endpoint`, which go by way of `detour`.
    pub(crate) fn new(
        endpoint: Endpoint,
        detour: Option<&Detour>,
        config: &Config,
        clock: Clock,
    ) -> Self {
        // Under TLS the proxy sees no request.
        let detour = detour.filter(|_| !endpoint.tls);
        let origin = detour.map(|_| format!("http://{}", endpoint.authority)).unwrap_or_default();
        let to_proxy = detour.map(Detour::header).unwrap_or_default();
        let user_agent = config.user_agent.chars().filter(|c| matches!(c, ' '..='~')).collect();
        let (standing, clock) = (config.standing(), StoreClock::new(clock));
        Self { endpoint, user_agent, standing, clock, origin, to_proxy }
    }

    /// The store's time as an answer tells it, in whole seconds; ours when it tells none.
    pub(crate) fn time(&self, date: Option<&str>) -> Time {
        let told = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
        let told = told.and_then(|date| u64::try_from(date.secs()).ok());
        Time::from_secs(told.unwrap_or_else(|| self.now().as_secs()))
    }

    /// Sets the clock by which requests are signed to the `Date` that the store answered.
    pub(crate) fn set_clock(&self, date: &str) {
        self.clock.heard(date);
    }

    /// The bytes of the request; without credentials, unsigned. They hold the signature and the
    /// session token: they are never logged.
    pub(crate) fn request(&self, ask: &Ask<'_>, who: Option<&Credentials>) -> Result<Vec<u8>> {
        let mut path = self.endpoint.path_of(ask.key);
        if !ask.query.is_empty() {
            path = format!("{path}?{}", ask.query);
        }
        let mut headers = vec![("host", self.endpoint.authority.clone())];
        headers.extend(ask.headers.iter().chain(&self.standing).cloned());
        if let Some((name, _)) = headers.iter().find(|(_, v)| v.chars().any(char::is_control)) {
            let message = format!("the value for the header {name} holds a control character");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let method = ask.method;
        let mut request = format!("{method} {}{path} HTTP/1.1\r\n{}", self.origin, self.to_proxy);
        if let Some(credentials) = who {
            for (name, value) in self.signature((method, &path), &headers, credentials)? {
                request += &format!("{name}: {value}\r\n");
            }
        }
        headers.push(("user-agent", self.user_agent.clone()));
        headers.push(("accept", "*/*".to_owned()));
        headers.extend(ask.length.map(|length| ("content-length", length.to_string())));
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        Ok(request.into_bytes())
    }

    fn signature(
        &self,
        (method, path): (&str, &str),
        headers: &[(&'static str, String)],
        credentials: &Credentials,
    ) -> Result<Vec<(String, String)>> {
        let failed = |e: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Invalid, format!("the request cannot be signed: {e}"))
        };
        let identity = credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.endpoint.region)
            .name(&self.endpoint.service)
            .time(UNIX_EPOCH + self.now())
            .settings(settings())
            .build()
            .map_err(|e| failed(&e))?
            .into();
        let scheme = if self.endpoint.tls { "https" } else { "http" };
        let request = SignableRequest::new(
            method,
            format!("{scheme}://{}{path}", self.endpoint.authority),
            headers.iter().map(|(name, value)| (*name, value.as_str())),
            SignableBody::UnsignedPayload,
        );
        let signed = request.and_then(|r| sign(r, &params)).map_err(|e| failed(&e))?;
        let (output, _) = signed.into_parts();
        Ok(output.headers().map(|(n, v)| (n.to_owned(), v.to_owned())).collect())
    }

    fn now(&self) -> Duration {
        self.clock.now().0
    }
}

fn settings() -> SigningSettings {
    // S3 signs paths as they are sent: encoded once, not normalised (S3 API reference).
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings
}

#[cfg(test)]
mod tests;
