//! A PostgreSQL server that is made for one system and one round, and removed afterwards.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command as Blocking, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio_postgres::{Client, NoTls};

/// What differs from the server's defaults, for every system alike. Commits are durable.
pub(crate) const SETTINGS: [(&str, &str); 5] = [
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("max_wal_size", "4GB"),
    ("shared_buffers", "512MB"),
    ("max_connections", "200"),
];

/// How long the server may take to answer, or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that runs. Killed and removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    pid: u32,
    process: Child,
    account: Option<Account>,
    bin_dir: PathBuf,
    folder: TempDir,
}

/// Whom the server runs as, if this program is root: PostgreSQL refuses that.
#[derive(Debug, Clone, Copy)]
struct Account {
    user: u32,
    group: u32,
}

/// The folder with the server's programs: the one that was named, or the newest that is installed.
pub(crate) fn bin_dir(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let found = match named {
        Some(named) => named.to_owned(),
        None => {
            newest(Path::new("/usr/lib/postgresql")).context("no PostgreSQL found: name it by --bin-dir")?
        }
    };
    ensure!(found.join("postgres").exists(), "there is no server in {}", found.display());
    Ok(found)
}

fn newest(parent: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(parent).ok()?.filter_map(|entry| {
        let version: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        Some((version, parent.join(version.to_string()).join("bin")))
    });
    versions.max().map(|(_, bin)| bin)
}

impl Server {
    pub(crate) async fn start(bin_dir: &Path, dir: Option<&Path>) -> anyhow::Result<Self> {
        let account = Account::wanted()?;
        let mut folder = tempfile::Builder::new();
        let folder = folder.prefix("pgmill-peers-").permissions(fs::Permissions::from_mode(0o700));
        let folder = folder.tempdir_in(dir.map_or_else(std::env::temp_dir, Path::to_owned))?;
        if let Some(Account { user, group }) = account {
            chown(folder.path(), Some(user), Some(group))?;
        }
        let data = folder.path().join("data");
        let log = File::create(folder.path().join("log"))?;
        let made = Command::from(command(bin_dir, "initdb", account))
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-D"])
            .arg(&data)
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            .status()
            .await?;
        ensure!(made.success(), "initdb failed: {}", fs::read_to_string(folder.path().join("log"))?);
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut postgres = Command::from(command(bin_dir, "postgres", account));
        postgres.arg("-D").arg(&data).args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k", ""]);
        for (name, value) in SETTINGS {
            postgres.args(["-c", &format!("{name}={value}")]);
        }
        let process = postgres.stdout(log.try_clone()?).stderr(log).spawn()?;
        let pid = process.id().context("the server ended at once")?;
        Ok(Self { port, pid, process, account, bin_dir: bin_dir.to_owned(), folder })
    }

    /// The postmaster.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Connects as soon as the server answers.
    pub(crate) async fn connect(&self) -> anyhow::Result<Client> {
        let since = Instant::now();
        loop {
            match tokio_postgres::connect(&self.url("postgres"), NoTls).await {
                Ok((client, connection)) => {
                    // A connection that breaks is reported by its client.
                    tokio::spawn(connection);
                    return Ok(client);
                }
                Err(error) if since.elapsed() > PATIENCE => {
                    let log = fs::read_to_string(self.folder.path().join("log"))?;
                    bail!("the server does not answer: {error}\n{log}");
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.end("fast")?;
        tokio::time::timeout(PATIENCE, self.process.wait()).await.context("the server does not end")??;
        Ok(())
    }

    fn end(&self, mode: &str) -> anyhow::Result<()> {
        let status = command(&self.bin_dir, "pg_ctl", self.account)
            .args(["stop", "--no-wait", "--silent", "-m", mode, "-D"])
            .arg(self.folder.path().join("data"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        ensure!(status.success(), "pg_ctl cannot stop the server");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let since = Instant::now();
        if matches!(self.process.try_wait(), Ok(None)) && self.end("immediate").is_ok() {
            // Its files go next, so it has to be gone.
            while matches!(self.process.try_wait(), Ok(None)) && since.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// One of the server's programs, by a user that it accepts, from a folder that this user may be in.
fn command(bin_dir: &Path, program: &str, account: Option<Account>) -> Blocking {
    use std::os::unix::process::CommandExt;
    let mut command = Blocking::new(bin_dir.join(program));
    if let Some(Account { user, group }) = account {
        command.uid(user).gid(group);
    }
    command.current_dir("/");
    command
}

impl Account {
    fn wanted() -> anyhow::Result<Option<Self>> {
        if id(&["-u"])? != 0 {
            return Ok(None);
        }
        let (user, group) = (id(&["-u", "postgres"])?, id(&["-g", "postgres"])?);
        Ok(Some(Self { user, group }))
    }
}

fn id(args: &[&str]) -> anyhow::Result<u32> {
    let output = Blocking::new("id").args(args).output()?;
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .context("id names no user: is there one for PostgreSQL?")
}
