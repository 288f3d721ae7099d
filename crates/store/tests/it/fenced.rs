//! What was retained fenced is released only by who knows its holder.

use pgmill_schema::Status;
use pgmill_store::{Caller, Demand, Ended, Ending, Fence, Retained};

use crate::support::{Fixture, caller, done, ids, queue, released};

impl Fixture {
    /// Retains one task for each of these callers, fenced or not.
    async fn retain_fenced(&self, fenced: &[bool]) -> Vec<Retained> {
        let demand = Demand { namespace: self.namespace.clone(), queues: vec![queue("plain")] };
        let callers: Vec<Caller> = fenced.iter().map(|&fenced| Caller { fenced, ..caller(0, 1) }).collect();
        let mut retained =
            self.store.retain(&[demand], &callers, &[], self.next_holder(), &[]).await.unwrap();
        retained.sort_by_key(|one| one.caller);
        retained
    }

    fn open(&self, id: i64) -> Ending {
        Ending { namespace: self.namespace.clone(), fence: Fence::Open(id), outcome: done(), task: None }
    }
}

#[tokio::test]
async fn one_statement_retains_for_fenced_callers_and_for_others() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 3).await;
    let retained = fixture.retain_fenced(&[false, true, false]).await;
    let holders: Vec<i64> = retained.iter().map(|one| one.task.holder.unwrap()).collect();
    assert_eq!([holders[1] - holders[0], holders[2] - holders[0]], [1, 0], "{holders:?}");
    for (one, id) in retained.iter().zip(ids(&retained)) {
        assert_eq!(fixture.task(id).await.unwrap().holder, one.task.holder, "what is stored is what is told");
    }
    for (id, is_fenced) in ids(&retained).into_iter().zip([false, true, false]) {
        let ended = fixture.end(fixture.open(id)).await;
        assert_eq!(matches!(ended, Ended::LeaseRequired), is_fenced, "{ended:?}");
        assert_eq!(matches!(ended, Ended::Released { .. }), !is_fenced, "{ended:?}");
    }
    assert_eq!(fixture.status(ids(&retained)[1]).await, Some(Status::Retained));
    released(fixture.release(&retained[1].task, done()).await);
    let ended = fixture.end(fixture.open(ids(&retained)[1])).await;
    assert!(matches!(ended, Ended::NotRetained), "it is finished: {ended:?}");
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn a_fenced_task_whose_lease_lapsed_needs_its_holder_still() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let id = fixture.create(&queue, 1).await[0];
    fixture.retain_fenced(&[true]).await;
    fixture.lapse_leases().await;
    assert!(matches!(fixture.end(fixture.open(id)).await, Ended::LeaseRequired));
    // Whoever retains it anew decides for itself.
    fixture.retain_fenced(&[false]).await;
    assert!(matches!(fixture.end(fixture.open(id)).await, Ended::Released { .. }));
}

#[tokio::test]
async fn a_lost_answer_gives_up_what_was_retained_fenced_too() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 2).await;
    let lost = fixture.retain_fenced(&[true, false]).await;
    let base = lost[1].task.holder.unwrap();
    assert_eq!(lost[0].task.holder, Some(base + 1));
    let demand = Demand { namespace: fixture.namespace.clone(), queues: vec![queue] };
    let again =
        fixture.store.retain(&[demand], &[caller(0, 9)], &[], fixture.next_holder(), &[base]).await.unwrap();
    assert_eq!(ids(&again), ids(&lost));
    assert!(again.iter().all(|one| one.task.attempt == 2 && one.task.retries == 3), "{again:?}");
}
