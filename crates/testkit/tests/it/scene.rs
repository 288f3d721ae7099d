//! A database with a manager and the queue `q` on it.

use pgmill::{Manager, QueueMeta, Task, TaskMeta};
use pgmill_testkit::TestDatabase;
use serde::Serialize;

pub(crate) struct Scene {
    pub(crate) database: TestDatabase,
    pub(crate) manager: Manager,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let manager = Manager::connect(database.url()).namespace("app").await.unwrap();
        manager.register_queue(QueueMeta::new("q")).await.unwrap();
        Self { database, manager }
    }

    pub(crate) async fn create(&self, payload: impl Serialize) -> Task {
        self.create_with(TaskMeta::json(&payload).unwrap()).await
    }

    pub(crate) async fn create_with(&self, meta: TaskMeta) -> Task {
        self.manager.create_task("q", meta).await.unwrap()
    }
}

/// The message of the panic that this must end with.
pub(crate) async fn panic_of<T: Send + 'static>(doomed: impl Future<Output = T> + Send + 'static) -> String {
    let Err(error) = tokio::spawn(doomed).await else { panic!("it did not panic") };
    let panic = error.into_panic();
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap()
}
