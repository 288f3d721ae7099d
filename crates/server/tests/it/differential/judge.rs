//! What is compared with what, and with which allowances.

use std::collections::HashSet;

use super::added::{ADDED, Key, without_ours};
use super::answer::{Answer, Body};
use super::change::{Change, Difference};
use super::differences::DIFFERENCES;
use super::json::Json;
use super::normalise::Run;
use super::transcript::Exchange;

/// The captured run and ours, and what was wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    pub(crate) captured: Run,
    pub(crate) here: Run,
    problems: Vec<String>,
    seen: Seen,
}

/// Which lines of the tables were of use.
#[derive(Debug, Default)]
struct Seen {
    keys: HashSet<Key>,
    requests: HashSet<(&'static str, usize)>,
}

impl Judge {
    /// Compares the answer with the captured one, as the table changes it. Each line of the table must be needed.
    pub(crate) fn compare(&mut self, exchange: &Exchange, found: &Answer) {
        let place = format!(
            "{} #{}: {} {} {}",
            exchange.file,
            exchange.at,
            exchange.request.method,
            exchange.request.target,
            exchange.request.body.as_deref().unwrap_or_default(),
        );
        self.seen.requests.insert((exchange.file, exchange.at));
        self.learn(exchange, found);
        let captured = Answer::of(&exchange.reply);
        let wanted: Vec<&Difference> =
            DIFFERENCES.iter().filter(|it| it.is_at(exchange.file, exchange.at)).collect();
        for left_out in &wanted {
            let rest = wanted.iter().filter(|it| !std::ptr::eq(**it, *left_out)).copied();
            let mut trial = (self.captured.clone(), self.here.clone());
            if same(&captured, rest, found, &mut trial.0, &mut trial.1, &mut Seen::default()).is_ok() {
                let (number, why) = (left_out.number, left_out.why);
                self.problems.push(format!("{place}\n  not to be seen any more: {number}, {why}"));
            }
        }
        let wanted = wanted.into_iter();
        let outcome = same(&captured, wanted, found, &mut self.captured, &mut self.here, &mut self.seen);
        if let Err(difference) = outcome {
            self.problems.push(format!("{place}\n{difference}"));
        }
    }

    /// A task that is created stands for the captured one from then on.
    fn learn(&mut self, exchange: &Exchange, found: &Answer) {
        let mut captured = Answer::of(&exchange.reply);
        let mut found = found.clone();
        let created = exchange.request.method == "POST" && (captured.status, found.status) == (201, 201);
        let id = |answer: &mut Answer| Some(answer.json()?.get("id")?.as_text()?.to_owned());
        if let (true, Some(captured), Some(found)) = (created, id(&mut captured), id(&mut found)) {
            self.here.learn(&found, &captured);
        }
    }

    /// # Panics
    /// If anything differed, or a line of the tables was of no use.
    pub(crate) fn finish(mut self) {
        for (kind, keys) in ADDED {
            for (key, number) in keys.iter().filter(|(key, _)| !self.seen.keys.contains(&(kind, key))) {
                self.problems.push(format!("no object of {kind:?} has the key {key:?} of {number}"));
            }
        }
        for difference in DIFFERENCES {
            let places = difference.at.iter().flat_map(|(file, at)| at.iter().map(move |at| (*file, *at)));
            for (file, at) in places.filter(|place| !self.seen.requests.contains(place)) {
                self.problems.push(format!("{}: there is no {file} #{at}", difference.number));
            }
        }
        assert!(
            self.problems.is_empty(),
            "{} differences\n\n{}\n",
            self.problems.len(),
            self.problems.join("\n\n")
        );
    }
}

fn same<'a>(
    captured: &Answer,
    changes: impl Iterator<Item = &'a Difference>,
    found: &Answer,
    theirs: &mut Run,
    ours: &mut Run,
    seen: &mut Seen,
) -> Result<(), String> {
    let mut expected = captured.clone();
    let mut found = found.clone();
    let mut lines: &[&str] = &[];
    for change in changes.flat_map(|difference| difference.change) {
        change.apply(&mut expected)?;
        match change {
            Change::Metrics(gauge) => lines = gauge,
            Change::Error(_, start) => shorten(&mut found, start),
            _ => {}
        }
    }
    if let (Body::Text(text), [_, ..]) = (&found.body, lines) {
        let missing: Vec<_> = lines.iter().filter(|line| !text.lines().any(|it| it == **line)).collect();
        if !missing.is_empty() {
            return Err(format!("  without {missing:?}: {text}"));
        }
        expected.body = found.body.clone();
    }
    found.limit_headers(&expected);
    if let (Some(found), Some(expected)) = (found.json(), expected.json()) {
        without_ours(found, expected, &mut seen.keys);
    }
    expected.normalise(theirs);
    found.normalise(ours);
    if expected == found { Ok(()) } else { Err(format!("  expected {expected}\n  found    {found}")) }
}

/// Cuts the reason of an error down to its start, if it starts so.
fn shorten(found: &mut Answer, start: &str) {
    if let Some(Json::Text(reason)) = found.json().and_then(|body| body.get_mut("reason"))
        && reason.starts_with(start)
    {
        reason.truncate(start.len());
    }
}
