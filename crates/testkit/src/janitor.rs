//! Makes and drops the databases of a server, one after the other, in a thread of its own: a test's runtime ends with the
//! test, and cannot be waited for when a database is dropped.
//!
//! Where many tests share the server, it makes some migrated ones ahead, from the first that was asked for: a test then finds
//! one in stock, and while it runs the next is made. Making several at once takes as long as one after the other.

use std::collections::VecDeque;
use std::future::ready;
use std::thread;

use tokio::sync::{mpsc, oneshot};

use crate::workplace::{Content, Workplace};

/// The most migrated databases that are made ahead.
const LARGEST_STOCK: usize = 8;

/// A database to make, and who wants to know its name.
#[derive(Debug)]
struct Order {
    content: Content,
    name: oneshot::Sender<Result<String, String>>,
}

/// The sending ends; the thread ends with them.
#[derive(Debug)]
pub(crate) struct Janitor {
    orders: mpsc::UnboundedSender<Order>,
    discards: mpsc::UnboundedSender<String>,
    shared: bool,
}

impl Janitor {
    /// `shared`: many tests use the server, so that dropping databases is worth it. `lasting`: the server outlives this
    /// process, so that databases of processes which were killed may be found on it.
    pub(crate) fn start(url: String, shared: bool, lasting: bool) -> Self {
        let (orders, ordered) = mpsc::unbounded_channel();
        let (discards, discarded) = mpsc::unbounded_channel();
        let stock_size = if shared { stock_size() } else { 0 };
        thread::Builder::new()
            .name("pgmill-testkit-janitor".to_owned())
            .spawn(move || work(Workplace::new(url, lasting), stock_size, ordered, discarded))
            .unwrap_or_else(|error| {
                panic!("the thread that makes test databases could not be started: {error}")
            });
        Self { orders, discards, shared }
    }

    pub(crate) fn shared(&self) -> bool {
        self.shared
    }

    /// Makes a database and returns its name.
    pub(crate) async fn create(&self, content: Content) -> String {
        let (name, answer) = oneshot::channel();
        // An order that cannot be sent is dropped, and its answer with it.
        let _ = self.orders.send(Order { content, name });
        match answer.await {
            Ok(Ok(name)) => name,
            Ok(Err(error)) => panic!("no test database: {error}"),
            Err(_) => panic!("no test database: the thread that makes them has ended"),
        }
    }

    pub(crate) fn discard(&self, name: &str) {
        if self.shared {
            // When the thread is gone, the process is ending, and the server with it.
            let _ = self.discards.send(name.to_owned());
        }
    }
}

/// How many tests are likely to ask at the same time: as many as run at once.
fn stock_size() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(LARGEST_STOCK)
}

fn work(
    mut place: Workplace,
    stock_size: usize,
    mut ordered: mpsc::UnboundedReceiver<Order>,
    mut discarded: mpsc::UnboundedReceiver<String>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("no runtime for the thread that makes test databases: {error}"),
    };
    runtime.block_on(async {
        let mut stock = VecDeque::new();
        // If one cannot be made ahead, the next test that asks for one is told why.
        let mut stocking = true;
        loop {
            let room = stocking && place.has_template() && stock.len() < stock_size;
            tokio::select! {
                // A test waits for the first, soon one will for the second, and nobody for the third.
                biased;
                Some(Order { content, name }) = ordered.recv() => {
                    let in_stock = if content == Content::Migrated { stock.pop_front() } else { None };
                    let made = match in_stock {
                        Some(made) => Ok(made),
                        None => place.create(content).await,
                    };
                    stocking = made.is_ok();
                    // A test that was cancelled meanwhile has no use for the database.
                    if let Err(Ok(unwanted)) = name.send(made) {
                        let _ = place.discard(&unwanted).await;
                    }
                }
                () = ready(()), if room && !ordered.is_closed() => match place.create(Content::Migrated).await {
                    Ok(made) => stock.push_back(made),
                    Err(_) => stocking = false,
                },
                // At worst the database stays.
                Some(name) = discarded.recv() => drop(place.discard(&name).await),
                else => return,
            }
        }
    });
}
