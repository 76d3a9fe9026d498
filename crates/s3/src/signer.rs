//! GET requests as bytes, signed.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use object::{Clock, Error, ErrorKind, Result, Span, Version};

use crate::detour::Detour;
use crate::endpoint::Endpoint;

/// One GET.
pub(crate) struct Ask<'a> {
    pub(crate) version: &'a Version,
    /// The bytes to ask for; `None` for an unranged GET with the object's checksum.
    pub(crate) range: Option<Span>,
}

/// Writes and signs requests for one endpoint.
pub(crate) struct Signer {
    endpoint: Endpoint,
    user_agent: String,
    clock: Clock,
    /// What comes before the path: nothing, or the whole URL for a proxy.
    origin: String,
    /// What the proxy has to be told, as lines of the head.
    to_proxy: String,
    /// How far the store's clock is ahead of ours, in seconds.
    ahead: AtomicI64,
}

impl Signer {
    /// For requests to `endpoint`, which go by way of `detour`.
    pub(crate) fn new(
        endpoint: Endpoint,
        detour: Option<&Detour>,
        user_agent: &str,
        clock: Clock,
    ) -> Self {
        // Under TLS the proxy sees no request.
        let detour = detour.filter(|_| !endpoint.tls);
        let origin = detour.map(|_| format!("http://{}", endpoint.authority)).unwrap_or_default();
        let to_proxy = detour.map(Detour::header).unwrap_or_default();
        let user_agent = user_agent.chars().filter(|c| matches!(c, ' '..='~')).collect();
        Self { endpoint, user_agent, clock, origin, to_proxy, ahead: AtomicI64::new(0) }
    }

    /// Sets the clock by which requests are signed to the `Date` that the store answered.
    pub(crate) fn set_clock(&self, date: &str) {
        if let Ok(date) = DateTime::from_str(date, Format::HttpDate) {
            let ours = i64::try_from(self.clock.now().secs()).unwrap_or(i64::MAX);
            self.ahead.store(date.secs().saturating_sub(ours), Ordering::Relaxed);
        }
    }

    /// The bytes of the request; without credentials, unsigned. They hold the signature and the
    /// session token: they are never logged.
    pub(crate) fn request(&self, ask: &Ask<'_>, who: Option<&Credentials>) -> Result<Vec<u8>> {
        let path = self.endpoint.path_of(&ask.version.key);
        let etag = ask.version.etag.quoted();
        if etag.chars().any(char::is_control) {
            return Err(Error::new(ErrorKind::Invalid, "the ETag holds a control character"));
        }
        let mut headers = vec![("host", self.endpoint.authority.clone()), ("if-match", etag)];
        match ask.range {
            Some(span) => {
                headers.push(("range", format!("bytes={}-{}", span.start, span.end - 1)));
            }
            None => headers.push(("x-amz-checksum-mode", "ENABLED".to_owned())),
        }
        let mut request = format!("GET {}{path} HTTP/1.1\r\n{}", self.origin, self.to_proxy);
        if let Some(credentials) = who {
            for (name, value) in self.signature(&path, &headers, credentials)? {
                request += &format!("{name}: {value}\r\n");
            }
        }
        headers.push(("user-agent", self.user_agent.clone()));
        headers.push(("accept", "*/*".to_owned()));
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        Ok(request.into_bytes())
    }

    fn signature(
        &self,
        path: &str,
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
            "GET",
            format!("{scheme}://{}{path}", self.endpoint.authority),
            headers.iter().map(|(name, value)| (*name, value.as_str())),
            SignableBody::UnsignedPayload,
        );
        let signed = request.and_then(|r| sign(r, &params)).map_err(|e| failed(&e))?;
        let (output, _) = signed.into_parts();
        Ok(output.headers().map(|(n, v)| (n.to_owned(), v.to_owned())).collect())
    }

    fn now(&self) -> Duration {
        let ahead = self.ahead.load(Ordering::Relaxed);
        let (now, by) = (self.clock.now().0, Duration::from_secs(ahead.unsigned_abs()));
        if ahead < 0 { now.saturating_sub(by) } else { now.saturating_add(by) }
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
