//! Many callers, in one process and in several.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use pgmill::{Claim, Manager, Outcome, QueueMeta, ReleaseError, Retain, Status, Task};
use pgmill_testkit::{TestDatabase, wait_until};
use tokio::task::JoinSet;

use crate::scene::{LIMIT, QUEUE, Scene, create, is_long, payload};

const NAMESPACES: [&str; 4] = ["a", "b", "c", "d"];
const TASKS: usize = 20_000;
const RETAINERS: usize = 64;

/// 20,000 tasks of mixed priorities in two queues of each of four namespaces.
async fn fill(manager: &Manager) {
    let each = TASKS / NAMESPACES.len() / 2;
    for namespace in NAMESPACES {
        let manager = manager.with_namespace(namespace).unwrap();
        for queue in ["one", "two"] {
            manager.register_queue(QueueMeta::new(queue)).await.unwrap();
            let metas = (0..each).map(|n| payload(n).priority([0, 5, 9][n % 3]));
            manager.create_tasks(queue, metas).await.unwrap();
        }
    }
}

/// A retained task, with the number of the manager that retained it.
type Taken = (usize, Task);

/// Retains everything by 64 callers that are spread over the managers, and want different queues and counts.
async fn retain_all(managers: &[Manager]) -> Vec<Taken> {
    let taken = Arc::new(Mutex::new(Vec::with_capacity(TASKS)));
    let count = Arc::new(AtomicUsize::new(0));
    let mut retainers = JoinSet::new();
    for number in 0..RETAINERS {
        let process = number % managers.len();
        let round = number / managers.len();
        let manager = managers[process].with_namespace(NAMESPACES[round % NAMESPACES.len()]).unwrap();
        // In each namespace some want one queue, some the other, some both and some any.
        let queues: &[&str] = [&["one"][..], &[], &["two"], &["two", "one"]][round / NAMESPACES.len() % 4];
        let retain = Retain::new().count([1, 7, 40][number % 3]);
        let (taken, count) = (Arc::clone(&taken), Arc::clone(&count));
        retainers.spawn(async move {
            while count.load(Ordering::Relaxed) < TASKS {
                let tasks = manager.next_tasks(&format!("w{number}"), queues, retain.clone()).await.unwrap();
                count.fetch_add(tasks.len(), Ordering::Relaxed);
                for task in &tasks {
                    assert_eq!(&task.namespace, manager.namespace());
                    assert!(queues.is_empty() || queues.contains(&task.queue.as_str()));
                }
                if tasks.is_empty() {
                    tokio::task::yield_now().await;
                }
                taken.lock().unwrap().extend(tasks.into_iter().map(|task| (process, task)));
            }
        });
    }
    tokio::time::timeout(2 * LIMIT, retainers.join_all()).await.expect("all tasks to be retained");
    Arc::into_inner(taken).unwrap().into_inner().unwrap()
}

fn assert_each_once(taken: &[Taken]) {
    let ids: HashSet<u64> = taken.iter().map(|(_, task)| task.id).collect();
    assert_eq!((ids.len(), taken.len()), (TASKS, TASKS));
    assert!(taken.iter().all(|(_, task)| task.attempt == 1));
}

/// Each process gets the tasks of each queue by priority and age, from one statement to the next. Where several processes
/// look at once, one passes over what another holds at that moment, but never goes back: what it passed was taken.
fn assert_in_order(taken: &[Taken]) {
    let mut statements: HashMap<_, Vec<(i64, u8, Timestamp, u64)>> = HashMap::new();
    for (process, task) in taken {
        statements.entry((process, &task.namespace, &task.queue)).or_default().push((
            task.holder.unwrap(),
            task.priority,
            task.delayed_at.unwrap_or(task.created_at),
            task.id,
        ));
    }
    for (of, mut tasks) in statements {
        // The holder counts the statements of a process.
        tasks.sort_unstable();
        let places = tasks.iter().map(|(_, priority, due, id)| (priority, due, id));
        assert!(places.is_sorted(), "{of:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_of_one_manager_retain_each_task_once_and_in_order() {
    let scene = Scene::new().await;
    fill(&scene.manager).await;
    let taken = retain_all(std::slice::from_ref(&scene.manager)).await;
    assert_each_once(&taken);
    assert_in_order(&taken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_retain_each_task_once_and_in_order() {
    let scene = Scene::new().await;
    fill(&scene.manager).await;
    let mut managers = vec![scene.manager.clone()];
    for _ in 1..4 {
        managers.push(scene.another().await);
    }
    let taken = retain_all(&managers).await;
    assert_each_once(&taken);
    assert_in_order(&taken);
}

#[tokio::test]
async fn one_batch_serves_callers_of_one_queue_and_of_any() {
    // One statement at a time: what is asked while the first is under way travels together.
    let scene = Scene::new().await;
    scene.manager.register_queue(QueueMeta::new("other")).await.unwrap();
    create(&scene.manager, 40).await;
    scene.manager.create_tasks("other", (0..40).map(payload)).await.unwrap();
    scene.count_calls("retain_v1").await;
    let mut callers = JoinSet::new();
    for number in 0..80 {
        let manager = scene.manager.clone();
        callers.spawn(async move {
            let queues: &[&str] = [&[QUEUE][..], &[], &[QUEUE, "other"], &["other"]][number % 4];
            manager.next_task("w", queues).await.unwrap()
        });
    }
    let taken: HashSet<u64> = callers.join_all().await.into_iter().flatten().map(|task| task.id).collect();
    // The demands are served one after the other, so that "any" may have emptied what "other" wants.
    assert!(taken.len() >= 60, "{}", taken.len());
    assert!(scene.calls().await <= 5, "{} statements", scene.calls().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_managers_starting_at_once_on_an_empty_database_all_come_up() {
    let database = TestDatabase::empty().await;
    let starting: JoinSet<_> = (0..8)
        .map(|_| {
            let url = database.url().to_owned();
            async move { Manager::connect(url).namespace("app").await }
        })
        .collect();
    for (number, manager) in starting.join_all().await.into_iter().enumerate() {
        let manager = manager.unwrap();
        let queue = format!("q{number}");
        manager.register_queue(QueueMeta::new(&queue)).await.unwrap();
        manager.create_task(&queue, payload(number)).await.unwrap();
    }
}

/// Short in a usual run; a minute with `PGMILL_LONG_TESTS` set.
fn duration() -> Duration {
    Duration::from_secs(if is_long() { 60 } else { 5 })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn releases_and_extensions_of_the_same_tasks_never_deadlock_and_one_release_wins() {
    const CALLERS: usize = 64;
    let scene = Scene::new().await;
    let managers = Arc::new([scene.manager.clone(), scene.another().await]);
    create(&scene.manager, 200).await;
    // What is retained now, for everybody to pick from.
    let running: Arc<Mutex<Vec<Claim>>> = Arc::default();
    let wins: Arc<Mutex<HashMap<Claim, usize>>> = Arc::default();
    let until = Instant::now() + duration();
    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        let (managers, running, wins) = (Arc::clone(&managers), Arc::clone(&running), Arc::clone(&wins));
        callers.spawn(async move {
            let mut picks = Picks(number);
            while Instant::now() < until {
                // There may be nothing to wait for.
                tokio::task::yield_now().await;
                let mut picked: Vec<Claim> = {
                    let mut running = running.lock().unwrap();
                    let keep = running.len().saturating_sub(150);
                    running.drain(..keep);
                    (0..20.min(running.len())).map(|_| running[picks.below(running.len())]).collect()
                };
                let manager = &managers[number % 2];
                match number % 4 {
                    0 => {
                        let tasks = manager.next_tasks("w", &[], Retain::new().count(20)).await.unwrap();
                        running.lock().unwrap().extend(tasks.iter().filter_map(Task::claim));
                    }
                    // In the order in which they were picked, which is none.
                    1 => drop(manager.extend_leases(&picked, None).await.unwrap()),
                    _ => {
                        picked.truncate(5);
                        let releases: JoinSet<_> = picked
                            .into_iter()
                            .flat_map(|claim| managers.iter().cloned().map(move |manager| (claim, manager)))
                            .map(async |(claim, manager)| {
                                (claim, manager.release_task(claim, Outcome::GiveBack).await)
                            })
                            .collect();
                        for (claim, released) in releases.join_all().await {
                            match released {
                                Ok(_) => *wins.lock().unwrap().entry(claim).or_default() += 1,
                                Err(ReleaseError::NotRetained { .. } | ReleaseError::Superseded { .. }) => {
                                    wins.lock().unwrap().entry(claim).or_default();
                                }
                                Err(error) => panic!("{error}"),
                            }
                        }
                    }
                }
            }
        });
    }
    callers.join_all().await;
    let wins = Arc::into_inner(wins).unwrap().into_inner().unwrap();
    assert!(wins.len() > 100, "{} attempts", wins.len());
    let others: Vec<_> = wins.iter().filter(|(_, wins)| **wins != 1).collect();
    assert!(others.is_empty(), "released more or less than once: {others:?}");
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(scene.number(deadlocks).await, 0);
}

/// Numbers that look random, and are the same in every run.
struct Picks(usize);

impl Picks {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Lets the idle connections of a manager report their statistics.
async fn report_statistics(manager: &Manager) {
    let size = manager.pool().status().size;
    let mut connections = Vec::new();
    for _ in 0..size {
        connections.push(manager.pool().get().await.unwrap());
    }
    for connection in &connections {
        let force = "do $$ begin
            if to_regproc('pg_stat_force_next_flush') is not null then
                perform pg_stat_force_next_flush();
            end if;
        end $$";
        connection.batch_execute(force).await.unwrap();
    }
}

/// Retains and releases so many tasks, by sixteen workers.
async fn drain(manager: &Manager, tasks: usize) {
    let left = Arc::new(AtomicUsize::new(tasks));
    let workers: JoinSet<_> = (0..16)
        .map(|_| {
            let (manager, left) = (manager.clone(), Arc::clone(&left));
            async move {
                while left.load(Ordering::Relaxed) > 0 {
                    let tasks = manager.next_tasks("w", &[QUEUE], Retain::new().count(50)).await.unwrap();
                    left.fetch_sub(tasks.len().min(left.load(Ordering::Relaxed)), Ordering::Relaxed);
                    let releases: JoinSet<_> = tasks
                        .into_iter()
                        .map(|task| {
                            let manager = manager.clone();
                            async move { manager.release_task(&task, Outcome::done_empty()).await }
                        })
                        .collect();
                    for released in releases.join_all().await {
                        assert_eq!(released.unwrap().status, Status::Released);
                    }
                }
            }
        })
        .collect();
    tokio::time::timeout(2 * LIMIT, workers.join_all()).await.expect("all tasks to be done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retains_are_hot_updates() {
    const TASKS: usize = 20_000;
    let scene = Scene::new().await;
    create(&scene.manager, TASKS).await;
    drain(&scene.manager, TASKS).await;
    let column = async |column: &str| {
        let query = format!(
            "select {column} from pg_stat_user_tables where schemaname = 'pgmill' and relname = 'task'"
        );
        scene.number(&query).await
    };
    wait_until("the statistics", LIMIT, async || {
        report_statistics(&scene.manager).await;
        column("n_tup_upd").await >= TASKS as i64 && column("n_tup_del").await >= TASKS as i64
    })
    .await;
    let (all, hot) = (column("n_tup_upd").await, column("n_tup_hot_upd").await);
    assert!(hot * 10 >= all * 9, "{hot} of {all} updates were HOT");
}
