//! Whose certificates are believed, for both HTTP clients alike.

use std::path::Path;
use std::sync::Arc;

use aws_sdk_s3::config::RuntimeComponents;
use aws_sdk_s3::config::SharedHttpClient;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use object::{Error, ErrorKind, Result};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{CipherSuite, ClientConfig, RootCertStore};

/// The certificates to believe: those of a file, or the system's.
pub(crate) struct Trust {
    bundle: Option<Vec<u8>>,
}

impl Trust {
    /// Reads the bundle, if one is named, and makes sure that it holds certificates.
    pub(crate) fn read(bundle: Option<&Path>) -> Result<Self> {
        let Some(path) = bundle else { return Ok(Self { bundle: None }) };
        let invalid = |what: String| {
            Error::new(ErrorKind::Invalid, format!("the CA bundle {}: {what}", path.display()))
        };
        let pem = std::fs::read(path).map_err(|e| invalid(e.to_string()))?;
        let found: Vec<_> = CertificateDer::pem_slice_iter(&pem)
            .collect::<std::result::Result<_, _>>()
            .map_err(|e| invalid(format!("{e:?}")))?;
        if found.is_empty() {
            return Err(invalid("no certificate in it".to_owned()));
        }
        Ok(Self { bundle: Some(pem) })
    }

    /// The HTTP client for what the SDK sends.
    pub(crate) fn sdk_client(&self) -> Result<SharedHttpClient> {
        let mut context = TlsContext::builder();
        if let Some(pem) = &self.bundle {
            let store = TrustStore::empty().with_pem_certificate(pem.as_slice());
            context = context.with_trust_store(store);
        }
        let context = context.build().map_err(|e| {
            Error::caused(ErrorKind::Invalid, "the CA bundle is refused", None, Some(Box::new(e)))
        })?;
        Ok(Builder::new().build_with_connector_fn(move |settings, runtime| {
            let mut connector = Connector::builder()
                .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
                .tls_context(context.clone())
                .proxy_config(ProxyConfig::from_env());
            connector.set_connector_settings(settings.cloned());
            connector.set_sleep_impl(runtime.and_then(RuntimeComponents::sleep_impl));
            connector.build()
        }))
    }

    /// The TLS settings of our own connections.
    pub(crate) fn rustls(&self) -> Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        match &self.bundle {
            Some(pem) => {
                let found = CertificateDer::pem_slice_iter(pem).filter_map(|c| c.ok());
                roots.add_parsable_certificates(found);
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            let message = "no trusted certificates are installed: install ca-certificates, or \
                           name a file with --ca-bundle";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let invalid = |e| Error::caused(ErrorKind::Invalid, "no TLS", None, Some(Box::new(e)));
        let mut provider = aws_lc_rs::default_provider();
        // A quarter less CPU than the 256-bit cipher that rustls likes best.
        provider.cipher_suites.sort_by_key(|suite| {
            !matches!(
                suite.suite(),
                CipherSuite::TLS13_AES_128_GCM_SHA256
                    | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                    | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
            )
        });
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .map_err(invalid)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
