use comfy_table::Row;
use pgmill::Task;
use pgmill_client::{Lease, RetainedTask};
use serde::Serialize;

use super::{Listed, Show};
use crate::style::{day_and_time, json, number, optional, parts, row, status, table, text, time};

impl Listed for Task {
    const HEAD: &'static [&'static str] =
        &["ID", "QUEUE", "STATUS", "ATTEMPT", "LEFT", "CREATED", "DUE", "WORKER", "PAYLOAD"];

    fn row(&self) -> Row {
        row([
            number(self.id),
            text(&self.queue),
            status(self.status),
            number(self.attempt.into()),
            number(self.retries.into()),
            day_and_time(Some(self.created_at)),
            day_and_time(self.delayed_at),
            optional(self.worker.as_ref()),
            json(self.payload.as_ref()),
        ])
    }
}

impl Show for Task {
    fn show(&self) -> String {
        let all = [
            ("id", text(self.id)),
            ("queue", text(&self.queue)),
            ("namespace", text(&self.namespace)),
            ("status", status(self.status)),
            ("priority", text(self.priority)),
            ("attempt", text(self.attempt)),
            ("attempts left", text(self.retries)),
            ("key", optional(self.key.as_ref())),
            ("worker", optional(self.worker.as_ref())),
            ("created", time(Some(self.created_at))),
            ("due", time(self.delayed_at)),
            ("started", time(self.started_at)),
            ("leased until", time(self.lease_until)),
            ("expires", time(self.dies_at)),
            ("finished", time(self.finished_at)),
            ("payload", json(self.payload.as_ref())),
            ("result", json(self.result.as_ref())),
        ];
        let mut shown = parts(all.into_iter().filter(|(_, cell)| cell.content() != "-"));
        if !self.attempts.is_empty() {
            let mut attempts = table(&["ATTEMPT", "OUTCOME", "WORKER", "STARTED", "ENDED", "ERROR"]);
            attempts.add_rows(self.attempts.iter().map(|attempt| {
                row([
                    number(attempt.attempt.into()),
                    text(attempt.outcome),
                    optional(attempt.worker.as_ref()),
                    day_and_time(Some(attempt.started_at)),
                    day_and_time(Some(attempt.ended_at)),
                    json(attempt.error.as_ref()),
                ])
            }));
            shown = format!("{shown}\n\n{}", attempts.trim_fmt());
        }
        shown
    }
}

/// A task that was retained, with what its release has to show.
#[derive(Debug, Serialize)]
pub(crate) struct Retained {
    #[serde(flatten)]
    task: Task,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<String>,
}

impl From<RetainedTask> for Retained {
    fn from(retained: RetainedTask) -> Self {
        let lease = retained.lease.as_ref().map(Lease::as_str).map(str::to_owned);
        Self { task: retained.task, lease }
    }
}

impl Show for Retained {
    fn show(&self) -> String {
        let Some(lease) = &self.lease else { return self.task.show() };
        format!(
            "{}\n\ncomplete it with: pgmill complete-task {} --lease {lease}",
            self.task.show(),
            self.task.id
        )
    }
}

impl Listed for Retained {
    const HEAD: &'static [&'static str] = Task::HEAD;

    fn row(&self) -> Row {
        self.task.row()
    }
}
