//! The operating-system user that the server runs as.
//!
//! PostgreSQL refuses root. A program that runs as root therefore runs every server process as `postgres`, or
//! `nobody` where that does not exist, and hands it the files that the server has to read.

use std::env;
use std::io;
use std::os::unix::fs::{chown, fchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::{Uid, User};

use crate::EmbeddedError;

#[derive(Debug)]
pub(crate) struct Account {
    name: String,
    /// User and group to change to; `None` when the program is not root and so keeps its own.
    switch: Option<(u32, u32)>,
}

impl Account {
    pub(crate) fn for_server() -> Result<Self, EmbeddedError> {
        let uid = Uid::effective();
        if !uid.is_root() {
            let name = User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
            return Ok(Self { name, switch: None });
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .map(|user| Self { name: user.name, switch: Some((user.uid.as_raw(), user.gid.as_raw())) })
            .ok_or(EmbeddedError::NoAccount)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the program is root and so works for another user.
    pub(crate) fn switches(&self) -> bool {
        self.switch.is_some()
    }

    /// A command that runs as this user. The standard library drops root's supplementary groups with the user id.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = own_command(program);
        if let Some((uid, gid)) = self.switch {
            command.uid(uid).gid(gid);
        }
        command
    }

    pub(crate) fn give_file(&self, file: &std::fs::File) -> io::Result<()> {
        self.switch.map_or(Ok(()), |(uid, gid)| fchown(file, Some(uid), Some(gid)))
    }

    pub(crate) fn give_folder(&self, folder: &Path) -> io::Result<()> {
        self.switch.map_or(Ok(()), |(uid, gid)| chown(folder, Some(uid), Some(gid)))
    }
}

/// A command that runs as the program's own user.
///
/// Inherited `PG*` variables would redirect PostgreSQL's tools to another server or folder, and messages are
/// read by this crate, so they have to be in English. The working folder may be closed to the server's user.
pub(crate) fn own_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
    command.env("LC_ALL", "C").current_dir("/");
    command
}
