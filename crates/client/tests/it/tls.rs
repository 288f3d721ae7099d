//! Which servers are trusted.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use pgmill_client::Client;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nConnection: close\r\n\r\n{\"count\":0}";

/// A server with a certificate of its own for `localhost`, and that certificate.
fn server() -> (SocketAddr, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a server with TLS");
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a server with TLS");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("a server with TLS")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a server with TLS");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a server with TLS");
    let address = listener.local_addr().expect("a server with TLS");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a server with TLS");
            let mut stream = StreamOwned::new(connection, stream);
            // A client that does not trust the certificate goes away.
            if stream.read(&mut [0; 4096]).is_ok() {
                let _ = stream.write_all(ANSWER);
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    (address, cert.pem())
}

#[tokio::test]
async fn a_server_is_trusted_by_the_certificate_of_its_authority() {
    let (address, pem) = server();
    let endpoint = format!("https://localhost:{}/api", address.port());
    let trusting = Client::builder(&endpoint).ca_certificate(pem).build().unwrap();
    assert_eq!(trusting.list_namespaces().await.unwrap().count, 0);
    let doubting = Client::builder(&endpoint).retries(0).build().unwrap();
    let error = doubting.list_namespaces().await.unwrap_err();
    assert!(error.is_connect() && error.is_certificate(), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_certificate_is_for_its_host_only() {
    let (address, pem) = server();
    let client =
        Client::builder(format!("https://{address}/api")).retries(0).ca_certificate(pem).build().unwrap();
    assert!(client.list_namespaces().await.unwrap_err().is_connect());
}
