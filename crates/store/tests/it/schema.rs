//! The committed dump of the schema, for migrations to be reviewed as what they change.

use std::fs;
use std::path::Path;
use std::process::Command;

use pgmill_embedded::find_installation;
use pgmill_testkit::{TestDatabase, skipped};

const HEAD: &str = "-- The schema as the migrations make it, by pg_dump. Not run by anything: it is here to be read, and for a change of\n\
    -- the migrations to be seen as what it changes. Written by UPDATE_SCHEMA=1 cargo test -p pgmill-store schema\n";

#[tokio::test]
async fn schema_sql_is_what_the_migrations_make() {
    let database = TestDatabase::create().await;
    if skipped(
        server_version(&database).await != 15,
        "each version of pg_dump writes some clauses in its own way",
    ) {
        return;
    }
    let dump = normalised(&dump(&database.server().url_for(database.name())));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.sql");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&file, &dump).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    let differs = committed.lines().zip(dump.lines()).find(|(committed, made)| committed != made);
    assert!(
        committed == dump,
        "schema.sql is not what the migrations make; UPDATE_SCHEMA=1 writes it. First difference: {differs:?}"
    );
}

async fn server_version(database: &TestDatabase) -> i32 {
    let client = database.connect().await;
    let version =
        client.query_one("SELECT current_setting('server_version_num')::integer / 10000", &[]).await;
    version.unwrap().get(0)
}

fn dump(url: &str) -> String {
    let output = Command::new(find_installation().unwrap().bin_dir.join("pg_dump"))
        .args(["--schema-only", "--no-owner", "--no-privileges", "--schema=pgmill"])
        .args(["--exclude-table=pgmill.*_20??????", url])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Without what depends on the day, the versions, or the session of the dump.
fn normalised(dump: &str) -> String {
    let mut text = HEAD.to_owned();
    let mut blank = true;
    for line in dump.lines() {
        let noise =
            ["SET ", "SELECT pg_catalog.set_config", "-- Dumped ", "-- PostgreSQL database dump", "\\"];
        let frame = line == "--";
        if frame || noise.iter().any(|noise| line.starts_with(noise)) || (line.is_empty() && blank) {
            continue;
        }
        blank = line.is_empty();
        text.push_str(line);
        text.push('\n');
    }
    text
}
