//! Follows the protocol of one connection, to know which bytes belong to which request.

use std::collections::{HashMap, VecDeque};

use super::cut::{Arm, Arms, CutPoint};
use super::frame::{First, Frames, NotPostgres, texts};

/// What to do with bytes that arrived.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// To be passed on.
    pub(super) forward: Vec<u8>,
    /// The connection is to be cut then.
    pub(super) cut: Option<Arm>,
}

/// What the server still owes an answer to.
#[derive(Debug)]
enum Owed {
    /// One byte: whether it speaks the encryption asked for.
    Encryption,
    /// Messages up to the `ReadyForQuery` that the start of a session, a simple query or a Sync brings about.
    Ready { sync: bool, cut: Option<Arm> },
}

/// The state of a connection; told of all bytes in the order in which they are passed on.
#[derive(Debug, Default)]
pub(super) struct Session {
    requests: Frames,
    answers: Frames,
    started: bool,
    /// Encrypted, or not PostgreSQL: bytes are passed on as they are.
    opaque: bool,
    statements: HashMap<Vec<u8>, Vec<u8>>,
    /// The cut for the request that is being sent.
    cut: Option<Arm>,
    owed: VecDeque<Owed>,
    /// The answer that is being kept back for a cut.
    kept: Vec<u8>,
}

impl Session {
    /// Bytes of the client.
    pub(super) fn request(&mut self, bytes: &[u8], arms: &Arms) -> Verdict {
        self.requests.push(bytes);
        let mut forward = Vec::new();
        while !self.started && !self.opaque {
            match self.requests.first() {
                Ok(Some((first, frame))) => {
                    forward.extend(frame);
                    self.begin(first);
                }
                Ok(None) => return Verdict { forward, cut: None },
                Err(NotPostgres) => self.opaque = true,
            }
        }
        if self.opaque {
            forward.extend(self.requests.rest());
            return Verdict { forward, cut: None };
        }
        while let Some(frame) = self.requests.next() {
            let cut = self.frame(&frame, arms);
            if let Some(CutPoint::BeforeRequest) = cut.as_ref().map(|arm| arm.point) {
                return Verdict { forward, cut };
            }
            forward.extend(frame);
            if cut.is_some() {
                return Verdict { forward, cut };
            }
        }
        Verdict { forward, cut: None }
    }

    fn begin(&mut self, first: First) {
        match first {
            First::Encryption => self.owed.push_back(Owed::Encryption),
            First::Cancel => self.opaque = true,
            First::Session => {
                self.started = true;
                self.owed.push_back(Owed::Ready { sync: false, cut: None });
            }
        }
    }

    /// A message of the client, and the cut that it brings about.
    fn frame(&mut self, frame: &[u8], arms: &Arms) -> Option<Arm> {
        let mut texts = texts(frame);
        match frame[0] {
            b'P' => {
                let (name, statement) = (texts.next()?, texts.next()?);
                self.statements.insert(name.to_owned(), statement.to_owned());
                None
            }
            // One cut is enough for a request.
            b'B' if self.cut.is_none() => {
                let statement = texts.nth(1).and_then(|name| self.statements.get(name))?;
                let met = arms.meet(statement)?;
                if met.point == CutPoint::BeforeRequest {
                    return Some(met);
                }
                self.cut = Some(met);
                None
            }
            b'Q' => {
                let met = arms.meet(texts.next()?);
                if met.as_ref().is_some_and(|arm| arm.point == CutPoint::BeforeRequest) {
                    return met;
                }
                self.owe(false, met)
            }
            b'S' => {
                let cut = self.cut.take();
                self.owe(true, cut)
            }
            _ => None,
        }
    }

    /// The server owes an answer now; returns the cut that does not wait for it.
    fn owe(&mut self, sync: bool, cut: Option<Arm>) -> Option<Arm> {
        let (now, later) = match cut {
            Some(arm) if arm.point == CutPoint::AfterRequest => (Some(arm), None),
            cut => (None, cut),
        };
        self.owed.push_back(Owed::Ready { sync, cut: later });
        now
    }

    /// Bytes of the server.
    pub(super) fn answer(&mut self, bytes: &[u8]) -> Verdict {
        self.answers.push(bytes);
        let mut forward = Vec::new();
        loop {
            if self.opaque {
                forward.extend(self.answers.rest());
                return Verdict { forward, cut: None };
            }
            if let Some(Owed::Encryption) = self.owed.front() {
                let Some(byte) = self.answers.byte() else { return Verdict { forward, cut: None } };
                forward.push(byte);
                self.owed.pop_front();
                self.opaque = byte != b'N';
                continue;
            }
            let Some(frame) = self.answers.next() else { return Verdict { forward, cut: None } };
            let complete = self.complete(frame[0]);
            let keep = matches!(self.owed.front(), Some(Owed::Ready { cut: Some(_), .. }));
            if keep {
                self.kept.extend(frame);
            } else {
                forward.extend(frame);
            }
            if complete && let Some(Owed::Ready { cut: Some(arm), .. }) = self.owed.pop_front() {
                let half = self.kept.len() / 2;
                if arm.point == CutPoint::MidAnswer {
                    forward.extend(self.kept.drain(..half));
                }
                return Verdict { forward, cut: Some(arm) };
            }
        }
    }

    /// Whether a message is the last of the answer that is owed.
    fn complete(&self, kind: u8) -> bool {
        match kind {
            b'Z' => true,
            // The server reads rows from now on, and no Sync before they have ended: the one that was sent with the
            // request is lost, and the client sends another. A simple query goes on to its end.
            b'G' => matches!(self.owed.front(), Some(Owed::Ready { sync, cut }) if *sync || cut.is_some()),
            _ => false,
        }
    }

    /// What is left when the server has closed the connection.
    pub(super) fn end(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.kept);
        rest.extend(self.answers.rest());
        rest
    }
}
