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
        (&["migrate", "--nonsense"], "unexpected argument '--nonsense'"),
    ] {
        let output = output(&mut pgmill(args)).await;
        let (said, printed) = (stderr(&output), stdout(&output));
        assert_eq!(output.status.code(), Some(80), "{args:?}: {said}");
        assert!(said.starts_with("pgmill: error: ") && said.contains(message), "{args:?}: {said}");
        assert!(printed.contains("Usage: pgmill"), "{args:?}: {printed}");
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
    let output = output(&mut pgmill(&["--version"])).await;
    assert!(output.status.success());
    let printed = stdout(&output);
    assert!(printed.starts_with("{\n  \""), "{printed}");
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
