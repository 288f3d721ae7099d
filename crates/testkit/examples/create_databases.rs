//! Measures what a fresh database costs a test: creates some, one after the other, with a pause for the test itself.
//!
//! ```sh
//! TMPDIR=/dev/shm cargo run --release -p pgmill-testkit --example create_databases
//! ```

use std::time::{Duration, Instant};

use pgmill_testkit::TestDatabase;

const DATABASES: usize = 30;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let start = Instant::now();
    drop(TestDatabase::create().await);
    println!("the first, with server and schema: {} ms", start.elapsed().as_millis());
    for test in [Duration::ZERO, Duration::from_millis(100)] {
        let (mut created, mut connected) = (Vec::new(), Vec::new());
        for _ in 0..DATABASES {
            tokio::time::sleep(test).await;
            let start = Instant::now();
            let database = TestDatabase::create().await;
            created.push(start.elapsed());
            let _client = database.connect().await;
            connected.push(start.elapsed());
        }
        let (created, connected) = (median(created), median(connected));
        println!("tests of {test:?}: created in {created:.1?}, connected to after {connected:.1?} (median)");
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
