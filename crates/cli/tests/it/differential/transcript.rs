//! The captures, read.

/// One call of the program and what it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) args: Vec<String>,
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) const STUB: &str = include_str!("../../transcripts/cli1.txt");
pub(crate) const SERVER: &str = include_str!("../../transcripts/cli2.txt");
pub(crate) const NEXT: &str = include_str!("../../transcripts/cli_next.txt");

/// The calls of a capture, with our program's name.
pub(crate) fn runs(text: &str) -> Vec<Run> {
    let text = text.replace("pgqueue:", "pgmill:").replace("Usage: pgqueue", "Usage: pgmill");
    format!("\n{text}").split("\n##### pgqueue").skip(1).map(run).collect()
}

fn run(block: &str) -> Run {
    let (line, printed) = block.split_once('\n').expect("arguments, then what was printed");
    let (printed, code) = printed.trim_end().rsplit_once("rc=").expect("an exit code at the end");
    // Both outputs went to one place: what is wrong with a call is said on standard error, behind any usage.
    let said = ["Error: ", "pgmill: error: "].iter().find_map(|mark| {
        let at = if printed.starts_with(mark) { 0 } else { printed.find(&format!("\n{mark}"))? + 1 };
        Some(at)
    });
    let (stdout, stderr) = printed.split_at(said.unwrap_or(printed.len()));
    let args = line.split(' ').filter(|arg| !arg.is_empty()).map(str::to_owned).collect();
    Run { args, code: code.parse().unwrap(), stdout: stdout.to_owned(), stderr: stderr.to_owned() }
}

#[test]
fn the_captured_calls_are_read() {
    let (stub, server) = (runs(STUB), runs(SERVER));
    for (text, runs) in [(STUB, &stub), (SERVER, &server)] {
        assert_eq!(runs.len(), text.lines().filter(|line| line.starts_with("##### ")).count());
    }
    assert_eq!(stub[2].args, ["queues", "--offset=5", "--limit=0"]);
    assert_eq!((stub[2].stdout.as_str(), stub[2].code), ("{\n  \"count\": 0\n}\n", 0));
    let usage = &server[6];
    assert_eq!((usage.code, usage.stderr.as_str()), (80, "pgmill: error: missing flags: --worker=STRING\n"));
    assert!(usage.stdout.starts_with("Usage: pgmill retain-task"));
    assert!(server[0].stdout.is_empty() && server[0].stderr.ends_with("}\n\n"));
}
