//! The machine that was measured on.

use std::fs;
use std::path::Path;

use tokio_postgres::Client;

use crate::server::SETTINGS;

const SERVER: &str = "SELECT current_setting('server_version') AS version, \
    to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS today";

/// The machine, the server, its settings and the date, in one line.
pub(crate) async fn describe(control: &Client, dir: Option<&Path>) -> anyhow::Result<String> {
    let row = control.query_one(SERVER, &[]).await?;
    let (version, today): (String, String) = (row.try_get("version")?, row.try_get("today")?);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let folder = dir.map_or_else(std::env::temp_dir, Path::to_owned);
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let settings: Vec<_> = SETTINGS.iter().map(|(name, value)| format!("{name} {value}")).collect();
    Ok(format!(
        "{today}, {cores} cores ({}), {:.0} GiB of memory, data on {}, load {} at the start, PostgreSQL {version}: {}",
        after(&cpu, "model name").unwrap_or("unknown"),
        after(&memory, "MemTotal").and_then(kilobytes).unwrap_or_default() / f64::from(1 << 20),
        file_system(&mounts, &fs::canonicalize(folder)?).unwrap_or("unknown"),
        load.split(' ').next().unwrap_or("unknown"),
        settings.join(", "),
    ))
}

/// What stands after a name and a colon.
fn after<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

fn kilobytes(text: &str) -> Option<f64> {
    text.strip_suffix(" kB")?.parse().ok()
}

/// The type of the innermost file system that holds a folder.
fn file_system<'a>(mounts: &'a str, folder: &Path) -> Option<&'a str> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let holding = mounts.filter(|(point, _)| folder.starts_with(point));
    holding.max_by_key(|(point, _)| point.len()).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_is_the_innermost_one() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /dev/shm tmpfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/dev/shm/x")), Some("tmpfs"));
        assert_eq!(file_system(mounts, Path::new("/dev/shmx")), Some("ext4"));
    }
}
