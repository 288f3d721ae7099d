//! A PgBouncer in transaction mode, in front of a server that tests started.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const READY: Duration = Duration::from_secs(10);
/// Whom it runs as where the tests run as root, which it refuses. Debian's package brings this user.
const ACCOUNT: &str = "postgres";
/// Ends with whoever holds the other end of its standard input, however that one ends.
const GUARDED: &str = r#""$@" & read -r _; kill $!; wait"#;

/// A pooler, which ends when it is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct Pooler {
    address: SocketAddr,
    shell: Child,
    /// Closed, it ends the pooler.
    _lifeline: Option<ChildStdin>,
}

impl Pooler {
    /// Starts it for the server at a port. `users` may log in, by name and password. `folder` is for its files, and may be
    /// read by whoever it runs as.
    pub(crate) fn start(program: &Path, folder: &Path, port: u16, users: &[(&str, &str)]) -> Self {
        let ended = Instant::now() + READY;
        loop {
            let address = free_address();
            write_files(folder, port, address, users);
            let mut pooler = Self::run(program, folder, address);
            while Instant::now() < ended && pooler.runs() {
                if TcpStream::connect(address).is_ok() {
                    return pooler;
                }
                thread::sleep(Duration::from_millis(5));
            }
            // Another program may have taken the port meanwhile.
            let log = fs::read_to_string(folder.join("pgbouncer.log")).unwrap_or_default();
            assert!(Instant::now() < ended, "{} does not start: {log}", program.display());
        }
    }

    fn run(program: &Path, folder: &Path, address: SocketAddr) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", GUARDED, "sh"]).arg(program).arg("-q");
        if is_root() {
            command.args(["-u", ACCOUNT]);
        }
        let mut shell = command
            .arg(folder.join("pgbouncer.ini"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C is for the tests, which end it.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", program.display()));
        Self { address, _lifeline: shell.stdin.take(), shell }
    }

    fn runs(&mut self) -> bool {
        matches!(self.shell.try_wait(), Ok(None))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self._lifeline = None;
        let _ = self.shell.wait();
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .unwrap_or_else(|error| panic!("no port for a pooler: {error}"))
}

fn write_files(folder: &Path, port: u16, address: SocketAddr, users: &[(&str, &str)]) {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        // The folder is closed to others.
        fs::write(&path, text)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o644)))
            .unwrap_or_else(|error| panic!("{} cannot be written: {error}", path.display()));
        path.display().to_string()
    };
    let users: String = users.iter().map(|(name, password)| format!("\"{name}\" \"{password}\"\n")).collect();
    let users = write("pgbouncer.users", &users);
    let log = folder.join("pgbouncer.log");
    // Connections to a database that a test is through with are not kept. One to a server that is restarted is tried anew
    // at once: by default it is fifteen seconds later.
    let settings = format!(
        "[databases]\n* = host=127.0.0.1 port={port}\n\
         [pgbouncer]\nlisten_addr = {}\nlisten_port = {}\nunix_socket_dir =\nauth_type = scram-sha-256\n\
         auth_file = {users}\nlogfile = {}\npool_mode = transaction\nmax_client_conn = 1000\ndefault_pool_size = 20\n\
         server_idle_timeout = 5\nserver_login_retry = 1\nlog_connections = 0\nlog_disconnections = 0\nlog_stats = 0\n",
        address.ip(),
        address.port(),
        log.display(),
    );
    write("pgbouncer.ini", &settings);
}
