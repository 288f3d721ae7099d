//! Where our program is meant to print something else than the reference.

/// A difference that is wanted, and the calls of `cli2.txt` that show it, from 1.
#[derive(Debug)]
pub(crate) struct Difference {
    /// Of the contract's section 5 (`B4`), of the section of the design about what is wrong there (`D11`), or of another
    /// section of the contract (`C4`).
    pub(crate) number: &'static str,
    pub(crate) why: &'static str,
    pub(crate) at: &'static [usize],
    pub(crate) change: Change,
}

/// What is expected instead.
#[derive(Debug)]
pub(crate) enum Change {
    /// Success, and this object.
    Output(&'static str),
    /// No success, and standard error starts so.
    Error(&'static str),
    /// A usage of the same command, and a message that starts so.
    Usage(&'static str),
}

pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference {
        number: "B15",
        why: "a payload that is missing is the fault of whoever sent none",
        at: &[5],
        change: Change::Error(
            "Error: ErrUnexpectedResponse: 400 Bad Request: {\n  \"code\": 400,\n  \"reason\": \"Bad Request: missing payload\"",
        ),
    },
    Difference {
        number: "B6",
        why: "no queue means any queue",
        at: &[6],
        change: Change::Output(
            r#"{"id":2,"payload":{"a":"<b>&  é","f":1.50,"n":12345678901234567890,"dup":2,"zeta":1},
                "worker":"w","namespace":"default","queue":"case-1","created_at":"2026-11-22T16:58:44.860638Z",
                "started_at":"2026-11-22T17:58:44.860638Z","dies_at":"2026-11-22T17:58:44.860638Z","retries":3}"#,
        ),
    },
    Difference {
        number: "C4",
        why: "the words about arguments are those of the library that reads them",
        at: &[7],
        change: Change::Usage("the following required arguments were not provided:\n  --worker"),
    },
    Difference {
        number: "C4",
        why: "the words about arguments are those of the library that reads them",
        at: &[8],
        change: Change::Usage("invalid value 'abc' for '<ID>'"),
    },
    Difference {
        number: "B5",
        why: "a status filters",
        at: &[10],
        change: Change::Output(
            r#"{"count":5,"body":[
                {"id":2,"payload":{"a":"<b>&  é","f":1.50,"n":12345678901234567890,"dup":2,"zeta":1},
                    "namespace":"default","queue":"case-1","created_at":"2026-11-22T16:58:44.860638Z",
                    "dies_at":"2026-11-22T17:58:44.860638Z","retries":3,"status":"new"},
                {"id":3,"payload":"str","delayed_at":"2098-12-31T22:00:00.123456Z","namespace":"default",
                    "queue":"case-1","created_at":"2026-11-22T16:58:44.93414Z",
                    "dies_at":"2098-12-31T23:00:00.123456Z","retries":3,"status":"new"},
                {"id":4,"payload":[1,2,3],"namespace":"default","queue":"case-1",
                    "created_at":"2026-11-22T16:58:45.005482Z","dies_at":"2026-11-22T17:58:45.005482Z",
                    "retries":3,"status":"new"},
                {"id":6,"payload":1,"namespace":"default","queue":"r0","created_at":"2026-11-22T16:59:26.525713Z",
                    "dies_at":"2026-11-22T17:59:26.525713Z","retries":1,"status":"new"},
                {"id":8,"payload":2,"namespace":"default","queue":"b3","created_at":"2026-11-22T16:59:27.307862Z",
                    "retries":3,"status":"new"}]}"#,
        ),
    },
    Difference {
        number: "B4, B10, B12, B21",
        why: "tasks of this namespace only, as they were created; at least one attempt; nothing due after a failure",
        at: &[11],
        change: Change::Output(
            r#"{"count":8,"body":[
                {"id":1,"payload":null,"worker":"w1","namespace":"default","queue":"case-1",
                    "result":{"a":12345678901234567000,"b":1,"h":"<x>"},"created_at":"2026-11-22T16:58:44.798385Z",
                    "started_at":"2026-11-22T16:58:45.293192Z","finished_at":"2026-11-22T16:58:45.485692Z",
                    "retries":3,"status":"released"},
                {"id":2,"payload":{"a":"<b>&  é","f":1.50,"n":12345678901234567890,"dup":2,"zeta":1},
                    "namespace":"default","queue":"case-1","created_at":"2026-11-22T16:58:44.860638Z",
                    "dies_at":"2026-11-22T17:58:44.860638Z","retries":3,"status":"new"},
                {"id":3,"payload":"str","delayed_at":"2098-12-31T22:00:00.123456Z","namespace":"default",
                    "queue":"case-1","created_at":"2026-11-22T16:58:44.93414Z",
                    "dies_at":"2098-12-31T23:00:00.123456Z","retries":3,"status":"new"},
                {"id":4,"payload":[1,2,3],"namespace":"default","queue":"case-1",
                    "created_at":"2026-11-22T16:58:45.005482Z","dies_at":"2026-11-22T17:58:45.005482Z",
                    "retries":3,"status":"new"},
                {"id":6,"payload":1,"namespace":"default","queue":"r0","created_at":"2026-11-22T16:59:26.525713Z",
                    "dies_at":"2026-11-22T17:59:26.525713Z","retries":1,"status":"new"},
                {"id":7,"payload":1,"worker":"w","namespace":"default","queue":"b3",
                    "created_at":"2026-11-22T16:59:26.59872Z","dies_at":"2026-11-22T17:59:26.59872Z","retries":0,
                    "status":"failed"},
                {"id":8,"payload":2,"namespace":"default","queue":"b3","created_at":"2026-11-22T16:59:27.307862Z",
                    "retries":3,"status":"new"},
                {"id":9,"payload":3,"worker":"w","namespace":"default","queue":"sh",
                    "created_at":"2026-11-22T16:59:27.368426Z","dies_at":"2026-11-22T16:59:27.668426Z","retries":2,
                    "status":"expired"}]}"#,
        ),
    },
    Difference {
        number: "B4, B21",
        why: "tasks of this namespace only, as they were created",
        at: &[12],
        change: Change::Output(
            r#"{"count":8,"body":[
                {"id":1,"payload":null,"worker":"w1","namespace":"default","queue":"case-1",
                    "result":{"a":12345678901234567000,"b":1,"h":"<x>"},"created_at":"2026-11-22T16:58:44.798385Z",
                    "started_at":"2026-11-22T16:58:45.293192Z","finished_at":"2026-11-22T16:58:45.485692Z",
                    "retries":3,"status":"released"}]}"#,
        ),
    },
    Difference {
        number: "D11",
        why: "the system namespace is `pgmill`",
        at: &[18],
        change: Change::Output(r#"{"count":3,"body":["default","other","pgmill"]}"#),
    },
    Difference {
        number: "C4",
        why: "the words about arguments are those of the library that reads them",
        at: &[19],
        change: Change::Usage("unrecognized subcommand 'bogus'"),
    },
    Difference {
        number: "C4",
        why: "the words about arguments are those of the library that reads them",
        at: &[20],
        change: Change::Usage("the following required arguments were not provided:\n  <NAME>"),
    },
    Difference {
        number: "C4",
        why: "the words about arguments are those of the library that reads them",
        at: &[21],
        change: Change::Usage("invalid value '5' for '--ttl <"),
    },
    Difference {
        number: "C4",
        why: "the words about arguments are those of the library that reads them",
        at: &[22],
        change: Change::Usage("invalid value '1d' for '--ttl <"),
    },
    Difference {
        number: "B10, B20, B21",
        why: "queues by name; made with at least one attempt, and times above 0",
        at: &[25],
        change: Change::Output(
            r#"{"count":8,"body":[
                {"queue":"b3","retries":3,"retry_delay":10000000000,"namespace":"default"},
                {"queue":"case-1","ttl":3600000000000,"retries":5,"retry_delay":120000000000,"namespace":"default"},
                {"queue":"form1","ttl":5000000000,"retries":7,"retry_delay":120000000000,"namespace":"default"},
                {"queue":"q2-new","ttl":90000000000,"retries":1,"retry_delay":0,"namespace":"default"},
                {"queue":"q3","ttl":5000000000,"retries":3,"retry_delay":1000,"namespace":"default"},
                {"queue":"q4","ttl":3600000000000,"retries":3,"retry_delay":120000000000,"namespace":"default"},
                {"queue":"r0","ttl":3600000000000,"retries":1,"retry_delay":1000000,"namespace":"default"},
                {"queue":"sh","ttl":300000000,"retries":3,"retry_delay":120000000000,"namespace":"default"}]}"#,
        ),
    },
    Difference {
        number: "C4",
        why: "the words about a server that is not there are free",
        at: &[26],
        change: Change::Error("Error: GET /queue: cannot connect"),
    },
];
