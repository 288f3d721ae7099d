//! Query strings, as the contract reads them (1.5).

use serde_json::json;

use crate::fixture::Fixture;

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_of_what_was_asked_for() {
    let fixture = Fixture::with_queue().await;
    for number in 0..5 {
        fixture.task(number).await;
        fixture.queue(json!({ "queue": format!("q{number}") })).await;
        fixture.post("/api/ticker", &json!({ "ticker": format!("t{number}") })).await;
    }
    for (path, count) in [("/api/task", 5), ("/api/queue", 6), ("/api/ticker", 5)] {
        let cases = [
            ("", count),
            ("?limit=2", 2),
            ("?offset=2", count - 2),
            ("?limit=2&offset=1", 2),
            ("?limit=1&limit=3", 1),
            ("?Limit=1&x=y", count),
            ("?limit=2;x=1", count),
            ("?limit=%zz", count),
            ("?limit=1000", count),
        ];
        for (query, length) in cases {
            let list = fixture.get(&format!("{path}{query}")).await;
            let body = list.json()["body"].as_array().unwrap().len();
            assert_eq!((list.status, body), (200, length), "{path}{query}");
            assert_eq!(list.json()["count"], count, "{path}{query}");
        }
        for query in ["?limit=0", "?offset=100", "?offset=9223372036854775807"] {
            assert_eq!(fixture.get(&format!("{path}{query}")).await.json(), json!({ "count": count }));
        }
        for query in
            ["limit=", "limit=%2B1", "limit=-1", "offset=0x1", "offset=1_0", "limit=18446744073709551616"]
        {
            let refused = fixture.get(&format!("{path}?{query}")).await;
            let name = query.split('=').next().unwrap();
            let reason = format!("Bad Request: {name:?}: Parse error (expected a uint value)");
            assert_eq!((refused.status, refused.json()["reason"].as_str()), (400, Some(&*reason)), "{query}");
        }
        let beyond = fixture.get(&format!("{path}?offset=9223372036854775808")).await;
        assert_eq!((beyond.status, beyond.error().as_str()), (400, "invalid_parameter"));
    }
}
