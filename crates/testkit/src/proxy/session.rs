//! Follows the protocol of one connection, to know which bytes belong to which request.

use std::collections::{HashMap, VecDeque};

use super::cut::{Arm, Arms, CutPoint};
use super::frame::{First, Frames, NotPostgres, texts};
use super::gate::Way;

/// What to do with bytes that arrived.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// To be passed on.
    pub(super) forward: Vec<u8>,
    /// What befalls the connection then.
    pub(super) met: Option<Met>,
}

/// A mishap at its point.
#[derive(Debug)]
pub(super) struct Met {
    pub(super) arm: Arm,
    /// What comes next, if anything still does; and what [`Session::resume`] has then.
    pub(super) rest: Vec<u8>,
}

impl Verdict {
    fn pass(forward: Vec<u8>) -> Self {
        Self { forward, met: None }
    }
}

/// What the server still owes an answer to.
#[derive(Debug)]
enum Owed {
    /// One byte: whether it speaks the encryption asked for.
    Encryption,
    /// Messages up to the `ReadyForQuery` that the start of a session, a simple query or a Sync brings about.
    Ready { sync: bool, arm: Option<Arm> },
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
    /// What waits for a point of the request that is being sent.
    arm: Option<Arm>,
    owed: VecDeque<Owed>,
    /// The answer that is being kept back for what befalls it.
    kept: Vec<u8>,
}

impl Session {
    /// Bytes of the client.
    pub(super) fn request(&mut self, bytes: &[u8], arms: &Arms) -> Verdict {
        self.requests.push(bytes);
        self.requests(arms)
    }

    /// Bytes of the server.
    pub(super) fn answer(&mut self, bytes: &[u8]) -> Verdict {
        self.answers.push(bytes);
        self.answers()
    }

    /// Goes on behind a mishap, with the bytes that came with those before it.
    pub(super) fn resume(&mut self, way: Way, arms: &Arms) -> Verdict {
        match way {
            Way::ToServer => self.requests(arms),
            Way::ToClient => self.answers(),
        }
    }

    fn requests(&mut self, arms: &Arms) -> Verdict {
        let mut forward = Vec::new();
        while !self.started && !self.opaque {
            match self.requests.first() {
                Ok(Some((first, frame))) => {
                    forward.extend(frame);
                    self.begin(first);
                }
                Ok(None) => return Verdict::pass(forward),
                Err(NotPostgres) => self.opaque = true,
            }
        }
        if self.opaque {
            forward.extend(self.requests.rest());
            return Verdict::pass(forward);
        }
        while let Some(frame) = self.requests.next() {
            match self.frame(&frame, arms).and_then(Arm::strike) {
                None => forward.extend(frame),
                Some(arm) if arm.point == CutPoint::BeforeRequest => {
                    return Verdict { forward, met: Some(Met { arm, rest: frame }) };
                }
                Some(arm) => {
                    forward.extend(frame);
                    return Verdict { forward, met: Some(Met { arm, rest: Vec::new() }) };
                }
            }
        }
        Verdict::pass(forward)
    }

    fn begin(&mut self, first: First) {
        match first {
            First::Encryption => self.owed.push_back(Owed::Encryption),
            First::Cancel => self.opaque = true,
            First::Session => {
                self.started = true;
                self.owed.push_back(Owed::Ready { sync: false, arm: None });
            }
        }
    }

    /// A message of the client, and what befalls the connection by it.
    fn frame(&mut self, frame: &[u8], arms: &Arms) -> Option<Arm> {
        let mut texts = texts(frame);
        match frame[0] {
            b'P' => {
                let (name, statement) = (texts.next()?, texts.next()?);
                self.statements.insert(name.to_owned(), statement.to_owned());
                None
            }
            // One mishap is enough for a request.
            b'B' if self.arm.is_none() => {
                let statement = texts.nth(1).and_then(|name| self.statements.get(name))?;
                let met = arms.meet(statement)?;
                if met.point == CutPoint::BeforeRequest {
                    return Some(met);
                }
                self.arm = Some(met);
                None
            }
            b'Q' => {
                let met = texts.next().and_then(|statement| arms.meet(statement));
                self.owe(false, met)
            }
            b'S' => {
                let met = self.arm.take();
                self.owe(true, met)
            }
            _ => None,
        }
    }

    /// The server owes an answer now; returns what does not wait for it.
    fn owe(&mut self, sync: bool, met: Option<Arm>) -> Option<Arm> {
        let (now, later) = match met {
            Some(arm) if matches!(arm.point, CutPoint::BeforeRequest | CutPoint::AfterRequest) => {
                (Some(arm), None)
            }
            met => (None, met),
        };
        self.owed.push_back(Owed::Ready { sync, arm: later });
        now
    }

    fn answers(&mut self) -> Verdict {
        let mut forward = Vec::new();
        loop {
            if self.opaque {
                forward.extend(self.answers.rest());
                return Verdict::pass(forward);
            }
            if let Some(Owed::Encryption) = self.owed.front() {
                let Some(byte) = self.answers.byte() else { return Verdict::pass(forward) };
                forward.push(byte);
                self.owed.pop_front();
                self.opaque = byte != b'N';
                continue;
            }
            let Some(frame) = self.answers.next() else { return Verdict::pass(forward) };
            let (keeps, complete) = (self.keeps(), self.complete(frame[0]));
            if keeps {
                self.kept.extend(frame);
            } else {
                forward.extend(frame);
            }
            let Some(arm) = complete else { continue };
            let mut kept = std::mem::take(&mut self.kept);
            let Some(arm) = arm.strike() else {
                forward.append(&mut kept);
                continue;
            };
            let through = if arm.point == CutPoint::MidAnswer { kept.len() / 2 } else { 0 };
            let rest = kept.split_off(through);
            forward.append(&mut kept);
            return Verdict { forward, met: Some(Met { arm, rest }) };
        }
    }

    /// Whether the answer that comes in is kept back until it is complete.
    fn keeps(&self) -> bool {
        matches!(self.owed.front(), Some(Owed::Ready { arm: Some(arm), .. }) if arm.point != CutPoint::AfterAnswer)
    }

    /// Takes note of a message of the server; returns what waited for the end of the answer, if this is it.
    fn complete(&mut self, kind: u8) -> Option<Arm> {
        let Some(Owed::Ready { sync, arm }) = self.owed.front_mut() else { return None };
        // At a G, the server reads rows from now on, and no Sync before they have ended: the one that was sent with the
        // request is lost, and the client sends another. A simple query goes on to its end.
        let (answered, over) = (matches!(kind, b'Z' | b'G'), kind == b'Z' || (kind == b'G' && *sync));
        let arm = if answered { arm.take() } else { None };
        if over {
            self.owed.pop_front();
        }
        arm
    }

    /// What is left when the server has closed the connection.
    pub(super) fn end(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.kept);
        rest.extend(self.answers.rest());
        rest
    }
}
