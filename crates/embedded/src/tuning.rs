//! The settings that suit a queue on a small machine, and the file they are written to.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::EmbeddedError;
use crate::account::own_command;

const MIB: u64 = 1 << 20;

/// Settings that the handle depends on: another value would make its answers wrong.
const RESERVED: [&str; 7] = [
    "config_file",
    "data_directory",
    "external_pid_file",
    "hba_file",
    "listen_addresses",
    "port",
    "unix_socket_directories",
];

/// What a start adds to the tuning.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) port: u16,
    pub(crate) socket_dir: &'a Path,
    pub(crate) extra: &'a [(String, String)],
}

/// The text of `pgmill.conf`, which `postgresql.conf` includes.
pub(crate) fn render(memory: Option<u64>, place: &Place<'_>) -> String {
    let mut text = String::from(
        "# Written by pgmill at every start; changes made here are lost.\n\
         # Use ALTER SYSTEM, or postgresql.conf below its include line, for settings of your own.\n",
    );
    let mut set = |name: &str, value: &str| {
        let value = value.replace('\\', "\\\\").replace('\'', "''");
        let _ = writeln!(text, "{name} = '{value}'");
    };
    set("listen_addresses", "127.0.0.1");
    set("port", &place.port.to_string());
    // The setting is a list: quotes keep a comma or a space in the path from dividing it.
    let socket_dir = place.socket_dir.display().to_string().replace('"', "\"\"");
    set("unix_socket_directories", &format!("\"{socket_dir}\""));
    set("unix_socket_permissions", "0700");
    set("password_encryption", "scram-sha-256");
    for (name, value) in DURABILITY.iter().chain(&TUNING) {
        set(name, value);
    }
    set("shared_buffers", &format!("{}MB", shared_buffers(memory) / MIB));
    for (name, value) in place.extra {
        set(name, value);
    }
    text
}

/// A committed task survives a power failure.
const DURABILITY: [(&str, &str); 3] =
    [("fsync", "on"), ("synchronous_commit", "on"), ("full_page_writes", "on")];

const TUNING: [(&str, &str); 14] = [
    ("max_connections", "200"),
    // A queue rewrites the same pages all the time: rare checkpoints mean few full-page images in the log.
    ("checkpoint_timeout", "15min"),
    ("checkpoint_completion_target", "0.9"),
    ("max_wal_size", "4GB"),
    ("wal_compression", "on"),
    ("wal_buffers", "16MB"),
    ("autovacuum_naptime", "10s"),
    // Statements are short; compiling one costs more than it saves.
    ("jit", "off"),
    ("random_page_cost", "1.1"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("lc_messages", "C"),
    ("log_min_messages", "warning"),
    ("log_checkpoints", "off"),
];

/// A quarter of the memory, between 128 MiB and 1 GiB.
fn shared_buffers(memory: Option<u64>) -> u64 {
    (memory.unwrap_or(0) / 4).clamp(128 * MIB, 1024 * MIB)
}

/// The memory this program may use, in bytes: the machine's, or the container's limit when lower.
pub(crate) fn memory() -> Option<u64> {
    let machine = if cfg!(target_os = "macos") {
        let sysctl = own_command(Path::new("/usr/sbin/sysctl")).args(["-n", "hw.memsize"]).output();
        sysctl.ok().and_then(|output| String::from_utf8(output.stdout).ok()?.trim().parse().ok())
    } else {
        fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_of(&text))
    };
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = limits.iter().find_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
    machine.into_iter().chain(limit).min()
}

/// Reads the line `MemTotal:       24684544 kB`.
fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// Rejects what could not be written as one line of the file, or would break the handle.
pub(crate) fn check(name: &str, value: &str) -> Result<(), EmbeddedError> {
    let invalid = |reason: &str| {
        Err(EmbeddedError::Invalid { what: format!("the setting `{name}`"), reason: reason.to_owned() })
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') || !name.chars().all(plain) {
        return invalid("a name consists of letters, digits, `_` and `.`, and starts with a letter or `_`");
    }
    if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
        return invalid("pgmill-embedded chooses it");
    }
    if value.contains(['\n', '\r', '\0']) {
        return invalid("its value must be one line");
    }
    Ok(())
}

/// The port that the last start wrote into the file: clients may still have it in their configuration.
pub(crate) fn port_in(conf: &Path) -> Option<u16> {
    let text = fs::read_to_string(conf).ok()?;
    text.lines().find_map(|line| line.strip_prefix("port = '"))?.strip_suffix('\'')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_buffers_is_a_quarter_of_memory_within_bounds() {
        assert_eq!(shared_buffers(None), 128 * MIB);
        assert_eq!(shared_buffers(Some(256 * MIB)), 128 * MIB);
        assert_eq!(shared_buffers(Some(2048 * MIB)), 512 * MIB);
        assert_eq!(shared_buffers(Some(64 * 1024 * MIB)), 1024 * MIB);
    }

    #[test]
    fn extra_settings_come_last_so_that_they_win() {
        let extra = [("max_connections".to_owned(), "5".to_owned())];
        let place = Place { port: 20_000, socket_dir: Path::new("/it's"), extra: &extra };
        let text = render(None, &place);
        assert!(text.contains("unix_socket_directories = '\"/it''s\"'\n"), "{text}");
        assert!(text.ends_with("max_connections = '5'\n"), "{text}");
    }

    #[test]
    fn settings_that_would_break_the_file_or_the_handle_are_rejected() {
        for (name, value) in [
            ("", "1"),
            ("a b", "1"),
            ("x'", "1"),
            ("1x", "1"),
            ("PORT", "1"),
            ("listen_addresses", "*"),
            ("a", "1\nb"),
        ] {
            assert!(check(name, value).is_err(), "{name:?} {value:?}");
        }
        assert!(check("pg_stat_statements.max", "1000").is_ok());
    }
}
