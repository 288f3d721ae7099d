//! The graph of dependencies, and the rules about it.

use serde_json::Value;

use crate::licence;

/// The arrows between our crates. Tests of any crate may use the test kit and the embedded server besides.
const ARROWS: &[(&str, &[&str])] = &[
    ("pgmill-schema", &[]),
    ("pgmill-store", &["pgmill-schema"]),
    ("pgmill", &["pgmill-schema", "pgmill-store"]),
    ("pgmill-server", &["pgmill-schema", "pgmill"]),
    ("pgmill-client", &["pgmill-schema"]),
    ("pgmill-embedded", &[]),
    ("pgmill-cli", &["pgmill-client", "pgmill-server", "pgmill", "pgmill-embedded"]),
    ("pgmill-testkit", &["pgmill-store", "pgmill", "pgmill-embedded"]),
    ("pgmill-model", &["pgmill-schema", "pgmill-store"]),
    ("pgmill-bench", &["pgmill", "pgmill-embedded"]),
    ("pgmill-chaos", &["pgmill", "pgmill-client", "pgmill-embedded", "pgmill-model", "pgmill-testkit"]),
    (EXAMPLES, &["pgmill", "pgmill-embedded"]),
];

const FOR_TESTS: &[&str] = &["pgmill-testkit", "pgmill-embedded"];

/// Programs of users, as they might be: they bring the driver and the framework of their own, and nothing depends on them.
const EXAMPLES: &str = "pgmill-examples";

/// Packages that only some of our crates may depend on, even in tests.
const OWNED: &[(&str, &[&str])] = &[
    (
        "tokio-postgres",
        &["pgmill-store", "pgmill", "pgmill-testkit", "pgmill-bench", "pgmill-chaos", EXAMPLES],
    ),
    ("deadpool-postgres", &["pgmill-store", "pgmill", "pgmill-testkit", "pgmill-bench"]),
    ("deadpool", &["pgmill-store", "pgmill", "pgmill-testkit", "pgmill-bench"]),
    ("axum", &["pgmill-server", EXAMPLES]),
    ("sqlx", &["pgmill", EXAMPLES]),
    ("reqwest", &["pgmill-client"]),
    ("stateright", &["pgmill-model"]),
];

/// Packages that may be nowhere, and why.
pub(crate) const BANNED: &[(&str, &str)] = &[
    ("chrono", "times are those of jiff"),
    ("openssl", "TLS is that of rustls with ring"),
    ("openssl-sys", "TLS is that of rustls with ring"),
    ("native-tls", "TLS is that of rustls with ring"),
    ("aws-lc-rs", "TLS is that of rustls with ring, which builds without cmake"),
    ("aws-lc-sys", "TLS is that of rustls with ring, which builds without cmake"),
];

/// What `cargo metadata` tells.
pub(crate) struct Graph {
    packages: Vec<Package>,
}

struct Package {
    name: String,
    licence: Option<String>,
    ours: bool,
    dependencies: Vec<Dependency>,
}

struct Dependency {
    name: String,
    for_tests: bool,
}

impl Graph {
    pub(crate) fn parse(metadata: &[u8]) -> Self {
        let metadata: Value = serde_json::from_slice(metadata).expect("cargo metadata prints JSON");
        let members = list(&metadata["workspace_members"]);
        let packages = list(&metadata["packages"]).iter().map(|package| Package {
            name: text(&package["name"]),
            licence: package["license"].as_str().map(str::to_owned),
            ours: members.contains(&package["id"]),
            dependencies: list(&package["dependencies"]).iter().map(Dependency::parse).collect(),
        });
        Self { packages: packages.collect() }
    }

    fn ours(&self) -> impl Iterator<Item = (&Package, &Dependency)> {
        let ours = self.packages.iter().filter(|package| package.ours);
        ours.flat_map(|package| package.dependencies.iter().map(move |dependency| (package, dependency)))
    }

    /// Dependencies between our crates that no arrow allows, and crates of ours that have no arrows.
    pub(crate) fn off_the_arrows(&self) -> Vec<String> {
        let ours: Vec<&str> = self.packages.iter().filter(|p| p.ours).map(|p| p.name.as_str()).collect();
        let unknown = ours.iter().filter(|name| arrows(name).is_none());
        let unknown = unknown.map(|name| format!("{name} has no arrows: add it to the map"));
        let stray = self.ours().filter(|(package, dependency)| {
            let allowed = arrows(&package.name).unwrap_or_default().contains(&dependency.name.as_str())
                || (dependency.for_tests && FOR_TESTS.contains(&dependency.name.as_str()));
            ours.contains(&dependency.name.as_str()) && !allowed
        });
        let stray = stray.map(|(package, to)| format!("no arrow leads from {} to {}", package.name, to.name));
        unknown.chain(stray).collect()
    }

    /// Dependencies of our crates on packages that others own.
    pub(crate) fn out_of_place(&self) -> Vec<String> {
        let mut violations = Vec::new();
        for (package, dependency) in self.ours() {
            let owners = OWNED.iter().find(|(name, _)| *name == dependency.name).map(|(_, owners)| owners);
            if owners.is_some_and(|owners| !owners.contains(&package.name.as_str())) {
                violations.push(format!("{} is not for {}", dependency.name, package.name));
            }
        }
        violations
    }

    /// Packages that must not be built, whoever asks for them.
    pub(crate) fn banned(&self) -> Vec<String> {
        let found =
            BANNED.iter().filter(|(name, _)| self.packages.iter().any(|package| package.name == *name));
        found
            .map(|(name, reason)| format!("{name} is in the graph (cargo tree -i {name}): {reason}"))
            .collect()
    }

    /// Packages under a licence that is not allowed, or under none.
    pub(crate) fn unlicensed(&self) -> Vec<String> {
        let refused = self.packages.iter().filter_map(|package| match package.licence.as_deref() {
            Some(licence) if licence::is_allowed(licence) => None,
            licence => Some(format!("{}: {}", package.name, licence.unwrap_or("no licence"))),
        });
        refused.collect()
    }
}

impl Dependency {
    fn parse(dependency: &Value) -> Self {
        Self { name: text(&dependency["name"]), for_tests: dependency["kind"] == "dev" }
    }
}

fn arrows(name: &str) -> Option<&'static [&'static str]> {
    ARROWS.iter().find(|(from, _)| *from == name).map(|(_, to)| *to)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).expect("a list")
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// A graph of our crates as `(name, licence, dependencies)`, where a dependency for tests starts with `dev:`; and of others.
fn planted(ours: &[(&str, &str, &[&str])], others: &[(&str, &str)]) -> Graph {
    let package = |name: &str, licence: &str, dependencies: &[&str], ours| Package {
        name: name.to_owned(),
        licence: Some(licence.to_owned()).filter(|licence| !licence.is_empty()),
        ours,
        dependencies: dependencies
            .iter()
            .map(|dependency| Dependency {
                name: dependency.trim_start_matches("dev:").to_owned(),
                for_tests: dependency.starts_with("dev:"),
            })
            .collect(),
    };
    let ours = ours.iter().map(|(name, licence, dependencies)| package(name, licence, dependencies, true));
    let others = others.iter().map(|(name, licence)| package(name, licence, &[], false));
    Graph { packages: ours.chain(others).collect() }
}

#[test]
fn a_dependency_against_the_arrows_is_found() {
    let graph = planted(
        &[("pgmill-schema", "MIT", &["pgmill-store"]), ("pgmill-store", "MIT", &["pgmill-schema", "serde"])],
        &[],
    );
    assert_eq!(graph.off_the_arrows(), ["no arrow leads from pgmill-schema to pgmill-store"]);
}

#[test]
fn tests_may_use_the_test_kit_and_nothing_else_against_the_arrows() {
    let graph = planted(
        &[
            ("pgmill-schema", "MIT", &["dev:pgmill-testkit", "dev:pgmill"]),
            ("pgmill-testkit", "MIT", &[]),
            ("pgmill", "MIT", &["pgmill-testkit"]),
        ],
        &[],
    );
    let expected =
        ["no arrow leads from pgmill-schema to pgmill", "no arrow leads from pgmill to pgmill-testkit"];
    assert_eq!(graph.off_the_arrows(), expected);
}

#[test]
fn a_new_crate_needs_its_place_on_the_map() {
    let graph = planted(&[("pgmill-extra", "MIT", &[])], &[]);
    assert_eq!(graph.off_the_arrows(), ["pgmill-extra has no arrows: add it to the map"]);
}

#[test]
fn a_driver_outside_of_its_crates_is_found() {
    let graph = planted(
        &[
            ("pgmill-cli", "MIT", &["dev:tokio-postgres", "axum"]),
            ("pgmill-store", "MIT", &["tokio-postgres"]),
        ],
        &[],
    );
    assert_eq!(graph.out_of_place(), ["tokio-postgres is not for pgmill-cli", "axum is not for pgmill-cli"]);
}

#[test]
fn examples_may_have_what_an_application_has_and_nothing_may_have_examples() {
    let graph = planted(
        &[
            ("pgmill-examples", "MIT", &["dev:axum", "dev:tokio-postgres", "dev:reqwest", "pgmill-embedded"]),
            ("pgmill-embedded", "MIT", &["dev:pgmill-examples"]),
        ],
        &[],
    );
    assert_eq!(graph.out_of_place(), ["reqwest is not for pgmill-examples"]);
    assert_eq!(graph.off_the_arrows(), ["no arrow leads from pgmill-embedded to pgmill-examples"]);
}

#[test]
fn a_banned_package_is_found_however_deep_it_is() {
    let banned = planted(&[], &[("chrono", "MIT"), ("openssl-probe", "MIT")]).banned();
    assert_eq!(banned, ["chrono is in the graph (cargo tree -i chrono): times are those of jiff"]);
}

#[test]
fn a_licence_that_is_refused_or_missing_is_found() {
    let graph = planted(&[("pgmill", "Apache-2.0", &[])], &[("copyleft", "GPL-3.0-only"), ("nobody", "")]);
    assert_eq!(graph.unlicensed(), ["copyleft: GPL-3.0-only", "nobody: no licence"]);
}

#[test]
fn metadata_is_read() {
    let metadata = br#"{"workspace_members": ["a 0.1"], "packages": [
        {"id": "a 0.1", "name": "pgmill-schema", "license": null, "dependencies": [{"name": "axum", "kind": null}]},
        {"id": "b 0.1", "name": "b", "license": "MIT", "dependencies": [{"name": "axum", "kind": "dev"}]}]}"#;
    let graph = Graph::parse(metadata);
    assert_eq!(graph.unlicensed(), ["pgmill-schema: no licence"]);
    assert_eq!(graph.out_of_place(), ["axum is not for pgmill-schema"]);
}
