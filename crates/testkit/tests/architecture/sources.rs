//! The rules about what files of source may contain.

use crate::rust_text::{Kind, Piece, pieces};

/// Where files of SQL may be; the last one is a picture of the schema that nothing runs.
const SQL_PLACES: &[&str] = &[
    "crates/store/sql/",
    "crates/store/migrations/",
    "crates/bench/sql/",
    "crates/chaos/sql/",
    "crates/store/schema.sql",
];

/// Where Rust may hold SQL all the same.
const SQL_EXCEPTIONS: &[(&str, &str)] = &[
    (
        "crates/embedded/src/psql.rs",
        "creates the database of a new cluster, by psql, before there is any driver",
    ),
    ("crates/testkit/src/workplace.rs", "makes and drops the databases of tests"),
];

/// The words that start a statement when they are written in capitals.
const CAPITALS: &[&str] = &[
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "CREATE",
    "ALTER",
    "DROP",
    "COPY",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT",
    "SET",
    "RESET",
    "TRUNCATE",
    "LOCK",
    "LISTEN",
    "NOTIFY",
    "VACUUM",
    "ANALYZE",
    "WITH",
];

/// What starts a statement in small letters, where the first word alone may start a sentence as well: the start, and what
/// follows it somewhere.
const SMALL: &[(&str, &str)] = &[
    ("select ", " from "),
    ("select ", "pgmill."),
    ("select ", "pg_"),
    ("insert into ", ""),
    ("update ", " set "),
    ("delete from ", ""),
    ("create table ", ""),
    ("create index ", ""),
    ("create database ", ""),
    ("create schema ", ""),
    ("create role ", ""),
    ("alter table ", ""),
    ("alter system ", ""),
    ("drop table ", ""),
    ("drop database ", ""),
    ("copy ", " from std"),
    ("copy ", " to std"),
    ("begin;", ""),
    ("begin isolation", ""),
    ("set local ", ""),
    ("set session ", ""),
    ("set ", "_timeout"),
    ("truncate ", "pgmill."),
    ("lock table ", ""),
    ("vacuum ", "pgmill."),
    ("analyze ", "pgmill."),
    ("with ", " as ("),
];

/// Longer is probably not one thing.
const MOST_LINES: usize = 450;

/// A file of this repository.
pub(crate) struct Source {
    path: String,
    text: String,
    is_test: bool,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let is_test = path.split('/').any(|part| part == "tests" || part == "benches");
        Self { path: path.to_owned(), text: text.to_owned(), is_test }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The files of the modules that are declared here for tests only.
    fn test_modules(&self) -> Vec<String> {
        let own = self.path.strip_suffix(".rs").unwrap_or_default();
        let own = ["/lib", "/main", "/mod"].iter().find_map(|root| own.strip_suffix(root)).unwrap_or(own);
        let declared =
            self.text.split("#[cfg(test)]\nmod ").skip(1).filter_map(|after| after.split_once(';'));
        declared.map(|(name, _)| format!("{own}/{name}.rs")).collect()
    }

    fn violation(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    /// The pieces of a Rust file up to its tests, which are the last thing in it.
    fn product(&self) -> Vec<Piece<'_>> {
        let end = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        pieces(&self.text[..end])
    }
}

/// Marks the modules that others declare for tests only.
pub(crate) fn mark_tests(sources: &mut [Source]) {
    let tests: Vec<String> =
        sources.iter().filter(|source| source.is_rust()).flat_map(Source::test_modules).collect();
    for source in sources {
        source.is_test |= tests.contains(&source.path);
    }
}

/// SQL outside of where SQL belongs: statements in Rust, except in tests, and files elsewhere.
pub(crate) fn misplaced_sql(source: &Source) -> Vec<String> {
    // What drives other queues asks them about their tables, a line for each.
    if source.path.starts_with("bench/peers/")
        || source.is_test
        || SQL_EXCEPTIONS.iter().any(|(path, _)| *path == source.path)
    {
        return Vec::new();
    }
    if source.path.ends_with(".sql") {
        let misplaced = !SQL_PLACES.iter().any(|place| source.path.starts_with(place));
        let violation = format!("{}: SQL is only in {}", source.path, SQL_PLACES.join(", "));
        return Vec::from_iter(misplaced.then_some(violation));
    }
    if !source.is_rust() || !source.path.contains("/src/") {
        return Vec::new();
    }
    let strings =
        source.product().into_iter().filter(|piece| piece.kind == Kind::String && is_statement(piece.text));
    strings
        .map(|piece| source.violation(piece.line, "a statement: it belongs in a file of its own"))
        .collect()
}

fn is_statement(text: &str) -> bool {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\\');
    let first = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
    let small =
        |start: &str, within: &str| text.starts_with(start) && text[start.len() - 1..].contains(within);
    // Alone, it is a method of HTTP.
    let is_method = text == "DELETE";
    CAPITALS.contains(&first) && !is_method || SMALL.iter().any(|(start, within)| small(start, within))
}

/// Lints switched off by `allow`, which nobody is told of when the reason for it has gone. `expect` is.
pub(crate) fn silenced_lints(source: &Source) -> Vec<String> {
    if !source.is_rust() {
        return Vec::new();
    }
    let code = pieces(&source.text).into_iter().filter(|piece| piece.kind == Kind::Code);
    let silenced = code.filter(|piece| {
        let dense: String = piece.text.split_whitespace().collect();
        ["#[allow(", "#![allow("].iter().any(|attribute| dense.contains(attribute))
    });
    silenced.map(|piece| source.violation(piece.line, "use #[expect(…, reason = \"…\")]")).collect()
}

/// Notes of work to be done that name no issue, as in `TODO(#12)`.
pub(crate) fn left_undone(source: &Source) -> Vec<String> {
    let is_code = [".rs", ".sql", ".toml"].iter().any(|ending| source.path.ends_with(ending));
    let noted = if source.is_rust() {
        let comments = pieces(&source.text).into_iter().filter(|piece| piece.kind == Kind::Comment);
        comments.map(|piece| (piece.line, piece.text)).collect()
    } else if is_code || !source.path.contains('.') {
        source.text.lines().enumerate().map(|(at, line)| (at + 1, line)).collect()
    } else {
        Vec::new()
    };
    let undone = noted
        .into_iter()
        .filter(|(_, text)| ["TODO", "FIXME", "XXX"].iter().any(|mark| is_unnumbered(text, mark)));
    undone.map(|(line, _)| source.violation(line, "work left undone, and no issue named")).collect()
}

fn is_unnumbered(text: &str, mark: &str) -> bool {
    text.match_indices(mark).any(|(at, _)| {
        let inside_a_word = text[..at].ends_with(|c: char| c.is_alphanumeric());
        let issue = text[at + mark.len()..].strip_prefix("(#").unwrap_or_default();
        !inside_a_word && !issue.starts_with(|c: char| c.is_ascii_digit())
    })
}

/// Rust files of the product with too many lines.
pub(crate) fn too_long(source: &Source) -> Option<String> {
    let lines = source.text.lines().count();
    let long = source.is_rust() && source.path.contains("/src/") && lines > MOST_LINES;
    long.then(|| format!("{}: {lines} lines, of {MOST_LINES}", source.path))
}

/// Paths that exist on the machine of whoever wrote them.
pub(crate) fn machine_paths(source: &Source) -> Vec<String> {
    // What a test plants, a user `u` or `me`, is nobody's.
    let lines = source.text.lines().enumerate().filter(|_| !source.is_test);
    let named = lines.filter(|(_, line)| names_a_home(line));
    named.map(|(at, _)| source.violation(at + 1, "the path of one machine")).collect()
}

/// Tests that a page names, in the last column of its tables, and that no file has.
pub(crate) fn unknown_tests(page: &Source, sources: &[Source]) -> Vec<String> {
    let rows = page.text.lines().filter(|line| line.starts_with("| ") && line.ends_with(" |"));
    let last_columns = rows.filter_map(|row| row.trim_end_matches(" |").rsplit(" | ").next());
    let named = last_columns.flat_map(|column| column.split('`').skip(1).step_by(2));
    let is_name =
        |name: &&str| name.contains('_') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let exists = |name: &str| {
        let function = format!("fn {name}(");
        sources.iter().any(|source| source.is_test && source.is_rust() && source.text.contains(&function))
    };
    let unknown = named.filter(is_name).filter(|name| !exists(name));
    unknown.map(|name| format!("{}: there is no test {name}", page.path)).collect()
}

fn names_a_home(line: &str) -> bool {
    ["/home/", "/root/", "/Users/"].iter().any(|folder| {
        line.match_indices(folder).any(|(at, _)| {
            // Inside of a longer path it is relative to that.
            let starts = !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-}~*)>".contains(c));
            starts && line[at + folder.len()..].starts_with(|c: char| c.is_ascii_alphanumeric())
        })
    })
}

fn found(rule: impl Fn(&Source) -> Vec<String>, path: &str, text: &str) -> bool {
    !rule(&Source::new(path, text)).is_empty()
}

#[test]
fn a_statement_in_rust_is_found() {
    let path = "crates/pgmill/src/tasks.rs";
    for text in [
        "\"SELECT 1\"",
        "\"select id\\n from t\"",
        "r#\"  WITH x AS (\"#",
        "\"set local lock_timeout = 1\"",
        "\"COMMIT\"",
    ] {
        assert!(found(misplaced_sql, path, text), "{text}");
    }
    for text in [
        "\"create the database, or name another\"",
        "\"select a queue\"",
        "// SELECT 1",
        "\"SELECTED\"",
        "\"set the lease\"",
        "\"create a folder in\"",
        "\"with\"",
    ] {
        assert!(!found(misplaced_sql, path, text), "{text}");
    }
}

#[test]
fn the_method_delete_is_no_statement() {
    assert!(!found(misplaced_sql, "crates/server/src/a.rs", "const A: &str = \"DELETE\";"));
    assert!(found(misplaced_sql, "crates/server/src/a.rs", "const A: &str = \"DELETE FROM a\";"));
    assert!(found(misplaced_sql, "crates/server/src/a.rs", "const A: &str = \"COMMIT\";"));
}

#[test]
fn tests_may_hold_sql_and_other_folders_may_not() {
    let sql = "\"SELECT 1\"";
    assert!(!found(misplaced_sql, "crates/pgmill/tests/it/main.rs", sql));
    let after = format!("fn f() {{}}\n\n#[cfg(test)]\nmod tests {{ const A: &str = {sql}; }}");
    assert!(!found(misplaced_sql, "crates/pgmill/src/tasks.rs", &after));
    assert!(!found(misplaced_sql, "crates/store/sql/a.sql", "SELECT 1"));
    assert!(found(misplaced_sql, "crates/pgmill/sql/a.sql", "SELECT 1"));
}

#[test]
fn a_module_that_is_declared_for_tests_is_one() {
    let mut sources = [
        Source::new("crates/a/src/lib.rs", "#[cfg(test)]\nmod contract;\nmod store;"),
        Source::new("crates/a/src/b.rs", "#[cfg(test)]\nmod checks;\n"),
        Source::new("crates/a/src/contract.rs", ""),
        Source::new("crates/a/src/b/checks.rs", ""),
        Source::new("crates/a/src/store.rs", ""),
    ];
    mark_tests(&mut sources);
    assert_eq!(sources.map(|source| source.is_test), [false, false, true, true, false]);
}

#[test]
fn a_silenced_lint_is_found() {
    for text in ["#[allow(dead_code)]", "#![allow(unused)]", "#[ allow (x)]"] {
        assert!(found(silenced_lints, "a.rs", text), "{text}");
    }
    for text in ["#[expect(dead_code, reason = \"r\")]", "// #[allow(x)]", "\"#[allow(x)]\"", "swallow(x)"] {
        assert!(!found(silenced_lints, "a.rs", text), "{text}");
    }
}

#[test]
fn work_left_undone_is_found() {
    for (path, text) in
        [("a.rs", "// TODO later"), ("a.sql", "-- FIXME"), ("Makefile", "# TODO(me)"), ("a.rs", "/* XXX */")]
    {
        assert!(found(left_undone, path, text), "{text}");
    }
    for (path, text) in
        [("a.rs", "// TODO(#12): later"), ("a.rs", "\"TODO\""), ("a.md", "TODO"), ("a.rs", "// MYTODO")]
    {
        assert!(!found(left_undone, path, text), "{text}");
    }
}

#[test]
fn a_file_that_is_too_long_is_found() {
    let long = "\n".repeat(MOST_LINES + 1);
    assert!(too_long(&Source::new("crates/a/src/b.rs", &long)).is_some());
    assert!(too_long(&Source::new("crates/a/src/b.rs", &long[1..])).is_none());
    assert!(too_long(&Source::new("crates/a/tests/it/b.rs", &long)).is_none());
}

#[test]
fn the_path_of_a_machine_is_found() {
    for text in ["cd /home/ann/pgmill", "\"/root/x\"", "(/Users/ann)"] {
        assert!(found(machine_paths, "README.md", text), "{text}");
    }
    for text in ["src/work/mod.rs", "https://example.com/home/x", "~/work/x", "$HOME/root/x", "/home/…"] {
        assert!(!found(machine_paths, "README.md", text), "{text}");
    }
}

#[test]
fn a_test_that_is_named_and_does_not_exist_is_found() {
    let page = Source::new("map.md", "| a | `b_c` | `it_works`, `it_is_gone` |\n|---|---|---|\n`not_a_row`");
    let sources = [
        Source::new("crates/a/tests/it/b.rs", "async fn it_works() {}"),
        Source::new("b.rs", "fn it_is_gone() {}"),
    ];
    assert_eq!(unknown_tests(&page, &sources), ["map.md: there is no test it_is_gone"]);
}
