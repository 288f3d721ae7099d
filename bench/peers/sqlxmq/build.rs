//! Finds the migrations of sqlxmq, which its users are told to copy: the crate does not contain them as code.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, error, fs};

use serde_json::Value;

fn main() -> Result<(), Box<dyn error::Error>> {
    let output = Command::new(env::var("CARGO")?)
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().ok_or("cargo tells of no packages")?;
    let package = packages.iter().find(|package| package["name"] == "sqlxmq").ok_or("there is no sqlxmq")?;
    let manifest = package["manifest_path"].as_str().ok_or("sqlxmq has no manifest")?;
    let migrations = Path::new(manifest).with_file_name("migrations");
    let mut ups: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(migrations)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".up.sql") {
            ups.push(path);
        }
    }
    // Their names begin with their time.
    ups.sort();
    let schema = ups.iter().map(fs::read_to_string).collect::<Result<Vec<_>, _>>()?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("schema.sql"), schema.join("\n"))?;
    Ok(())
}
