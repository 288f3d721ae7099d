//! Where our answers are wanted to be others than those of the reference.

use super::change::{Change, Difference};

/// Keys that objects have here beyond the contract, by the first key of the object, each with its number.
pub(crate) const ADDED: &[(&str, &[(&str, &str)])] = &[
    (
        "queue",
        &[
            ("backoff", "D11"),
            ("max_retry_delay", "D11"),
            ("retention", "B31"),
            ("retention_failed", "B31"),
            ("lease", "B9"),
        ],
    ),
    ("code", &[("error", "ADD")]),
];

pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference {
        number: "D11",
        why: "the system namespace is `pgmill`",
        at: &[("gold1", &[1])],
        change: &[Change::Set("/body/0", r#""pgmill""#)],
    },
    Difference {
        number: "ADD",
        why: "GET and DELETE of a task are routes here",
        at: &[("gold1", &[15]), ("gold2", &[5, 6])],
        change: &[Change::Answer(404, r#"{"code":404,"reason":"Not Found: not found"}"#)],
    },
    Difference {
        number: "B44",
        why: "a body of text is the fault of whoever sent it",
        at: &[("gold2", &[26])],
        change: &[Change::Error(400, "Bad Request: unexpected content type \"text/plain\"")],
    },
    Difference {
        number: "C1.4",
        why: "the words about JSON that cannot be read are free",
        at: &[("gold2", &[33, 34, 35, 38, 39])],
        change: &[Change::Error(400, "Bad Request: json: ")],
    },
    Difference {
        number: "ADD",
        why: "durations are taken as text too",
        at: &[("gold2", &[37])],
        change: &[Change::Answer(
            201,
            r#"{"queue":"q2","ttl":3600000000000,"retries":3,"retry_delay":120000000000,"namespace":"default"}"#,
        )],
    },
    Difference {
        number: "B17",
        why: "numbers beyond what can be stored are the fault of whoever sent them",
        at: &[("gold2", &[40])],
        change: &[Change::Error(
            400,
            "Bad Request: retries is the number of attempts in all and must be at least 1",
        )],
    },
    Difference {
        number: "B10",
        why: "no attempt at all is refused",
        at: &[("gold2", &[41])],
        change: &[Change::Error(
            400,
            "Bad Request: retries is the number of attempts in all and must be at least 1",
        )],
    },
    Difference {
        number: "B20",
        why: "a ttl is above 0, and a pause not below it",
        at: &[("gold2", &[42])],
        change: &[Change::Error(400, "Bad Request: json: a ttl is from 1000")],
    },
    Difference {
        number: "B10",
        why: "the queue was made with one attempt instead",
        at: &[("gold2", &[44])],
        change: &[Change::Set("/body/1/retries", "1")],
    },
    Difference {
        number: "B20",
        why: "the queue was made with times above 0 instead",
        at: &[("gold2", &[44])],
        change: &[Change::Set("/body/2/ttl", "5000000000"), Change::Set("/body/2/retry_delay", "1000")],
    },
];
