//! TLS: which parameters there are, and what they make of rustls.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::ConnectError;
use super::options::SslMode;
use super::parameters::Parameters;
use super::verifier::{Demand, Roots, Verifier};

const BOTH_VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
const ONLY_1_3: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// The parameters of TLS. The files they name are read anew for each connection: certificates are renewed while a
/// process runs.
#[derive(Debug, Clone)]
pub(super) struct TlsOptions {
    pub(super) mode: SslMode,
    root: RootSource,
    certificate: ClientFile,
    key: ClientFile,
    versions: &'static [&'static SupportedProtocolVersion],
    server_name_indication: bool,
    direct: bool,
}

#[derive(Debug, Clone)]
enum RootSource {
    System,
    File(PathBuf),
}

/// A file of the client's certificate: only one that was asked for must exist.
#[derive(Debug, Clone)]
struct ClientFile {
    path: PathBuf,
    asked_for: bool,
}

impl TlsOptions {
    pub(super) fn from_parameters(
        parameters: &Parameters,
        home: Option<&Path>,
    ) -> Result<Self, ConnectError> {
        let default_directory = home.unwrap_or(Path::new("")).join(".postgresql");
        let client_file = |name, default: &str| match parameters.text(name) {
            Some(path) => ClientFile { path: PathBuf::from(path), asked_for: true },
            None => ClientFile { path: default_directory.join(default), asked_for: false },
        };
        let root = match parameters.text("sslrootcert") {
            Some("system") => RootSource::System,
            Some(path) => RootSource::File(PathBuf::from(path)),
            None => RootSource::File(default_directory.join("root.crt")),
        };
        let modes = [
            SslMode::Disable,
            SslMode::Allow,
            SslMode::Prefer,
            SslMode::Require,
            SslMode::VerifyCa,
            SslMode::VerifyFull,
        ];
        let mode = parameters.word("sslmode", &modes.map(|mode| (mode.as_str(), mode)))?;
        let mode = match (&root, mode) {
            // Anybody can have a certificate of a public authority: without the name it proves nothing.
            (RootSource::System, Some(mode)) if mode != SslMode::VerifyFull => {
                return Err(parameters.invalid(
                    "sslmode",
                    mode.as_str(),
                    "`verify-full` with sslrootcert=system",
                ));
            }
            (RootSource::System, _) => SslMode::VerifyFull,
            (RootSource::File(_), mode) => mode.unwrap_or(SslMode::Prefer),
        };
        let direct = parameters.text("sslnegotiation") == Some("direct");
        if direct && matches!(mode, SslMode::Disable | SslMode::Allow | SslMode::Prefer) {
            return Err(parameters.invalid(
                "sslmode",
                mode.as_str(),
                "`require`, `verify-ca` or `verify-full` with sslnegotiation=direct",
            ));
        }
        let versions = [
            // rustls has nothing older, so a lower minimum allows what it has.
            ("TLSv1", BOTH_VERSIONS),
            ("TLSv1.1", BOTH_VERSIONS),
            ("TLSv1.2", BOTH_VERSIONS),
            ("TLSv1.3", ONLY_1_3),
        ];
        Ok(Self {
            mode,
            root,
            certificate: client_file("sslcert", "postgresql.crt"),
            key: client_file("sslkey", "postgresql.key"),
            versions: parameters.word("ssl_min_protocol_version", &versions)?.unwrap_or(BOTH_VERSIONS),
            server_name_indication: parameters.flag("sslsni")?.unwrap_or(true),
            direct,
        })
    }

    /// Makes a connector for connections that do without TLS: the driver wants one in any case.
    pub(super) fn unused_connector(&self) -> Result<MakeRustlsConnect, ConnectError> {
        Self { mode: SslMode::Disable, ..self.clone() }.connector()
    }

    /// Reads the files and makes a connector. With `sslmode=disable` no file is read.
    pub(super) fn connector(&self) -> Result<MakeRustlsConnect, ConnectError> {
        let provider = Arc::new(ring::default_provider());
        let demand = if self.mode == SslMode::Disable { Demand::Nothing } else { self.demand()? };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(self.versions)
            .map_err(|error| certificate_error("TLS provider", &error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier { demand, provider: Arc::clone(&provider) }));
        let mut config = match self.client_certificate(&provider)? {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| certificate_error(&self.certificate.label("sslcert"), &error))?,
            None => builder.with_no_client_auth(),
        };
        config.enable_sni = self.server_name_indication;
        if self.direct {
            config.alpn_protocols = vec![b"postgresql".to_vec()];
        }
        Ok(MakeRustlsConnect::new(config))
    }

    fn demand(&self) -> Result<Demand, ConnectError> {
        let path = match &self.root {
            RootSource::System => return Ok(Demand::ChainAndName(system_roots()?)),
            RootSource::File(path) => path,
        };
        let missing = !path.try_exists().unwrap_or(true);
        match self.mode {
            SslMode::VerifyCa | SslMode::VerifyFull if missing => {
                Err(ConnectError::RootCertificateMissing { sslmode: self.mode.as_str(), path: path.clone() })
            }
            SslMode::VerifyFull => Ok(Demand::ChainAndName(file_roots(path)?)),
            SslMode::VerifyCa => Ok(Demand::Chain(file_roots(path)?)),
            _ if missing => Ok(Demand::Nothing),
            _ => Ok(Demand::Chain(file_roots(path)?)),
        }
    }

    fn client_certificate(
        &self,
        provider: &CryptoProvider,
    ) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, ConnectError> {
        let (certificate, key) = (&self.certificate, &self.key);
        if self.mode == SslMode::Disable || (!certificate.asked_for && !certificate.path.exists()) {
            return Ok(None);
        }
        let chain = read_certificates("client certificate (sslcert)", &certificate.path)?;
        let text = read("key of the client certificate (sslkey)", &key.path)?;
        refuse_open_key(&key.path)?;
        let private = PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
            let reason = if text.windows(9).any(|part| part == b"ENCRYPTED") {
                "it is encrypted, which is not supported; decrypt it with `openssl pkey`".to_owned()
            } else {
                format!("expected a PEM file with a PKCS#8, PKCS#1 or SEC1 key: {error}")
            };
            ConnectError::Certificate { what: key.label("sslkey"), reason }
        })?;
        provider
            .key_provider
            .load_private_key(private.clone_key())
            .map_err(|error| certificate_error(&key.label("sslkey"), &error))?;
        Ok(Some((chain, private)))
    }
}

impl ClientFile {
    fn label(&self, parameter: &str) -> String {
        format!("{parameter} file {}", self.path.display())
    }
}

fn system_roots() -> Result<Roots, ConnectError> {
    let found = rustls_native_certs::load_native_certs();
    let mut anchors = RootCertStore::empty();
    // A store of a hundred may hold one that cannot be parsed; the others are as good as before.
    let (usable, _) = anchors.add_parsable_certificates(found.certs.iter().cloned());
    if usable == 0 {
        let reason = match found.errors.first() {
            Some(error) => error.to_string(),
            None => {
                "none are installed; install them (package ca-certificates), or set SSL_CERT_FILE".to_owned()
            }
        };
        return Err(ConnectError::Certificate { what: "root certificates of the system".to_owned(), reason });
    }
    Ok(Roots { anchors, certificates: found.certs })
}

fn file_roots(path: &Path) -> Result<Roots, ConnectError> {
    let certificates = read_certificates("root certificate (sslrootcert)", path)?;
    let mut anchors = RootCertStore::empty();
    for certificate in &certificates {
        anchors
            .add(certificate.clone())
            .map_err(|error| certificate_error(&format!("sslrootcert file {}", path.display()), &error))?;
    }
    Ok(Roots { anchors, certificates })
}

fn read_certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let text = read(what, path)?;
    let certificates = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let reason = match certificates {
        Ok(certificates) if !certificates.is_empty() => return Ok(certificates),
        Ok(_) => "it has no `-----BEGIN CERTIFICATE-----`".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(ConnectError::Certificate { what: format!("{what} {}", path.display()), reason })
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, ConnectError> {
    fs::read(path).map_err(|source| ConnectError::Unreadable { what, path: path.to_owned(), source })
}

/// libpq's rule for keys: nobody but the owner, except that a key owned by root may be readable by the group.
#[cfg(unix)]
fn refuse_open_key(path: &Path) -> Result<(), ConnectError> {
    use std::os::unix::fs::MetadataExt;

    let metadata = fs::metadata(path).map_err(|source| ConnectError::Unreadable {
        what: "key of the client certificate (sslkey)",
        path: path.to_owned(),
        source,
    })?;
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & forbidden == 0 {
        return Ok(());
    }
    let path = path.display();
    Err(ConnectError::Certificate {
        what: format!("sslkey file {path}"),
        reason: format!("others than its owner have access to it: chmod 0600 {path}"),
    })
}

#[cfg(not(unix))]
fn refuse_open_key(_: &Path) -> Result<(), ConnectError> {
    Ok(())
}

fn certificate_error(what: &str, error: &rustls::Error) -> ConnectError {
    ConnectError::Certificate { what: what.to_owned(), reason: error.to_string() }
}
