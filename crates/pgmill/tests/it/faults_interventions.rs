//! Cancellations and retries whose connection breaks.

use pgmill::{CancelError, Manager, Outcome, RetryError, Status};

use crate::faults::{Line, POINTS, TwoLines};
use crate::scene::{create, take};

async fn shown(manager: &Manager, id: u64) -> (Option<Status>, u32, usize) {
    let task = manager.get_task(id).await.unwrap();
    (task.status, task.attempt, task.attempts.len())
}

#[tokio::test]
async fn a_cancellation_that_is_cut_anywhere_happens_once() {
    let line = Line::new().await;
    for point in POINTS {
        let id = create(&line.manager, 1).await[0].id;
        take(&line.manager).await;
        let fired = line.proxy.arm(point, "cancel_v1");
        let cancelled = line.manager.cancel_task(id).await.unwrap();
        fired.await;
        assert_eq!((cancelled.id, cancelled.status), (id, Some(Status::Cancelled)), "{point:?}");
        assert_eq!(shown(&line.manager, id).await, (Some(Status::Cancelled), 1, 1), "{point:?}");
    }
}

#[tokio::test]
async fn a_retry_that_is_cut_anywhere_happens_once() {
    let line = Line::new().await;
    for point in POINTS {
        let id = create(&line.manager, 1).await[0].id;
        line.manager.release_task(&take(&line.manager).await, Outcome::done_empty()).await.unwrap();
        let fired = line.proxy.arm(point, "retry_v1");
        let live = line.manager.retry_task(id).await.unwrap();
        fired.await;
        assert_eq!((live.id, live.status), (id, Some(Status::New)), "{point:?}");
        let again = take(&line.manager).await;
        assert_eq!((again.id, again.attempt), (id, 2), "{point:?}");
        line.manager.release_task(&again, Outcome::done_empty()).await.unwrap();
        assert_eq!(shown(&line.manager, id).await, (Some(Status::Released), 2, 0), "{point:?}");
    }
}

/// The task has ended anew by then, and must not be run a third time.
#[tokio::test]
async fn a_retry_that_arrives_after_its_repetition_does_nothing() {
    let lines = TwoLines::new().await;
    let id = create(&lines.manager, 1).await[0].id;
    lines.manager.release_task(&take(&lines.manager).await, Outcome::done_empty()).await.unwrap();
    // The statement is prepared by then: what is kept is its execution.
    let unknown = lines.manager.retry_task(u64::from(u32::MAX)).await;
    assert!(matches!(unknown, Err(RetryError::NotFound { .. })), "{unknown:?}");
    lines.hold();
    assert_eq!(lines.manager.retry_task(id).await.unwrap().status, Some(Status::New));
    lines.manager.release_task(&take(&lines.manager).await, Outcome::done_empty()).await.unwrap();
    lines.deliver().await;
    assert_eq!(shown(&lines.manager, id).await, (Some(Status::Released), 2, 0));
}

#[tokio::test]
async fn what_cannot_be_found_out_is_unknown() {
    let line = Line::single().await;
    let id = create(&line.manager, 1).await[0].id;
    line.proxy.refuse(true);
    let fired = line.proxy.arm(POINTS[1], "cancel_v1");
    let cancelled = line.manager.cancel_task(id).await;
    fired.await;
    assert!(
        matches!(&cancelled, Err(error @ CancelError::Unknown { .. }) if error.is_transient()),
        "{cancelled:?}"
    );
    line.proxy.refuse(false);
    // Once more is safe, and tells.
    match line.manager.cancel_task(id).await {
        Ok(_) | Err(CancelError::Finished { status: Status::Cancelled, .. }) => {}
        other => panic!("{other:?}"),
    }
    line.proxy.refuse(true);
    let fired = line.proxy.arm(POINTS[1], "retry_v1");
    let retried = line.manager.retry_task(id).await;
    fired.await;
    assert!(matches!(&retried, Err(RetryError::Unknown { .. })), "{retried:?}");
}
