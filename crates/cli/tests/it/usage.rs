//! Arguments that cannot be understood, and questions about the program.

use crate::support::{output, pgmill, stderr, stdout};

#[tokio::test]
async fn wrong_arguments_end_with_80_and_the_usage() {
    for (args, message) in [
        (&[][..], "a command is missing"),
        (&["wrok"], "unrecognized subcommand 'wrok'"),
        (&["work"], "the following required arguments were not provided"),
        (&["work", "jobs"], "the following required arguments were not provided"),
        (&["work", "--any", "jobs", "--", "true"], "cannot be used with"),
        (&["work", "jobs", "--workers", "0", "--", "true"], "invalid value '0' for '--workers <N>'"),
        (&["work", "jobs", "--timeout", "5", "--", "true"], "want numbers with a unit"),
        (&["work", "jobs", "--timeout", "0s", "--", "true"], "must be above 0"),
        (&["work", "jobs", "--lease", "10ms", "--", "true"], "must be from 1s to 24h"),
        (&["work", "0jobs", "--", "true"], "Invalid queue name"),
        (&["work", "jobs", "--namespace", "pgmill", "--", "true"], "namespace is reserved for system use"),
        (&["demo", "--fail-rate", "1.5"], "must be a number from 0 to 1"),
        (&["token", "create", "t"], "--role <ROLE>"),
        (&["token", "create", "t", "--role=king"], "possible values: viewer"),
        (&["token", "create", "t", "--role=admin", "--namespace=a b"], "Invalid namespace"),
        (&["token", "revoke"], "<TOKEN>"),
        (&["migrate", "--nonsense"], "unexpected argument '--nonsense'"),
        (&["--http.addr=x", "migrate"], "unexpected argument '--http.addr'"),
        (&["queue"], "<NAME>"),
        (&["queues", "more"], "unexpected argument 'more'"),
        (&["queues", "--limit=-1"], "expected a whole number"),
        (&["queues", "--limit=0x"], "expected a whole number"),
        (&["queues", "--watch=1ms"], "must be at least 100ms"),
        (&["create-queue"], "<NAME>"),
        (&["create-queue", "x", "--ttl=5"], "want numbers with a unit"),
        (&["create-queue", "x", "--ttl=1d"], "want numbers with a unit"),
        (&["create-queue", "x", "--ttl=1s", "--no-ttl"], "cannot be used with"),
        (&["update-queue", "x", "--backoff=none"], "possible values: exponential"),
        (&["delete-queue"], "<NAME>"),
        (&["pause-queue"], "<NAME>"),
        (&["resume-queue"], "<NAME>"),
        (&["status", "x", "--offset=1"], "cannot be used with"),
        (&["tasks", "--status=pending"], "possible values: new, retry, retained"),
        (&["task", "abc"], "expected a whole number"),
        (&["cancel-task", "-1"], "unexpected argument '-1'"),
        (&["retry-task", "18446744073709551616"], "expected a whole number"),
        (&["create-task"], "<QUEUE>"),
        (&["create-task", "q", "--payload=1", "--file=-"], "cannot be used with"),
        (&["create-task", "q", "--task"], "--file <FILE>"),
        (&["create-task", "q", "--payload=1", "--task"], "cannot be used with"),
        (&["create-task", "q", "--delayed-at=tomorrow"], "expected a time as in RFC 3339"),
        (&["create-task", "q", "--priority=10"], "10 is not in 0..=9"),
        (&["retain-task"], "--worker <NAME>"),
        (&["retain-task", "--worker=w", "--count=0"], "0 is not in 1..=1000"),
        (&["complete-task", "abc"], "expected a whole number"),
        (&["complete-task", "1", "--result=1", "--error=1"], "cannot be used with"),
        (&["complete-task", "1", "--discard", "--retry-in=1s"], "cannot be used with"),
        (&["create-ticker", "t", "--interval=1s", "--cron=* * * * *"], "cannot be used with"),
        (&["create-ticker", "t", "--time-zone=UTC"], "--cron <EXPRESSION>"),
        (&["update-ticker", "t", "--disable", "--interval=1s"], "cannot be used with"),
        (&["ticker"], "<NAME>"),
        (&["tickers", "--offset=x"], "expected a whole number"),
        (&["delete-ticker"], "<NAME>"),
        (&["next-ticker", "t"], "unexpected argument 't'"),
        (&["namespaces", "--nonsense"], "unexpected argument '--nonsense'"),
        (&["events", "1bad"], "Invalid queue name"),
        (&["health", "--namespace=pgqueue"], "namespace is reserved for system use"),
        (&["completions", "tcsh"], "possible values: bash"),
    ] {
        let output = output(&mut pgmill(args)).await;
        let (said, printed) = (stderr(&output), stdout(&output));
        assert_eq!(output.status.code(), Some(80), "{args:?}: {said}");
        assert!(said.starts_with("pgmill: error: ") && said.contains(message), "{args:?}: {said}");
        assert!(printed.contains("Usage: pgmill"), "{args:?}: {printed}");
    }
}

#[tokio::test]
async fn the_usage_is_of_the_command_whatever_the_environment_holds() {
    for (args, usage) in [
        (&["create-queue"][..], "Usage: pgmill create-queue [OPTIONS] <NAME>"),
        (&["retain-task"], "Usage: pgmill retain-task [OPTIONS] --worker <NAME> [QUEUES]..."),
        (&["token", "create"], "Usage: pgmill token create [OPTIONS] --role <ROLE> <NAME>"),
    ] {
        let output = output(pgmill(args).env("PGMILL_ADDR", "127.0.0.1:1").env("PGMILL_TOKEN", "t")).await;
        assert_eq!(stdout(&output).lines().next(), Some(usage), "{args:?}");
    }
}

#[tokio::test]
async fn help_goes_to_standard_output() {
    for args in [&["--help"][..], &["work", "-h"], &["demo", "--help"]] {
        let output = output(&mut pgmill(args)).await;
        assert!(output.status.success() && output.stderr.is_empty());
        assert!(stdout(&output).contains("Usage: pgmill"));
    }
}

#[tokio::test]
async fn the_version_is_json() {
    let version = output(&mut pgmill(&["--version"])).await;
    assert!(version.status.success());
    let printed = stdout(&version);
    assert!(printed.starts_with("{\n  \""), "{printed}");
    // Whatever else is missing.
    assert_eq!(stdout(&output(&mut pgmill(&["create-queue", "--version"])).await), printed);
    let version: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(version["name"], "pgmill");
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert!(version["compiler"].as_str().unwrap().starts_with("rustc "));
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_an_error_with_its_cause_and_without_the_password() {
    let url = "postgres://me:geheim@127.0.0.1:1/shop";
    for args in [&["migrate", "--url", url][..], &["work", "jobs", "--url", url, "--", "true"]] {
        let output = output(&mut pgmill(args)).await;
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1));
        assert!(said.starts_with("Error: ") && said.contains("127.0.0.1:1"), "{said}");
        assert!(said.contains("could not be reached") && !said.contains("migrated"), "{said}");
        assert!(!said.contains("geheim"), "{said}");
    }
}
