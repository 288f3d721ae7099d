//! How an answer of ours differs from the captured one.

use super::answer::{Answer, Body};
use super::json::Json;

/// A difference that is wanted, and where it shows.
#[derive(Debug)]
pub(crate) struct Difference {
    /// Of the contract's section 5 (`B4`), of the section of the design about what is wrong there (`D11`), of another
    /// section of the contract (`C1.4`), or `ADD` for what is beyond the contract.
    pub(crate) number: &'static str,
    pub(crate) why: &'static str,
    /// Files, and numbers of requests in them.
    pub(crate) at: &'static [(&'static str, &'static [usize])],
    pub(crate) change: &'static [Change],
}

/// What is expected instead of what was captured. Places in a body are JSON pointers.
#[derive(Debug)]
pub(crate) enum Change {
    /// Another answer altogether, of JSON.
    Answer(u16, &'static str),
    /// An error with this status, and a reason that starts so.
    Error(u16, &'static str),
    /// Another value, or one where there was none.
    Set(&'static str, &'static str),
    /// No such key.
    Drop(&'static str),
    /// The list in another order: what was at these places.
    Order(&'static [usize]),
    /// Metrics with these lines about the gauge among them.
    Metrics(&'static [&'static str]),
}

/// The contract's order of keys, for those that are added.
const KEYS: &[&str] = &[
    "id",
    "payload",
    "delayed_at",
    "worker",
    "namespace",
    "queue",
    "result",
    "created_at",
    "started_at",
    "finished_at",
    "dies_at",
    "retries",
    "status",
];

impl Difference {
    pub(crate) fn is_at(&self, file: &str, at: usize) -> bool {
        self.at.iter().any(|(name, requests)| *name == file && requests.contains(&at))
    }
}

impl Change {
    /// # Errors
    /// What is missing, if the captured answer has not got what is changed.
    pub(crate) fn apply(&self, answer: &mut Answer) -> Result<(), String> {
        let body = answer.json();
        let missing = || format!("there is nothing for {self:?}");
        match self {
            Self::Answer(status, text) => {
                *answer = Answer { status: *status, headers: json(), body: Body::Json(Json::parse(text)) };
            }
            Self::Metrics(_) => {
                let kind = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores".to_owned();
                answer.status = 200;
                answer.headers = vec![("content-type", kind)];
            }
            Self::Error(status, reason) => {
                let body = Json::Object(vec![
                    ("code".to_owned(), Json::Plain(status.to_string())),
                    ("reason".to_owned(), Json::Text((*reason).to_owned())),
                ]);
                *answer = Answer { status: *status, headers: json(), body: Body::Json(body) };
            }
            Self::Set(place, value) => {
                let (parent, key) = split(body.ok_or_else(missing)?, place).ok_or_else(missing)?;
                if let Some(old) = parent.get_mut(key) {
                    *old = Json::parse(value);
                } else if let Json::Object(pairs) = parent {
                    let rank = |key: &str| KEYS.iter().position(|it| *it == key);
                    let at = pairs.iter().position(|(it, _)| rank(it) > rank(key)).unwrap_or(pairs.len());
                    pairs.insert(at, (key.to_owned(), Json::parse(value)));
                } else {
                    return Err(missing());
                }
            }
            Self::Drop(place) => match split(body.ok_or_else(missing)?, place) {
                Some((Json::Object(pairs), key)) if pairs.iter().any(|(it, _)| it == key) => {
                    pairs.retain(|(it, _)| it != key);
                }
                _ => return Err(missing()),
            },
            Self::Order(order) => match body.and_then(|body| body.get_mut("body")) {
                Some(Json::List(items)) => {
                    let picked: Option<Vec<Json>> = order.iter().map(|at| items.get(*at).cloned()).collect();
                    *items = picked.ok_or_else(missing)?;
                }
                _ => return Err(missing()),
            },
        }
        Ok(())
    }
}

fn json() -> Vec<(&'static str, String)> {
    vec![("content-type", "application/json".to_owned())]
}

/// The object or list that a place is in, and its name there.
fn split<'a, 'p>(body: &'a mut Json, place: &'p str) -> Option<(&'a mut Json, &'p str)> {
    let (parents, key) = place.rsplit_once('/')?;
    let mut parent = body;
    for name in parents.split('/').skip(1) {
        parent = parent.get_mut(name)?;
    }
    Some((parent, key))
}
