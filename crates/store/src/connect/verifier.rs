//! How much of a server's certificate is verified.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    CryptoProvider, verify_tls12_signature, verify_tls13_signature, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_cert::der::{Decode, Encode};

/// What a certificate must prove. The signature of the handshake is verified in any case: the server holds the key of
/// the certificate that it shows.
#[derive(Debug)]
pub(super) enum Demand {
    Nothing,
    Chain(Roots),
    ChainAndName(Roots),
}

/// The certificates that are trusted.
#[derive(Debug)]
pub(super) struct Roots {
    pub(super) anchors: RootCertStore,
    /// The same certificates as they were read.
    pub(super) certificates: Vec<CertificateDer<'static>>,
}

#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) demand: Demand,
    pub(super) provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn verify_chain(
        &self,
        roots: &Roots,
        certificate: &CertificateDer<'_>,
        parsed: &ParsedCertificate<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let result = verify_server_cert_signed_by_trust_anchor(
            parsed,
            &roots.anchors,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        );
        match result {
            // `openssl req -x509`, as in PostgreSQL's manual, makes a certificate that is its own CA. libpq takes it
            // as root.crt, and so do we: it is trusted by name. Its dates were verified before its use.
            Err(error) if is_own_authority(&error) && roots.certificates.contains(certificate) => Ok(()),
            result => result,
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.demand {
            Demand::Nothing => {}
            Demand::Chain(roots) => {
                let parsed = ParsedCertificate::try_from(certificate)?;
                self.verify_chain(roots, certificate, &parsed, intermediates, now)?;
            }
            Demand::ChainAndName(roots) => {
                let parsed = ParsedCertificate::try_from(certificate)?;
                self.verify_chain(roots, certificate, &parsed, intermediates, now)?;
                verify_server_name(&parsed, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        match verify_tls13_signature(message, certificate, signature, algorithms) {
            // The recipe in PostgreSQL's manual makes such a certificate with many versions of OpenSSL. Where nothing is
            // demanded of it, its key is all that counts; to refuse it would make sslmode=prefer go on in the clear.
            Err(error) if is_old_version(&error) && matches!(self.demand, Demand::Nothing) => {
                verify_tls13_signature_with_raw_key(message, &public_key(certificate)?, signature, algorithms)
            }
            result => result,
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Whether a certificate was refused because it is of X.509 version 1 or 2, which rustls does not read.
pub(super) fn is_old_version(error: &Error) -> bool {
    is_other(error, "UnsupportedCertVersion")
}

/// Whether a certificate was refused because it is that of an authority.
pub(super) fn is_own_authority(error: &Error) -> bool {
    is_other(error, "CaUsedAsEndEntity")
}

/// Whether it is the error of this name in webpki, which rustls passes on without a variant of its own.
fn is_other(error: &Error, name: &str) -> bool {
    matches!(error, Error::InvalidCertificate(CertificateError::Other(other)) if other.0.to_string() == name)
}

fn public_key(certificate: &CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
    x509_cert::Certificate::from_der(certificate)
        .and_then(|certificate| certificate.tbs_certificate.subject_public_key_info.to_der())
        .map(SubjectPublicKeyInfoDer::from)
        .map_err(|_| CertificateError::BadEncoding.into())
}
