//! Finds an installed PostgreSQL server.

use std::cmp::Reverse;
use std::env;
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};

use crate::EmbeddedError;
use crate::account::own_command;

const OLDEST_MAJOR: u32 = 13;
const PROGRAMS: [&str; 2] = ["initdb", "postgres"];

/// An installed PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Installation {
    /// The folder that holds `initdb` and `postgres`.
    pub bin_dir: PathBuf,
    /// The client: the one beside them, or else that of another installation, which works as well.
    pub psql: PathBuf,
    /// The major version, for example 15; at least 13.
    pub major: u32,
    /// The full version as the server reports it, for example `15.14`.
    pub version: String,
}

/// Finds the PostgreSQL server that a new cluster would be made with.
///
/// Looks, in this order, at the folder named by `PGMILL_PG_BIN` (which, when set, is the only one considered), the
/// folders of `PATH`, `/usr/lib/postgresql/*/bin`, `/usr/pgsql-*/bin`, Homebrew and Postgres.app, the newest
/// version first within each. Versions before 13 are passed over.
///
/// # Errors
///
/// [`EmbeddedError::NotFound`] when there is none, [`EmbeddedError::BadInstallation`] when `PGMILL_PG_BIN` names a
/// folder without a usable server.
///
/// ```no_run
/// let found = pgmill_embedded::find_installation()?;
/// println!("PostgreSQL {} in {}", found.version, found.bin_dir.display());
/// # Ok::<(), pgmill_embedded::EmbeddedError>(())
/// ```
pub fn find_installation() -> Result<Installation, EmbeddedError> {
    Search::from_environment().newest()
}

/// Where to look.
#[derive(Debug)]
pub(crate) struct Search {
    named: Option<PathBuf>,
    usual: Vec<PathBuf>,
}

impl Search {
    pub(crate) fn from_environment() -> Self {
        let named = env::var_os("PGMILL_PG_BIN").filter(|value| !value.is_empty()).map(PathBuf::from);
        Self::new(named.as_deref())
    }

    /// Only in this folder.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self::new(Some(folder))
    }

    fn new(named: Option<&Path>) -> Self {
        let named = named.map(|folder| std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()));
        let path = env::var_os("PATH").unwrap_or_default();
        // A relative entry of PATH means another folder for each command, which changes its working folder.
        let mut usual: Vec<PathBuf> = env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
        for (parent, prefix, below) in [
            ("/usr/lib/postgresql", "", "bin"),
            ("/usr", "pgsql-", "bin"),
            ("/opt/homebrew/opt", "postgresql@", "bin"),
            ("/usr/local/opt", "postgresql@", "bin"),
            ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
        ] {
            usual.extend(versions_below(Path::new(parent), prefix, below));
        }
        Self { named, usual }
    }

    pub(crate) fn newest(&self) -> Result<Installation, EmbeddedError> {
        match &self.named {
            Some(bin_dir) => self.named(bin_dir),
            None => self.found().next().ok_or_else(|| self.not_found()),
        }
    }

    /// The server that can run an existing cluster: data files are readable by their own major version only.
    pub(crate) fn of_major(&self, major: u32, folder: &Path) -> Result<Installation, EmbeddedError> {
        let mut installed = match &self.named {
            Some(bin_dir) => vec![self.named(bin_dir)?],
            None => self.found().collect(),
        };
        if let Some(index) = installed.iter().position(|found| found.major == major) {
            return Ok(installed.swap_remove(index));
        }
        if installed.is_empty() {
            return Err(self.not_found());
        }
        let installed = installed.into_iter().map(|found| found.major).collect();
        Err(EmbeddedError::VersionMismatch { folder: folder.to_owned(), cluster: major, installed })
    }

    fn found(&self) -> impl Iterator<Item = Installation> {
        self.usual.iter().filter_map(|bin_dir| inspect(bin_dir, &bin_dir.join("psql")).ok())
    }

    fn named(&self, bin_dir: &Path) -> Result<Installation, EmbeddedError> {
        // A server that comes as a package of another language may have no client beside it.
        let mut clients = iter::once(bin_dir)
            .chain(self.usual.iter().map(PathBuf::as_path))
            .map(|folder| folder.join("psql"));
        let psql = clients.find(|psql| psql.is_file()).unwrap_or_else(|| bin_dir.join("psql"));
        inspect(bin_dir, &psql)
            .map_err(|reason| EmbeddedError::BadInstallation { bin_dir: bin_dir.to_owned(), reason })
    }

    fn not_found(&self) -> EmbeddedError {
        let mut searched = self.usual.clone();
        searched.push(PathBuf::from("/usr/lib/postgresql/*/bin"));
        searched.push(PathBuf::from("/usr/pgsql-*/bin"));
        EmbeddedError::NotFound { searched }
    }
}

/// `parent/<prefix><version>/<below>` for each version there, newest first.
fn versions_below(parent: &Path, prefix: &str, below: &str) -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let major = leading_number(name.to_str()?.strip_prefix(prefix)?)?;
            Some((major, entry.path().join(below)))
        })
        .collect();
    versions.sort_by_key(|(major, _)| Reverse(*major));
    versions.into_iter().map(|(_, bin_dir)| bin_dir).collect()
}

/// The server in one folder, or why there is none.
fn inspect(bin_dir: &Path, psql: &Path) -> Result<Installation, String> {
    if let Some(missing) = PROGRAMS.into_iter().find(|program| !bin_dir.join(program).is_file()) {
        return Err(format!("there is no `{missing}`"));
    }
    if !psql.is_file() {
        return Err("there is no `psql`".to_owned());
    }
    let (major, version) = version(&bin_dir.join("postgres"))?;
    if major < OLDEST_MAJOR {
        return Err(format!(
            "it is PostgreSQL {version}, and {OLDEST_MAJOR} is the oldest that is supported"
        ));
    }
    Ok(Installation { bin_dir: bin_dir.to_owned(), psql: psql.to_owned(), major, version })
}

/// The version of a server, major and in full, as its program says it.
fn version(server: &Path) -> Result<(u32, String), String> {
    let output = own_command(server)
        .arg("--version")
        .output()
        .map_err(|error| format!("`postgres --version` cannot be run: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    parse_version(&printed).ok_or_else(|| format!("`postgres --version` printed {:?}", printed.trim()))
}

/// Reads `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn parse_version(printed: &str) -> Option<(u32, String)> {
    let version = printed.split_once("(PostgreSQL)")?.1.split_whitespace().next()?;
    Some((leading_number(version)?, version.to_owned()))
}

fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_packages_betas_and_sources_are_read() {
        let debian = "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n";
        assert_eq!(parse_version(debian), Some((15, "15.14".to_owned())));
        assert_eq!(parse_version("postgres (PostgreSQL) 19beta1\n"), Some((19, "19beta1".to_owned())));
        assert_eq!(parse_version("postgres (PostgreSQL) 9.6.24\n"), Some((9, "9.6.24".to_owned())));
        assert_eq!(parse_version("initdb: error"), None);
    }

    #[test]
    fn the_newest_version_of_a_place_comes_first() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["pgsql-9.6", "pgsql-17", "pgsql-13", "share"] {
            fs::create_dir_all(parent.path().join(name)).unwrap();
        }
        let expected: Vec<PathBuf> =
            ["17", "13", "9.6"].iter().map(|v| parent.path().join(format!("pgsql-{v}/bin"))).collect();
        assert_eq!(versions_below(parent.path(), "pgsql-", "bin"), expected);
    }

    #[test]
    fn a_machine_without_a_server_is_told_which_package_to_install() {
        let empty = tempfile::tempdir().unwrap();
        let search = Search { named: None, usual: vec![empty.path().to_owned()] };
        let message = search.newest().unwrap_err().to_string();
        assert!(message.contains(&empty.path().display().to_string()), "{message}");
        for package in
            ["apt-get install postgresql", "dnf install postgresql-server", "brew install postgresql@"]
        {
            assert!(message.contains(package), "{message}");
        }
    }

    #[test]
    fn a_server_without_a_client_is_used_with_that_of_another() {
        let found = find_installation().unwrap();
        let folder = tempfile::tempdir().unwrap();
        for program in PROGRAMS {
            std::os::unix::fs::symlink(found.bin_dir.join(program), folder.path().join(program)).unwrap();
        }
        let alone = Search { named: Some(folder.path().to_owned()), usual: Vec::new() };
        assert!(alone.newest().unwrap_err().to_string().contains("`psql`"));
        let clients = found.psql.parent().unwrap().to_owned();
        let beside = Search { usual: vec![clients], ..alone };
        let used = beside.newest().unwrap();
        assert_eq!((used.bin_dir.as_path(), used.psql), (folder.path(), found.psql));
    }

    #[test]
    fn a_cluster_of_a_version_that_is_not_installed_is_named() {
        let found = find_installation().unwrap();
        let clients = found.psql.parent().unwrap().to_owned();
        let search = Search { named: Some(found.bin_dir), usual: vec![clients] };
        let message = search.of_major(12, Path::new("/data")).unwrap_err().to_string();
        assert!(message.contains("/data") && message.contains("PostgreSQL 12"), "{message}");
        assert!(message.contains(&format!("(found {}", found.major)), "{message}");
    }
}
