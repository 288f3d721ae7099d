//! Completions and manual pages know every command and every option.

use std::path::Path;

use crate::support::{output, pgmill, stderr, stdout};

/// The commands that the help names.
async fn commands() -> Vec<String> {
    let help = stdout(&output(&mut pgmill(&["--help"])).await);
    let list = help.split("Commands:\n").nth(1).expect("a list of commands");
    let lines = list.lines().take_while(|line| !line.trim().is_empty());
    // Descriptions that are wrapped stand further right.
    let names =
        lines.filter(|line| !line.starts_with("    ")).filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

/// The long options that the help of a command names.
async fn options(command: &str) -> Vec<String> {
    let help = stdout(&output(&mut pgmill(&[command, "--help"])).await);
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let names = lines.filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")));
    names.map(|name| name.split(['=', '[', '<']).next().unwrap().trim_end_matches(',').to_owned()).collect()
}

#[tokio::test]
async fn every_command_of_the_contract_and_every_further_one_is_there() {
    let commands = commands().await;
    for command in [
        "namespaces",
        "queues",
        "queue",
        "create-queue",
        "update-queue",
        "delete-queue",
        "tasks",
        "create-task",
        "retain-task",
        "complete-task",
        "tickers",
        "ticker",
        "create-ticker",
        "update-ticker",
        "delete-ticker",
        "next-ticker",
        "run",
        "work",
        "demo",
        "status",
        "pause-queue",
        "resume-queue",
        "task",
        "cancel-task",
        "retry-task",
        "events",
        "health",
        "doctor",
        "postgres",
        "migrate",
        "completions",
        "man",
    ] {
        assert!(commands.iter().any(|known| known == command), "{command} is not in {commands:?}");
    }
}

#[tokio::test]
async fn completions_know_every_command_and_every_option() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stdout(&output(&mut pgmill(&["completions", shell])).await);
        for command in commands().await {
            assert!(script.contains(&command), "{shell}: {command}");
            for option in options(&command).await {
                let name = if shell == "fish" { option.trim_start_matches('-') } else { &option };
                assert!(script.contains(name), "{shell}: {command} {option}");
            }
        }
    }
}

#[tokio::test]
async fn there_is_a_manual_page_for_every_command_with_every_option() {
    let folder = tempfile::tempdir().unwrap();
    let made = output(&mut pgmill(&["man", folder.path().to_str().unwrap()])).await;
    assert!(made.status.success(), "{}", stderr(&made));
    let page = |name: &str| {
        let page = std::fs::read_to_string(folder.path().join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        // Of roff, which writes a hyphen that is none of a line break with a backslash.
        page.replace("\\-", "-")
    };
    let root = page("pgmill.1");
    assert_eq!(root, stdout(&output(&mut pgmill(&["man"])).await).replace("\\-", "-"));
    for command in commands().await {
        assert!(root.contains(&format!("pgmill-{command}")), "{command}");
        let page = page(&format!("pgmill-{command}.1"));
        for option in options(&command).await {
            assert!(page.contains(&option), "{command} {option}");
        }
    }
}

#[tokio::test]
async fn manual_pages_into_a_folder_that_is_not_there_are_refused() {
    let missing = Path::new("/nowhere/at/all");
    let made = output(&mut pgmill(&["man", missing.to_str().unwrap()])).await;
    assert_eq!(made.status.code(), Some(1));
    assert!(stderr(&made).starts_with("Error: the manual pages cannot be written to /nowhere/at/all"));
}
