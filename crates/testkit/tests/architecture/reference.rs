//! The rules about the map of the reference's functions to ours.

use crate::sources::Source;

/// The functions of the reference's manager, and its options.
const FUNCTIONS: &[&str] = &[
    "New",
    "Namespace",
    "Conn",
    "ListNamespaces",
    "RegisterQueue",
    "ListQueues",
    "GetQueue",
    "UpdateQueue",
    "DeleteQueue",
    "CleanQueue",
    "ListQueueStatuses",
    "CreateTask",
    "NextTask",
    "ReleaseTask",
    "ListTasks",
    "RunTaskLoop",
    "RegisterTicker",
    "RegisterTickerNs",
    "ListTickers",
    "GetTicker",
    "UpdateTicker",
    "DeleteTicker",
    "NextTicker",
    "NextTickerNs",
    "RunTickerLoop",
    "RunTickerLoopNs",
    "RegisterQueueWorker",
    "RegisterTickerWorker",
    "Run",
    "WithNamespace",
    "WithWorkers",
    "WithWorkerName",
    "WithTracer",
    "WithPeriod",
];

/// Where our functions are.
const OURS: &str = "crates/pgmill/src/";

/// The columns of the table of functions, row by row.
fn rows(page: &Source) -> impl Iterator<Item = Vec<&str>> {
    let table = page.text().lines().skip_while(|line| !line.starts_with("| go-pg | pgmill |"));
    let rows = table.skip(2).take_while(|line| line.starts_with("| "));
    rows.map(|row| row.trim_matches('|').split(" | ").collect())
}

/// What stands in a column as code.
fn named(column: &str) -> impl Iterator<Item = &str> {
    column.split('`').skip(1).step_by(2)
}

/// Functions of the reference that the first column does not name.
pub(crate) fn without_a_row(page: &Source) -> Vec<String> {
    let named: Vec<&str> = rows(page)
        .flat_map(|row| row.into_iter().take(1).flat_map(named))
        .filter_map(|name| name.rsplit('.').next())
        .collect();
    let missing = FUNCTIONS.iter().filter(|function| !named.contains(function));
    missing.map(|function| format!("{}: there is no row of {function}", page.path())).collect()
}

/// Functions that the second column names, and that no file of ours has.
pub(crate) fn unknown_functions(page: &Source, sources: &[Source]) -> Vec<String> {
    let ours: Vec<&Source> = sources.iter().filter(|source| source.path().starts_with(OURS)).collect();
    let exists = |name: &str| {
        ["pub fn", "pub async fn"].iter().any(|start| {
            ['(', '<'].iter().any(|end| {
                let function = format!("{start} {name}{end}");
                ours.iter().any(|source| source.text().contains(&function))
            })
        })
    };
    let named = rows(page).flat_map(|row| row.into_iter().skip(1).take(1).flat_map(named));
    let functions = named.filter(|name| name.contains("::") || name.contains('_'));
    let unknown = functions.filter(|name| !exists(name.rsplit("::").next().unwrap_or(name)));
    unknown.map(|name| format!("{}: there is no function {name}", page.path())).collect()
}

fn page(rows: &str) -> Source {
    let text = format!(
        "| go-pg | pgmill | proven by |\n|---|---|---|\n{rows}\n\n| `Manager.GetQueue` | `x_y` | z |\n"
    );
    Source::new("docs/reference-map.md", &text)
}

#[test]
fn a_function_without_a_row_is_found() {
    let page = page("| `queue.New`, `WithNamespace` | `Manager::connect` | `Manager.Run` |");
    let missing = without_a_row(&page);
    assert_eq!(missing.len(), FUNCTIONS.len() - 2);
    for name in ["GetQueue", "Run"] {
        assert!(missing.contains(&format!("docs/reference-map.md: there is no row of {name}")), "{name}");
    }
}

#[test]
fn a_function_that_we_do_not_have_is_found() {
    let sources = [
        Source::new("crates/pgmill/src/a.rs", "pub fn a(\npub async fn b<T>(\nfn hidden("),
        Source::new("crates/cli/src/c.rs", "pub fn elsewhere("),
    ];
    let page = page(
        "| `A` | `Manager::a`, `Pool::b`, feature `otel` | `t_t` |\n\
         | `B` | `Manager::hidden`, `Manager::elsewhere`, `not_there` | |",
    );
    let unknown = unknown_functions(&page, &sources);
    let names: Vec<&str> = unknown.iter().filter_map(|violation| violation.rsplit(' ').next()).collect();
    assert_eq!(names, ["Manager::hidden", "Manager::elsewhere", "not_there"]);
}
