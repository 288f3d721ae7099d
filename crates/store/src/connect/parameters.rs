//! The names of the parameters, the environment variables behind them, and how their values are read.

use std::collections::BTreeMap;
use std::time::Duration;

use super::conninfo::Setting;
use super::error::ConnectError;

/// Every parameter that is understood, with the environment variable that is read if it is not given.
const KNOWN: &[(&str, Option<&str>)] = &[
    ("application_name", Some("PGAPPNAME")),
    ("channel_binding", Some("PGCHANNELBINDING")),
    ("client_encoding", None),
    ("connect_timeout", Some("PGCONNECT_TIMEOUT")),
    ("dbname", Some("PGDATABASE")),
    ("fallback_application_name", None),
    ("gssencmode", None),
    ("host", Some("PGHOST")),
    ("hostaddr", Some("PGHOSTADDR")),
    ("keepalives", None),
    ("keepalives_count", None),
    ("keepalives_idle", None),
    ("keepalives_interval", None),
    ("load_balance_hosts", Some("PGLOADBALANCEHOSTS")),
    ("options", Some("PGOPTIONS")),
    ("passfile", Some("PGPASSFILE")),
    ("password", Some("PGPASSWORD")),
    ("pgmill_listen", None),
    ("pgmill_mode", None),
    ("pool_max_conns", None),
    ("port", Some("PGPORT")),
    ("sslcert", Some("PGSSLCERT")),
    ("sslkey", Some("PGSSLKEY")),
    ("ssl_min_protocol_version", Some("PGSSLMINPROTOCOLVERSION")),
    ("sslmode", Some("PGSSLMODE")),
    ("sslnegotiation", Some("PGSSLNEGOTIATION")),
    ("sslrootcert", Some("PGSSLROOTCERT")),
    ("sslsni", Some("PGSSLSNI")),
    ("target_session_attrs", Some("PGTARGETSESSIONATTRS")),
    ("tcp_user_timeout", None),
    ("user", Some("PGUSER")),
];

/// Reads a variable of the environment. A parameter of everything here, so that tests bring their own.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(super) fn known_names() -> String {
    KNOWN.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// The parameters after the environment was consulted. An empty value counts as none, as in libpq.
#[derive(Default)]
pub(super) struct Parameters {
    values: BTreeMap<&'static str, Value>,
}

struct Value {
    text: String,
    /// What to name in an error: the parameter, or the variable it came from.
    origin: &'static str,
}

impl Parameters {
    pub(super) fn gather(settings: Vec<Setting>, env: Environment<'_>) -> Result<Self, ConnectError> {
        let mut values = BTreeMap::new();
        for (name, text) in settings {
            let Some((known, _)) = KNOWN.iter().find(|(known, _)| *known == name) else {
                return Err(unknown(&name));
            };
            values.insert(*known, Value { text, origin: known });
        }
        values.retain(|_, value| !value.text.is_empty());
        for (name, variable) in KNOWN {
            if let Some(variable) = *variable
                && !values.contains_key(name)
                && let Some(text) = env(variable).filter(|text| !text.is_empty())
            {
                values.insert(name, Value { text, origin: variable });
            }
        }
        Ok(Self { values })
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.text.as_str())
    }

    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    /// The parts of a list separated by commas; none at all if the parameter is not given.
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        self.text(name).map(|text| text.split(',').map(str::trim).collect()).unwrap_or_default()
    }

    /// One of a few words, each with its meaning.
    pub(super) fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, ConnectError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => {
                let allowed = words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>();
                Err(self.invalid(name, text, &format!("one of {}", allowed.join(", "))))
            }
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, ConnectError> {
        self.word(name, &[("1", true), ("0", false)])
    }

    pub(super) fn seconds(&self, name: &str) -> Result<Option<Duration>, ConnectError> {
        Ok(self.number(name, 0, "a number of seconds")?.map(Duration::from_secs))
    }

    pub(super) fn milliseconds(&self, name: &str) -> Result<Option<Duration>, ConnectError> {
        Ok(self.number(name, 0, "a number of milliseconds")?.map(Duration::from_millis))
    }

    /// A whole number from `least` to 2³¹−1, the range of libpq.
    pub(super) fn number(&self, name: &str, least: u64, what: &str) -> Result<Option<u64>, ConnectError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.trim().parse() {
            Ok(number) if (least..=i32::MAX as u64).contains(&number) => Ok(Some(number)),
            _ => Err(self.invalid(name, text, &format!("{what} from {least} to {}", i32::MAX))),
        }
    }

    /// The error for a part of the value of a parameter.
    pub(super) fn invalid(&self, name: &str, part: &str, expected: &str) -> ConnectError {
        let origin = self.values.get(name).map_or(name, |value| value.origin);
        ConnectError::invalid(origin, part, expected)
    }
}

fn unknown(name: &str) -> ConnectError {
    // What is no word may be the tail of a password that was not quoted.
    let is_word = name.len() <= 40 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    ConnectError::UnknownParameter {
        name: if is_word { format!("`{name}`") } else { "(not a word, so not shown)".to_owned() },
    }
}
