//! The lines of a file, or of standard input.

use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read, Stdin};
use std::path::Path;

use anyhow::Context;
use tokio::sync::mpsc::{self, Receiver, Sender};

/// The longest line, in bytes: what the server takes in one request.
pub(super) const LONGEST: usize = 8 << 20;
/// How many lines are read ahead.
const AHEAD: usize = 1_000;

/// Lines as they are read.
#[derive(Debug)]
pub(super) struct Lines {
    /// How many bytes there are, if that is known.
    pub(super) bytes: Option<u64>,
    lines: Receiver<io::Result<Vec<u8>>>,
}

impl Lines {
    /// Begins to read.
    ///
    /// # Errors
    ///
    /// If there is no such file.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let (sender, lines) = mpsc::channel(AHEAD);
        let bytes = if path.as_os_str() == "-" {
            spawn(io::stdin(), sender, |stdin: Stdin| BufReader::new(stdin));
            None
        } else {
            let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
            let bytes = file.metadata().ok().filter(Metadata::is_file).map(|data| data.len());
            spawn(file, sender, BufReader::new);
            bytes
        };
        Ok(Self { bytes, lines })
    }

    /// The next line with its end; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        self.lines.recv().await
    }
}

/// Reads on a thread that nobody waits for: standard input may never say anything more.
fn spawn<F: Send + 'static, R: BufRead>(
    source: F,
    to: Sender<io::Result<Vec<u8>>>,
    reader: impl FnOnce(F) -> R + Send + 'static,
) {
    std::thread::spawn(move || {
        let mut reader = reader(source);
        loop {
            let mut line = Vec::new();
            let read = reader.by_ref().take(LONGEST as u64 + 1).read_until(b'\n', &mut line);
            let over = !matches!(read, Ok(1..));
            if matches!(read, Ok(0)) || to.blocking_send(read.map(|_| line)).is_err() || over {
                return;
            }
        }
    });
}
