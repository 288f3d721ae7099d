//! Which tasks an assertion is about.

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pgmill::{Status, Task};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How far a delay may be from what is expected.
const TOLERANCE: Duration = Duration::from_secs(1);

type Predicate = Box<dyn Fn(&Task) -> bool + Send + Sync>;

/// Which tasks are looked for, and how many. All that is asked for must hold for the same task.
///
/// JSON alone, such as `json!({"to": "ann"})` or `"ann"`, stands for [`TaskMatch::json`] of it.
///
/// ```
/// use pgmill_testkit::TaskMatch;
/// use pgmill::minutes;
/// use serde_json::json;
///
/// let welcome = TaskMatch::json(json!({"kind": "welcome"})).delay(minutes(5)).count(2);
/// ```
#[derive(Default)]
pub struct TaskMatch {
    pub(crate) conditions: Vec<Condition>,
    pub(crate) count: Option<usize>,
    status: Option<Status>,
}

/// Something that a task must be, and its name.
pub(crate) struct Condition {
    pub(crate) what: String,
    holds: Predicate,
}

impl TaskMatch {
    /// Every task that waits: `new` or `retry`.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Those whose payload contains this JSON: an object in it has at least these keys, and so has one within; an array
    /// is as long, item by item; anything else is equal.
    ///
    /// # Panics
    /// If the value has no JSON form.
    #[must_use]
    pub fn json(expected: impl Serialize) -> Self {
        let expected = serde_json::to_value(&expected);
        let expected = expected.unwrap_or_else(|error| panic!("the expected payload is no JSON: {error}"));
        Self::any().and(format!("payload contains {expected}"), move |task| {
            payload::<Value>(task).is_some_and(|payload| contains(&payload, &expected))
        })
    }

    /// Those whose payload is a `T` for which this holds.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Email { to: String }
    /// use pgmill_testkit::TaskMatch;
    ///
    /// let to_us = TaskMatch::payload(|email: &Email| email.to.ends_with("@example.com"));
    /// ```
    #[must_use]
    pub fn payload<T: DeserializeOwned>(holds: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        let what = format!("payload is a {} as wanted", std::any::type_name::<T>());
        Self::any().and(what, move |task| payload::<T>(task).is_some_and(|payload| holds(&payload)))
    }

    /// Only those created under this idempotency key.
    #[must_use]
    pub fn key(self, key: impl Into<String>) -> Self {
        let key = key.into();
        self.and(format!("key is {key:?}"), move |task| task.key.as_ref() == Some(&key))
    }

    /// Only those of this priority.
    #[must_use]
    pub fn priority(self, priority: u8) -> Self {
        self.and(format!("priority is {priority}"), move |task| task.priority == priority)
    }

    /// Only those delayed by so long from their creation, give or take a second; not at all with zero.
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        let what = format!("delay is {delay:?}, give or take {TOLERANCE:?}");
        self.and(what, move |task| delay_of(task).abs_diff(delay) <= TOLERANCE)
    }

    /// Only those that do not start before this time.
    #[must_use]
    pub fn delayed_at(self, at: Timestamp) -> Self {
        self.and(format!("delayed_at is {at}"), move |task| {
            task.delayed_at.is_some_and(|delayed| delayed.as_microsecond() == at.as_microsecond())
        })
    }

    /// Those with this status, in place of all that wait.
    #[must_use]
    pub fn status(self, status: Status) -> Self {
        Self { status: Some(status), ..self }
    }

    /// Exactly so many. Default: at least one.
    #[must_use]
    pub fn count(self, count: usize) -> Self {
        Self { count: Some(count), ..self }
    }

    /// Only those for which this holds too. `what` names it when there are none.
    #[must_use]
    pub fn and(
        mut self,
        what: impl Into<String>,
        holds: impl Fn(&Task) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.conditions.push(Condition { what: what.into(), holds: Box::new(holds) });
        self
    }

    /// Whether the task is one of those that the conditions are asked about.
    pub(crate) fn concerns(&self, task: &Task) -> bool {
        match self.status {
            Some(status) => task.status == Some(status),
            None => matches!(task.status, Some(Status::New | Status::Retry)),
        }
    }

    /// What those tasks are called.
    pub(crate) fn concerned(&self) -> String {
        self.status.map_or_else(|| "waiting".to_owned(), |status| status.to_string())
    }

    /// The conditions that do not hold for a task.
    pub(crate) fn unmet(&self, task: &Task) -> Vec<&str> {
        let unmet = self.conditions.iter().filter(|condition| !(condition.holds)(task));
        unmet.map(|condition| condition.what.as_str()).collect()
    }
}

impl<T: Serialize> From<T> for TaskMatch {
    fn from(payload: T) -> Self {
        Self::json(payload)
    }
}

impl fmt::Display for TaskMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.conditions.is_empty() {
            return f.write_str("any");
        }
        let conditions: Vec<_> = self.conditions.iter().map(|condition| condition.what.as_str()).collect();
        f.write_str(&conditions.join(", "))
    }
}

impl fmt::Debug for TaskMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskMatch({}: {self}; count {:?})", self.concerned(), self.count)
    }
}

fn payload<T: DeserializeOwned>(task: &Task) -> Option<T> {
    task.payload.as_ref()?.decode().ok()
}

pub(crate) fn delay_of(task: &Task) -> Duration {
    let delay = task.delayed_at.map(|at| at.duration_since(task.created_at));
    delay.and_then(|delay: SignedDuration| delay.try_into().ok()).unwrap_or_default()
}

/// Whether an actual value has everything that is expected.
fn contains(actual: &Value, expected: &Value) -> bool {
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) => expected
            .iter()
            .all(|(key, expected)| actual.get(key).is_some_and(|actual| contains(actual, expected))),
        (Value::Array(actual), Value::Array(expected)) => {
            actual.len() == expected.len() && actual.iter().zip(expected).all(|(a, e)| contains(a, e))
        }
        (actual, expected) => actual == expected,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_contains_what_it_has_and_less() {
        let actual = json!({"to": "ann", "order": {"id": 1, "paid": true}, "tags": [{"a": 1, "b": 2}, "x"]});
        for expected in [
            json!({}),
            json!({"to": "ann"}),
            json!({"order": {"id": 1}}),
            json!({"tags": [{"b": 2}, "x"]}),
            actual.clone(),
        ] {
            assert!(contains(&actual, &expected), "{expected}");
        }
        for expected in [
            json!({"to": "bob"}),
            json!({"from": null}),
            json!({"order": {"id": 2}}),
            json!({"order": 1}),
            json!({"tags": ["x"]}),
            json!([]),
            json!(null),
        ] {
            assert!(!contains(&actual, &expected), "{expected}");
        }
    }
}
