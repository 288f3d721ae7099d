//! What only Linux has: children that end with their parent, a disk of a size that can be changed, and a clock that jumps.
//! Elsewhere the faults that need it are left out, and that is said.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// The size of the disk while it is not full, in bytes.
#[cfg(target_os = "linux")]
const SIZE: u64 = 3 << 30;
/// What is left of it when it is.
#[cfg(target_os = "linux")]
const LEFT: u64 = 64 << 10;

/// Has this process killed when the one that started it ends, in whatever way.
#[cfg(target_os = "linux")]
pub(crate) fn die_with_parent() -> anyhow::Result<()> {
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)
        .context("no signal at the end of the parent")
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn die_with_parent() -> anyhow::Result<()> {
    Ok(())
}

/// A disk of PostgreSQL's own, in memory. It goes with the processes that see it, which are this one and those it starts.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
}

#[cfg(target_os = "linux")]
impl Disk {
    /// Mounts it. Must be called before the process has threads, for only those that are started later see it.
    pub(crate) fn mount(folder: &Path) -> anyhow::Result<Self> {
        use nix::mount::{MsFlags, mount};
        use nix::sched::{CloneFlags, unshare};
        let none = None::<&str>;
        unshare(CloneFlags::CLONE_NEWNS).context("no file systems of its own")?;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).context("no private mounts")?;
        let options = format!("size={SIZE},mode=755");
        mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))
            .context("no file system in memory")?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Leaves next to no room on it.
    pub(crate) fn fill(&self) -> anyhow::Result<()> {
        let stat = nix::sys::statvfs::statvfs(&self.folder)?;
        let used = (stat.blocks() - stat.blocks_free()) * stat.fragment_size();
        self.resize(used + LEFT)
    }

    pub(crate) fn free(&self) -> anyhow::Result<()> {
        self.resize(SIZE)
    }

    fn resize(&self, size: u64) -> anyhow::Result<()> {
        use nix::mount::{MsFlags, mount};
        let (none, options) = (None::<&str>, format!("size={size}"));
        mount(none, &self.folder, none, MsFlags::MS_REMOUNT, Some(options.as_str()))
            .with_context(|| format!("the disk cannot be made {size} bytes large"))
    }
}

#[cfg(not(target_os = "linux"))]
impl Disk {
    pub(crate) fn mount(_: &Path) -> anyhow::Result<Self> {
        anyhow::bail!("only on Linux")
    }

    pub(crate) fn fill(&self) -> anyhow::Result<()> {
        anyhow::bail!("{} is not a disk of its own", self.folder.display())
    }

    pub(crate) fn free(&self) -> anyhow::Result<()> {
        Ok(())
    }
}

impl Disk {
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The clock of a host, which one of the workers is on: libfaketime tells that process the time, as a file says.
///
/// The monotonic clock goes on as it is, as it does when an administrator sets the other one.
#[derive(Debug)]
pub(crate) struct HostClock {
    library: PathBuf,
    file: PathBuf,
}

impl HostClock {
    /// `None` if libfaketime is not installed.
    pub(crate) fn find(folder: &Path) -> Option<Self> {
        // Debian has a folder for each architecture.
        let folders = std::fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok).map(|entry| entry.path());
        let library = folders
            .chain([PathBuf::from("/usr/lib64")])
            .map(|folder| folder.join("faketime/libfaketimeMT.so.1"))
            .find(|library| library.is_file())?;
        let clock = Self { library, file: folder.join("host-clock") };
        clock.set(0).ok()?;
        Some(clock)
    }

    /// Has it go so many seconds before or after the others.
    pub(crate) fn set(&self, seconds: i64) -> std::io::Result<()> {
        let draft = self.file.with_extension("draft");
        std::fs::write(&draft, format!("{seconds:+}\n"))?;
        std::fs::rename(draft, &self.file)
    }

    /// What a process needs in its environment to go by it.
    pub(crate) fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            // A jump is one at once, and not when the file is read again.
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ]
    }
}
