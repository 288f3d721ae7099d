//! SQL in every argument of every command. Which there are, the help of the program tells, so that a new one is attacked as soon
//! as it is there.

use futures_util::{StreamExt, stream};

use crate::served::Served;
use crate::support::{QUEUE, output, pgmill, stderr, stdout};

const ATTACKS: [&str; 2] = ["x'; SELECT public.attacked(); --", "x\\' || public.attacked() || $$\""];

/// What leaves a trace, whoever calls it.
const TRAP: &str = "
    CREATE TABLE public.attack (at timestamptz NOT NULL DEFAULT clock_timestamp());
    CREATE FUNCTION public.attacked() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS
        $$BEGIN INSERT INTO public.attack DEFAULT VALUES; RETURN 'x'; END$$";

/// Commands that ask no server that is there: they start one, or print what is known without.
const OTHERS: [&str; 7] = ["run", "work", "demo", "postgres", "migrate", "completions", "man"];
/// Options that say where the server or the database is.
const PLACES: [&str; 4] = ["--http.addr", "--http.prefix", "--tls.ca", "--url"];

/// Commands that go on for ever, unless they are refused; who has tokens is not asked here.
const ENDLESS: [&str; 2] = ["events", "next-ticker"];

/// What a command takes.
struct Usage {
    command: Vec<String>,
    arguments: Vec<String>,
    options: Vec<String>,
}

async fn help(command: &[String]) -> String {
    let mut words: Vec<&str> = command.iter().map(String::as_str).collect();
    words.push("-h");
    stdout(&output(&mut pgmill(&words)).await)
}

/// The first words of the entries under a heading.
fn entries<'a>(help: &'a str, heading: &str) -> Vec<&'a str> {
    let list = help.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.is_empty());
    let entries = list.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    entries.filter_map(|line| line.split_whitespace().next()).collect()
}

async fn usages() -> Vec<Usage> {
    let mut commands: Vec<Vec<String>> = entries(&help(&[]).await, "Commands:")
        .into_iter()
        .filter(|command| !OTHERS.contains(command))
        .map(|command| vec![command.to_owned()])
        .collect();
    let mut usages = Vec::new();
    while let Some(command) = commands.pop() {
        let help = help(&command).await;
        let below = entries(&help, "Commands:");
        commands.extend(below.iter().map(|word| [&command[..], &[(*word).to_owned()]].concat()));
        if !below.is_empty() {
            continue;
        }
        let arguments = entries(&help, "Arguments:").into_iter().map(str::to_owned).collect();
        let options = help.lines().filter_map(|line| {
            let (option, value) = line.trim_start().split_once(" <")?;
            let option = option.rsplit(", ").next()?;
            let is_option = option.starts_with("--") && !option.contains(' ') && value.contains('>');
            (is_option && !PLACES.contains(&option)).then(|| option.to_owned())
        });
        usages.push(Usage { options: options.collect(), command, arguments });
    }
    usages
}

impl Usage {
    /// The command with this attack in each of its places, one at a time.
    fn attacked(&self, attack: &str) -> Vec<Vec<String>> {
        let usual: Vec<String> = self
            .arguments
            .iter()
            .map(|name| if name.contains("ID") { "1".to_owned() } else { QUEUE.to_owned() })
            .collect();
        let arguments = (0..usual.len()).map(|at| {
            let mut arguments = usual.clone();
            arguments[at] = attack.to_owned();
            [&self.command[..], &arguments].concat()
        });
        let required =
            if self.command == ["token", "create"] { vec!["--role=viewer".to_owned()] } else { Vec::new() };
        let endless = ENDLESS.contains(&self.command[0].as_str());
        let refused = self.options.iter().filter(|option| !endless || *option != "--token");
        let options = refused.map(|option| {
            let required = if option == "--role" { Vec::new() } else { required.clone() };
            [&self.command[..], &usual, &required, &[format!("{option}={attack}")]].concat()
        });
        arguments.map(|words| [words, required.clone()].concat()).chain(options).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_argument_of_any_command_gets_out_of_its_parameter() {
    let served = Served::new().await;
    let client = served.bench.database.connect().await;
    client.batch_execute(TRAP).await.unwrap();
    let usages = usages().await;
    assert!(usages.len() > 20, "{} commands", usages.len());
    let runs: Vec<Vec<String>> =
        usages.iter().flat_map(|usage| ATTACKS.iter().flat_map(|attack| usage.attacked(attack))).collect();
    for option in ["--key", "--worker", "--cron", "--time-zone", "--payload", "--expires-in", "--namespace"] {
        assert!(runs.iter().flatten().any(|word| word.starts_with(option)), "{option} was not attacked");
    }
    let ended = stream::iter(runs).map(async |words| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = served.pgmill(&words);
        let output = output(command.env("DATABASE_URL", served.bench.database.url())).await;
        let said = stderr(&output);
        assert!(output.status.code().is_some_and(|code| code != 101), "{words:?}: {said}");
        for hint in ["panicked", "syntax error", "SQLSTATE"] {
            assert!(!said.contains(hint), "{words:?}: {said}");
        }
    });
    ended.buffer_unordered(4).collect::<Vec<()>>().await;
    let traces: i64 = client.query_one("SELECT count(*) FROM public.attack", &[]).await.unwrap().get(0);
    assert_eq!(traces, 0);
}
