//! A certificate authority of the lab's own, and a server certificate signed by it.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::Error;

/// An acceptor for the loopback names, `names` and everything directly below them, and
/// the PEM of the authority a client must trust. HTTP/1.1 only.
pub(crate) fn acceptor(names: &[&str]) -> Result<(TlsAcceptor, String), Error> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    authority.distinguished_name.push(DnType::CommonName, "mount-s3 lab authority");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

    let mut subjects = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    for name in names {
        subjects.push((*name).to_owned());
        subjects.push(format!("*.{name}"));
    }
    let key = KeyPair::generate()?;
    let mut server = CertificateParams::new(subjects)?;
    server.distinguished_name.push(DnType::CommonName, "mount-s3 lab");
    let certificate = server.signed_by(&key, &authority)?;
    let private =
        PrivateKeyDer::try_from(key.serialize_der()).map_err(|why| Error::Key(why.into()))?;

    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), authority.pem()))
}
