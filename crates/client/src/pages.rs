//! A list, page by page.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;

use futures_util::stream::{self, Stream};
use pgmill_schema::{LIST_LIMIT, List, ListRequest};
use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::{Client, Error};

/// How many items of what has been read already are asked for again, to see that nothing has moved.
const OVERLAP: u64 = 1;
/// How many more pages than the list had in the beginning are read at most.
const SPARE: u64 = 16;

impl Client {
    /// All items of the list that this call reads.
    ///
    /// A list may change while it is read. Items that are added move others to a page that is still to come: what has been
    /// handed out is remembered by its key, and left out. Items that go move others to a page that has been read already:
    /// then the page that follows does not have the last item of the one before, and is looked for further left.
    pub(crate) fn pages<T, K>(
        &self,
        call: Call,
        key: fn(&T) -> K,
    ) -> impl Stream<Item = Result<T, Error>> + Send + use<T, K>
    where
        T: DeserializeOwned + Send + 'static,
        K: Eq + Hash + Send + 'static,
    {
        let reader = Reader { client: self.clone(), call, walk: Walk::new(key), ready: VecDeque::new() };
        stream::unfold(Some(reader), |reader| async {
            let mut reader = reader?;
            match reader.next().await {
                Ok(None) => None,
                Ok(Some(item)) => Some((Ok(item), Some(reader))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }
}

struct Reader<T, K> {
    client: Client,
    call: Call,
    walk: Walk<T, K>,
    ready: VecDeque<T>,
}

impl<T: DeserializeOwned, K: Eq + Hash> Reader<T, K> {
    async fn next(&mut self) -> Result<Option<T>, Error> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            let Some(offset) = self.walk.next() else { return Ok(None) };
            let page = ListRequest::new().offset(offset).limit(LIST_LIMIT);
            let list = self.client.fetch(self.call.clone().page(page)).await?;
            self.ready.extend(self.walk.take(list));
        }
    }
}

/// Where the reading stands.
struct Walk<T, K> {
    key: fn(&T) -> K,
    seen: HashSet<K>,
    /// Where the next page begins; `None` at the end.
    offset: Option<u64>,
    /// How many pages may still be read, once it is known how many there are.
    left: Option<u64>,
}

impl<T, K: Eq + Hash> Walk<T, K> {
    fn new(key: fn(&T) -> K) -> Self {
        Walk { key, seen: HashSet::new(), offset: Some(0), left: None }
    }

    fn next(&self) -> Option<u64> {
        self.offset.filter(|_| self.left != Some(0))
    }

    /// Takes a page, and returns what of it is new.
    fn take(&mut self, list: List<T>) -> Vec<T> {
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
