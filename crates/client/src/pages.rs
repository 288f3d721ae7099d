//! A list, page by page.

use std::collections::HashSet;
use std::collections::VecDeque;
use std::future::Future;
use std::hash::Hash;

use futures_util::stream::{self, Stream};
use pgmill_schema::{LIST_LIMIT, List, ListRequest};

use crate::Error;

/// How many items of what has been read already are asked for again, to see that nothing has moved.
const OVERLAP: u64 = 1;
/// How many more pages than the list had in the beginning are read at most.
const SPARE: u64 = 16;

/// All items of a list whose pages `fetch` reads.
///
/// A list may change while it is read. Items that are added move others to a page that is still to come: what has been
/// handed out is remembered by its key, and left out. Items that go move others to a page that has been read already:
/// then the page that follows does not begin with the last item of the one before, and is looked for further left.
pub(crate) fn pages<T, K, F, A>(
    fetch: F,
    key: impl Fn(&T) -> K + Send + 'static,
) -> impl Stream<Item = Result<T, Error>> + Send + 'static
where
    T: Send + 'static,
    K: Eq + Hash + Send + 'static,
    F: Fn(ListRequest) -> A + Send + 'static,
    A: Future<Output = Result<List<T>, Error>> + Send + 'static,
{
    let reader = Reader { fetch, walk: Walk::new(key), ready: VecDeque::new() };
    stream::unfold(Some(reader), |reader| async {
        let mut reader = reader?;
        loop {
            if let Some(item) = reader.ready.pop_front() {
                return Some((Ok(item), Some(reader)));
            }
            let page = ListRequest::new().offset(reader.walk.next()?).limit(LIST_LIMIT);
            match (reader.fetch)(page).await {
                Ok(list) => reader.ready.extend(reader.walk.take(list)),
                Err(error) => return Some((Err(error), None)),
            }
        }
    })
}

struct Reader<F, T, K, G> {
    fetch: F,
    walk: Walk<K, G>,
    ready: VecDeque<T>,
}

/// Where the reading stands.
struct Walk<K, G> {
    key: G,
    seen: HashSet<K>,
    /// Where the next page begins; `None` at the end.
    offset: Option<u64>,
    /// How many pages may still be read, once it is known how many there are.
    left: Option<u64>,
}

impl<K: Eq + Hash, G> Walk<K, G> {
    fn new(key: G) -> Self {
        Walk { key, seen: HashSet::new(), offset: Some(0), left: None }
    }

    fn next(&self) -> Option<u64> {
        self.offset.filter(|_| self.left != Some(0))
    }

    /// Takes a page, and returns what of it is new.
    fn take<T>(&mut self, list: List<T>) -> Vec<T>
    where
        G: Fn(&T) -> K,
    {
        let from = self.offset.unwrap_or(0);
        let pages = list.count.div_ceil(LIST_LIMIT - OVERLAP).saturating_mul(2).saturating_add(SPARE);
        self.left = Some(self.left.unwrap_or(pages) - 1);
        let length = u64::try_from(list.body.len()).unwrap_or(u64::MAX);
        let joined = from == 0 || list.body.iter().any(|item| self.seen.contains(&(self.key)(item)));
        if !joined {
            self.offset = Some(from.saturating_sub(LIST_LIMIT - OVERLAP));
            return Vec::new();
        }
        let full = length >= LIST_LIMIT;
        self.offset = full.then(|| from.saturating_add(length - OVERLAP));
        list.body.into_iter().filter(|item| self.seen.insert((self.key)(item))).collect()
    }
}
