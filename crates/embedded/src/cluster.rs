//! Makes a cluster: the files of a new PostgreSQL server, closed to everyone without the password.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Stdio;

use crate::EmbeddedError;
use crate::account::Account;
use crate::folder::{Folder, sync_parent, write_private};
use crate::installation::Installation;

/// The superuser of every cluster, and the user of every URL.
pub(crate) const USER: &str = "pgmill";

pub(crate) const CONF: &str = "pgmill.conf";

/// Who may connect: anyone with the password, from this machine; nobody without.
const HBA: &str = "\
# Written by pgmill. The server listens on 127.0.0.1 and on a socket in a private folder only.
local all all scram-sha-256
host  all all 127.0.0.1/32 scram-sha-256
";

/// The major version that made the cluster, if there is one.
pub(crate) fn major_of(folder: &Folder) -> Option<u32> {
    fs::read_to_string(folder.cluster().join("PG_VERSION")).ok()?.trim().parse().ok()
}

/// The password of an existing cluster.
pub(crate) fn password_of(folder: &Folder) -> Result<String, EmbeddedError> {
    let file = folder.password();
    match fs::read_to_string(&file) {
        Ok(password) => Ok(password.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(EmbeddedError::PasswordMissing { folder: folder.root().to_owned(), file })
        }
        Err(source) => Err(EmbeddedError::Io { action: "read", path: file, source }),
    }
}

/// Makes a new cluster and returns its password.
///
/// The cluster gets its name only when it is complete, so one that was interrupted is never mistaken for one
/// that can be started.
pub(crate) fn create(
    folder: &Folder,
    installation: &Installation,
    account: &Account,
) -> Result<String, EmbeddedError> {
    let password = new_password()?;
    write_private(&folder.password(), &format!("{password}\n"), account)?;

    let draft = folder.root().join("cluster.new");
    if draft.exists() {
        fs::remove_dir_all(&draft).map_err(EmbeddedError::io("remove", &draft))?;
    }
    let initdb = installation.bin_dir.join("initdb");
    let mut command = account.command(&initdb);
    command.arg("-D").arg(&draft).args([
        "-U",
        USER,
        "--encoding=UTF8",
        "--no-locale",
        "--auth=scram-sha-256",
    ]);
    command.arg("--pwfile").arg(folder.password());
    if folder.is_temporary() {
        command.arg("--no-sync");
    }
    let output = command.stdin(Stdio::null()).output().map_err(EmbeddedError::io("run", &initdb))?;
    if !output.status.success() {
        let printed = [output.stdout, output.stderr].concat();
        let output = String::from_utf8_lossy(&printed).trim().to_owned();
        return Err(EmbeddedError::Init { folder: folder.root().to_owned(), output });
    }
    write_private(&draft.join("pg_hba.conf"), HBA, account)?;
    include_conf(&draft.join("postgresql.conf"), account)?;
    let cluster = folder.cluster();
    fs::rename(&draft, &cluster)
        .and_then(|()| sync_parent(&cluster))
        .map_err(EmbeddedError::io("create", &cluster))?;
    Ok(password)
}

fn include_conf(conf: &Path, account: &Account) -> Result<(), EmbeddedError> {
    let text = fs::read_to_string(conf).map_err(EmbeddedError::io("read", conf))?;
    write_private(conf, &format!("{text}\ninclude '{CONF}'\n"), account)
}

/// 192 random bits, in letters that need no escaping in a URL.
fn new_password() -> Result<String, EmbeddedError> {
    let mut bytes = [0_u8; 24];
    getrandom::fill(&mut bytes).map_err(|error| EmbeddedError::Io {
        action: "read random bytes from",
        path: "/dev/urandom".into(),
        source: io::Error::other(error.to_string()),
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
