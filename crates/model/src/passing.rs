//! What happens to the tables without any statement: time passes, and the server is started anew.

use crate::tables::{Death, Entry, Lease, Place, Tables};

/// A time that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Passing {
    /// The `run_at` of a task.
    Due(usize),
    /// The `lease_until` of a task.
    Lapse(usize),
    /// The `dies_at` of a task; no lease runs beyond it.
    Death(usize),
    /// The server has run for as long as a lease of a pool.
    AmnestyEnds,
}

impl Tables {
    /// Lets a time come; `false` if it had, or never will.
    pub fn pass(&mut self, passing: Passing) -> bool {
        let before = self.clone();
        match passing {
            Passing::Due(task) => change(&mut self.entries[task], |entry| entry.due = true),
            Passing::Lapse(task) => change(&mut self.entries[task], |row| {
                row.lease = row.lease.map(|_| Lease::Lapsed);
            }),
            Passing::Death(task) => change(&mut self.entries[task], |row| {
                if row.death == Death::Ahead {
                    row.death = Death::Past;
                    row.lease = row.lease.map(|_| Lease::Lapsed);
                }
            }),
            Passing::AmnestyEnds => {
                self.entries.iter_mut().for_each(|entry| change(entry, |row| row.spared_by_restart = false));
            }
        }
        *self != before
    }

    /// The server comes up after a crash.
    pub fn restart(&mut self) {
        self.entries
            .iter_mut()
            .for_each(|entry| change(entry, |row| row.spared_by_restart = row.lease.is_some()));
    }
}

fn change(entry: &mut Entry, how: impl FnOnce(&mut crate::tables::Row)) {
    if let Place::Live(row) = &mut entry.place {
        how(row);
    }
}
