//! Where our answers are wanted to be others than those of the reference.

use super::change::{Change, Difference};

/// Task 1 once it is done.
const TASK_1: &str = r#"{"id":1,"payload":null,"worker":"w1","namespace":"default","queue":"case-1",
    "result":{"b":1,"a":12345678901234567890,"h":"<x>"},"created_at":"2026-11-22T16:58:44.798385Z",
    "started_at":"2026-11-22T16:58:45.293192Z","finished_at":"2026-11-22T16:58:45.485692Z","retries":3,
    "status":"released"}"#;
/// Task 2, which waits, as lists have it.
const TASK_2: &str = r#"{"id":2,"payload":{"zeta":1,"a":"<b>&  é","n":12345678901234567890,"f":1.50,"dup":1,"dup":2},
    "namespace":"default","queue":"case-1","created_at":"2026-11-22T16:58:44.860638Z",
    "dies_at":"2026-11-22T17:58:44.860638Z","retries":3,"status":"new"}"#;
const PAYLOAD_2: &str = r#"{"zeta":1,"a":"<b>&  é","n":12345678901234567890,"f":1.50,"dup":1,"dup":2}"#;
const RESULT_1: &str = r#"{"b":1,"a":12345678901234567890,"h":"<x>"}"#;
const NOT_FOUND: Change = Change::Answer(404, r#"{"code":404,"reason":"Not Found: not found"}"#);

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
        change: &[NOT_FOUND],
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
    // gold3: tasks.
    Difference {
        number: "B15",
        why: "a payload that is missing is the fault of whoever sent none",
        at: &[("gold3", &[2])],
        change: &[Change::Answer(400, r#"{"code":400,"reason":"Bad Request: missing payload"}"#)],
    },
    Difference {
        number: "C1.2",
        why: "a payload is kept as it came, its keys in their order",
        at: &[("gold3", &[5])],
        change: &[Change::Set("/payload", PAYLOAD_2)],
    },
    Difference {
        number: "C1.2",
        why: "a payload is kept as it came, its keys in their order",
        at: &[("gold3", &[34, 43, 46]), ("gold4", &[13])],
        change: &[Change::Set("/body/0/payload", PAYLOAD_2)],
    },
    Difference {
        number: "C1.4",
        why: "the words about a time that cannot be read are free",
        at: &[("gold3", &[8])],
        change: &[Change::Error(400, "Bad Request: json: ")],
    },
    Difference {
        number: "B17",
        why: "a character that cannot be stored is the fault of whoever sent it",
        at: &[("gold3", &[9])],
        change: &[Change::Error(400, "Bad Request: ")],
    },
    Difference {
        number: "ADD",
        why: "durations are taken as text too",
        at: &[("gold3", &[13])],
        change: &[Change::Answer(
            201,
            r#"{"queue":"form2","ttl":5000000000,"retries":3,"retry_delay":120000000000,"namespace":"default"}"#,
        )],
    },
    Difference {
        number: "B44",
        why: "the message has the name of the field",
        at: &[("gold3", &[14])],
        change: &[Change::Error(400, "Bad Request: field \"foo\" not found or not writable")],
    },
    Difference {
        number: "B17",
        why: "an id beyond what can be stored is none",
        at: &[("gold3", &[27])],
        change: &[Change::Answer(
            400,
            r#"{"code":400,"reason":"Bad Request: invalid task id","detail":"18446744073709551615"}"#,
        )],
    },
    Difference {
        number: "C1.4",
        why: "the words about a form that cannot be read are free",
        at: &[("gold3", &[11])],
        change: &[Change::Error(400, "Bad Request: json: unsupported kind (\"slice\")")],
    },
    Difference {
        number: "B22",
        why: "names in paths are read in any case",
        at: &[("gold3", &[21])],
        change: &[Change::Answer(
            201,
            r#"{"id":1,"payload":null,"worker":"w","namespace":"default","queue":"case-1",
                "created_at":"2026-11-22T16:58:44.798385Z","started_at":"2026-11-22T16:58:45.2Z",
                "dies_at":"2026-11-22T17:58:44.798385Z","retries":3}"#,
        )],
    },
    Difference {
        number: "B16",
        why: "a result is kept as it came",
        at: &[("gold3", &[30])],
        change: &[Change::Set("/result", RESULT_1)],
    },
    Difference {
        number: "B16",
        why: "a result is kept as it came",
        at: &[("gold3", &[43, 46]), ("gold4", &[13])],
        change: &[Change::Set("/body/3/result", RESULT_1)],
    },
    Difference {
        number: "B6",
        why: "no queue means any queue",
        at: &[("gold3", &[32])],
        change: &[Change::Answer(
            201,
            r#"{"id":2,"payload":{"zeta":1,"a":"<b>&  é","n":12345678901234567890,"f":1.50,"dup":1,"dup":2},
                "worker":"w2","namespace":"default","queue":"case-1","created_at":"2026-11-22T16:58:44.860638Z",
                "started_at":"2026-11-22T16:58:45.5Z","dies_at":"2026-11-22T17:58:44.860638Z","retries":3}"#,
        )],
    },
    Difference {
        number: "B6",
        why: "no queue means any queue",
        at: &[("gold3", &[33])],
        change: &[Change::Answer(
            201,
            r#"{"id":2,"payload":{"zeta":1,"a":"<b>&  é","n":12345678901234567890,"f":1.50,"dup":1,"dup":2},
                "worker":"w2","namespace":"default","queue":"case-1","created_at":"2026-11-22T16:58:44.860638Z",
                "started_at":"2026-11-22T16:58:45.6Z","dies_at":"2026-11-22T17:58:44.860638Z","retries":3}"#,
        )],
    },
    Difference {
        number: "B21",
        why: "tasks are listed as they were created, task 1 first",
        at: &[("gold3", &[34])],
        change: &[Change::Set("/body/1", TASK_1), Change::Order(&[1, 0])],
    },
    Difference {
        number: "B21",
        why: "tasks are listed as they were created, task 1 first",
        at: &[("gold3", &[39])],
        change: &[Change::Set("/body/2", TASK_2), Change::Order(&[2, 0, 1])],
    },
    Difference {
        number: "B21",
        why: "tasks are listed as they were created, task 1 first",
        at: &[("gold3", &[43, 46])],
        change: &[Change::Order(&[3, 0, 1, 2])],
    },
    Difference {
        number: "B21",
        why: "tasks are listed as they were created, task 1 first",
        at: &[("gold3", &[45])],
        change: &[Change::Set("/body/0", TASK_1)],
    },
    Difference {
        number: "B5",
        why: "a status filters",
        at: &[("gold3", &[41])],
        change: &[Change::Answer(200, r#"{"count":1,"body":[null]}"#), Change::Set("/body/0", TASK_1)],
    },
    Difference {
        number: "B5",
        why: "a status that is none is told",
        at: &[("gold3", &[42])],
        change: &[Change::Error(400, "Bad Request: ")],
    },
    Difference {
        number: "B4",
        why: "a queue filters",
        at: &[("gold3", &[44])],
        change: &[Change::Answer(200, r#"{"count":0}"#)],
    },
    // gold4: attempts.
    Difference {
        number: "B12",
        why: "nothing is due after the last failure",
        at: &[("gold4", &[6])],
        change: &[Change::Drop("/delayed_at")],
    },
    Difference {
        number: "B10",
        why: "no attempt at all is refused",
        at: &[("gold4", &[11])],
        change: &[Change::Error(
            400,
            "Bad Request: retries is the number of attempts in all and must be at least 1",
        )],
    },
    Difference {
        number: "B10",
        why: "the queue was made with one attempt instead",
        at: &[("gold4", &[12])],
        change: &[Change::Set("/retries", "1")],
    },
    Difference {
        number: "B10",
        why: "the queue was made with one attempt instead",
        at: &[("gold4", &[13])],
        change: &[Change::Set("/body/5/retries", "1")],
    },
    Difference {
        number: "B12",
        why: "nothing is due after the last failure",
        at: &[("gold4", &[13])],
        change: &[Change::Drop("/body/4/delayed_at")],
    },
    Difference {
        number: "B21",
        why: "tasks are listed as they were created, task 1 first",
        at: &[("gold4", &[13])],
        change: &[Change::Order(&[3, 0, 1, 2, 4, 5])],
    },
    Difference {
        number: "B10",
        why: "the queue was made with one attempt instead",
        at: &[("gold4", &[14])],
        change: &[Change::Answer(
            201,
            r#"{"id":6,"payload":1,"worker":"w","namespace":"default","queue":"r0",
                "created_at":"2026-11-22T16:59:26.525713Z","started_at":"2026-11-22T16:59:26.6Z",
                "dies_at":"2026-11-22T17:59:26.525713Z","retries":1}"#,
        )],
    },
    Difference {
        number: "B10",
        why: "the queue was made with one attempt instead",
        at: &[("gold4", &[17])],
        change: &[Change::Set("/body/1/retries", "1")],
    },
    Difference {
        number: "B12",
        why: "nothing is due after the last failure",
        at: &[("gold4", &[17])],
        change: &[Change::Drop("/body/0/delayed_at"), Change::Drop("/body/2/delayed_at")],
    },
    Difference {
        number: "B7",
        why: "a task without a ttl is retained",
        at: &[("gold4", &[20])],
        change: &[Change::Answer(
            201,
            r#"{"id":8,"payload":2,"worker":"w","namespace":"default","queue":"b3",
                "created_at":"2026-11-22T16:59:27.307862Z","started_at":"2026-11-22T16:59:27.4Z","retries":3}"#,
        )],
    },
    Difference {
        number: "B12",
        why: "no retry that would come too late is promised",
        at: &[("gold4", &[24])],
        change: &[Change::Drop("/delayed_at")],
    },
    // gold5: tickers, and names of queues.
    Difference {
        number: "C1.2",
        why: "a payload is kept as it came, its keys in their order",
        at: &[("gold5", &[1, 7, 11])],
        change: &[Change::Set("/payload", r#"{"b":1,"a":"<x>"}"#)],
    },
    Difference {
        number: "B18",
        why: "a name that is taken is a conflict",
        at: &[("gold5", &[12])],
        change: &[Change::Answer(
            409,
            r#"{"code":409,"reason":"Conflict: ticker already exists","detail":"t2"}"#,
        )],
    },
    Difference {
        number: "B21",
        why: "tickers are listed by name",
        at: &[("gold5", &[17])],
        change: &[Change::Order(&[1, 2, 0, 3])],
    },
    Difference {
        number: "B21",
        why: "tickers are listed by name",
        at: &[("gold5", &[18])],
        change: &[Change::Set(
            "/body/0",
            r#"{"ticker":"t3","payload":null,"interval":60000000000,"namespace":"default"}"#,
        )],
    },
    Difference {
        number: "B10",
        why: "the queue was made with one attempt instead",
        at: &[("gold5", &[23])],
        change: &[Change::Set("/retries", "1")],
    },
    Difference {
        number: "B18",
        why: "a name that is taken is a conflict",
        at: &[("gold5", &[24])],
        change: &[Change::Answer(
            409,
            r#"{"code":409,"reason":"Conflict: queue already exists","detail":"q3"}"#,
        )],
    },
    Difference {
        number: "B18",
        why: "a queue with tasks can be renamed",
        at: &[("gold5", &[25])],
        change: &[Change::Answer(
            200,
            r#"{"queue":"case-2","ttl":3600000000000,"retries":3,"retry_delay":120000000000,"namespace":"default"}"#,
        )],
    },
    Difference {
        number: "B20",
        why: "a ttl is above 0",
        at: &[("gold5", &[27])],
        change: &[Change::Error(400, "Bad Request: ttl must be from 1µs")],
    },
    // gold6 and gold6b: two servers on one database.
    Difference {
        number: "B3",
        why: "queues of one name in two namespaces are counted apart",
        at: &[("gold6", &[2])],
        change: &[Change::Metrics(&[
            r#"queue_tasks{namespace="other",queue="r0",status="cancelled"} 0"#,
            r#"queue_tasks{namespace="other",queue="r0",status="new"} 0"#,
        ])],
    },
    Difference {
        number: "B4",
        why: "tasks of other namespaces are not listed",
        at: &[("gold6", &[3])],
        change: &[Change::Answer(200, r#"{"count":0}"#)],
    },
    Difference {
        number: "B8",
        why: "a task of another namespace cannot be released",
        at: &[("gold6", &[8])],
        change: &[NOT_FOUND],
    },
    Difference {
        number: "B2",
        why: "metrics are of all queues, whatever was asked for last",
        at: &[("gold6", &[9])],
        change: &[Change::Metrics(&[
            r#"queue_tasks{namespace="default",queue="case-1",status="released"} 1"#,
            r#"queue_tasks{namespace="default",queue="r0",status="new"} 1"#,
        ])],
    },
    Difference {
        number: "B3",
        why: "queues of one name in two namespaces are counted apart",
        at: &[("gold6", &[10]), ("gold6b", &[1])],
        change: &[Change::Metrics(&[
            r#"queue_tasks{namespace="default",queue="r0",status="new"} 1"#,
            r#"queue_tasks{namespace="default",queue="r2",status="failed"} 1"#,
        ])],
    },
];
