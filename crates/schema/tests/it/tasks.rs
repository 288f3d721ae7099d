use jiff::Timestamp;
use pgmill_schema::{
    Attempt, AttemptOutcome, Claim, DEFAULT_PRIORITY, Json, NameError, NameKind, Namespace, QueueName,
    Status, Task, TaskMeta, TaskMetaError, days, minutes, seconds,
};

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn json(text: &str) -> Json {
    Json::from_text(text).expect("a JSON value")
}

/// The task of the contract's golden bodies, as just created.
fn created() -> Task {
    Task {
        id: 5,
        payload: Some(json("1")),
        delayed_at: None,
        worker: None,
        namespace: Namespace::new("default").expect("a namespace"),
        queue: QueueName::new("r2").expect("a queue name"),
        result: None,
        created_at: time("2026-11-22T16:58:44.934140Z"),
        started_at: None,
        finished_at: None,
        dies_at: Some(time("2026-11-22T17:58:44.934140Z")),
        retries: 2,
        status: None,
        priority: DEFAULT_PRIORITY,
        attempt: 0,
        key: None,
        traceparent: None,
        lease_until: None,
        holder: None,
        attempts: vec![],
    }
}

/// Checks that the task prints as `contract`, followed by our own keys, and reads back as it was.
#[track_caller]
fn assert_prints(task: &Task, contract: &str, ours: &str) {
    let text = serde_json::to_string(task).expect("a task prints");
    assert_eq!(text, format!("{{{contract},{ours}}}"));
    let read: Task = serde_json::from_str(&text).expect("a task reads what it prints");
    assert_eq!(read, Task { holder: None, ..task.clone() });
}

#[test]
fn a_created_task_prints_as_in_the_contract() {
    assert_prints(
        &created(),
        r#""id":5,"payload":1,"namespace":"default","queue":"r2","created_at":"2026-11-22T16:58:44.93414Z","dies_at":"2026-11-22T17:58:44.93414Z","retries":2"#,
        r#""priority":5,"attempt":0"#,
    );
}

#[test]
fn a_retained_task_prints_as_in_the_contract_and_never_its_holder() {
    let task = Task {
        worker: Some("w1".into()),
        started_at: Some(time("2026-11-22T16:58:45Z")),
        lease_until: Some(time("2026-11-22T17:13:45Z")),
        attempt: 1,
        holder: Some(77),
        ..created()
    };
    assert_prints(
        &task,
        r#""id":5,"payload":1,"worker":"w1","namespace":"default","queue":"r2","created_at":"2026-11-22T16:58:44.93414Z","started_at":"2026-11-22T16:58:45Z","dies_at":"2026-11-22T17:58:44.93414Z","retries":2"#,
        r#""priority":5,"attempt":1,"lease_until":"2026-11-22T17:13:45Z""#,
    );
}

#[test]
fn a_failed_task_prints_as_in_the_contract_with_0_retries() {
    let task = Task {
        delayed_at: Some(time("2026-11-22T17:00:00.5Z")),
        worker: Some("w1".into()),
        result: Some(json(r#""err2""#)),
        retries: 0,
        status: Some(Status::Failed),
        attempt: 2,
        ..created()
    };
    assert_prints(
        &task,
        r#""id":5,"payload":1,"delayed_at":"2026-11-22T17:00:00.5Z","worker":"w1","namespace":"default","queue":"r2","result":"err2","created_at":"2026-11-22T16:58:44.93414Z","dies_at":"2026-11-22T17:58:44.93414Z","retries":0,"status":"failed""#,
        r#""priority":5,"attempt":2"#,
    );
}

#[test]
fn a_released_task_prints_as_in_the_contract_with_a_result_of_false() {
    let task = Task {
        id: 1,
        result: Some(json("false")),
        started_at: Some(time("2026-11-22T16:58:45Z")),
        finished_at: Some(time("2026-11-22T16:58:46Z")),
        dies_at: None,
        retries: 3,
        status: Some(Status::Released),
        key: Some("order-17".into()),
        ..created()
    };
    assert_prints(
        &task,
        r#""id":1,"payload":1,"namespace":"default","queue":"r2","result":false,"created_at":"2026-11-22T16:58:44.93414Z","started_at":"2026-11-22T16:58:45Z","finished_at":"2026-11-22T16:58:46Z","retries":3,"status":"released""#,
        r#""priority":5,"attempt":0,"key":"order-17""#,
    );
}

#[test]
fn the_attempts_of_a_task_are_printed_last_if_there_are_any() {
    let attempt = Attempt {
        attempt: 1,
        worker: Some("w1".into()),
        started_at: time("2026-11-22T16:58:45Z"),
        ended_at: time("2026-11-22T16:58:46.000001Z"),
        outcome: AttemptOutcome::GivenBack,
        error: Some(json(r#"{"b":1,"a":1.50}"#)),
    };
    let silent =
        Attempt { attempt: 2, worker: None, error: None, outcome: AttemptOutcome::Lapsed, ..attempt.clone() };
    let text = serde_json::to_string(&Task { attempts: vec![attempt, silent], ..created() }).unwrap();
    let (_, attempts) = text.split_once(r#""attempts":"#).unwrap();
    assert_eq!(
        attempts,
        r#"[{"attempt":1,"worker":"w1","started_at":"2026-11-22T16:58:45Z","ended_at":"2026-11-22T16:58:46.000001Z","outcome":"given_back","error":{"b":1,"a":1.50}},{"attempt":2,"started_at":"2026-11-22T16:58:45Z","ended_at":"2026-11-22T16:58:46.000001Z","outcome":"lapsed"}]}"#
    );
    assert_eq!(serde_json::from_str::<Task>(&text).unwrap().attempts.len(), 2);
}

#[test]
fn a_payload_of_null_is_printed_and_a_result_of_null_is_not() {
    let task = Task { payload: Some(Json::null()), result: Some(Json::null()), ..created() };
    let text = serde_json::to_string(&task).unwrap();
    assert!(text.contains(r#""payload":null"#) && !text.contains("result"), "{text}");
    let read: Task = serde_json::from_str(&text).unwrap();
    assert_eq!((read.payload, read.result), (Some(Json::null()), None));
    for kept in ["false", "0", r#""""#] {
        let text = serde_json::to_string(&Task { result: Some(json(kept)), ..created() }).unwrap();
        assert!(text.contains(&format!(r#""result":{kept}"#)), "{text}");
    }
}

#[test]
fn large_numbers_survive_in_payload_and_result() {
    let number = Some(json("12345678901234567890"));
    let task = Task { payload: number.clone(), result: number, ..created() };
    let text = serde_json::to_string(&task).unwrap();
    assert_eq!(serde_json::from_str::<Task>(&text).unwrap(), task);
    assert_eq!(text.matches("12345678901234567890").count(), 2);
}

#[test]
fn times_are_utc_to_the_microsecond_without_trailing_zeros() {
    for (given, printed) in [
        ("2026-11-22T18:58:44.123456789+02:00", "2026-11-22T16:58:44.123456Z"),
        ("2026-11-22T16:58:44.100000Z", "2026-11-22T16:58:44.1Z"),
        ("2026-11-22T16:58:44.000000999Z", "2026-11-22T16:58:44Z"),
    ] {
        let text = serde_json::to_string(&Task { created_at: time(given), ..created() }).unwrap();
        assert!(text.contains(&format!(r#""created_at":"{printed}""#)), "{text}");
    }
}

#[test]
fn a_task_of_the_reference_can_be_read() {
    let text = r#"{"id":5,"payload":{"a":1},"namespace":"default","queue":"r2","created_at":"2026-11-22T17:58:44+01:00","retries":2,"new_key":[]}"#;
    let task: Task = serde_json::from_str(text).unwrap();
    assert_eq!(task.created_at, time("2026-11-22T16:58:44Z"));
    assert_eq!((task.priority, task.attempt, task.status), (DEFAULT_PRIORITY, 0, None));
}

#[test]
fn a_claim_needs_a_holder() {
    assert_eq!(created().claim(), None);
    let held = Task { attempt: 3, holder: Some(42), ..created() };
    assert_eq!(held.claim(), Some(Claim::new(5, 3, 42)));
    assert_eq!(Task { id: u64::MAX, ..held }.claim(), None);
}

#[test]
fn a_task_to_create_is_read_with_null_as_a_payload() {
    let read = |text| serde_json::from_str::<TaskMeta>(text).unwrap();
    assert_eq!(read("{}"), TaskMeta::empty());
    assert_eq!(read(r#"{"payload":null}"#), TaskMeta::raw(Json::null()));
    assert_eq!(read(r#"{"delayed_at":null,"delay":null,"priority":null,"key":null}"#), TaskMeta::empty());
    assert_eq!(
        read(r#"{"queue":"q","payload":[1.50],"delay":"5m","priority":0,"key":"k"}"#),
        TaskMeta::raw(json("[1.50]")).delay(minutes(5)).priority(0).key("k")
    );
    assert_eq!(
        read(r#"{"payload":1,"delayed_at":"2030-01-01T00:00:00+01:00"}"#),
        TaskMeta::raw(json("1")).delayed_at(time("2029-12-31T23:00:00Z"))
    );
    for bad in [
        r#"{"delayed_at":"2030-01-01T00:00:00"}"#,
        r#"{"delayed_at":"2030-01-01"}"#,
        r#"{"priority":-1}"#,
        r#"{"payload":"\u0000"}"#,
    ] {
        assert!(serde_json::from_str::<TaskMeta>(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_task_to_create_reads_what_it_prints() {
    let meta = TaskMeta::raw(Json::null()).delayed_at(time("2030-01-01T00:00:00Z")).key("k");
    let text = serde_json::to_string(&meta).unwrap();
    assert_eq!(text, r#"{"payload":null,"delayed_at":"2030-01-01T00:00:00Z","priority":5,"key":"k"}"#);
    assert_eq!(serde_json::from_str::<TaskMeta>(&text).unwrap(), meta);
}

#[test]
fn a_task_needs_a_payload_within_the_limit() {
    assert_eq!(TaskMeta::empty().validate(100), Err(TaskMetaError::MissingPayload));
    assert_eq!(TaskMetaError::MissingPayload.to_string(), "missing payload");
    assert_eq!(TaskMeta::raw(Json::null()).validate(4), Ok(()));
    let meta = TaskMeta::json("ä").unwrap();
    assert_eq!(meta.validate(3), Err(TaskMetaError::PayloadTooLarge { bytes: 4, limit: 3 }));
}

#[test]
fn a_task_that_cannot_be_created_says_why() {
    let meta = TaskMeta::raw(Json::null());
    assert_eq!(meta.clone().priority(9).validate(100), Ok(()));
    let error = meta.clone().priority(10).validate(100).unwrap_err();
    assert_eq!(error, TaskMetaError::Priority { value: 10 });
    assert_eq!(error.to_string(), "priority must be from 0 (first) to 9 (last), not 10");
    assert_eq!(
        meta.key("").validate(100),
        Err(TaskMetaError::Key(NameError::Missing { kind: NameKind::Key }))
    );
}

#[test]
fn a_task_is_delayed_in_one_way_and_not_for_ever() {
    let meta = TaskMeta::raw(Json::null());
    let century = days(36_500);
    assert_eq!(meta.clone().delay(century).validate(100), Ok(()));
    assert_eq!(
        meta.clone().delay(century + seconds(1)).validate(100),
        Err(TaskMetaError::DelayTooLong { value: "876000h0m1s".into() })
    );
    assert_eq!(meta.clone().delayed_at(time("2500-12-31T23:59:59.999999Z")).validate(100), Ok(()));
    assert_eq!(
        meta.clone().delayed_at(time("2501-01-01T00:00:00Z")).validate(100),
        Err(TaskMetaError::DelayTooLong { value: "2501-01-01T00:00:00Z".into() })
    );
    assert_eq!(
        meta.delay(seconds(1)).delayed_at(time("2030-01-01T00:00:00Z")).validate(100),
        Err(TaskMetaError::DelayConflict)
    );
}
