//! What two runs cannot have in common, made the same: times, ids, and the keys that are only ours.

use std::collections::HashMap;

use super::json::Json;

const TIMES: &[&str] = &["created_at", "started_at", "finished_at", "delayed_at", "dies_at", "timestamp"];
/// What is due later than this was asked for by its date, and is the same in every run.
const FAR: &str = "2090";

/// One of the two runs: what it has shown so far.
///
/// A time becomes the name of its place and a number: the first `started_at` of task 5 is `started_at 1 of 5`. So two runs
/// are the same if and only if the same times come again in both. `dies_at` becomes its distance from `created_at`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    times: HashMap<(String, String), Vec<String>>,
    /// The id in the capture for each id here; none for the capture itself.
    ids: HashMap<String, String>,
}

impl Run {
    /// From now on this id here stands for that one in the capture.
    pub(crate) fn learn(&mut self, here: &str, captured: &str) {
        self.ids.insert(here.to_owned(), captured.to_owned());
    }

    /// The id here for one of the capture: itself if it never stood for a task.
    pub(crate) fn here(&self, captured: &str) -> String {
        let known = self.ids.iter().find(|(_, it)| *it == captured);
        known.map_or_else(|| captured.to_owned(), |(here, _)| here.clone())
    }

    pub(crate) fn normalise(&mut self, answer: &mut Json) {
        for subject in answer.subjects() {
            self.subject(subject);
        }
    }

    fn subject(&mut self, subject: &mut Json) {
        if let Some(Json::Plain(id)) = subject.get_mut("id")
            && let Some(captured) = self.ids.get(id)
        {
            id.clone_from(captured);
        }
        let name = ["id", "ticker"].iter().find_map(|key| subject.get(key)?.as_text()).unwrap_or_default();
        let name = name.to_owned();
        let created = subject.get("created_at").and_then(Json::as_text).map(str::to_owned);
        for key in TIMES {
            let Some(Json::Text(time)) = subject.get_mut(key) else { continue };
            if time.as_str() > FAR {
                continue;
            }
            *time = match (&created, *key) {
                (Some(created), "dies_at") => format!("created_at + {} us", micros(time) - micros(created)),
                _ => format!("{key} {} of {name}", self.number(key, &name, time)),
            };
        }
    }

    fn number(&mut self, key: &str, name: &str, time: &str) -> usize {
        let seen = self.times.entry((key.to_owned(), name.to_owned())).or_default();
        seen.iter().position(|it| it == time).unwrap_or_else(|| {
            seen.push(time.to_owned());
            seen.len() - 1
        }) + 1
    }
}

/// Microseconds since the epoch.
pub(crate) fn micros(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>().unwrap_or_else(|error| panic!("{error}: {time:?}")).as_microsecond()
}

#[test]
fn times_are_the_same_if_they_come_again_in_the_same_places() {
    let normal = |run: &mut Run, text: &str| {
        let mut json = Json::parse(text);
        run.normalise(&mut json);
        json.to_string()
    };
    let mut run = Run::default();
    let first = r#"{"id":7,"created_at":"2026-11-22T16:58:44Z","dies_at":"2026-11-22T16:58:45.5Z"}"#;
    let named = r#"{"id":7,"created_at":"created_at 1 of 7","dies_at":"created_at + 1500000 us"}"#;
    assert_eq!(normal(&mut run, first), named);
    assert_eq!(normal(&mut run, first), named);
    let later = r#"{"id":7,"created_at":"2026-11-22T16:58:46Z"}"#;
    assert_eq!(normal(&mut run, later), r#"{"id":7,"created_at":"created_at 2 of 7"}"#);
    let far = r#"{"body":[{"id":8,"delayed_at":"2098-12-31T22:00:00Z"}]}"#;
    assert_eq!(normal(&mut run, far), far);
    run.learn("1007", "7");
    assert_eq!((run.here("7"), run.here("99")), ("1007".to_owned(), "99".to_owned()));
    assert_eq!(normal(&mut run, r#"{"id":1007}"#), r#"{"id":7}"#);
}
