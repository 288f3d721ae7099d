//! Tokens that were looked up, so that a request costs no statement.
//!
//! What is kept is what a secret is checked against, and every secret is checked: nothing is kept by what was presented. A
//! token is believed in for five seconds, so that is how long one works that was revoked elsewhere; one that was revoked here
//! works no longer at once. An id that has no token is believed to have none for a second. Requests that need the same look
//! share it, and its failure too. Without the database nobody gets in beyond those five seconds, but what is a token is not forgotten
//! over it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pgmill::{KnownToken, Manager, TokenSecret};
use tokio::sync::Semaphore;

use crate::error::ApiError;

/// How long a token is believed in.
const BELIEVED: Duration = Duration::from_secs(5);
/// How long an id is believed to have no token: a new one is not refused for long because somebody guessed its id before.
const DENIED: Duration = Duration::from_secs(1);
/// How often it is recorded that a token is used.
const TOUCH: Duration = Duration::from_secs(60);
/// How many ids are remembered, before those that have no token are forgotten.
const SLOTS: usize = 10_000;
/// How many ids that had no token so far are looked up at once: guessing takes no more connections than that.
const STRANGERS: usize = 2;

/// The tokens that are believed in.
#[derive(Debug)]
pub(crate) struct Keyring {
    manager: Manager,
    slots: Mutex<HashMap<u64, Arc<Slot>>>,
    strangers: Semaphore,
}

/// What is known of an id.
#[derive(Debug, Default)]
struct Slot {
    seen: Mutex<Seen>,
    /// Held by whoever looks it up.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Seen {
    /// How often it was looked up.
    looks: u64,
    last: Option<Look>,
    /// Whether the last look that was answered found a token.
    is_token: bool,
    touched: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Look {
    found: Result<Option<Arc<KnownToken>>, ApiError>,
    until: Instant,
}

impl Keyring {
    pub(crate) fn new(manager: Manager) -> Self {
        Self { manager, slots: Mutex::default(), strangers: Semaphore::new(STRANGERS) }
    }

    /// The token that this secret opens, if there is one.
    ///
    /// # Errors
    /// 503 if that cannot be known.
    pub(crate) async fn open(&self, secret: &TokenSecret) -> Result<Option<Arc<KnownToken>>, ApiError> {
        let slot = self.slot(secret.id());
        let known = self.believed(secret.id(), &slot).await?;
        let opened = known.filter(|known| known.opens(secret));
        if opened.is_some() && slot.is_to_be_touched() {
            self.touch(secret.id());
        }
        Ok(opened)
    }

    /// Whether there was a token of this id the last time somebody looked and was answered. Nothing is looked up for it.
    pub(crate) fn has_token(&self, id: u64) -> bool {
        lock(&self.slots).get(&id).is_some_and(|slot| slot.has_token())
    }

    /// The token of this id, if there is one that is good.
    ///
    /// # Errors
    /// 503 if that cannot be known.
    pub(crate) async fn known(&self, id: u64) -> Result<Option<Arc<KnownToken>>, ApiError> {
        let slot = self.slot(id);
        self.believed(id, &slot).await
    }

    async fn believed(&self, id: u64, slot: &Slot) -> Result<Option<Arc<KnownToken>>, ApiError> {
        match slot.believed() {
            Some(known) => Ok(known),
            None => self.look_up(id, slot).await,
        }
    }

    /// Believes nothing about this id any more. A look that is under way when this is called may answer those who wait for
    /// it, and no others: its slot is gone.
    pub(crate) fn forget(&self, id: u64) {
        lock(&self.slots).remove(&id);
    }

    fn slot(&self, id: u64) -> Arc<Slot> {
        let mut slots = lock(&self.slots);
        if slots.len() >= SLOTS && !slots.contains_key(&id) {
            // A slot that somebody has in hand stays, or looks would not be shared any more.
            slots.retain(|_, slot| slot.has_token() || Arc::strong_count(slot) > 1);
        }
        Arc::clone(slots.entry(id).or_default())
    }

    async fn look_up(&self, id: u64, slot: &Slot) -> Result<Option<Arc<KnownToken>>, ApiError> {
        let looks = lock(&slot.seen).looks;
        let _turn = slot.turn.lock().await;
        if let Some(look) = slot.look_since(looks) {
            return look.found;
        }
        // Never closed, so never an error.
        let _permit = if slot.has_token() { None } else { self.strangers.acquire().await.ok() };
        let asked_at = Instant::now();
        let found = self.manager.find_token(id).await;
        let found = found.map(|known| known.map(Arc::new)).map_err(ApiError::unavailable);
        let believed = match &found {
            Ok(Some(known)) => known.trusted_for(BELIEVED),
            Ok(None) => DENIED,
            Err(_) => Duration::ZERO,
        };
        slot.keep(Look { found: found.clone(), until: asked_at + believed });
        found
    }

    fn touch(&self, id: u64) {
        let manager = self.manager.clone();
        tokio::spawn(async move {
            if let Err(error) = manager.touch_token(id).await {
                tracing::debug!(token.id = id, "the use of token {id} was not recorded: {error}");
            }
        });
    }
}

impl Slot {
    /// What is believed now; `None` if it is to be looked up.
    fn believed(&self) -> Option<Option<Arc<KnownToken>>> {
        let seen = lock(&self.seen);
        let look = seen.last.as_ref().filter(|look| Instant::now() < look.until)?;
        look.found.as_ref().ok().cloned()
    }

    /// What was found since it had been looked up so often: by whoever had the turn before.
    fn look_since(&self, looks: u64) -> Option<Look> {
        let seen = lock(&self.seen);
        seen.last.clone().filter(|_| seen.looks > looks)
    }

    fn keep(&self, look: Look) {
        let mut seen = lock(&self.seen);
        seen.looks += 1;
        if let Ok(found) = &look.found {
            seen.is_token = found.is_some();
        }
        seen.last = Some(look);
    }

    /// Whether there was a token the last time somebody looked and was answered.
    fn has_token(&self) -> bool {
        lock(&self.seen).is_token
    }

    /// Whether it is time to record that the token is used; if so, it counts as recorded.
    fn is_to_be_touched(&self) -> bool {
        let mut seen = lock(&self.seen);
        let now = Instant::now();
        let due = seen.touched.is_none_or(|at| now.duration_since(at) >= TOUCH);
        if due {
            seen.touched = Some(now);
        }
        due
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
