//! The HTTP client of the SDK, with proxy and trusted certificates: the SDK itself has no settings for them.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use listing::{Failure, FailureKind};
use message::Message;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::fetch::failure::failure;

/// The limit for a connection to AWS. The kernel repeats a lost SYN after a second.
pub(super) const CONNECT: Duration = Duration::from_secs(3);

/// The limit for the head of an answer of AWS. If a server accepts a connection and never answers, the call is repeated.
pub(super) const READ: Duration = Duration::from_secs(15);

/// How long to wait for a connection and for the head of an answer.
type Patience = (Option<Duration>, Option<Duration>);

/// Connections with this proxy and these certificates: one pool for all services and accounts with the same limits of time.
#[derive(Debug)]
pub(super) struct Connections {
    tls: TlsContext,
    proxy: ProxyConfig,
    pools: Mutex<Vec<(Patience, SharedHttpConnector)>>,
}

impl Connections {
    /// The caller sets the limits: the SDK waits only a second for instance metadata, which may be unreachable.
    pub(super) fn pool(&self, settings: &HttpConnectorSettings) -> SharedHttpConnector {
        let patience = (settings.connect_timeout(), settings.read_timeout());
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pool)) = pools.iter().find(|(other, _)| *other == patience) {
            return pool.clone();
        }
        let pool = SharedHttpConnector::new(
            Connector::builder()
                .connector_settings(settings.clone())
                .proxy_config(self.proxy.clone())
                .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
                .tls_context(self.tls.clone())
                .build(),
        );
        pools.push((patience, pool.clone()));
        pool
    }

    /// For calls to AWS.
    pub(super) fn client(self: &Arc<Self>) -> SharedHttpClient {
        let connections = Arc::clone(self);
        http_client_fn(move |settings, _| connections.pool(settings))
    }

    /// For requests of which the SDK does not say where they went.
    pub(super) fn noting(self: &Arc<Self>, asked: &Asked) -> SharedHttpClient {
        let (connections, asked) = (Arc::clone(self), asked.clone());
        http_client_fn(move |settings, _| {
            SharedHttpConnector::new(Noting { pool: connections.pool(settings), asked: asked.clone() })
        })
    }
}

/// The URL of the last request, if any was sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked(Arc<Mutex<Option<String>>>);

impl Asked {
    pub(super) fn note(&self, url: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(url.to_owned());
    }

    pub(super) fn url(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Debug)]
struct Noting {
    pool: SharedHttpConnector,
    asked: Asked,
}

impl HttpConnector for Noting {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.asked.note(request.uri());
        self.pool.call(request)
    }
}

/// As the configuration has it.
pub(super) fn connections(config: &config::Aws) -> Result<Arc<Connections>, Failure> {
    let trusted = match &config.ca_bundle {
        Some(path) => TrustStore::empty().with_pem_certificate(certificates(path)?),
        None if rustls_native_certs::load_native_certs().certs.is_empty() => {
            // The SDK's own store would panic in a debug build, and report nothing in a release build.
            let warning = Message::new("this host has no CA certificates: https will fail");
            log::warn!("{}", warning.with_hint("install ca-certificates, or set [aws] ca_bundle"));
            TrustStore::empty()
        }
        None => TrustStore::default(),
    };
    let tls = TlsContext::builder().with_trust_store(trusted).build().map_err(|error| {
        failure(
            "TLS",
            "certificates",
            &error.to_string(),
            "check [aws] ca_bundle",
            FailureKind::Configuration,
        )
    })?;
    Ok(Arc::new(Connections { tls, proxy: proxy(config)?, pools: Mutex::default() }))
}

/// For https only: instance metadata is http, and must not be asked of a proxy.
fn proxy(config: &config::Aws) -> Result<ProxyConfig, Failure> {
    let Some(url) = &config.https_proxy else {
        return Ok(ProxyConfig::disabled());
    };
    let proxy = ProxyConfig::https(url.as_str()).map_err(|error| {
        failure("proxy", url, &error.to_string(), "correct [aws] https_proxy", FailureKind::Configuration)
    })?;
    Ok(match &config.no_proxy {
        Some(hosts) => proxy.no_proxy(hosts),
        None => proxy,
    })
}

/// The client panics on a certificate that it cannot use, so each is checked here first.
fn certificates(path: &Path) -> Result<Vec<u8>, Failure> {
    let wrong = |cause: &str, kind| {
        failure(
            "open",
            &path.to_string_lossy(),
            cause,
            "correct [aws] ca_bundle, a file of PEM certificates",
            kind,
        )
    };
    let pem = std::fs::read(path).map_err(|error| {
        let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
        wrong(&error.to_string(), if denied { FailureKind::Denied } else { FailureKind::Configuration })
    })?;
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate =
            certificate.map_err(|error| wrong(&error.to_string(), FailureKind::Configuration))?;
        store.add(certificate).map_err(|error| wrong(&error.to_string(), FailureKind::Configuration))?;
    }
    if store.is_empty() {
        return Err(wrong("it holds no certificate", FailureKind::Configuration));
    }
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bundle: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bundle).unwrap();
        let config = config::Aws { ca_bundle: Some(file.path().to_owned()), ..config::Aws::default() };
        connections(&config).unwrap_err().cause
    }

    #[test]
    fn a_bundle_that_the_client_would_panic_on_is_refused() {
        assert_eq!(refused(b""), "it holds no certificate");
        assert_eq!(refused(b"not a certificate"), "it holds no certificate");
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(!refused(junk.as_bytes()).is_empty());
        assert!(!refused(b"-----BEGIN CERTIFICATE-----\n%%\n-----END CERTIFICATE-----\n").is_empty());
    }

    #[test]
    fn a_missing_bundle_and_a_bad_proxy_are_faults_of_the_configuration() {
        let absent = config::Aws { ca_bundle: Some("/nonexistent/ca.pem".into()), ..config::Aws::default() };
        assert_eq!(connections(&absent).unwrap_err().kind, FailureKind::Configuration);
        let proxy = config::Aws { https_proxy: Some("ftp://proxy".to_owned()), ..config::Aws::default() };
        assert_eq!(connections(&proxy).unwrap_err().call, "proxy");
    }
}
