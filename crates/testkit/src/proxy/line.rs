//! One connection through the proxy.
//!
//! Each way has a task that reads, and one that delivers what was read once the gate lets it pass. Between them is a queue
//! without bounds, so that neither side notices the other's pace, and what a client sent arrives even after it has gone.

use std::io;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::cut::{CutPoint, Mishap};
use super::gate::Way;
use super::hub::Hub;
use super::session::{Met, Session, Verdict};

/// What was read, and when; no bytes at all are the end.
struct Piece {
    arrived: Instant,
    bytes: Vec<u8>,
}

/// The handle by which a connection is cut and observed.
#[derive(Debug)]
pub(super) struct Line {
    client: std::net::TcpStream,
    server: std::net::TcpStream,
    cut: watch::Sender<bool>,
    /// Whether it has fallen silent, at a point of a request.
    silent: AtomicBool,
    /// Until when it stands still, from a point of a request on.
    still: Mutex<Option<Instant>>,
    /// Bytes that were read and not yet delivered, per way.
    waiting: [AtomicUsize; 2],
    session: Mutex<Session>,
}

impl Line {
    /// Second handles on the sockets, so that a cut has happened when the call returns.
    pub(super) fn new(client: TcpStream, server: TcpStream) -> io::Result<(Self, TcpStream, TcpStream)> {
        let (client, server) = (client.into_std()?, server.into_std()?);
        let line = Self {
            client: client.try_clone()?,
            server: server.try_clone()?,
            cut: watch::Sender::new(false),
            silent: AtomicBool::new(false),
            still: Mutex::default(),
            waiting: Default::default(),
            session: Mutex::default(),
        };
        Ok((line, TcpStream::from_std(client)?, TcpStream::from_std(server)?))
    }

    /// Breaks the connection. The server is sent nothing more; `finish` lets it read what it was sent.
    fn close(&self, finish: bool) {
        self.cut.send_replace(true);
        // Whoever has closed its end already cannot be told again.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(if finish { Shutdown::Write } else { Shutdown::Both });
    }

    pub(super) fn cut(&self) {
        self.close(false);
    }

    pub(super) fn waiting(&self, way: Way) -> usize {
        self.waiting[way as usize].load(Ordering::SeqCst)
    }

    fn is_cut(&self) -> bool {
        *self.cut.borrow()
    }

    fn verdict(&self, way: Way, bytes: &[u8], hub: &Hub) -> Verdict {
        let mut session = self.session();
        match (way, bytes.is_empty()) {
            (Way::ToServer, false) => session.request(bytes, hub.arms()),
            (Way::ToServer, true) => Verdict::default(),
            (Way::ToClient, false) => session.answer(bytes),
            (Way::ToClient, true) => Verdict { forward: session.end(), met: None },
        }
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn still(&self) -> MutexGuard<'_, Option<Instant>> {
        self.still.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it does not stand still any more.
    async fn stand(&self) {
        loop {
            let until = *self.still();
            match until.filter(|until| *until > Instant::now()) {
                Some(until) => sleep_until(until).await,
                None => return,
            }
        }
    }

    /// Carries bytes until the server's end of the connection has reached the client, or the connection is cut.
    pub(super) async fn run(self: Arc<Self>, client: TcpStream, server: TcpStream, hub: Arc<Hub>) {
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let (requests, sent) = mpsc::unbounded_channel();
        let (answers, answered) = mpsc::unbounded_channel();
        let (line, hub) = (&*self, &*hub);
        tokio::select! {
            () = line.deliver(Way::ToClient, answered, to_client, hub) => {}
            _ = async {
                tokio::join!(
                    line.read(Way::ToServer, from_client, requests),
                    line.read(Way::ToClient, from_server, answers),
                    line.deliver(Way::ToServer, sent, to_server, hub),
                );
                // All is read; what is left to do is to deliver it.
                std::future::pending::<()>().await;
            } => {}
        }
    }

    async fn read(&self, way: Way, mut from: OwnedReadHalf, queue: mpsc::UnboundedSender<Piece>) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            // A broken connection is at its end, as is one that was closed.
            let count = from.read(&mut buffer).await.unwrap_or(0);
            self.waiting[way as usize].fetch_add(count, Ordering::SeqCst);
            let piece = Piece { arrived: Instant::now(), bytes: buffer[..count].to_vec() };
            if queue.send(piece).is_err() || count == 0 {
                return;
            }
        }
    }

    async fn deliver(
        &self,
        way: Way,
        mut queue: mpsc::UnboundedReceiver<Piece>,
        mut to: OwnedWriteHalf,
        hub: &Hub,
    ) {
        let mut deaf = false;
        while let Some(Piece { arrived, bytes }) = queue.recv().await {
            hub.gate(way).pass(arrived).await;
            self.stand().await;
            self.waiting[way as usize].fetch_sub(bytes.len(), Ordering::SeqCst);
            // Nothing that comes after a gap is ever delivered, as in TCP; nor is the news of the end.
            deaf |= hub.gate(way).swallows() || self.silent.load(Ordering::SeqCst);
            if deaf {
                hub.swallowed(way, bytes.len());
                if bytes.is_empty() {
                    // The sender of this outlives the wait.
                    let _ = self.cut.subscribe().wait_for(|cut| *cut).await;
                }
            } else if !self.is_cut() {
                self.forward(way, &bytes, &mut to, hub).await;
            }
            if bytes.is_empty() {
                return;
            }
        }
    }

    async fn forward(&self, way: Way, bytes: &[u8], to: &mut OwnedWriteHalf, hub: &Hub) {
        let Verdict { mut forward, mut met } = self.verdict(way, bytes, hub);
        while let Some(Met { arm, rest }) = met {
            // Before the server is sent what it answers, so that the answer meets it too.
            let until = self.prepare(arm.mishap);
            // The other side may be gone; what comes from this one is read to its end all the same.
            let _ = to.write_all(&forward).await;
            let mishap = arm.mishap;
            if mishap == Mishap::Cut {
                self.close(arm.point == CutPoint::AfterRequest);
                hub.forget(self);
            }
            arm.tell();
            match mishap {
                Mishap::Cut => return,
                Mishap::Delay(_) => {}
                Mishap::Swallow(length) => {
                    hub.swallowed(way, rest.len());
                    sleep(length).await;
                    self.close(false);
                    hub.forget(self);
                    return;
                }
            }
            self.waiting[way as usize].fetch_add(rest.len(), Ordering::SeqCst);
            sleep_until(until).await;
            self.waiting[way as usize].fetch_sub(rest.len(), Ordering::SeqCst);
            let next = self.session().resume(way, hub.arms());
            (forward, met) = ([rest, next.forward].concat(), next.met);
        }
        let _ = to.write_all(&forward).await;
        if bytes.is_empty() {
            let _ = to.shutdown().await;
        }
    }

    /// Has the other way stand still, or lose what comes.
    fn prepare(&self, mishap: Mishap) -> Instant {
        let mut until = Instant::now();
        match mishap {
            Mishap::Cut => {}
            Mishap::Swallow(_) => self.silent.store(true, Ordering::SeqCst),
            Mishap::Delay(length) => {
                until += length;
                *self.still() = Some(until);
            }
        }
        until
    }
}
