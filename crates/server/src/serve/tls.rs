//! TLS by rustls: a certificate that is read again when its files change.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::error::ServeError;

/// How often to look at the files.
const LOOK: Duration = Duration::from_secs(10);

/// The files of a server's certificate.
///
/// They are read again when they change. What cannot be used then leaves the certificate as it was.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    cert: PathBuf,
    key: PathBuf,
    name: Option<String>,
    look: Duration,
}

impl TlsFiles {
    /// A chain of certificates, the server's first, and its private key: both PEM.
    pub fn new(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { cert: cert.into(), key: key.into(), name: None, look: LOOK }
    }

    /// The name that the certificate must be for. A certificate for another one is not taken.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How often to look whether the files have changed. Default 10 s.
    #[must_use]
    pub fn look_every(mut self, time: Duration) -> Self {
        self.look = time;
        self
    }

    /// The name that the certificate must be for.
    pub(super) fn wanted_name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// Has a server read its certificate again, whether or not the files have changed.
#[derive(Debug, Clone)]
pub struct Reloader(Arc<Notify>);

impl Reloader {
    /// Does so soon. Without TLS nothing happens.
    pub fn reload(&self) {
        self.0.notify_one();
    }
}

/// The certificate in use.
#[derive(Debug)]
pub(super) struct Tls {
    files: TlsFiles,
    current: Arc<Current>,
    /// What the files were when they were read last.
    seen: u64,
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Tls {
    /// Reads the files.
    pub(super) fn open(files: &TlsFiles) -> Result<Self, ServeError> {
        let seen = fingerprint(files);
        let current = Arc::new(Current(RwLock::new(Arc::new(load(files)?))));
        Ok(Self { files: files.clone(), current, seen })
    }

    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, ServeError> {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&self.files.cert, &error))?;
        let mut config = builder
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Reads the files again when they change, or when that is asked for, for ever.
    pub(super) async fn keep_fresh(mut self, reloader: &Reloader) {
        loop {
            let asked = timeout(self.files.look, reloader.0.notified()).await.is_ok();
            let files = self.files.clone();
            let seen = self.seen;
            let read = spawn_blocking(move || {
                let now = fingerprint(&files);
                (asked || now != seen).then(|| (now, load(&files)))
            });
            match read.await {
                Ok(Some((now, loaded))) => self.take(now, loaded),
                Ok(None) => {}
                Err(error) => tracing::error!("the TLS files could not be read: {error}"),
            }
        }
    }

    fn take(&mut self, seen: u64, loaded: Result<CertifiedKey, ServeError>) {
        self.seen = seen;
        match loaded {
            Ok(key) => {
                *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                tracing::info!("the TLS certificate was read again");
            }
            Err(error) => tracing::error!("the TLS certificate stays as it was: {error}"),
        }
    }
}

/// What the files hold, in a number. Times of files may stay the same where what they hold does not.
fn fingerprint(files: &TlsFiles) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in [&files.cert, &files.key] {
        fs::read(file).ok().hash(&mut hasher);
    }
    hasher.finish()
}

fn load(files: &TlsFiles) -> Result<CertifiedKey, ServeError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&files.cert).and_then(Iterator::collect);
    let chain = chain.map_err(|error| unusable(&files.cert, &error))?;
    let Some(first) = chain.first().cloned() else {
        return Err(unusable(&files.cert, "it holds no certificate"));
    };
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unusable(&files.key, &error))?;
    if let Some(name) = &files.name {
        is_for(&first, name).map_err(|error| unusable(&files.cert, &error))?;
    }
    // A key that is not the one of the certificate is refused by this, too.
    CertifiedKey::from_der(chain, key, &ring::default_provider())
        .map_err(|error| unusable(&files.key, &error))
}

fn is_for(certificate: &CertificateDer<'_>, name: &str) -> Result<(), String> {
    let server = ServerName::try_from(name).map_err(|_| format!("{name:?} is no name of a server"))?;
    let parsed = ParsedCertificate::try_from(certificate).map_err(|error| error.to_string())?;
    verify_server_name(&parsed, &server).map_err(|_| format!("the certificate is not for {name}"))
}

fn unusable(file: &Path, reason: &(impl ToString + ?Sized)) -> ServeError {
    ServeError::Tls { file: file.to_owned(), reason: reason.to_string() }
}

impl Reloader {
    pub(super) fn new() -> Self {
        Self(Arc::new(Notify::new()))
    }
}
