//! The systems that are measured.

use anyhow::ensure;

/// A system, and who drives it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct System {
    /// The name on the command line and in the first column.
    pub(crate) name: &'static str,
    pub(crate) program: Program,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Program {
    /// A member of this workspace.
    Rust { package: &'static str, delete: bool },
    /// A script in the folder `node`.
    Node { script: &'static str },
}

const fn rust(name: &'static str, package: &'static str) -> System {
    System { name, program: Program::Rust { package, delete: false } }
}

const fn node(name: &'static str, script: &'static str) -> System {
    System { name, program: Program::Node { script } }
}

const SYSTEMS: &[System] = &[
    rust("pgmill", "peer-pgmill"),
    System { name: "pgmill, retention 0", program: Program::Rust { package: "peer-pgmill", delete: true } },
    rust("graphile_worker", "peer-graphile-worker"),
    rust("awa", "peer-awa"),
    rust("riverqueue", "peer-riverqueue"),
    rust("apalis-postgres", "peer-apalis"),
    rust("underway", "peer-underway"),
    rust("sqlxmq", "peer-sqlxmq"),
    rust("pgmq", "peer-pgmq"),
    node("graphile-worker", "graphile-worker.mjs"),
    node("pg-boss", "pg-boss.mjs"),
];

/// Those with these names, or all.
pub(crate) fn chosen(names: &[String]) -> anyhow::Result<Vec<System>> {
    let known: Vec<_> = SYSTEMS.iter().map(|system| system.name).collect();
    for name in names {
        ensure!(known.contains(&name.as_str()), "there is no {name:?}, but {}", known.join("; "));
    }
    let wanted = |system: &System| names.is_empty() || names.iter().any(|name| name == system.name);
    Ok(SYSTEMS.iter().filter(|system| wanted(system)).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_chosen_by_name_and_in_the_order_of_the_table() {
        let names = |only: &[&str]| {
            let only: Vec<_> = only.iter().map(|name| (*name).to_owned()).collect();
            chosen(&only).map(|systems| systems.iter().map(|system| system.name).collect::<Vec<_>>())
        };
        let (first, second) = ("pgmill", "graphile_worker");
        assert_eq!(names(&[second, first]).unwrap(), [first, second]);
        assert_eq!(names(&[]).unwrap().len(), SYSTEMS.len());
        assert!(names(&["pgmill", "nobody"]).is_err());
    }
}
