//! What the connections of a proxy share with the handle that controls them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::{TcpListener, TcpStream};

use super::cut::Arms;
use super::gate::{Gate, Way};
use super::line::Line;

#[derive(Debug)]
pub(super) struct Hub {
    /// `host:port` of the server.
    target: String,
    gates: [Gate; 2],
    swallowed: [AtomicU64; 2],
    arms: Arms,
    refusing: AtomicBool,
    lines: Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    open: Vec<Arc<Line>>,
    /// How often all connections were cut.
    cuts: u64,
}

impl Hub {
    pub(super) fn new(target: String) -> Self {
        Self {
            target,
            gates: Default::default(),
            swallowed: Default::default(),
            arms: Arms::default(),
            refusing: AtomicBool::new(false),
            lines: Mutex::default(),
        }
    }

    pub(super) fn gate(&self, way: Way) -> &Gate {
        &self.gates[way as usize]
    }

    pub(super) fn arms(&self) -> &Arms {
        &self.arms
    }

    pub(super) fn refuse(&self, refusing: bool) {
        self.refusing.store(refusing, Ordering::SeqCst);
    }

    pub(super) fn swallowed(&self, way: Way, bytes: usize) {
        self.swallowed[way as usize].fetch_add(bytes as u64, Ordering::SeqCst);
    }

    pub(super) fn all_swallowed(&self, way: Way) -> u64 {
        self.swallowed[way as usize].load(Ordering::SeqCst)
    }

    pub(super) fn connections(&self) -> usize {
        self.lines().open.len()
    }

    pub(super) fn waiting(&self, way: Way) -> usize {
        self.lines().open.iter().map(|line| line.waiting(way)).sum()
    }

    /// Cuts all connections, also those that are being made.
    pub(super) fn cut(&self) {
        let mut lines = self.lines();
        lines.cuts += 1;
        for line in lines.open.drain(..) {
            line.cut();
        }
    }

    pub(super) fn forget(&self, line: &Line) {
        self.lines().open.retain(|open| !std::ptr::eq(&raw const **open, line));
    }

    /// Accepts connections until it is dropped, and all of them with it.
    pub(super) async fn listen(self: Arc<Self>, listener: TcpListener) {
        loop {
            // What fails here is a connection that broke before it was accepted.
            let Ok((client, _)) = listener.accept().await else { continue };
            if !self.refusing.load(Ordering::SeqCst) {
                tokio::spawn(Arc::clone(&self).serve(client));
            }
        }
    }

    /// A client whose server cannot be reached finds its connection closed.
    async fn serve(self: Arc<Self>, client: TcpStream) {
        let cuts = self.lines().cuts;
        let Ok(server) = TcpStream::connect(&self.target).await else { return };
        // Messages are small, and tests measure how long they take.
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let Ok((line, client, server)) = Line::new(client, server) else { return };
        let line = Arc::new(line);
        {
            let mut lines = self.lines();
            if lines.cuts != cuts {
                return;
            }
            lines.open.push(Arc::clone(&line));
        }
        Arc::clone(&line).run(client, server, Arc::clone(&self)).await;
        self.forget(&line);
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
