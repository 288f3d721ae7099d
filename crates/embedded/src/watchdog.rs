//! Stops the server when the program that started it ends without a word, for example by SIGKILL.
//!
//! A shell reads from a pipe whose other end only the program holds. However the program ends, the system closes
//! the pipe; the shell then stops the server it was told of, and removes what must not outlive it.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use crate::EmbeddedError;
use crate::account::Account;

/// Signals that reach every process of a terminal or a service are ignored: the shell ends with the program.
///
/// The record of the server is compared before each signal, so that a process id that was given to somebody else
/// is left alone. Sixty seconds are for the checkpoint of a clean stop.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
cluster=$1; shift
pid=
while read -r line; do
  [ "$line" = leave ] && exit 0
  pid=$line
done
running() {
  recorded=
  read -r recorded 2>/dev/null < "$cluster/postmaster.pid"
  [ -n "$pid" ] && [ "$recorded" = "$pid" ] && kill -0 "$pid" 2>/dev/null
}
if running; then
  kill -INT "$pid"
  waited=0
  while running && [ "$waited" -lt 700 ]; do
    waited=$((waited + 1))
    [ "$waited" -eq 600 ] && kill -QUIT "$pid"
    sleep 0.1
  done
fi
[ $# -eq 0 ] && exit 0
for _ in 1 2 3 4 5; do
  rm -rf -- "$@" && break
  sleep 1
done
"#;

#[derive(Debug)]
pub(crate) struct Watchdog {
    shell: Child,
}

impl Watchdog {
    /// Watches from now on; `remove` lists the folders that go when the program does.
    pub(crate) fn start(
        account: &Account,
        cluster: &Path,
        remove: &[PathBuf],
    ) -> Result<Self, EmbeddedError> {
        let program = Path::new("/bin/sh");
        let shell = account
            .command(program)
            .args(["-c", SCRIPT, "pgmill-watchdog"])
            .arg(cluster)
            .args(remove)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(EmbeddedError::io("run", program))?;
        Ok(Self { shell })
    }

    /// Names the server to stop.
    pub(crate) fn guard(&mut self, server: u32) {
        self.tell(&server.to_string());
    }

    /// There is no server to stop any more, only folders to remove.
    pub(crate) fn rest(&mut self) {
        self.tell("");
    }

    /// Ends the watch; nothing is stopped or removed.
    pub(crate) fn dismiss(mut self) {
        self.tell("leave");
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }

    /// A shell that is gone cannot be told anything; the server then merely has no watchdog.
    fn tell(&mut self, line: &str) {
        if let Some(pipe) = &mut self.shell.stdin {
            let _ = writeln!(pipe, "{line}");
        }
    }
}
