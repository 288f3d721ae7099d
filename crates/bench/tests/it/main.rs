//! The program as it is run, on small numbers. How fast anything is, is no business of a test.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use pgmill_testkit::TestDatabase;
use serde_json::Value;

const KEYS: [&str; 12] = [
    "workload",
    "config",
    "n",
    "seconds",
    "per_second",
    "p50_ms",
    "p99_ms",
    "wal_bytes_per_task",
    "limit",
    "ratio",
    "bar",
    "met",
];

fn bench(arguments: &[&str], url: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pgmill-bench"))
        .args(["--url", url])
        .args(arguments)
        .output()
        .expect("pgmill-bench starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn every_workload_is_one_json_line_a_result() {
    let database = TestDatabase::create().await;
    let output = bench(&["--quick", "--json", "--tasks", "1500"], database.url());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut seen: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in text(&output.stdout).lines() {
        let result: Value = serde_json::from_str(line).expect("a JSON object");
        let keys: Vec<&str> = result.as_object().expect("an object").keys().map(String::as_str).collect();
        assert!(keys.len() == KEYS.len() && keys.iter().all(|key| KEYS.contains(key)), "{keys:?}");
        assert!(result["n"].as_u64().is_some_and(|n| n > 0), "{line}");
        let workload = result["workload"].as_str().expect("a name").to_owned();
        seen.entry(workload).or_default().push(result);
    }
    let counts: Vec<(&str, usize)> =
        seen.iter().map(|(name, results)| (name.as_str(), results.len())).collect();
    let expected = [
        ("drain", 3),
        ("enqueue_bulk", 2),
        ("enqueue_single", 3),
        ("idle", 2),
        ("latency", 3),
        ("retain", 2),
        ("tickers", 1),
    ];
    assert_eq!(counts, expected);

    let callers: Vec<&str> =
        seen["enqueue_single"].iter().filter_map(|result| result["config"].as_str()).collect();
    assert_eq!(callers, ["1 caller", "8 callers", "64 callers"]);
    for result in seen["enqueue_single"].iter().chain(&seen["enqueue_bulk"]).chain(&seen["drain"][..1]) {
        let (rate, limit) = (result["per_second"].as_f64(), result["limit"]["per_second"].as_f64());
        let ratio = result["ratio"].as_f64().expect("a ratio");
        let expected = rate.expect("a rate") / limit.expect("a limit");
        assert!((ratio / expected - 1.0).abs() < 0.01, "{result}");
        assert!(result["limit"]["name"].as_str().is_some_and(|name| !name.is_empty()), "{result}");
        assert!(result["wal_bytes_per_task"].as_f64().is_some_and(|bytes| bytes > 100.0), "{result}");
    }
    for latency in seen["latency"].iter().chain(&seen["tickers"]) {
        assert!(latency["p50_ms"].as_f64() <= latency["p99_ms"].as_f64(), "{latency}");
        assert!(latency["p50_ms"].is_number() && latency["limit"].is_null() && latency["ratio"].is_null());
        assert!(latency["bar"].is_string() && latency["met"].is_boolean(), "{latency}");
    }
}

#[tokio::test]
async fn a_run_leaves_nothing_in_the_database() {
    let database = TestDatabase::create().await;
    let output = bench(&["--quick", "--tasks", "50", "--workload", "drain", "latency"], database.url());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert!(table.contains("fsync") && table.contains("at least 0.8x"), "{table}");
    let client = database.connect().await;
    let tables = ["queue", "task", "task_finished", "task_attempt", "task_count", "task_count_delta"];
    for table in tables {
        let rows = client.query(&format!("select from pgmill.{table}"), &[]).await.expect("rows");
        assert_eq!(rows.len(), 0, "{table}");
    }
    let schemas = client.query("select from pg_namespace where nspname = 'pgmill_bench'", &[]).await;
    assert!(schemas.expect("rows").is_empty());
}

#[tokio::test]
async fn an_argument_out_of_its_range_is_refused() {
    let output = bench(&["--payload", "1"], "postgres://nobody@127.0.0.1:1/nowhere");
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("--payload"), "{}", text(&output.stderr));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let output = bench(&["--quick"], "postgres://nobody@127.0.0.1:1/nowhere");
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("127.0.0.1:1"), "{}", text(&output.stderr));
}
