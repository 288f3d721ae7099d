//! Changes of tasks as they travel, and which of them are wanted.

use pgmill_schema::{EventFilter, Namespace, QueueName, Status, TaskEvent};

fn event() -> TaskEvent {
    TaskEvent {
        id: 42,
        namespace: Namespace::new("app").unwrap(),
        queue: QueueName::new("emails").unwrap(),
        status: Status::Retained,
        attempt: 2,
        worker: Some("worker-1".to_owned()),
        at: "2030-01-02T03:04:05.123456789Z".parse().unwrap(),
    }
}

#[test]
fn an_event_is_one_line_of_json_with_its_time_to_the_microsecond() {
    let text = serde_json::to_string(&event()).unwrap();
    assert_eq!(
        text,
        r#"{"id":42,"namespace":"app","queue":"emails","status":"retained","attempt":2,"worker":"worker-1","at":"2030-01-02T03:04:05.123456Z"}"#
    );
    let read: TaskEvent = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
}

#[test]
fn a_worker_that_there_is_none_of_is_left_out() {
    let text = serde_json::to_string(&TaskEvent { worker: None, ..event() }).unwrap();
    assert!(!text.contains("worker"), "{text}");
    assert_eq!(serde_json::from_str::<TaskEvent>(&text).unwrap().worker, None);
}

#[test]
fn each_kind_that_a_filter_names_must_fit_and_one_of_a_kind_is_enough() {
    let (emails, other) = (QueueName::new("emails").unwrap(), QueueName::new("other").unwrap());
    let all = EventFilter::new();
    assert!(all.matches(&event()));
    assert!(all.clone().queue(other.clone()).queue(emails.clone()).matches(&event()));
    assert!(all.clone().status(Status::New).status(Status::Retained).matches(&event()));
    assert!(all.clone().id(7).id(42).matches(&event()));
    assert!(all.clone().queue(emails.clone()).status(Status::Retained).id(42).matches(&event()));
    assert!(!all.clone().queue(other).matches(&event()));
    assert!(!all.clone().status(Status::New).matches(&event()));
    assert!(!all.clone().id(7).matches(&event()));
    assert!(!all.queue(emails).status(Status::Retained).id(7).matches(&event()));
}
