//! The contract between the statements and the schema: that each can be prepared on a freshly migrated database, with
//! which parameters, and what it answers.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use pgmill_embedded::Embedded;
use tokio_postgres::types::Type;

use crate::statement::ALL;
use crate::{ConnectOptions, Migrator, Store};

/// Files that are no single statement, or that cannot be prepared.
const NOT_PREPARED: [&str; 9] = [
    "copy_tasks",
    "listen",
    "listen_events",
    "migration_begin",
    "pooler_begin",
    "pooler_begin_reading",
    "pooler_commit",
    "session",
    "unlisten_events",
];

#[tokio::test]
async fn every_statement_can_be_prepared_on_a_new_database() {
    let server = Embedded::builder().ephemeral().setting("fsync", "off").start().unwrap();
    let store = Store::open(&ConnectOptions::parse(&server.url()).unwrap()).unwrap();
    Migrator::new(&store).run().await.unwrap();
    let client = store.pool().get().await.unwrap();
    // A name without its schema would not be found.
    client.batch_execute("SET search_path = ''").await.unwrap();
    let mut contract = String::new();
    for statement in ALL {
        let prepared = client
            .prepare_typed(statement.text, statement.types)
            .await
            .unwrap_or_else(|error| panic!("{}: {error:?}", statement.name));
        assert_eq!(prepared.params(), statement.types, "the parameters of {}", statement.name);
        let parameters: Vec<&str> = prepared.params().iter().map(Type::name).collect();
        let _ = writeln!(contract, "{}({})", statement.name, parameters.join(", "));
        for column in prepared.columns() {
            let _ = writeln!(contract, "    {} {}", column.name(), column.type_().name());
        }
    }
    insta::assert_snapshot!("contract", contract);
}

#[test]
fn every_file_of_sql_is_a_known_statement() {
    let known: BTreeSet<String> =
        ALL.iter().map(|statement| statement.name).chain(NOT_PREPARED).map(str::to_owned).collect();
    assert_eq!(known, names("sql").into_iter().collect());
}

#[test]
fn every_file_of_sql_begins_with_what_it_is_for() {
    for folder in ["sql", "migrations"] {
        for name in names(folder) {
            let text = fs::read_to_string(folder_path(folder).join(format!("{name}.sql"))).unwrap();
            assert!(text.starts_with("-- "), "{folder}/{name}.sql begins with {:?}", text.lines().next());
        }
    }
}

fn folder_path(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

/// The names of the files of a folder, without their ending.
fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder_path(folder)).unwrap();
    let files = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    files.map(|file| file.strip_suffix(".sql").expect("a file of SQL").to_owned()).collect()
}
