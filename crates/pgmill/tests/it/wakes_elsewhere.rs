//! Tasks that are created in transactions of the user are picked up at once by an idle pool of another process: it is told
//! of them, and has not just looked by itself.

use std::time::Duration;

use jiff::Timestamp;
use pgmill_testkit::wait_until;

use crate::program::Program;
use crate::scene::{LIMIT, QUEUE, Scene, payload};

/// After a pause this long the next one that a pool makes by itself is the longest, which takes 3.2 s at least.
const LONG_PAUSE: &str = "interval '2.5 s'";
const NEXT_LOOK: Duration = Duration::from_secs(3);

/// A pool of another process that has found nothing for long, and has just looked.
struct Idle {
    program: Program,
    looked: Timestamp,
}

impl Idle {
    async fn of(scene: &Scene) -> Self {
        scene.client.batch_execute("CREATE TABLE public.looks (at timestamptz)").await.unwrap();
        scene.instrument("retain_one_v1", "INSERT INTO public.looks VALUES (clock_timestamp());").await;
        let program = Program::start(scene.database.url()).await;
        let last = format!(
            "SELECT at FROM (SELECT at, at - lag(at) OVER (ORDER BY at) AS pause FROM public.looks ORDER BY at DESC LIMIT 1)
                AS last WHERE pause > {LONG_PAUSE}"
        );
        let mut looked = None;
        wait_until("the pool to be idle", LIMIT, async || {
            looked = scene.client.query_opt(&last, &[]).await.unwrap().map(|row| row.get(0));
            looked.is_some()
        })
        .await;
        Self { program, looked: looked.unwrap() }
    }

    /// The task is the next one it takes, and it takes it before it would have looked by itself.
    async fn expect_told_of(self, scene: &Scene, id: u64) {
        let (_program, started) = self.program.started(1).await;
        assert_eq!(started, [id]);
        let took = scene.manager.get_task(id).await.unwrap().started_at.unwrap();
        let after = took.duration_since(self.looked).unsigned_abs();
        assert!(after < NEXT_LOOK, "taken {after:?} after the pool had looked: nobody had told it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_of_a_transaction_of_tokio_postgres_is_told_to_a_pool_elsewhere() {
    let scene = Scene::new().await;
    let idle = Idle::of(&scene).await;
    let mut client = scene.database.connect().await;
    let transaction = client.transaction().await.unwrap();
    let (task, wake) = scene.manager.create_task_in(&transaction, QUEUE, payload(1)).await.unwrap();
    transaction.commit().await.unwrap();
    wake.send(&scene.manager);
    idle.expect_told_of(&scene, task.id).await;
}

#[cfg(feature = "sqlx")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_of_a_transaction_of_sqlx_is_told_to_a_pool_elsewhere() {
    use sqlx::Connection as _;

    let scene = Scene::new().await;
    let idle = Idle::of(&scene).await;
    let url = scene.database.server().url_for(scene.database.name());
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    let created = scene.manager.create_task_sqlx(&mut transaction, QUEUE, payload(1)).await;
    let (task, wake) = created.unwrap();
    transaction.commit().await.unwrap();
    wake.send(&scene.manager);
    idle.expect_told_of(&scene, task.id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_of_the_sql_function_is_told_to_a_pool_elsewhere() {
    let scene = Scene::new().await;
    let idle = Idle::of(&scene).await;
    let mut client = scene.database.connect().await;
    let transaction = client.transaction().await.unwrap();
    let create = "SELECT pgmill.create_task('app', 'q', '1')";
    let id: i64 = transaction.query_one(create, &[]).await.unwrap().get(0);
    transaction.commit().await.unwrap();
    idle.expect_told_of(&scene, id.try_into().unwrap()).await;
}
