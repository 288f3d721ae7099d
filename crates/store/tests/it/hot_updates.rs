//! A retain changes no index.

use std::time::Duration;

use pgmill_schema::{Json, QueueMeta};
use pgmill_store::{NewTask, Store};
use pgmill_testkit::wait_until;

use crate::support::Fixture;

const TASKS: i32 = 20_000;

#[tokio::test]
async fn at_least_nine_of_ten_retains_are_hot_updates() {
    for bytes in [100, 2_000] {
        let fixture = Fixture::new().await;
        let queue = fixture.queue(QueueMeta::new("plain")).await;
        let payload = Json::encode(&"x".repeat(bytes - 2)).unwrap();
        for _ in 0..TASKS / 2_000 {
            let tasks = fixture.new_tasks(&queue, 2_000).await;
            let tasks: Vec<NewTask> =
                tasks.into_iter().map(|task| NewTask { payload: payload.clone(), ..task }).collect();
            fixture.create_all(&tasks).await;
        }
        let mut retained = 0;
        while retained < TASKS {
            let count = fixture.retain(&queue, 1_000).await.len();
            assert!(count > 0);
            retained += i32::try_from(count).unwrap();
        }
        let (updated, hot) = updates_once_told(&fixture).await;
        assert_eq!(updated, i64::from(TASKS));
        assert!(hot * 10 >= updated * 9, "{hot} of {updated} with a payload of {bytes} bytes");
    }
}

/// The statistics of the server follow the statements after some time, and at the end of a session.
async fn updates_once_told(fixture: &Fixture) -> (i64, i64) {
    Store::pool(&fixture.store).close();
    let mut answer = (0, 0);
    wait_until("the statistics to arrive", Duration::from_secs(30), async || {
        let sql =
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = 'pgmill.task'::regclass";
        let row = fixture.client.query_one(sql, &[]).await.unwrap();
        answer = (row.get(0), row.get(1));
        answer.0 >= i64::from(TASKS)
    })
    .await;
    answer
}
