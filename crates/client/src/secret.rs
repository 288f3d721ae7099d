//! Text that must not be shown.

use std::fmt;

/// A token that proves who is asking. It is never printed: not by `Debug`, not in an error, and not in a trace.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes a token, without the white space around it.
    #[must_use]
    pub fn new(text: impl AsRef<str>) -> Secret {
        Secret(text.as_ref().trim().to_owned())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret::new(text)
    }
}
