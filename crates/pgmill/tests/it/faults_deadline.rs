//! Statements that miss the deadline while the server goes on with them.

use std::time::Duration;

use pgmill::{BatchOptions, Outcome, QueueMeta, Status};

use crate::faults::Line;
use crate::scene::{LIMIT, QUEUE, create, payload, rewrite, take};

#[tokio::test]
async fn a_release_whose_first_sending_still_holds_the_row_is_answered_with_what_it_comes_to() {
    let outcomes = [Outcome::done(&"yes").unwrap(), Outcome::GiveBack, Outcome::failed(&"no").unwrap()];
    for outcome in outcomes {
        let line = Line::with(BatchOptions::default(), Duration::from_millis(500)).await;
        line.manager.register_queue(QueueMeta::new(QUEUE).retries(1)).await.unwrap();
        // The row is locked by then. Done, it leaves no row in task_attempt; given back, none in task_finished.
        let linger = "create sequence public.calls;
            create function public.linger() returns trigger language plpgsql as $$ begin
                if nextval('public.calls') = 1 then perform pg_sleep(2); end if;
                return null;
            end $$;
            create trigger linger after insert on pgmill.task_finished for each row execute function public.linger();
            create trigger linger after insert on pgmill.task_attempt for each row execute function public.linger()";
        create(&line.manager, 1).await;
        let task = take(&line.manager).await;
        line.client.batch_execute(linger).await.unwrap();
        let released = line.manager.release_task(&task, outcome.clone()).await.unwrap();
        let expected = match outcome {
            Outcome::GiveBack => Status::New,
            Outcome::Done(_) => Status::Released,
            _ => Status::Failed,
        };
        assert_eq!(released.status, expected);
        assert_eq!(line.manager.get_task(task.id).await.unwrap().status, Some(expected));
    }
}

#[tokio::test]
async fn a_missed_deadline_is_asked_about_though_it_is_longer_than_asking_goes_on() {
    let settle = Duration::from_millis(300);
    let line = Line::with(BatchOptions::default().settle(settle), settle * 3).await;
    for function in ["enqueue_v1", "retain_one_v1", "release_done_v1"] {
        line.client.batch_execute(&format!("create sequence public.{function}")).await.unwrap();
        let sleep =
            format!("BEGIN\n IF nextval('public.{function}') = 1 THEN PERFORM pg_sleep(1.2); END IF;");
        rewrite(&line.client, function, "BEGIN", &sleep).await;
    }
    let created = line.manager.create_task(QUEUE, payload(1)).await.unwrap();
    let task = take(&line.manager).await;
    assert_eq!(task.id, created.id);
    let released = line.manager.release_task(&task, Outcome::done_empty()).await.unwrap();
    assert_eq!(released.status, Status::Released);
    pgmill_testkit::wait_until("the statements to end", LIMIT, async || line.is_quiet().await).await;
    assert_eq!(line.tasks().await, 1);
}
