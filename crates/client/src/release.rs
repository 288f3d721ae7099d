//! What a worker does with a task it has.

use std::time::Duration;

use jiff::Timestamp;
use pgmill_schema::{Json, Outcome, Task, duration_nanos};
use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::retry::Safety;
use crate::{Client, Error, Lease, RetainedTask};

/// A task that somebody works on: its id, and the lease, if one was given out.
///
/// It is made from a [`RetainedTask`], from an id and a [`Lease`], or from an id alone. Without a lease the server does not know
/// which attempt is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    id: u64,
    lease: Option<Lease>,
}

impl From<&RetainedTask> for Held {
    fn from(retained: &RetainedTask) -> Held {
        Held { id: retained.task.id, lease: retained.lease.clone() }
    }
}

impl From<(u64, Lease)> for Held {
    fn from((id, lease): (u64, Lease)) -> Held {
        Held { id, lease: Some(lease) }
    }
}

impl From<u64> for Held {
    fn from(id: u64) -> Held {
        Held { id, lease: None }
    }
}

/// What a heartbeat is answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Heartbeat {
    /// The task.
    pub id: u64,
    /// Until when the worker holds it now.
    pub lease_until: Timestamp,
}

/// The body of a release. What is not set is not sent, as the reference's client has it.
#[derive(Default, Serialize)]
struct Release<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a Json>,
    #[serde(skip_serializing_if = "is_false")]
    fail: bool,
    #[serde(skip_serializing_if = "is_false")]
    discard: bool,
    #[serde(skip_serializing_if = "Option::is_none", with = "duration_nanos::option")]
    retry_in: Option<Duration>,
    #[serde(skip_serializing_if = "is_false")]
    give_back: bool,
    #[serde(skip_serializing_if = "Option::is_none", with = "duration_nanos::option")]
    snooze: Option<Duration>,
    #[serde(skip_serializing_if = "is_false")]
    cancel: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<&'a str>,
}

#[derive(Serialize)]
struct Extend<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", with = "duration_nanos::option")]
    extend: Option<Duration>,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl<'a> Release<'a> {
    fn new(outcome: &'a Outcome, lease: Option<&'a Lease>) -> Release<'a> {
        let result = outcome.result().filter(|result| !result.is_null());
        let common = Release { result, lease: lease.map(Lease::as_str), ..Release::default() };
        match outcome {
            Outcome::Done(_) => common,
            Outcome::Retry { after, .. } => Release { fail: true, retry_in: *after, ..common },
            Outcome::Failed(_) => Release { fail: true, discard: true, ..common },
            Outcome::GiveBack => Release { give_back: true, ..common },
            Outcome::Snooze(pause) => Release { snooze: Some(*pause), ..common },
            Outcome::Cancelled(_) => Release { cancel: true, ..common },
        }
    }
}

impl Client {
    /// Ends an attempt, and returns the task as it is then.
    ///
    /// With a lease it is repeated after transient failures; without one only if nothing was done for certain, for a second
    /// release might end the attempt of somebody else. If a try got no answer and the next one is told that the attempt is
    /// over, the first may have ended it: then the error is that of the first, and [`Error::is_outcome_unknown`].
    ///
    /// # Errors
    ///
    /// [`Error::is_lease_stale`] if the attempt of this lease is over, [`Error::is_not_found`] if nobody holds the task.
    pub async fn release_task(&self, task: impl Into<Held>, outcome: &Outcome) -> Result<Task, Error> {
        let Held { id, lease } = task.into();
        let safety = if lease.is_some() { Safety::Fenced } else { Safety::Once };
        let body = Release::new(outcome, lease.as_ref());
        self.fetch(Call::patch(&["task", &id.to_string()]).safety(safety).json(&body)?).await
    }

    /// Extends the lease of a task, by `extend` from now or, if that is `None`, by what its retain asked for or its queue says.
    /// Repeated after transient failures.
    ///
    /// # Errors
    ///
    /// [`Error::is_lease_stale`] if the attempt is over, [`Error::is_not_found`] if the task has ended: whoever works on it
    /// should stop.
    pub async fn heartbeat(
        &self,
        task: impl Into<Held>,
        extend: Option<Duration>,
    ) -> Result<Heartbeat, Error> {
        let Held { id, lease } = task.into();
        let call = Call::post(&["task", &id.to_string(), "heartbeat"]).repeatable_if(true);
        self.fetch(call.json(&Extend { lease: lease.as_ref().map(Lease::as_str), extend })?).await
    }
}
