//! What handlers tell: that they were started.
//!
//! One place for the whole program, for some systems take handlers as plain functions, without any state.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::clock::now;

static COUNT: AtomicUsize = AtomicUsize::new(0);
static TELLS: AtomicBool = AtomicBool::new(false);

/// All that a handler does: it counts, and where this process is the worker of `latency`, it says when it was started.
pub fn handled() {
    if TELLS.load(Ordering::Relaxed) {
        say(&now().to_string());
    }
    COUNT.fetch_add(1, Ordering::Relaxed);
}

/// How many handlers have been started.
pub(crate) fn count() -> usize {
    COUNT.load(Ordering::Relaxed)
}

/// From now on, every handler says when it was started.
pub(crate) fn tell() {
    TELLS.store(true, Ordering::Relaxed);
}

pub(crate) fn say(line: &str) {
    // A parent that went away ends this process by itself.
    let _ = writeln!(std::io::stdout(), "{line}");
}
