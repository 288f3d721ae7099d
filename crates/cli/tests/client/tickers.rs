//! Tickers and their ticks.

use pgmill::{Json, ListRequest, TickerMeta, minutes, seconds};

use crate::Fixture;

#[tokio::test]
async fn a_ticker_is_created_changed_and_deleted() {
    let Fixture { client, manager, .. } = &Fixture::new().await;
    let payload = Json::from_text(r#"{"a": 12345678901234567890}"#).unwrap();
    let meta =
        TickerMeta { payload: Some(payload.clone()), ..TickerMeta::new("Nightly").interval(minutes(5)) };
    let created = client.create_ticker(&meta).await.unwrap();
    assert_eq!((created.ticker.as_str(), created.interval), ("nightly", Some(minutes(5))));
    assert!(created.payload.as_str().contains("12345678901234567890"));
    assert_eq!(client.get_ticker("nightly").await.unwrap(), created);
    let taken = client.create_ticker(&meta).await.unwrap_err();
    assert_eq!((taken.is_conflict(), taken.code()), (true, Some("ticker_exists")));

    let changed = TickerMeta { interval: Some(seconds(9)), ..TickerMeta::default() };
    assert_eq!(client.update_ticker("nightly", &changed).await.unwrap().interval, Some(seconds(9)));
    assert_eq!(client.list_tickers(ListRequest::new()).await.unwrap().count, 1);
    client.delete_ticker("nightly").await.unwrap();
    let gone = client.get_ticker("nightly").await.unwrap_err();
    assert_eq!((gone.is_not_found(), gone.code()), (true, Some("ticker_not_found")));
    assert_eq!(manager.list_tickers(ListRequest::new()).await.unwrap().count, 0);
}
