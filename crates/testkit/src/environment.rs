//! What the variables of the environment say about the servers that tests start. `scripts/matrix` sets them, so that all tests
//! run in each environment that docs/compatibility.md lists.

use std::env;
use std::io::Write;
use std::path::PathBuf;
use std::sync::OnceLock;

const SETTINGS: &str = "PGMILL_TEST_SETTINGS";
const CREATE_DATABASE: &str = "PGMILL_TEST_CREATE_DATABASE";
const ROLE: &str = "PGMILL_TEST_ROLE";
const POOLER: &str = "PGMILL_TEST_POOLER";

/// How the servers of the tests are other than usual.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    /// Settings of the server, beside those that the test kit needs itself.
    pub(crate) settings: Vec<(String, String)>,
    /// Options of CREATE DATABASE.
    pub(crate) create_database: String,
    /// Programs under test connect as a role that owns the schema and nothing else.
    pub(crate) role: bool,
    /// The PgBouncer that stands between programs under test and the server.
    pub(crate) pooler: Option<PathBuf>,
}

impl Environment {
    pub(crate) fn get() -> &'static Self {
        static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
        ENVIRONMENT.get_or_init(|| {
            let text = |name| env::var(name).unwrap_or_default();
            Self {
                settings: settings(&text(SETTINGS)),
                create_database: text(CREATE_DATABASE),
                role: !text(ROLE).is_empty(),
                pooler: Some(text(POOLER)).filter(|program| !program.is_empty()).map(PathBuf::from),
            }
        })
    }

    /// Whether it is as usual.
    pub(crate) fn is_usual(&self) -> bool {
        let Self { settings, create_database, role, pooler } = self;
        settings.is_empty() && create_database.is_empty() && !role && pooler.is_none()
    }
}

/// Reads `name=value;name=value`.
fn settings(text: &str) -> Vec<(String, String)> {
    text.split(';')
        .map(str::trim)
        .filter(|setting| !setting.is_empty())
        .map(|setting| match setting.split_once('=') {
            Some((name, value)) => (name.trim().to_owned(), value.trim().to_owned()),
            None => panic!("{SETTINGS} must be name=value;name=value, and has {setting:?}"),
        })
        .collect()
}

/// Whether the URLs of test databases lead through a pooler.
#[doc(hidden)]
pub fn has_pooler() -> bool {
    Environment::get().pooler.is_some()
}

/// Whether the URLs of test databases are of a role that owns the schema and nothing else.
#[doc(hidden)]
pub fn has_plain_role() -> bool {
    Environment::get().role
}

/// Whether the servers of the tests have this setting of their own.
#[doc(hidden)]
pub fn has_setting(name: &str) -> bool {
    Environment::get().settings.iter().any(|(set, _)| set == name)
}

/// Tells why a test is left out, and returns whether it is. For tests that prove something of one environment alone: what is
/// told is counted by `scripts/matrix`, and so goes past the capture of the test runner.
#[doc(hidden)]
pub fn skipped(here: bool, why: &str) -> bool {
    if here {
        let test = std::thread::current();
        let name = test.name().unwrap_or("a test");
        let _ = writeln!(std::io::stderr().lock(), "skipped: {name}: {why}");
    }
    here
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_with_whatever_is_in_their_values() {
        let read = settings("TimeZone = Asia/Kathmandu; DateStyle=German, MDY;;options=a=b");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            read,
            [pair("TimeZone", "Asia/Kathmandu"), pair("DateStyle", "German, MDY"), pair("options", "a=b")]
        );
    }

    #[test]
    #[should_panic(expected = "must be name=value")]
    fn a_setting_without_a_value_is_none() {
        settings("jit");
    }
}
