//! The password file, `~/.pgpass`.

use std::fs;
use std::path::{Path, PathBuf};

use super::options::{Host, Place};

/// Where the password file is: as given, or in the home directory.
pub(super) fn path(given: Option<&str>, home: Option<&Path>) -> Option<PathBuf> {
    given.map(PathBuf::from).or_else(|| Some(home?.join(".pgpass")))
}

/// What the password file has for one host.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    Found(String),
    /// There is no file, or no line in it that matches.
    NoEntry,
    /// The file is not used, for this reason.
    Ignored(String),
}

/// Looks for the first line that matches. The file must be readable by its owner alone, as for libpq.
pub(super) fn look_up(path: &Path, host: &Host, database: &str, user: &str) -> Lookup {
    let Ok(metadata) = fs::metadata(path) else { return Lookup::NoEntry };
    if !metadata.is_file() {
        return Lookup::Ignored(format!("the password file {} is not a file", path.display()));
    }
    if open_to_others(&metadata) {
        let path = path.display();
        return Lookup::Ignored(format!(
            "the password file {path} is ignored because others than its owner have access to it: chmod 0600 {path}"
        ));
    }
    match fs::read_to_string(path) {
        Ok(text) => find(&text, host, database, user).map_or(Lookup::NoEntry, Lookup::Found),
        Err(error) => Lookup::Ignored(format!("cannot read the password file {}: {error}", path.display())),
    }
}

#[cfg(unix)]
fn open_to_others(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn open_to_others(_: &fs::Metadata) -> bool {
    false
}

pub(super) fn find(text: &str, host: &Host, database: &str, user: &str) -> Option<String> {
    let name = match &host.place {
        Place::Tcp { name, .. } => name.clone(),
        // The default socket directories count as localhost.
        Place::Socket(path)
            if [Path::new("/var/run/postgresql"), Path::new("/tmp")].contains(&path.as_path()) =>
        {
            "localhost".to_owned()
        }
        Place::Socket(path) => path.display().to_string(),
    };
    let port = host.port.to_string();
    let wanted = [name.as_str(), &port, database, user];
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut rest = line;
        for wanted in wanted {
            let (raw, field, tail) = take_field(rest)?;
            if raw != "*" && field != wanted {
                return None;
            }
            rest = tail?;
        }
        let (_, password, _) = take_field(rest)?;
        (!password.is_empty()).then_some(password)
    })
}

/// Takes a field up to the next colon: as written, with its backslashes resolved, and what follows the colon.
fn take_field(text: &str) -> Option<(&str, String, Option<&str>)> {
    let mut field = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            ':' => return Some((&text[..at], field, Some(&text[at + 1..]))),
            '\\' => field.extend(chars.next().map(|(_, escaped)| escaped)),
            c => field.push(c),
        }
    }
    Some((text, field, None))
}
