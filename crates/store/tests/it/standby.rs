//! A standby: it can be read, and says what it is.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use pgmill_store::{Migrator, Store};
use pgmill_testkit::{StopMode, TestDatabase, TestServer};

use crate::support::{namespace, queue};

#[tokio::test]
async fn on_a_standby_the_record_of_migrations_and_queues_can_be_read() {
    let server = TestServer::own();
    let database = TestDatabase::create_on(&server).await;
    let folder: String = database.connect().await.query_one("SHOW data_directory", &[]).await.unwrap().get(0);
    server.halt(StopMode::Fast).await;
    // A server that finds this file when it starts is a standby, here of nobody.
    let signal = Path::new(&folder).join("standby.signal");
    fs::write(&signal, "").unwrap();
    fs::set_permissions(&signal, Permissions::from_mode(0o666)).unwrap();
    server.resume().await;
    for pooler in [false, true] {
        let store = Store::open(&database.options().with_pooler(pooler)).unwrap();
        assert!(store.check_server().await.unwrap().in_recovery);
        assert_eq!(Migrator::new(&store).missing().await.unwrap(), Vec::<&str>::new());
        assert!(Migrator::new(&store).run().await.unwrap().applied.is_empty(), "there is nothing to apply");
        assert!(store.get_queue(&namespace("app"), &queue("none")).await.unwrap().is_none());
        assert!(store.reserve_ids(1).await.is_err(), "it cannot be written to");
    }
}
