use std::borrow::{Borrow, Cow};
use std::sync::Arc;

/// What a [`NameError`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NameKind {
    /// A [`Namespace`].
    Namespace,
    /// A [`QueueName`].
    Queue,
    /// A [`TickerName`].
    Ticker,
    /// A [`WorkerName`].
    Worker,
    /// A [`Key`].
    Key,
    /// A [`TokenName`].
    Token,
}

impl NameKind {
    const fn noun(self) -> &'static str {
        match self {
            NameKind::Namespace => "namespace",
            NameKind::Queue => "queue name",
            NameKind::Ticker => "ticker name",
            NameKind::Worker => "worker",
            NameKind::Key => "key",
            NameKind::Token => "token name",
        }
    }

    const fn missing(self) -> &'static str {
        match self {
            NameKind::Namespace => "namespace must not be empty",
            NameKind::Queue => "Missing queue name",
            NameKind::Ticker => "Missing ticker name",
            NameKind::Worker => "Missing worker",
            NameKind::Key => "Missing key",
            NameKind::Token => "Missing token name",
        }
    }
}

/// A name that cannot be used.
///
/// The message is the one the REST contract prescribes; [`allowed`](NameError::allowed) says what would do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The name is empty or blank.
    #[error("{}", .kind.missing())]
    Missing {
        /// What the name is for.
        kind: NameKind,
    },
    /// The name holds a character that is not allowed there, or is an identifier that is too long.
    #[error("Invalid {}: {value:?}", .kind.noun())]
    Invalid {
        /// What the name is for.
        kind: NameKind,
        /// The name as it was given.
        value: String,
    },
    /// The namespace is one that pgmill keeps for itself.
    #[error("namespace is reserved for system use")]
    Reserved,
    /// The name has too many characters.
    #[error("{} has {length} characters, at most {limit} are allowed", .kind.noun())]
    TooLong {
        /// What the name is for.
        kind: NameKind,
        /// How many characters it has.
        length: usize,
        /// How many it may have.
        limit: usize,
    },
}

impl NameError {
    /// What the name is for.
    #[must_use]
    pub const fn kind(&self) -> NameKind {
        match self {
            NameError::Missing { kind }
            | NameError::Invalid { kind, .. }
            | NameError::TooLong { kind, .. } => *kind,
            NameError::Reserved => NameKind::Namespace,
        }
    }

    /// What is allowed, as a phrase that can follow the message.
    #[must_use]
    pub const fn allowed(&self) -> &'static str {
        match self.kind() {
            NameKind::Namespace => {
                "a letter, then up to 49 letters, digits, hyphens or underscores; not pgmill or pgqueue"
            }
            NameKind::Queue | NameKind::Ticker | NameKind::Token => {
                "a letter, then up to 63 letters, digits, hyphens or underscores; upper case becomes lower case"
            }
            NameKind::Worker => "1 to 255 characters, none of them a control character",
            NameKind::Key => "1 to 255 characters, none of them NUL",
        }
    }
}

/// Declares a name type over a rule, `fn(&str) -> Result<Cow<str>, NameError>`, that checks and normalises.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, new $rule:path, read $read:path, described $schema:ident) => {
        $(#[$doc])*
        ///
        /// Cloning is cheap.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Normalises and checks a name.
            ///
            /// # Errors
            ///
            /// [`NameError`] if the name breaks the rule of this type.
            pub fn new(name: &str) -> Result<$name, NameError> {
                $rule(name).map(|name| $name(name.into()))
            }

            /// The normalised name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        #[cfg(feature = "openapi")]
        crate::openapi::described!($name, crate::openapi::$schema());

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.as_str())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;

            fn from_str(name: &str) -> Result<$name, NameError> {
                $name::new(name)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = NameError;

            fn try_from(name: &str) -> Result<$name, NameError> {
                $name::new(name)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(name: String) -> Result<$name, NameError> {
                $name::new(&name)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                let name = <String as serde::Deserialize>::deserialize(deserializer)?;
                $read(&name).map(|name| $name(name.into())).map_err(serde::de::Error::custom)
            }
        }
    };
}

name! {
    /// What isolates one application's queues from another's in the same database.
    ///
    /// A letter followed by up to 49 ASCII letters, digits, hyphens or underscores. White space around it is
    /// removed; case is kept, and matters. `pgmill` and `pgqueue`, in any case, are reserved.
    ///
    /// Reading one from JSON accepts the [system namespace](Namespace::system) too, because that is where objects
    /// are read back that the system owns; input should be checked with [`new`](Namespace::new).
    ///
    /// ```
    /// use pgmill_schema::{NameError, Namespace};
    ///
    /// assert_eq!(Namespace::new(" myApp ")?.as_str(), "myApp");
    /// assert_eq!(Namespace::new("PgMill"), Err(NameError::Reserved));
    /// # Ok::<(), NameError>(())
    /// ```
    Namespace, new namespace, read namespace_or_system, described namespace
}

name! {
    /// The name of a queue within its namespace.
    ///
    /// White space around it is removed and upper case becomes lower case; then it must be a letter followed by up
    /// to 63 ASCII letters, digits, hyphens or underscores.
    ///
    /// ```
    /// use pgmill_schema::{NameError, QueueName};
    ///
    /// assert_eq!(QueueName::new("  CaSe-1  ")?.as_str(), "case-1");
    /// assert_eq!(QueueName::new("a b").unwrap_err().to_string(), r#"Invalid queue name: "a b""#);
    /// # Ok::<(), NameError>(())
    /// ```
    QueueName, new queue, read queue, described name
}

name! {
    /// The name of a ticker within its namespace. The rule is that of [`QueueName`].
    TickerName, new ticker, read ticker, described name
}

name! {
    /// The name of a [`Token`](crate::Token), under which the audit speaks of who uses it. The rule is that of
    /// [`QueueName`].
    TokenName, new token, read token, described name
}

name! {
    /// The label under which a worker retains tasks: 1 to 255 characters, none of them a control character, without
    /// white space around it.
    ///
    /// It is shown to people and proves nothing: two processes may use the same name.
    WorkerName, new worker, read worker, described worker
}

name! {
    /// An idempotency key: 1 to 255 characters, none of them NUL, used exactly as given.
    Key, new key, read key, described key
}

/// The namespace of pgmill's own tickers.
const SYSTEM: &str = "pgmill";
/// The system namespace, and that of the reference system, with which a database may be shared.
const RESERVED: [&str; 2] = [SYSTEM, "pgqueue"];
const NAMESPACE_CHARS: usize = 50;
const IDENTIFIER_CHARS: usize = 64;
const LABEL_CHARS: usize = 255;

impl Namespace {
    /// The namespace `pgmill`, in which pgmill keeps its maintenance tickers and which nobody else can name.
    #[must_use]
    pub fn system() -> Namespace {
        Namespace(SYSTEM.into())
    }

    /// Checks a name as [`new`](Namespace::new) does, but lets the system namespace pass: for names read back from
    /// the database.
    ///
    /// # Errors
    ///
    /// [`NameError`] if the name breaks the rule of this type.
    pub fn from_stored(name: &str) -> Result<Namespace, NameError> {
        namespace_or_system(name).map(|name| Namespace(name.into()))
    }
}

fn namespace(given: &str) -> Result<Cow<'_, str>, NameError> {
    let name = identifier(given, given.trim().into(), NameKind::Namespace, NAMESPACE_CHARS)?;
    if RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
        return Err(NameError::Reserved);
    }
    Ok(name)
}

fn namespace_or_system(given: &str) -> Result<Cow<'_, str>, NameError> {
    if given == SYSTEM { Ok(given.into()) } else { namespace(given) }
}

fn queue(given: &str) -> Result<Cow<'_, str>, NameError> {
    identifier(given, lower_case(given.trim()), NameKind::Queue, IDENTIFIER_CHARS)
}

fn ticker(given: &str) -> Result<Cow<'_, str>, NameError> {
    identifier(given, lower_case(given.trim()), NameKind::Ticker, IDENTIFIER_CHARS)
}

fn token(given: &str) -> Result<Cow<'_, str>, NameError> {
    identifier(given, lower_case(given.trim()), NameKind::Token, IDENTIFIER_CHARS)
}

/// Most names are in lower case already.
fn lower_case(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        name.into()
    } else {
        name.to_lowercase().into()
    }
}

fn worker(given: &str) -> Result<Cow<'_, str>, NameError> {
    label(given, given.trim(), NameKind::Worker, char::is_control)
}

fn key(given: &str) -> Result<Cow<'_, str>, NameError> {
    label(given, given, NameKind::Key, |char| char == '\0')
}

fn identifier<'a>(
    given: &str,
    name: Cow<'a, str>,
    kind: NameKind,
    limit: usize,
) -> Result<Cow<'a, str>, NameError> {
    if name.is_empty() {
        return Err(NameError::Missing { kind });
    }
    let valid = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.len() <= limit
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if valid { Ok(name) } else { Err(NameError::Invalid { kind, value: given.to_owned() }) }
}

fn label<'a>(
    given: &str,
    name: &'a str,
    kind: NameKind,
    forbidden: fn(char) -> bool,
) -> Result<Cow<'a, str>, NameError> {
    if name.is_empty() {
        return Err(NameError::Missing { kind });
    }
    let length = name.chars().count();
    if length > LABEL_CHARS {
        return Err(NameError::TooLong { kind, length, limit: LABEL_CHARS });
    }
    if name.contains(forbidden) {
        return Err(NameError::Invalid { kind, value: given.to_owned() });
    }
    Ok(name.into())
}
