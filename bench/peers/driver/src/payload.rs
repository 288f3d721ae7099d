//! What tasks carry.

use serde::{Deserialize, Serialize};

/// How many different payloads there are: more than rows on a page, for the server can compress the pages of its WAL.
const DIFFERENT: usize = 256;
/// The JSON around the text.
const AROUND: usize = r#"{"text":""}"#.len();

/// The payload of every task, for every system: random letters, for the server compresses long values.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Payload {
    /// The letters.
    pub text: String,
}

/// Some payloads of a length.
#[derive(Debug)]
pub(crate) struct Payloads(Vec<Payload>);

impl Payloads {
    /// Each is so many bytes as JSON text.
    pub(crate) fn new(bytes: usize) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut letter = || {
            // xorshift64: letters that do not compress, and are the same in each run.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(b'a' + u8::try_from((state >> 32) % 26).unwrap_or_default())
        };
        let text = |_| Payload { text: (AROUND..bytes).map(|_| letter()).collect() };
        Self((0..DIFFERENT).map(text).collect())
    }

    /// The payload of the task with this number.
    pub(crate) fn of(&self, task: usize) -> Payload {
        self.0[task % DIFFERENT].clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_has_the_length_that_was_asked_for_as_json() {
        let payloads = Payloads::new(100);
        let json = serde_json::to_string(&payloads.of(3)).unwrap();
        assert_eq!(json.len(), 100, "{json}");
        assert_ne!(payloads.of(3).text, payloads.of(4).text);
    }
}
