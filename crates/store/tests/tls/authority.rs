//! Certificates made on the spot.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use x509_cert::der::pem::LineEnding;
use x509_cert::der::{DecodePem, EncodePem};
use x509_cert::{Certificate, Version};

/// A certificate authority whose files lie in one directory.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) root: PathBuf,
}

impl Authority {
    pub(crate) fn new(directory: &Path, name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([]).expect("valid");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).expect("signed");
        let root = directory.join(format!("{name}.crt"));
        fs::write(&root, certificate.pem()).expect("written");
        Self { issuer: Issuer::new(params, key), root }
    }

    /// Issues a certificate with a common name, valid for the given hosts.
    pub(crate) fn issue(&self, directory: &Path, name: &str, hosts: &[&str]) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(hosts).expect("valid");
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        Identity::write(directory, name, &certificate.pem(), &key)
    }
}

/// A certificate and its key.
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Identity {
    /// What `openssl req -x509` makes: a certificate that is its own authority.
    pub(crate) fn self_signed(directory: &Path, name: &str, hosts: &[&str]) -> Self {
        let key = KeyPair::generate().expect("a key");
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(hosts).expect("valid");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).expect("signed");
        Self::write(directory, name, &certificate.pem(), &key)
    }

    /// Takes from the certificate what version 1 does not have. Its signature is void then.
    pub(crate) fn into_version_1(self) -> Self {
        let pem = fs::read(&self.certificate).expect("written before");
        let mut certificate = Certificate::from_pem(pem).expect("a certificate");
        certificate.tbs_certificate.version = Version::V1;
        certificate.tbs_certificate.extensions = None;
        fs::write(&self.certificate, certificate.to_pem(LineEnding::LF).expect("encoded")).expect("written");
        self
    }

    fn write(directory: &Path, name: &str, certificate: &str, key: &KeyPair) -> Self {
        let identity = Self {
            certificate: directory.join(format!("{name}.crt")),
            key: directory.join(format!("{name}.key")),
        };
        fs::write(&identity.certificate, certificate).expect("written");
        fs::write(&identity.key, key.serialize_pem()).expect("written");
        fs::set_permissions(&identity.key, fs::Permissions::from_mode(0o600)).expect("permissions set");
        identity
    }
}
