use pgmill_schema::{
    LIST_LIMIT, List, ListRequest, ListRequestError, QueueName, Status, TaskFilter, TaskPlace,
};

#[test]
fn an_empty_list_is_only_a_count() {
    let empty: List<u8> = List { offset: 0, limit: None, count: 0, body: vec![] };
    assert_eq!(serde_json::to_string(&empty).unwrap(), r#"{"count":0}"#);
    for text in [r#"{"count":0}"#, r#"{"count":0,"body":null}"#, r#"{"count":0,"body":[]}"#] {
        assert_eq!(serde_json::from_str::<List<u8>>(text).unwrap(), empty, "{text}");
    }
}

#[test]
fn a_list_says_what_it_was_asked_for_if_it_is_told() {
    let list = List { offset: 2, limit: Some(0), count: 5, body: vec![7] };
    let text = r#"{"offset":2,"limit":0,"count":5,"body":[7]}"#;
    assert_eq!(serde_json::to_string(&list).unwrap(), text);
    assert_eq!(serde_json::from_str::<List<u8>>(text).unwrap(), list);
}

#[test]
fn a_page_has_at_most_100_items_and_may_have_none() {
    assert_eq!(ListRequest::new().effective_limit(), LIST_LIMIT);
    assert_eq!(ListRequest::new().limit(101).effective_limit(), 100);
    assert_eq!(ListRequest::new().limit(5).effective_limit(), 5);
    assert_eq!(ListRequest::new().limit(0).effective_limit(), 0);
}

#[test]
fn an_offset_that_the_database_cannot_count_to_is_refused() {
    assert_eq!(ListRequest::new().offset(i64::MAX as u64).validate(), Ok(()));
    let value = 1 << 63;
    assert_eq!(ListRequest::new().offset(value).validate(), Err(ListRequestError::Offset { value }));
}

#[test]
fn a_filter_starts_with_everything() {
    assert_eq!(TaskFilter::new(), TaskFilter::default());
    let queue = QueueName::new("mail").unwrap();
    let filter = TaskFilter::new().queue(queue.clone()).status(Status::Failed).offset(3).limit(4);
    assert_eq!((filter.queue.clone(), filter.status), (Some(queue), Some(Status::Failed)));
    assert_eq!(filter.page, ListRequest::new().offset(3).limit(4));
    let place = TaskPlace { created_at: jiff::Timestamp::UNIX_EPOCH, id: 7 };
    assert_eq!((filter.after, filter.after(place).after), (None, Some(place)));
}
