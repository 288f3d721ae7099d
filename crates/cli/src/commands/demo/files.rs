//! Finds the files to hash.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Folders that hold what programs make of the files, rather than files.
const LEFT_OUT: [&str; 2] = [".git", "target"];

/// The files below a folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Their absolute paths, in order.
    pub(super) paths: Vec<String>,
    /// Whether there are more than the limit.
    pub(super) more: bool,
    /// How many entries cannot be read, or have names that are no text.
    pub(super) skipped: usize,
}

/// Finds the regular files below a folder, at most `limit` of them.
pub(super) fn find(folder: &Path, limit: usize) -> anyhow::Result<Found> {
    let root = fs::canonicalize(folder)
        .with_context(|| format!("the folder {} cannot be read: name another", folder.display()))?;
    if !root.is_dir() {
        bail!("{} is not a folder: name the folder that holds the files", folder.display());
    }
    let mut found = Found::default();
    let first = fs::read_dir(&root)
        .with_context(|| format!("the folder {} cannot be read: name another", folder.display()))?;
    let mut open = vec![sorted(first, &mut found)];
    while let Some(level) = open.last_mut() {
        let Some((path, kind)) = level.pop() else {
            open.pop();
            continue;
        };
        if kind.is_dir()
            && !path.file_name().is_some_and(|name| LEFT_OUT.iter().any(|left_out| name == *left_out))
        {
            match fs::read_dir(&path) {
                Ok(entries) => open.push(sorted(entries, &mut found)),
                Err(_) => found.skipped += 1,
            }
        } else if kind.is_file() {
            if found.paths.len() == limit {
                found.more = true;
                break;
            }
            match path.into_os_string().into_string() {
                Ok(path) => found.paths.push(path),
                Err(_) => found.skipped += 1,
            }
        }
    }
    Ok(found)
}

/// The entries of a folder, the first in order last.
fn sorted(entries: fs::ReadDir, found: &mut Found) -> Vec<(PathBuf, fs::FileType)> {
    let mut readable = Vec::new();
    for entry in entries {
        match entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))) {
            Ok(entry) => readable.push(entry),
            Err(_) => found.skipped += 1,
        }
    }
    readable.sort_unstable_by(|(left, _), (right, _)| right.cmp(left));
    readable
}
