//! Lists that are read to their end while they change.

use std::sync::{Arc, Mutex};

use futures_util::{StreamExt as _, TryStreamExt as _};
use pgmill_schema::{Status, TaskFilter};
use serde_json::{Value, json};

use crate::stub::{Asked, Reply, Stub};

type Ids = Arc<Mutex<Vec<u64>>>;

fn number(asked: &Asked, key: &str) -> usize {
    let (_, query) = asked.target.split_once('?').expect("a query");
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(name, _)| *name == key)
        .map(|(_, value)| value.parse().expect("a number"))
        .next()
        .unwrap_or(0)
}

fn page(ids: &[u64], asked: &Asked) -> Reply {
    let task = |id: &u64| json!({"id": id, "namespace": "n", "queue": "q", "created_at": "2030-01-01T00:00:00Z", "retries": 1});
    let body: Vec<Value> =
        ids.iter().skip(number(asked, "offset")).take(number(asked, "limit")).map(task).collect();
    Reply::json(200, &json!({"count": ids.len(), "body": body}))
}

/// A server with tasks 0..count, which `change` changes before each page, given its number.
async fn server(count: u64, change: impl Fn(usize, &mut Vec<u64>) + Send + Sync + 'static) -> (Stub, Ids) {
    let ids: Ids = Arc::new(Mutex::new((0..count).collect()));
    let tasks = Arc::clone(&ids);
    let stub = Stub::start(move |number, asked| {
        let mut ids = tasks.lock().expect("no test has panicked");
        change(number, &mut ids);
        page(&ids, asked)
    });
    (stub.await, ids)
}

async fn read(stub: &Stub) -> Vec<u64> {
    let tasks = stub.client().list_tasks_stream(&TaskFilter::new());
    tasks.map_ok(|task| task.id).try_collect().await.expect("pages")
}

#[tokio::test]
async fn a_list_is_read_to_its_end() {
    for count in [0, 1, 99, 100, 101, 250, 500] {
        let (stub, ids) = server(count, |_, _| {}).await;
        assert_eq!(read(&stub).await, *ids.lock().unwrap());
    }
}

#[tokio::test]
async fn the_filter_goes_with_each_page() {
    let (stub, _) = server(150, |_, _| {}).await;
    let filter = TaskFilter::new().status(Status::New).offset(70).limit(1);
    assert_eq!(stub.client().list_tasks_stream(&filter).count().await, 150);
    assert!(
        stub.lines().iter().all(|line| line.starts_with("GET /api/task?status=new&")),
        "{:?}",
        stub.lines()
    );
}

#[tokio::test]
async fn nothing_that_stays_is_left_out_when_others_go() {
    for gone in [1, 50, 99, 150, 199] {
        let (stub, ids) = server(500, move |number, ids| {
            if number == 2 {
                ids.drain(..gone);
            }
        })
        .await;
        let read = read(&stub).await;
        let stayed = ids.lock().unwrap().clone();
        assert!(stayed.iter().all(|id| read.contains(id)), "{gone} gone");
    }
}

#[tokio::test]
async fn nothing_comes_twice_when_others_come() {
    let (stub, ids) = server(300, |number, ids| {
        if number > 0 {
            let fresh = 1000 * u64::try_from(number).unwrap();
            ids.splice(0..0, fresh..fresh + 30);
        }
    })
    .await;
    let mut read = read(&stub).await;
    assert!((0..300).all(|id| read.contains(&id)), "{read:?}");
    let all = read.len();
    read.sort_unstable();
    read.dedup();
    assert_eq!(read.len(), all, "of {}", ids.lock().unwrap().len());
}

#[tokio::test]
async fn a_list_that_empties_while_it_is_read_ends() {
    let (stub, _) = server(500, |number, ids| {
        if number > 1 {
            ids.clear();
        }
    })
    .await;
    assert!(read(&stub).await.len() >= 100);
    assert!(stub.asked().len() < 50);
}

#[tokio::test]
async fn a_list_that_grows_as_fast_as_it_is_read_ends() {
    let (stub, _) = server(200, |_, ids| {
        let next = u64::try_from(ids.len()).unwrap();
        ids.extend(next..next + 200);
    })
    .await;
    assert!(read(&stub).await.len() >= 200);
    assert!(stub.asked().len() < 50);
}

#[tokio::test]
async fn after_an_error_the_list_ends() {
    let stub = Stub::start(|number, asked| {
        if number == 0 { page(&(0..100).collect::<Vec<_>>(), asked) } else { Reply::error(403, "forbidden") }
    })
    .await;
    let items: Vec<_> = stub.client().list_tasks_stream(&TaskFilter::new()).collect().await;
    assert_eq!(items.len(), 101);
    assert!(items[100].as_ref().is_err_and(pgmill_client::Error::is_forbidden));
}
