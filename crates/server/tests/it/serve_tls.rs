//! TLS, with certificates made on the spot.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use pgmill_server::{ServeError, ServeOptions, Server, TlsFiles};
use pgmill_testkit::wait_until;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::serve_scene::{PATIENCE, SOON, Scene};

/// A folder with the files of a certificate.
pub(crate) struct Files {
    folder: TempDir,
}

impl Files {
    pub(crate) fn new() -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        files.renew();
        files
    }

    fn cert(&self) -> PathBuf {
        self.folder.path().join("server.crt")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("server.key")
    }

    pub(crate) fn tls(&self) -> TlsFiles {
        TlsFiles::new(self.cert(), self.key()).look_every(SOON)
    }

    /// Another certificate in the place of the one there is.
    fn renew(&self) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(self.cert(), cert.pem()).unwrap();
        fs::write(self.key(), signing_key.serialize_pem()).unwrap();
    }

    /// A connection by a client that trusts the certificate of the files, and no other.
    pub(crate) async fn connect(
        &self,
        scene: &Scene,
        protocol: &str,
    ) -> Result<TlsStream<TcpStream>, std::io::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.cert()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(scene.http.address).await?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

#[tokio::test]
async fn http_1_1_over_tls_has_hsts() {
    let files = Files::new();
    let scene = Scene::of(hello(), ServeOptions::new().tls(files.tls())).await;
    let mut stream = files.connect(&scene, "http/1.1").await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
    assert!(answer.contains("strict-transport-security: max-age="), "{answer}");
}

#[tokio::test]
async fn http_2_is_spoken_with_those_who_offer_it() {
    let files = Files::new();
    let scene = Scene::of(hello(), ServeOptions::new().tls(files.tls())).await;
    let stream = files.connect(&scene, "h2").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let connected = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = connected.unwrap();
    let connection = tokio::spawn(connection);
    let request =
        |path: &str| Request::builder().uri(format!("https://localhost{path}")).body(String::new()).unwrap();
    assert_eq!(sender.send_request(request("/")).await.unwrap().status(), 200);
    let foreign = Request::builder().uri("https://evil.example/").body(String::new()).unwrap();
    assert_eq!(sender.send_request(foreign).await.unwrap().status(), 403, "the host is in the address");
    scene.shutdown.cancel();
    connection.await.unwrap().unwrap();
    scene.end().await;
}

#[tokio::test]
async fn plain_http_is_no_handshake() {
    let files = Files::new();
    let scene = Scene::of(hello(), ServeOptions::new().tls(files.tls())).await;
    let mut wire = scene.connect().await;
    wire.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(!wire.rest().await.contains("hello"));
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_cut() {
    let files = Files::new();
    let scene = Scene::of(hello(), ServeOptions::new().tls(files.tls()).header_time(SOON)).await;
    assert_eq!(scene.connect().await.rest().await, "");
}

#[tokio::test]
async fn a_renewed_certificate_is_used_without_a_restart() {
    let files = Files::new();
    let scene = Scene::of(hello(), ServeOptions::new().tls(files.tls())).await;
    files.connect(&scene, "http/1.1").await.unwrap();
    files.renew();
    wait_until("the new certificate", PATIENCE, async || files.connect(&scene, "http/1.1").await.is_ok())
        .await;
}

#[tokio::test]
async fn a_certificate_is_read_again_when_that_is_asked_for() {
    let files = Files::new();
    let tls = files.tls().look_every(PATIENCE * 60);
    let server = Server::new(hello(), ServeOptions::new().tls(tls)).unwrap();
    let reloader = server.reloader();
    let scene = Scene::run(server).await;
    files.renew();
    reloader.reload();
    wait_until("the new certificate", PATIENCE, async || files.connect(&scene, "http/1.1").await.is_ok())
        .await;
}

#[tokio::test]
async fn files_that_cannot_be_used_leave_the_certificate_as_it_was() {
    let files = Files::new();
    let scene = Scene::of(hello(), ServeOptions::new().tls(files.tls())).await;
    let (log, _guard) = crate::serve_scene::Log::start();
    let whole = fs::read(files.cert()).unwrap();
    let other = Files::new();
    for broken in [b"no certificate".to_vec(), fs::read(other.cert()).unwrap()] {
        let before = log.lines("stays as it was").len();
        fs::write(files.cert(), &broken).unwrap();
        wait_until("the log to say so", PATIENCE, async || log.lines("stays as it was").len() > before).await;
    }
    fs::write(files.cert(), whole).unwrap();
    files.connect(&scene, "http/1.1").await.unwrap();
}

#[tokio::test]
async fn files_that_cannot_be_used_are_refused_at_the_start() {
    let (files, other) = (Files::new(), Files::new());
    for (tls, reason) in [
        (TlsFiles::new(files.folder.path().join("none"), files.key()), "none"),
        (TlsFiles::new(files.cert(), files.cert()), "server.crt"),
        (TlsFiles::new(files.cert(), other.key()), "server.key"),
        (files.tls().name("queue.example"), "not for queue.example"),
        (files.tls().name("not a name"), "no name of a server"),
    ] {
        let refused = Server::new(hello(), ServeOptions::new().tls(tls));
        let Err(ServeError::Tls { .. }) = &refused else { panic!("{reason}: {refused:?}") };
        assert!(refused.unwrap_err().to_string().contains(reason), "{reason}");
    }
}
