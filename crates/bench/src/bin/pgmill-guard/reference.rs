//! The file of what is held, and with what it was made.

use std::path::Path;
use std::process::Command;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::figures::Figures;

/// Figures, and who made them.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reference {
    pub(crate) made_with: Maker,
    #[serde(flatten)]
    pub(crate) figures: Figures,
}

/// What figures depend on beside pgmill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Maker {
    rustc: String,
    valgrind: String,
    postgresql: u32,
    architecture: String,
}

impl Reference {
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not what a guard writes", file.display()))
    }

    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
    }
}

impl Maker {
    /// This program's: the compiler is the one that cargo finds, as it did when it built this.
    pub(crate) fn here(postgresql: u32) -> anyhow::Result<Self> {
        Ok(Self {
            rustc: version("rustc")?,
            valgrind: version("valgrind")?,
            postgresql,
            architecture: std::env::consts::ARCH.to_owned(),
        })
    }

    /// What else than pgmill may have changed a figure, as the end of a sentence; nothing where all is the same.
    pub(crate) fn difference(&self, here: &Self) -> String {
        if self == here {
            return String::new();
        }
        format!(
            "\nthe reference was made with {self}, this is {here}: it may be no more than that",
            self = self.told(),
            here = here.told()
        )
    }

    fn told(&self) -> String {
        let Self { rustc, valgrind, postgresql, architecture } = self;
        format!("{rustc}, {valgrind}, PostgreSQL {postgresql} on {architecture}")
    }
}

fn version(program: &str) -> anyhow::Result<String> {
    let output = Command::new(program).arg("--version").output();
    let output = output.with_context(|| format!("{program} cannot be started"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maker(rustc: &str) -> Maker {
        Maker {
            rustc: rustc.to_owned(),
            valgrind: "valgrind-3".to_owned(),
            postgresql: 15,
            architecture: "x86_64".to_owned(),
        }
    }

    #[test]
    fn another_compiler_is_named_as_what_may_have_changed_a_figure() {
        assert_eq!(maker("rustc 1").difference(&maker("rustc 1")), "");
        let told = maker("rustc 1").difference(&maker("rustc 2"));
        assert!(told.contains("rustc 1,") && told.contains("this is rustc 2,"), "{told}");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let file = folder.path().join("guard.json");
        let reference = Reference { made_with: maker("rustc 1"), figures: Figures::default() };
        reference.write(&file).expect("written");
        assert_eq!(Reference::read(&file).expect("read"), reference);
    }
}
