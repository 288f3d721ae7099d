//! The job `prune`: removes history that is past its retention.
//!
//! By default, what is done is kept for a day and what failed for seven. So when a day is over for what is done, one row in
//! a hundred is still wanted. Measured with 10,000,000 finished tasks in one day (2.6 GB), 99 % of them done, PostgreSQL 15
//! on two cores:
//!
//! | way | takes | WAL | what it costs others |
//! |---|---|---|---|
//! | copy the 1 %, and swap the day | 1.7 s | 30 MB | nothing to be seen |
//! | delete in chunks of 10,000 | 50 to 150 s | 10 GB | as any other writer (measured on a fifth of it) |
//! | a partition for each day and status | 40 ms | little | twice the partitions, for ever: below |
//!
//! Every statement that looks into history opens all its partitions: with 25 instead of 9, to enqueue, retain and release one
//! task takes 1.4 ms instead of 1.0 ms. So the third way is paid for by every release, and the first by nobody: beside two
//! connections that enqueue, retain and release batches of 100, neither the swap nor the drop of the whole day (40 ms)
//! shows in their slowest cycles, 43 ms with and without. Days of which much is kept, since one queue keeps longer than the
//! others, are cleared in chunks; and so are those that take longer to copy than `statement_timeout` allows.

use pgmill_store::{PastTasks, PruneStep, Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::{Maintained, STRETCH};

/// How many finished tasks one statement deletes at most: about 50 ms.
const CHUNK: i32 = 5_000;

pub(super) async fn run(store: &Store, stop: &CancellationToken) -> Result<Maintained, StoreError> {
    let mut done = Maintained::default();
    // Who holds one day holds the others too, and each try lets releases wait: one is enough for this time.
    let mut in_vain = false;
    for step in store.prune_steps().await? {
        if stop.is_cancelled() {
            return Ok(done);
        }
        let taken = match step {
            PruneStep::Delete(past) => delete(store, past, stop, &mut done).await,
            _ if in_vain => continue,
            PruneStep::Drop(day) => {
                store.drop_day(&day).await.map(|dropped| done.dropped += u32::from(dropped))
            }
            PruneStep::Rewrite { day, otherwise } => match store.rewrite_day(day).await {
                Err(error) if is_timeout(&error) => {
                    tracing::info!(%day, "a day of history is too large to be written anew: it is cleared in chunks");
                    delete_all(store, otherwise, stop, &mut done).await
                }
                kept => kept.map(|kept| done.rewritten += u32::from(kept.is_some())),
            },
            _ => Ok(()),
        };
        match taken {
            Err(error @ StoreError::Contended(_)) => {
                done.postponed += 1;
                in_vain |= !is_timeout(&error);
            }
            taken => taken?,
        }
    }
    store.prune_resent().await?;
    keys(store, stop, &mut done).await?;
    audit(store, stop, &mut done).await?;
    Ok(done)
}

/// Whether a statement took too long, which tells of the rows that it looks at and of no lock: the next try would too.
fn is_timeout(error: &StoreError) -> bool {
    error.sqlstate() == Some("57014")
}

async fn delete_all(
    store: &Store,
    all: Vec<PastTasks>,
    stop: &CancellationToken,
    done: &mut Maintained,
) -> Result<(), StoreError> {
    for past in all {
        delete(store, past, stop, done).await?;
        if stop.is_cancelled() {
            break;
        }
    }
    Ok(())
}

/// Deletes tasks in the order of their creation, which is roughly the order of their ends: a stretch without one that may go is
/// where to stop.
async fn delete(
    store: &Store,
    past: PastTasks,
    stop: &CancellationToken,
    done: &mut Maintained,
) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let (pruned, place) = store.prune_finished(past, after, CHUNK).await?;
        done.pruned += pruned;
        match place {
            Some(_) if pruned > 0 && !stop.is_cancelled() => after = place,
            _ => return Ok(()),
        }
    }
}

async fn keys(store: &Store, stop: &CancellationToken, done: &mut Maintained) -> Result<(), StoreError> {
    let mut place = None;
    loop {
        let (pruned, next) = store.prune_keys(place, STRETCH).await?;
        done.keys += pruned;
        place = next;
        if place.is_none() || stop.is_cancelled() {
            return Ok(());
        }
    }
}

async fn audit(store: &Store, stop: &CancellationToken, done: &mut Maintained) -> Result<(), StoreError> {
    done.tokens += store.prune_tokens(CHUNK).await?;
    loop {
        let pruned = store.prune_audit(CHUNK).await?;
        done.audit += pruned;
        if pruned == 0 || stop.is_cancelled() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use pgmill_schema::{Namespace, QueueMeta, QueueName};
    use pgmill_testkit::TestDatabase;

    use super::*;

    /// Two days of which little is kept, and one of which nothing is.
    const PAST: &str = r#"
        DO $$
        DECLARE
            v_ago integer;
            v_day date;
        BEGIN
            FOREACH v_ago IN ARRAY ARRAY[3, 4, 12] LOOP
                v_day := (now() AT TIME ZONE 'UTC')::date - v_ago;
                EXECUTE format('CREATE TABLE pgmill.%I PARTITION OF pgmill.task_finished FOR VALUES FROM (%L) TO (%L)',
                    'task_finished' || to_char(v_day, '"_"YYYYMMDD'), to_char(v_day, 'YYYY-MM-DD') || ' 00:00:00+00',
                    to_char(v_day + 1, 'YYYY-MM-DD') || ' 00:00:00+00');
                INSERT INTO pgmill.task_finished (id, finished_at, created_at, queue_id, retries, attempt, spared, status,
                    priority, holder, payload)
                SELECT nextval('pgmill.task_id'), v_day::timestamp AT TIME ZONE 'UTC' + interval '12 hours', now(), q.id, 3,
                    1, 0, CASE WHEN n <= 100 THEN 4 ELSE 3 END, 5, 1, 'null'
                FROM pgmill.queue q, generate_series(1, 12100) n;
            END LOOP;
            INSERT INTO pgmill.task_count_delta (queue_id, status, day, n)
            SELECT queue_id, status, (finished_at AT TIME ZONE 'UTC')::date, count(*) FROM pgmill.task_finished GROUP BY 1, 2, 3;
        END
        $$"#;

    /// Lets only the day of three days ago be written anew.
    const REFUSED: &str = "
        ALTER FUNCTION pgmill.rewrite_day_v1(date) RENAME TO rewrite_day_in_time;
        CREATE FUNCTION pgmill.rewrite_day_v1(p_day date) RETURNS bigint LANGUAGE plpgsql AS $$
        BEGIN
            IF p_day < (now() AT TIME ZONE 'UTC')::date - 3 THEN
                RAISE 'as if' USING ERRCODE = '{code}';
            END IF;
            RETURN pgmill.rewrite_day_in_time(p_day);
        END
        $$";

    async fn pruned(code: &str) -> (Maintained, i64) {
        let database = TestDatabase::create().await;
        let store = database.store();
        let queue = QueueName::new("plain").unwrap();
        let namespace = Namespace::new("app").unwrap();
        store.register_queue(&namespace, &queue, &QueueMeta::new("plain")).await.unwrap();
        let client = database.connect().await;
        client.batch_execute(PAST).await.unwrap();
        client.batch_execute(&REFUSED.replace("{code}", code)).await.unwrap();
        let done = run(&store, &CancellationToken::new()).await.unwrap();
        let left = client.query_one("SELECT count(*) FROM pgmill.task_finished", &[]).await.unwrap();
        (done, left.get(0))
    }

    #[tokio::test]
    async fn a_day_too_large_to_be_written_anew_is_cleared_in_chunks_and_what_comes_after_it_is_not_held_up()
    {
        let (done, left) = pruned("57014").await;
        assert_eq!((done.dropped, done.pruned, done.rewritten, done.postponed), (1, 12_000, 1, 0));
        assert_eq!(left, 200);
    }

    #[tokio::test]
    async fn a_day_whose_lock_is_not_had_is_left_to_the_next_time_and_so_are_those_after_it() {
        let (done, left) = pruned("55P03").await;
        assert_eq!((done.dropped, done.pruned, done.rewritten, done.postponed), (1, 0, 0, 1));
        assert_eq!(left, 2 * 12_100);
    }
}
