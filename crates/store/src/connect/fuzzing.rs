//! What holds of any connection string and of any password file.

use super::conninfo;
use super::options::ConnectOptions;
use super::passfile;

/// A connection string, and below it, after a line feed, a password file. Nothing panics; what is taken can be shown without
/// its password; and what was split can be written as pairs again that mean the same.
///
/// # Panics
/// If something does not hold.
pub fn connections(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else { return };
    let (text, passwords) = input.split_once('\n').unwrap_or((input, ""));
    if let Ok(settings) = conninfo::split(text) {
        let pairs: Vec<String> = settings.iter().map(|(name, value)| pair(name, value)).collect();
        if settings.iter().all(|(name, _)| is_writable(name)) {
            let again = conninfo::split(&format!(" {}", pairs.join(" ")));
            let spaced = settings.iter().any(|(name, _)| name.contains(char::is_whitespace));
            assert!(spaced || again.is_ok_and(|again| again == settings), "{pairs:?}");
        }
    }
    let options = match ConnectOptions::parse_with(text, |_| None) {
        Ok(options) => options,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!(!options.hosts.is_empty() && !options.host_label().is_empty());
    let mut other = options.clone();
    other.password = other.password.map(|_| "other".to_owned());
    assert_eq!(format!("{options:?}"), format!("{other:?}"), "the password is no part of what is shown");
    for host in &options.hosts {
        let _ = passfile::find(passwords, host, &options.database, &options.user);
    }
}

/// Whether a name can stand before `=` as it is: one out of a URL may hold what ends it there, or looks like another scheme.
fn is_writable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\'']) && !name.contains("://") && name.trim() == name
}

/// A parameter as `name='value'`.
fn pair(name: &str, value: &str) -> String {
    format!("{name}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}
