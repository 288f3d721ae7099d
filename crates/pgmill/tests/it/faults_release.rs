//! Releases whose connection breaks, or whose row is locked by others.

use std::time::Duration;

use pgmill::{BatchOptions, Manager, Outcome, QueueMeta, ReleaseError, Status, hours};
use pgmill_testkit::CutPoint;
use tokio::task::JoinSet;

use crate::faults::{Line, POINTS, TwoLines};
use crate::scene::{LIMIT, QUEUE, builder, create, number, payload, rewrite, take, take_many};

fn outcomes() -> [Outcome; 6] {
    [
        Outcome::done(&"yes").unwrap(),
        Outcome::retry_in(hours(1), &"no").unwrap(),
        Outcome::failed(&"never").unwrap(),
        Outcome::GiveBack,
        Outcome::Snooze(hours(1)),
        Outcome::cancelled(&"off").unwrap(),
    ]
}

#[tokio::test]
async fn a_release_that_is_cut_anywhere_happens_once_and_is_answered_with_what_it_came_to() {
    let line = Line::new().await;
    for retention in [hours(24), Duration::ZERO] {
        line.manager.register_queue(QueueMeta::new(QUEUE).no_ttl().retention(retention)).await.unwrap();
        for point in POINTS {
            for outcome in outcomes() {
                let case = format!("{point:?} {outcome:?} {retention:?}");
                // What others have left would be taken first.
                line.client.batch_execute("delete from pgmill.task").await.unwrap();
                let usual = release_of_new(&line.manager, outcome.clone()).await;
                line.client.batch_execute("delete from pgmill.task").await.unwrap();
                let created = line.manager.create_task(QUEUE, payload(&case).priority(0)).await.unwrap();
                let task = take(&line.manager).await;
                assert_eq!(task.id, created.id, "{case}");
                let fired = line.proxy.arm(point, "pgmill.release_");
                let released = line.manager.release_task(&task, outcome.clone()).await.unwrap();
                fired.await;
                assert_eq!(released.status, usual, "{case}");
                match line.manager.get_task(task.id).await {
                    Ok(now) => {
                        assert_eq!(now.status, Some(usual), "{case}");
                        assert_eq!(now.attempts.len(), usize::from(usual != Status::Released), "{case}");
                    }
                    Err(error) => {
                        assert!(retention.is_zero() && usual == Status::Released, "{case}: {error}");
                    }
                }
            }
        }
    }
}

/// The status of a task after its first attempt ended so.
async fn release_of_new(manager: &Manager, outcome: Outcome) -> Status {
    manager.create_task(QUEUE, payload("usual").priority(0)).await.unwrap();
    let task = take(manager).await;
    manager.release_task(&task, outcome).await.unwrap().status
}

#[tokio::test]
async fn a_release_is_known_to_be_done_even_if_others_have_taken_the_task_on() {
    let outcomes = [Outcome::retry_in(Duration::ZERO, &"no").unwrap(), Outcome::GiveBack];
    for outcome in outcomes {
        for finish in [false, true] {
            let line = Line::new().await;
            let other = builder(line.database.url()).await.unwrap();
            create(&line.manager, 1).await;
            let task = take(&line.manager).await;
            let fired = line.proxy.arm(CutPoint::BeforeAnswer, "release_v1");
            // The way back is closed until the others have had the task.
            line.proxy.refuse(true);
            let manager = line.manager.clone();
            let (held, end) = (task.clone(), outcome.clone());
            let releasing = tokio::spawn(async move { manager.release_task(&held, end).await });
            fired.await;
            let theirs = take(&other).await;
            assert_eq!((theirs.id, theirs.attempt), (task.id, 2));
            if finish {
                other.release_task(&theirs, Outcome::done_empty()).await.unwrap();
            }
            line.proxy.refuse(false);
            let released = releasing.await.unwrap();
            assert!(released.is_ok(), "{outcome:?}, finished: {finish}: {}", released.unwrap_err());
        }
    }
}

#[tokio::test]
async fn a_release_without_a_fence_whose_answer_is_lost_is_unknown_and_ends_no_other_attempt() {
    let line = Line::new().await;
    let other = builder(line.database.url()).await.unwrap();
    create(&line.manager, 1).await;
    let task = take(&line.manager).await;
    let fired = line.proxy.arm(CutPoint::BeforeAnswer, "release_v1");
    line.proxy.refuse(true);
    let manager = line.manager.clone();
    let releasing = tokio::spawn(async move { manager.release_task(task.id, Outcome::GiveBack).await });
    fired.await;
    let theirs = take(&other).await;
    line.proxy.refuse(false);
    let error = releasing.await.unwrap().unwrap_err();
    assert!(matches!(error, ReleaseError::Unknown { id } if id == theirs.id), "{error}");
    other.release_task(&theirs, Outcome::done_empty()).await.unwrap();
}

#[tokio::test]
async fn a_release_whose_server_stays_away_is_answered_as_unknown() {
    let line = Line::single().await;
    for (point, status) in
        [(CutPoint::BeforeRequest, Status::Retained), (CutPoint::BeforeAnswer, Status::Released)]
    {
        create(&line.manager, 1).await;
        let task = take(&line.manager).await;
        let fired = line.proxy.arm(point, "pgmill.release_");
        let (manager, held) = (line.manager.clone(), task.clone());
        let releasing = tokio::spawn(async move { manager.release_task(&held, Outcome::done_empty()).await });
        line.proxy.refuse(true);
        fired.await;
        let error = releasing.await.unwrap().unwrap_err();
        line.proxy.refuse(false);
        assert!(matches!(error, ReleaseError::Unknown { id } if id == task.id), "{error}");
        assert_eq!(line.manager.get_task(task.id).await.unwrap().status, Some(status), "{point:?}");
    }
}

#[tokio::test]
async fn a_release_that_arrives_after_it_was_given_up_changes_nothing() {
    let lines = TwoLines::new().await;
    create(&lines.manager, 1).await;
    let task = take(&lines.manager).await;
    lines.hold();
    let released = lines.manager.release_task(&task, Outcome::GiveBack).await.unwrap();
    assert_eq!(released.status, Status::New);
    let again = take(&lines.manager).await;
    lines.deliver().await;
    let now = lines.manager.get_task(task.id).await.unwrap();
    assert_eq!((now.status, now.attempts.len()), (Some(Status::Retained), 1));
    lines.manager.release_task(&again, Outcome::done_empty()).await.unwrap();
}

#[tokio::test]
async fn a_row_that_others_hold_stops_no_other_row() {
    let line = Line::new().await;
    create(&line.manager, 50).await;
    let tasks = take_many(&line.manager, 50).await;
    let mut holder = line.database.connect().await;
    let transaction = holder.transaction().await.unwrap();
    let locked = tasks[7].id;
    let id = i64::try_from(locked).unwrap();
    transaction.query("select from pgmill.task where id = $1 for update", &[&id]).await.unwrap();
    let mut releases: JoinSet<_> = tasks
        .into_iter()
        .map(|task| {
            let manager = line.manager.clone();
            async move { manager.release_task(&task, Outcome::done_empty()).await.unwrap().id }
        })
        .collect();
    for _ in 0..49 {
        assert_ne!(releases.join_next().await.unwrap().unwrap(), locked);
    }
    assert!(releases.try_join_next().is_none());
    transaction.commit().await.unwrap();
    assert_eq!(releases.join_next().await.unwrap().unwrap(), locked);
}

#[tokio::test]
async fn a_release_of_a_row_that_others_keep_is_answered_as_locked() {
    let line = Line::single().await;
    create(&line.manager, 2).await;
    let task = take(&line.manager).await;
    let mut holder = line.database.connect().await;
    let transaction = holder.transaction().await.unwrap();
    transaction.query("select from pgmill.task for update", &[]).await.unwrap();
    let error = line.manager.release_task(&task, Outcome::done_empty()).await.unwrap_err();
    assert!(matches!(error, ReleaseError::Locked { id } if id == task.id), "{error}");
    assert!(line.manager.next_task("w", &[QUEUE]).await.unwrap().is_none(), "a locked task is passed over");
    let claim = task.claim().unwrap();
    let until = line.manager.extend_leases(&[claim], None).await.unwrap();
    assert_eq!(until, [task.lease_until], "a lease that cannot be extended just now is not lost");
    transaction.rollback().await.unwrap();
    line.manager.release_task(&task, Outcome::done_empty()).await.unwrap();
    take(&line.manager).await;
}

#[tokio::test]
async fn releases_of_rows_that_others_hold_leave_the_connections_to_the_others() {
    const LOCKED: usize = 100;
    let line = Line::with(BatchOptions::default().flights(1), LIMIT).await;
    create(&line.manager, LOCKED).await;
    let tasks = take_many(&line.manager, LOCKED).await;
    let mut holder = line.database.connect().await;
    let transaction = holder.transaction().await.unwrap();
    transaction.query("select from pgmill.task for update", &[]).await.unwrap();
    let sleep = "BEGIN\n PERFORM pg_sleep(0.02); PERFORM nextval('public.calls');";
    line.client.batch_execute("create sequence public.calls").await.unwrap();
    rewrite(&line.client, "release_v1", "BEGIN", sleep).await;
    let releases: JoinSet<_> = tasks
        .into_iter()
        .map(|task| {
            let manager = line.manager.clone();
            async move { manager.release_task(&task, Outcome::done_empty()).await.unwrap().status }
        })
        .collect();
    let under_way = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event = 'PgSleep'";
    let (mut most, mut calls) = (0, 0);
    while calls < 50 {
        most = most.max(number(&line.client, under_way).await);
        calls = number(&line.client, "select last_value from public.calls").await;
    }
    assert!((1..=3).contains(&most), "{most} statements at once");
    transaction.commit().await.unwrap();
    assert_eq!(releases.join_all().await, [Status::Released; LOCKED]);
}
