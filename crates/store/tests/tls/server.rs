//! A PostgreSQL server with the `pg_hba.conf`, the roles and the certificates that the tests need.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::PathBuf;

use pgmill_embedded::{Embedded, StopMode};
use pgmill_store::ConnectOptions;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::authority::{Authority, Identity};

/// Who may come in, and how. The roles are named after that.
const HBA: &str = "
local     all anyone      trust
local     all socket_only trust
hostssl   all certificate all cert
hostssl   all tls_only    all trust
hostnossl all plain_only  all trust
host      all anyone      all trust
host      all read_only   all trust
host      all pgmill,scram all scram-sha-256
local     all pgmill      scram-sha-256
";

const SETUP: &str = "
CREATE ROLE certificate LOGIN;
CREATE ROLE tls_only LOGIN;
CREATE ROLE plain_only LOGIN;
CREATE ROLE scram LOGIN PASSWORD 'right';
CREATE ROLE anyone LOGIN;
CREATE ROLE socket_only LOGIN;
CREATE ROLE read_only LOGIN;
ALTER ROLE read_only SET default_transaction_read_only = on;
";

/// A running server. Those that tests share stop with the program, by the watchdog of [`Embedded`].
pub(crate) struct Server {
    embedded: Embedded,
    /// The authority that issued the certificate of the server.
    pub(crate) authority: Authority,
    _files: TempDir,
}

static WITH_TLS: OnceCell<Server> = OnceCell::const_new();
static WITHOUT_TLS: OnceCell<Server> = OnceCell::const_new();

impl Server {
    /// A server with a certificate for `localhost` and 127.0.0.1.
    pub(crate) async fn with_tls() -> &'static Self {
        WITH_TLS.get_or_init(|| Self::start(Certificate::Issued)).await
    }

    /// A server that does not speak TLS.
    pub(crate) async fn without_tls() -> &'static Self {
        WITHOUT_TLS.get_or_init(|| Self::start(Certificate::None)).await
    }

    /// A server whose certificate for `localhost` is its own authority; it lies in [`Self::certificate`].
    pub(crate) async fn with_self_signed_certificate() -> Self {
        Self::start(Certificate::SelfSigned).await
    }

    /// A server with a certificate of X.509 version 1, as OpenSSL makes it when asked for no extensions.
    pub(crate) async fn with_version_1_certificate() -> Self {
        Self::start(Certificate::Version1).await
    }

    pub(crate) fn port(&self) -> u16 {
        self.embedded.port()
    }

    pub(crate) fn socket_directory(&self) -> String {
        self.embedded.socket_dir().display().to_string()
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.embedded.data_dir().join("cluster/server.crt")
    }

    async fn start(certificate: Certificate) -> Self {
        let embedded = Embedded::builder().ephemeral().start().expect("a server");
        let files = tempfile::tempdir().expect("a temporary directory");
        let server = Self { embedded, authority: Authority::new(files.path(), "authority"), _files: files };
        server.install(certificate);
        let settings = match certificate {
            Certificate::None => "",
            _ => "ALTER SYSTEM SET ssl = on; ALTER SYSTEM SET ssl_ca_file = 'authority.crt';",
        };
        let options: ConnectOptions = server.embedded.url_for("postgres").parse().expect("a valid URL");
        let (client, driver) = options.connect().await.expect("connected");
        let running = tokio::spawn(driver.run());
        client.batch_execute(SETUP).await.expect("the roles are made");
        for setting in settings.split_inclusive(';') {
            client.batch_execute(setting).await.expect("the setting is made");
        }
        drop(client);
        running.await.expect("no panic").expect("closed in order");
        server.embedded.restart(StopMode::Fast).expect("restarted");
        server
    }

    /// Writes the files that the server reads when it starts, owned by its account.
    fn install(&self, certificate: Certificate) {
        let cluster = self.embedded.data_dir().join("cluster");
        let hosts = ["localhost", "127.0.0.1"];
        let identity = match certificate {
            Certificate::None => None,
            Certificate::Issued => Some(self.authority.issue(&cluster, "server", &hosts)),
            Certificate::SelfSigned => Some(Identity::self_signed(&cluster, "server", &hosts)),
            Certificate::Version1 => Some(self.authority.issue(&cluster, "server", &hosts).into_version_1()),
        };
        let root = cluster.join("authority.crt");
        fs::copy(&self.authority.root, &root).expect("copied");
        fs::write(cluster.join("pg_hba.conf"), HBA).expect("written");
        let owner = fs::metadata(&cluster).expect("there is a cluster");
        let identity = identity.into_iter().flat_map(|identity| [identity.certificate, identity.key]);
        for file in identity.chain([root]) {
            chown(file, Some(owner.uid()), Some(owner.gid())).expect("owner set");
        }
    }
}

#[derive(Clone, Copy)]
enum Certificate {
    None,
    Issued,
    SelfSigned,
    Version1,
}
