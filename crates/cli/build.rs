//! Records what was built, for `pgmill --version`. What is not known, as in a build from a package, is left out.

use std::env;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    // The log of HEAD grows with every commit and every checkout.
    for watched in ["HEAD", "logs/HEAD"] {
        if let Some(path) = printed("git", &["rev-parse", "--path-format=absolute", "--git-path", watched]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");

    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    set("BUILD_COMPILER", printed(&rustc, &["--version"]));
    set("BUILD_HASH", printed("git", &["rev-parse", "HEAD"]));
    set("BUILD_BRANCH", printed("git", &["symbolic-ref", "--short", "HEAD"]));
    set("BUILD_TAG", printed("git", &["describe", "--tags", "--exact-match"]));
    // A reproducible build says which time it wants to be built at.
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|time| time.as_secs().to_string());
    set("BUILD_TIME", env::var("SOURCE_DATE_EPOCH").ok().or_else(now));
}

fn printed(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn set(name: &str, value: Option<String>) {
    if let Some(value) = value {
        println!("cargo::rustc-env={name}={value}");
    }
}
