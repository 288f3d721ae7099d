//! `docs/server.md` says what the code does, wherever a machine can tell.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use pgmill_server::{Options, Right, ServeOptions, rights};

fn guide() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/server.md")).unwrap()
}

/// The cells of the rows of all tables of a page.
fn rows(page: &str) -> impl Iterator<Item = Vec<&str>> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.map(|row| row.split(" | ").collect())
}

/// A cell that is code and nothing else.
fn code(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.strip_suffix('`').filter(|code| !code.contains('`'))
}

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

fn needed(right: &Right) -> String {
    let role = right.role().map_or("open".to_owned(), |role| role.to_string());
    let role = if right.is_everywhere() { format!("{role} of all") } else { role };
    if right.is_stream() { format!("as a stream {role}") } else { role }
}

fn matrix() -> String {
    let mut paths: Vec<&str> = rights().iter().map(Right::path).collect();
    paths.dedup();
    let mut text = String::new();
    for path in paths {
        let of = |method: &str| {
            let of_method = rights().iter().filter(|right| (right.path(), right.method()) == (path, method));
            of_method.map(needed).collect::<Vec<_>>().join("; ")
        };
        let cells: String = METHODS.iter().map(|method| format!(" {} |", of(method))).collect();
        text.push_str(&format!("| `{path}` |{cells}\n"));
    }
    text
}

#[test]
fn the_table_of_roles_is_that_of_the_server() {
    let matrix = matrix();
    assert!(guide().contains(&matrix), "docs/server.md wants this table:\n{matrix}");
}

/// The source of the server, without its tests.
fn sources(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            texts.extend(sources(&path));
        } else {
            let text = fs::read_to_string(&path).unwrap();
            texts.push(text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned());
        }
    }
    texts
}

/// The text in quotes that follows, if that is what follows.
fn literal(text: &str) -> Option<&str> {
    text.trim_start().strip_prefix('"')?.split_once('"').map(|(literal, _)| literal)
}

fn status(constant: &str) -> &'static str {
    match constant {
        "UNAUTHORIZED" => "401",
        "FORBIDDEN" => "403",
        "NOT_FOUND" => "404",
        "METHOD_NOT_ALLOWED" => "405",
        "REQUEST_TIMEOUT" => "408",
        "PAYLOAD_TOO_LARGE" => "413",
        "TOO_MANY_REQUESTS" => "429",
        "INTERNAL_SERVER_ERROR" => "500",
        "SERVICE_UNAVAILABLE" => "503",
        other => panic!("{other} is a status that the guide does not know"),
    }
}

/// The names of errors that a source makes, each with its status.
fn made(source: &str) -> Vec<(String, &'static str)> {
    let mut made = Vec::new();
    for (call, status) in [("bad(", "400"), ("not_found(", "404"), ("conflict(", "409")] {
        let names = source.split(call).skip(1).filter_map(literal);
        made.extend(names.map(|name| (name.to_owned(), status)));
    }
    for call in source.split("::new(StatusCode::").skip(1) {
        if let Some((constant, name)) = call.split_once(',').and_then(|(it, rest)| Some((it, literal(rest)?)))
        {
            made.push((name.to_owned(), status(constant.trim())));
        }
    }
    // Its status is needed for the head, too.
    if source.contains("::new(status, \"too_many_connections\"") {
        made.push(("too_many_connections".to_owned(), "503"));
    }
    made
}

#[test]
fn every_name_of_an_error_is_listed_with_its_status_and_no_other_is() {
    let mut wanted: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for source in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        for (name, status) in made(&source) {
            wanted.entry(name).or_default().insert(status);
        }
    }
    let guide = guide();
    let is_status = |cell: &str| cell.split(", ").all(|it| it.len() == 3 && it.parse::<u16>().is_ok());
    let listed = rows(&guide).filter(|row| row.len() == 3 && is_status(row[1]));
    let listed: BTreeMap<String, BTreeSet<&str>> =
        listed.map(|row| (code(row[0]).unwrap().to_owned(), row[1].split(", ").collect())).collect();
    assert!(wanted.len() > 30, "{wanted:?}");
    assert_eq!(listed, wanted);
}

#[test]
fn every_default_of_a_limit_is_what_it_says() {
    let defaults = format!("{:?} {:?}", ServeOptions::new(), Options::new());
    let guide = guide();
    // One may have several rows, for what it does is not the same everywhere.
    let mut checked = BTreeSet::new();
    for row in rows(&guide).filter(|row| row.len() == 4) {
        let [_, default, option, _] = row[..] else { continue };
        let Some(option) = code(option).and_then(|it| it.strip_prefix("--http.")) else { continue };
        let setting = format!(" {}: {},", option.replace('-', "_"), code(default).unwrap());
        assert!(defaults.contains(&setting), "no `{setting}` in {defaults}");
        checked.insert(option);
    }
    assert_eq!(checked.len(), 10, "{checked:?}");
}
