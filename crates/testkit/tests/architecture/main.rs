//! The rules of ARCHITECTURE.md that a machine can hold: which crate may depend on which, what may be in the graph of
//! dependencies at all and under which licences, where SQL may be, and what no file of source may contain.
//!
//! Each rule is a function from what it looks at to what violates it, so that it is also tested on planted violations.

mod graph;
mod licence;
mod reference;
mod rust_text;
mod sources;
mod versions;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use graph::Graph;
use sources::Source;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the root of the workspace")
}

fn graph() -> Graph {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--all-features"])
        .current_dir(root())
        .output()
        .expect("cargo can be run");
    assert!(metadata.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&metadata.stderr));
    Graph::parse(&metadata.stdout)
}

#[track_caller]
fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "{} violations:\n  {}", violations.len(), violations.join("\n  "));
}

/// The files of the repository that are text.
fn sources() -> Vec<Source> {
    let root = root();
    let mut sources = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder that can be read") {
            let path = entry.expect("an entry that can be read").path();
            let made_by_programs = [".git", "node_modules"].iter().any(|name| path.ends_with(name));
            if path.is_dir() && !made_by_programs && !path.join("CACHEDIR.TAG").exists() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let path = path.strip_prefix(&root).expect("a path below the root");
                sources.push(Source::new(path.to_str().expect("a path that is text"), &text));
            }
        }
    }
    sources::mark_tests(&mut sources);
    sources
}

#[test]
fn our_crates_depend_on_each_other_only_along_the_arrows() {
    assert_none(&graph().off_the_arrows());
}

#[test]
fn drivers_and_frameworks_stay_in_the_crates_that_own_them() {
    assert_none(&graph().out_of_place());
}

#[test]
fn nothing_banned_is_in_the_graph() {
    assert_none(&graph().banned());
}

#[test]
fn every_licence_in_the_graph_is_allowed() {
    assert_none(&graph().unlicensed());
}

#[test]
fn cargo_deny_holds_the_same_licences_and_bans() {
    let deny = fs::read_to_string(root().join("deny.toml")).expect("deny.toml");
    assert_eq!(versions::listed(&deny, "allow = ["), licence::ALLOWED);
    let banned: Vec<&str> = graph::BANNED.iter().map(|(name, _)| *name).collect();
    assert_eq!(versions::listed(&deny, "deny = ["), banned);
}

#[test]
fn the_oldest_rust_is_the_same_wherever_it_is_told() {
    assert_none(&versions::differing_rust(&sources()));
}

#[test]
fn sql_is_only_where_sql_belongs() {
    assert_none(&sources().iter().flat_map(sources::misplaced_sql).collect::<Vec<_>>());
}

#[test]
fn no_lint_is_silenced_without_being_expected() {
    assert_none(&sources().iter().flat_map(sources::silenced_lints).collect::<Vec<_>>());
}

#[test]
fn no_work_is_left_undone_without_an_issue() {
    assert_none(&sources().iter().flat_map(sources::left_undone).collect::<Vec<_>>());
}

#[test]
fn no_file_of_source_is_too_long_to_be_one_thing() {
    assert_none(&sources().iter().flat_map(sources::too_long).collect::<Vec<_>>());
}

#[test]
fn no_file_names_a_folder_of_one_machine() {
    assert_none(&sources().iter().flat_map(sources::machine_paths).collect::<Vec<_>>());
}

#[test]
fn every_test_in_the_reference_map_exists() {
    let sources = sources();
    let page = sources.iter().find(|source| source.path() == "docs/reference-map.md").expect("the map");
    assert_none(&sources::unknown_tests(page, &sources));
}

#[test]
fn the_reference_map_has_every_function_of_the_reference_and_names_ours_that_exist() {
    let sources = sources();
    let page = sources.iter().find(|source| source.path() == "docs/reference-map.md").expect("the map");
    assert_none(&reference::without_a_row(page));
    assert_none(&reference::unknown_functions(page, &sources));
}

#[test]
fn the_rules_see_the_files_they_are_for() {
    let sources = sources();
    for path in ["crates/store/src/store.rs", "crates/store/sql/retain.sql", "Makefile"] {
        assert!(sources.iter().any(|source| source.path() == path), "{path} is not looked at");
    }
}
