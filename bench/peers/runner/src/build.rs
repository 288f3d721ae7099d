//! Builds the drivers. One that cannot be built is no reason not to measure the others.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow, ensure};
use serde_json::Value;

use crate::driver::Driver;
use crate::system::{Program, System};

/// Where drivers are found.
#[derive(Debug)]
pub(crate) struct Built {
    /// By the name of the package.
    programs: HashMap<String, PathBuf>,
    /// What the compiler said of those that are missing.
    errors: Vec<String>,
    /// Node and its packages, where they are wanted.
    node: Result<PathBuf, String>,
}

/// Builds what these systems need. What the tools say goes to standard error.
pub(crate) fn build(systems: &[System]) -> anyhow::Result<Built> {
    let (mut programs, mut errors) = (HashMap::new(), Vec::new());
    if systems.iter().any(|system| matches!(system.program, Program::Rust { .. })) {
        for message in cargo()?.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            note(&message, &mut programs, &mut errors);
        }
    }
    let wanted = systems.iter().any(|system| matches!(system.program, Program::Node { .. }));
    let node =
        if wanted { node().map_err(|error| format!("{error:#}")) } else { Err("not built".to_owned()) };
    Ok(Built { programs, errors, node })
}

impl Built {
    /// How to start the driver of a system, or why it cannot be.
    pub(crate) fn driver(&self, system: System) -> anyhow::Result<Driver> {
        match system.program {
            Program::Rust { package, delete } => {
                let program = self.programs.get(package).ok_or_else(|| self.missing(package))?;
                let args = if delete { vec!["--delete".to_owned()] } else { Vec::new() };
                Ok(Driver { program: program.clone(), script: None, args })
            }
            Program::Node { script } => {
                let folder = self.node.as_ref().map_err(|reason| anyhow!("{reason}"))?;
                let script = folder.join(script);
                ensure!(script.exists(), "{} is not there", script.display());
                // The version that the systems ask for, where it comes with their packages.
                let own = folder.join("node_modules/.bin/node");
                let program = if own.exists() { own } else { PathBuf::from("node") };
                Ok(Driver { program, script: Some(script), args: Vec::new() })
            }
        }
    }

    /// The first error of its own, else the first of whatever it needs.
    fn missing(&self, package: &str) -> anyhow::Error {
        let own = self.errors.iter().find(|error| error.contains(package));
        match own.or(self.errors.first()) {
            Some(error) => anyhow!("{package} cannot be built: {error}"),
            None => anyhow!("{package} was not built"),
        }
    }
}

/// The folder of this workspace.
fn folder() -> PathBuf {
    let runner = Path::new(env!("CARGO_MANIFEST_DIR"));
    runner.parent().unwrap_or(runner).to_owned()
}

fn cargo() -> anyhow::Result<String> {
    let output = Command::new("cargo")
        .args(["build", "--release", "--locked", "--workspace", "--keep-going"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(folder())
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be run")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Takes what is of use from one message of cargo.
fn note(message: &Value, programs: &mut HashMap<String, PathBuf>, errors: &mut Vec<String>) {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match message["reason"].as_str() {
        Some("compiler-artifact") => {
            let found = text(&message["target"]["name"]).zip(text(&message["executable"]));
            programs.extend(found.map(|(name, path)| (name, PathBuf::from(path))));
        }
        Some("compiler-message") if message["message"]["level"] == "error" => {
            let package = message["target"]["name"].as_str().unwrap_or("a dependency");
            let error = message["message"]["message"].as_str().unwrap_or("an error");
            errors.push(format!("{package}: {error}"));
        }
        _ => {}
    }
}

/// The folder of the scripts, once their packages are installed.
fn node() -> anyhow::Result<PathBuf> {
    let folder = folder().join("node");
    let version = Command::new("node").arg("--version").stdout(Stdio::null()).status();
    ensure!(version.is_ok_and(|status| status.success()), "node is not installed");
    if !folder.join("node_modules").exists() {
        let status = Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund"])
            .current_dir(&folder)
            .stdout(Stdio::null())
            .status()
            .with_context(|| format!("npm cannot be run in {}", folder.display()))?;
        ensure!(status.success(), "npm ci failed in {}", folder.display());
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_that_does_not_compile_is_missed_with_the_compilers_reason() {
        let (mut programs, mut errors) = (HashMap::new(), Vec::new());
        for line in [
            r#"{"reason":"compiler-artifact","target":{"name":"peer-a"},"executable":"/t/peer-a"}"#,
            r#"{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}"#,
            r#"{"reason":"compiler-message","target":{"name":"peer-b"},"message":{"level":"warning","message":"w"}}"#,
            r#"{"reason":"compiler-message","target":{"name":"peer-b"},"message":{"level":"error","message":"no"}}"#,
        ] {
            note(&serde_json::from_str(line).unwrap(), &mut programs, &mut errors);
        }
        let built = Built { programs, errors, node: Err(String::new()) };
        let driver =
            |package| built.driver(System { name: "s", program: Program::Rust { package, delete: true } });
        assert_eq!(driver("peer-a").unwrap().args, ["--delete"]);
        assert_eq!(driver("peer-b").unwrap_err().to_string(), "peer-b cannot be built: peer-b: no");
    }
}
