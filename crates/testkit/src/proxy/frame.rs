//! Divides a stream of bytes into messages of PostgreSQL's protocol.

/// The start of a connection's first message, and the code in it.
const PREFIX: usize = 8;
/// PostgreSQL accepts no longer first message.
const LONGEST_FIRST: usize = 10_000;

/// What a first message asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// TLS or GSSAPI encryption, answered with one byte.
    Encryption,
    /// To cancel a statement of another connection; there is no answer.
    Cancel,
    /// A session.
    Session,
}

/// Bytes that are not yet a complete message.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: Vec<u8>,
    taken: usize,
}

impl Frames {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message after the first: one byte of type, four of length, the rest.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        let length = number(self.buffer.get(self.taken + 1..self.taken + 5)?);
        self.take(1 + length)
    }

    /// The first message of a client: no type, and a code behind the length. `Err` when it is none.
    pub(super) fn first(&mut self) -> Result<Option<(First, Vec<u8>)>, NotPostgres> {
        let Some(prefix) = self.buffer.get(self.taken..self.taken + PREFIX) else { return Ok(None) };
        let length = number(&prefix[..4]);
        let first = match number(&prefix[4..]) {
            80_877_102 => First::Cancel,
            80_877_103 | 80_877_104 => First::Encryption,
            _ => First::Session,
        };
        if !(PREFIX..=LONGEST_FIRST).contains(&length) {
            return Err(NotPostgres);
        }
        Ok(self.take(length).map(|frame| (first, frame)))
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let byte = *self.buffer.get(self.taken)?;
        self.taken += 1;
        Some(byte)
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        let rest = self.buffer.split_off(self.taken);
        self.buffer.clear();
        self.taken = 0;
        rest
    }

    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        let frame = self.buffer.get(self.taken..self.taken + length)?.to_vec();
        self.taken += length;
        Some(frame)
    }
}

/// The client speaks something else, such as TLS at once.
#[derive(Debug)]
pub(super) struct NotPostgres;

/// The zero-terminated texts that the body of a message starts with.
pub(super) fn texts(frame: &[u8]) -> impl Iterator<Item = &[u8]> {
    frame.get(5..).unwrap_or_default().split(|byte| *byte == 0)
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| (number << 8) | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_however_the_bytes_arrive() {
        let mut first = vec![0, 0, 0, 9, 0, 3, 0, 0, 0];
        let second = [b'Q', 0, 0, 0, 7, b'h', b'i', 0];
        first.extend(second);
        let mut frames = Frames::default();
        let mut seen = Vec::new();
        for byte in first {
            frames.push(&[byte]);
            if seen.is_empty() {
                seen.extend(frames.first().unwrap().map(|(first, frame)| (first == First::Session, frame)));
            } else {
                seen.extend(frames.next().map(|frame| (true, frame)));
            }
        }
        assert_eq!(seen.len(), 2);
        assert!(seen[0].0);
        assert_eq!(seen[1].1, second);
        assert_eq!(texts(&second).next(), Some(&b"hi"[..]));
    }

    #[test]
    fn a_client_that_starts_with_tls_is_recognised() {
        let mut frames = Frames::default();
        frames.push(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01]);
        assert!(frames.first().is_err());
        assert_eq!(frames.rest().len(), 8);
    }
}
