//! `pgmill doctor`.

use pgmill_testkit::{StopMode, TestServer, has_setting, skipped};
use serde_json::Value;
use tokio::process::Command;

use crate::served::Served;
use crate::support::{Bench, output, pgmill, stderr, stdout};

/// What it ends with, and what it prints.
async fn ended(command: &mut Command) -> (i32, String) {
    let output = output(command).await;
    let printed = stdout(&output);
    (output.status.code().unwrap_or_else(|| panic!("{}", stderr(&output))), printed)
}

fn doctor(bench: &Bench, options: &[&str]) -> Command {
    let mut command = pgmill(&["doctor"]);
    command.args(options).env("DATABASE_URL", bench.database.url());
    command
}

#[tokio::test]
async fn the_exit_code_tells_the_worst_of_what_was_found() {
    if skipped(has_setting("default_transaction_isolation"), "the server has a setting that is warned of") {
        return;
    }
    let server = TestServer::own();
    let bench = Bench::on(&server).await;
    let client = bench.database.connect().await;
    let (code, printed) = ended(&mut doctor(&bench, &[])).await;
    assert_eq!(code, 0, "{printed}");
    assert!(printed.starts_with("ok      connection    answered within"), "{printed}");
    assert!(printed.ends_with("21 checks: 0 fail, 0 warn\n"), "{printed}");

    client.batch_execute("CREATE INDEX mine ON pgmill.task (worker)").await.unwrap();
    let (code, printed) = ended(&mut doctor(&bench, &[])).await;
    assert_eq!(code, 3, "{printed}");
    assert!(printed.contains("warn    schema        0 missing, 0 changed, 1 unknown\n"), "{printed}");
    assert!(
        printed.contains(" - unknown: index mine\n") && printed.contains(" => Somebody changed"),
        "{printed}"
    );

    client.batch_execute("DROP INDEX pgmill.task_held").await.unwrap();
    let (code, printed) = ended(&mut doctor(&bench, &["--json"])).await;
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((code, report["verdict"].as_str()), (1, Some("fail")), "{printed}");
    let schema = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "schema").unwrap();
    assert_eq!(
        (&schema["verdict"], &schema["details"][0]),
        (&"fail".into(), &"missing: index task_held".into())
    );

    server.halt(StopMode::Immediate).await;
    let (code, printed) = ended(&mut doctor(&bench, &["--timeout", "2s"])).await;
    assert_eq!(code, 1, "{printed}");
    assert!(printed.starts_with("fail    connection "), "{printed}");
    assert!(printed.contains("skipped schema        there is no connection\n"), "{printed}");
}

#[tokio::test]
async fn a_server_tells_of_its_part_and_that_there_is_more() {
    let served = Served::new().await;
    let mut command = pgmill(&["doctor", "--http.addr", &served.address, "--json"]);
    let asked = output(&mut command).await;
    let report: Value = serde_json::from_str(&stdout(&asked)).unwrap();
    let status = |name: &str| report["checks"][name]["status"].as_str();
    assert_eq!(status("partitions"), Some("ok"), "{report}");
    // The server of the tests does not wait for its disk.
    assert_eq!((asked.status.code(), status("durability")), (Some(3), Some("warn")), "{report}");
    assert!(stderr(&asked).contains("all checks need the database"), "{}", stderr(&asked));
    let nobody = output(&mut pgmill(&["doctor", "--http.addr", "127.0.0.1:1"])).await;
    assert_eq!(nobody.status.code(), Some(1));
    assert!(stderr(&nobody).starts_with("Error: "), "{}", stderr(&nobody));
}
