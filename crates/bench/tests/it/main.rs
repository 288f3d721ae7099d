//! The program as it is run, on small numbers. How fast anything is, is no business of a test.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use pgmill_testkit::TestDatabase;
use serde_json::Value;

const KEYS: [&str; 25] = [
    "workload",
    "config",
    "n",
    "seconds",
    "per_second",
    "p50_ms",
    "p99_ms",
    "p999_ms",
    "wal_bytes_per_task",
    "commits_per_task",
    "dead_per_task",
    "hot_share",
    "server_cpu_s_per_million",
    "client_cpu_s_per_million",
    "waits",
    "series",
    "server_cpu_percent",
    "bytes_per_connection",
    "limit",
    "ratio",
    "bar",
    "judged",
    "met",
    "machine",
    "date",
];
/// The workloads that need no server.
const OF_THE_LIBRARY: [&str; 7] =
    ["enqueue_single", "enqueue_bulk", "drain", "latency", "retain", "tickers", "idle"];

fn bench(arguments: &[&str], url: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pgmill-bench"))
        .args(["--url", url])
        .args(arguments)
        .output()
        .expect("pgmill-bench starts")
}

/// The results, by workload.
fn results(output: &Output) -> BTreeMap<String, Vec<Value>> {
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
    seen
}

/// The server lies beside the benchmark where the whole workspace was built. Where it was not, it is built now.
fn build_server() {
    let bench = Path::new(env!("CARGO_BIN_EXE_pgmill-bench"));
    if bench.with_file_name("pgmill").is_file() {
        return;
    }
    let target = bench.ancestors().nth(2).expect("the target directory");
    let built = Command::new(env!("CARGO"))
        .args(["build", "-p", "pgmill-cli", "--target-dir"])
        .arg(target)
        .args(if cfg!(debug_assertions) { &[][..] } else { &["--release"] })
        .status();
    assert!(built.expect("cargo starts").success(), "pgmill is built");
}

async fn assert_is_empty(database: &TestDatabase) {
    let client = database.connect().await;
    let tables = ["queue", "task", "task_finished", "task_attempt", "task_count", "task_count_delta"];
    for table in tables {
        let rows = client.query(&format!("select from pgmill.{table}"), &[]).await.expect("rows");
        assert_eq!(rows.len(), 0, "{table}");
    }
    let schemas = client.query("select from pg_namespace where nspname = 'pgmill_bench'", &[]).await;
    assert!(schemas.expect("rows").is_empty());
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn every_workload_is_one_json_line_a_result() {
    let database = TestDatabase::create().await;
    let arguments = ["--quick", "--json", "--tasks", "1500", "--workload"];
    let output = bench(&[&arguments[..], &OF_THE_LIBRARY].concat(), database.url());
    let seen = results(&output);
    let counts: Vec<(&str, usize)> =
        seen.iter().map(|(name, results)| (name.as_str(), results.len())).collect();
    let expected = [
        ("drain", 7),
        ("enqueue_bulk", 2),
        ("enqueue_single", 3),
        ("idle", 3),
        ("latency", 3),
        ("retain", 4),
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
    // The server of tests is on this machine, and its WAL can be read.
    for costing in seen["enqueue_single"].iter().chain(&seen["drain"][..1]).chain(&seen["drain"][4..]) {
        for cost in ["commits_per_task", "client_cpu_s_per_million"] {
            assert!(costing[cost].is_number(), "{cost}: {costing}");
        }
    }
    // Each is updated and then deleted. What other tests write at the same time is counted too.
    // WAL that the server has recycled meanwhile cannot be read any more.
    let mut dead = seen["drain"].iter().filter_map(|drained| drained["dead_per_task"].as_f64());
    assert!(dead.any(|dead| dead >= 2.0), "{:?}", seen["drain"]);
    for latency in seen["latency"].iter().chain(&seen["tickers"]) {
        assert!(latency["p50_ms"].as_f64() <= latency["p99_ms"].as_f64(), "{latency}");
        assert!(latency["p50_ms"].is_number() && latency["limit"].is_null() && latency["ratio"].is_null());
        assert!(latency["bar"].is_string() && latency["met"].is_boolean(), "{latency}");
    }
}

#[tokio::test]
async fn workloads_with_very_many_tasks_hold_them_against_few_and_lose_none() {
    let database = TestDatabase::create().await;
    let arguments = ["--quick", "--json", "--tasks", "300", "--deep", "2000", "--workload"];
    let output = bench(&[&arguments[..], &["backlog", "finished", "growth"]].concat(), database.url());
    let seen = results(&output);
    let of = |workload: &str, config: &str| -> &Value {
        let found = seen[workload].iter().find(|result| result["config"] == config);
        found.unwrap_or_else(|| panic!("no {config} in {:?}", seen[workload]))
    };
    let against_few = [
        ("backlog", "drain, 2000 waiting"),
        ("backlog", "retain, 2000 waiting"),
        ("backlog", "pickup of a task of priority 0, 2000 waiting"),
        ("finished", "drain, 2000 finished"),
        ("finished", "retain, 2000 finished"),
        ("finished", "drain while a day with 1000 finished is written anew"),
        ("finished", "drain while 200 finished are deleted"),
    ];
    for (workload, config) in against_few {
        let result = of(workload, config);
        assert!(result["ratio"].is_number() && result["bar"] == "at least 0.91x", "{result}");
    }
    for (workload, what) in [("backlog", "waiting"), ("finished", "finished")] {
        let result = of(workload, &format!("list_tasks of a queue after one in the middle, 2000 {what}"));
        assert!(result["p99_ms"].is_number() && result["bar"].is_string(), "{result}");
    }
    let curve = &of("growth", "retain, 1000 to 2000 tasks waiting")["series"][0];
    assert_eq!(curve["points"].as_array().map(Vec::len), Some(2), "{curve}");
    let processes = &of("growth", "drain by pools, 1 to 16 processes")["series"][0];
    assert_eq!(processes["points"].as_array().map(Vec::len), Some(5), "{processes}");
}

#[tokio::test]
async fn a_load_is_borne_by_a_pool_of_another_process_and_every_task_is_accounted_for() {
    let database = TestDatabase::create().await;
    let arguments = ["--quick", "--json", "--tasks", "60", "--workload"];
    let workloads = ["sustained", "low_load", "queues", "mixed"];
    let seen = results(&bench(&[&arguments[..], &workloads].concat(), database.url()));
    let configs = |workload: &str| -> Vec<&str> {
        seen[workload].iter().filter_map(|result| result["config"].as_str()).collect()
    };

    // Whether more rates are held, and so offered, is a matter of speed.
    let rate = ["until it runs", "until it is done"].map(|what| format!("1000 a second, {what}"));
    assert_eq!(configs("sustained")[..2], rate);
    let done = &seen["sustained"][1];
    assert!(done["wal_bytes_per_task"].as_f64().is_some_and(|bytes| bytes > 100.0), "{done}");
    let kinds: Vec<&str> =
        done["series"].as_array().expect("series").iter().filter_map(|line| line["kind"].as_str()).collect();
    assert!(kinds.contains(&"rate") && kinds.contains(&"depth"), "{kinds:?}");

    let low_load = [
        "told by LISTEN, pickup at 10 a second",
        "told by LISTEN, pickup at 100 a second",
        "polling, pickup at 10 a second",
        "polling, pickup at 100 a second",
    ];
    assert_eq!(configs("low_load"), low_load);
    for pickup in &seen["low_load"] {
        assert!(pickup["ratio"].is_number() && pickup["p50_ms"].is_number(), "{pickup}");
    }

    let queues = [
        "retains from one queue, 8 priorities",
        "retains from any queue, 60 queues by zipf (seed 42), 8 priorities",
        "retains by 60 names, 60 queues by zipf (seed 42), 8 priorities",
        "waits at half that rate, a pool for any queue",
        "the longest wait of any queue",
    ];
    assert_eq!(configs("queues"), queues);
    let ratios: Vec<bool> = seen["queues"].iter().map(|result| result["ratio"].is_number()).collect();
    assert_eq!(ratios, [false, true, true, false, false]);

    let mixed = ["those delayed", "those due at once", "second attempts"];
    assert_eq!(configs("mixed"), mixed.map(|what| format!("{what}, beside 60 of the future")));
    let counts: Vec<u64> = seen["mixed"].iter().filter_map(|result| result["n"].as_u64()).collect();
    assert!(counts[0] + counts[1] == 60 && counts[2] > 0, "{counts:?}");
    assert_is_empty(&database).await;
}

#[tokio::test]
async fn the_server_is_measured_as_a_process_of_its_own() {
    build_server();
    let database = TestDatabase::create().await;
    let arguments = ["--quick", "--json", "--tasks", "300", "--workload", "http", "connections"];
    let seen = results(&bench(&arguments, database.url()));
    let configs = |workload: &str| -> Vec<&str> {
        seen[workload].iter().filter_map(|result| result["config"].as_str()).collect()
    };
    let routes =
        ["POST /task", "PUT /task/{queue}", "PATCH /task/{id}"].map(|it| format!("{it}, 64 connections"));
    assert_eq!(configs("http"), routes);
    for result in &seen["http"] {
        assert!(result["ratio"].is_number() && result["p99_ms"].is_number(), "{result}");
    }
    let expected = [
        "statements while 150 long polls, 147 event and 3 tick streams wait",
        "POST /task, 8 clients, beside 300 connections",
        "GET /queue/{name}, 8 clients, beside 300 connections",
        "one change told to 147 streams",
        "150 tasks dealt out to as many long polls",
    ];
    assert_eq!(configs("connections"), expected);
    assert!(seen["connections"][0]["bytes_per_connection"].is_number());
}

#[tokio::test]
async fn a_run_leaves_nothing_in_the_database() {
    let database = TestDatabase::create().await;
    let output = bench(&["--quick", "--tasks", "50", "--workload", "drain", "latency"], database.url());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert!(table.contains("fsync") && table.contains("at least 0.8x"), "{table}");
    assert!(!table.contains("B/connection"), "a column that is empty: {table}");
    assert_is_empty(&database).await;
}

#[tokio::test]
async fn results_that_were_saved_become_a_report_and_a_table_of_the_bars() {
    let database = TestDatabase::create().await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a path").to_owned();
    let (saved, of_run, of_file) = (path("results.jsonl"), path("run.html"), path("report.html"));
    let arguments =
        ["--quick", "--tasks", "200", "--workload", "latency", "--save", &saved, "--html", &of_run];
    let output = bench(&arguments, database.url());
    assert!(output.status.success(), "{}", text(&output.stderr));

    let nowhere = "postgres://nobody@127.0.0.1:1/nowhere";
    let output = bench(&["report", &saved, "--html", &of_file], nowhere);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let page = std::fs::read_to_string(of_file).expect("a report");
    assert!(page.contains("<svg") && page.contains("pickup by an idle worker"), "{page}");
    assert_eq!(page, std::fs::read_to_string(of_run).expect("a report"));

    let output = bench(&["bars", &saved], nowhere);
    let table = text(&output.stdout);
    assert_eq!(table.lines().count(), 5, "{table}");
    assert!(table.contains("| p50 at most 1 ms, p99 5 ms |"), "{table}");

    let output = bench(&["bars", &path("none.jsonl")], nowhere);
    assert!(!output.status.success() && text(&output.stderr).contains("none.jsonl cannot be read"));
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
