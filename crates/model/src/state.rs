//! The state of all that takes part: the tables, and what everybody outside of them knows, awaits, or has on its way.

use std::collections::BTreeMap;

use crate::statement::Ending;
use crate::tables::{Claim, Holder, Place, Tables};

/// What a worker has in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hand {
    /// Nothing.
    Empty,
    /// A handler is at work.
    Running {
        /// On this attempt.
        claim: Claim,
        /// Whether its lease runs, by the clock of the database.
        leased: bool,
        /// Whether its lease was taken from it before its time: by a crash that lost the retain, or by an operator.
        void: bool,
    },
    /// A release whose answer was lost.
    Settling {
        /// Of this attempt.
        claim: Claim,
        /// As this.
        ending: Ending,
    },
}

/// A statement that its sender has given up, and that may yet arrive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stray {
    /// A retain.
    Retain {
        /// Its holder.
        holder: Holder,
        /// The holders that it takes from.
        lost: Vec<Holder>,
    },
    /// A release.
    Release {
        /// Of this attempt.
        claim: Claim,
        /// As this.
        ending: Ending,
    },
}

/// A process that works on tasks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Worker {
    /// What it has in hand.
    pub hand: Hand,
    /// Holders of its retains whose answer was lost, in ascending order.
    pub lost: Vec<Holder>,
    /// What it has given up, and what outlives it.
    pub strays: Vec<Stray>,
}

impl Worker {
    /// The attempt that it has in hand.
    pub fn claim(&self) -> Option<Claim> {
        match self.hand {
            Hand::Empty => None,
            Hand::Running { claim, .. } | Hand::Settling { claim, .. } => Some(claim),
        }
    }
}

/// What whoever creates a task knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Creation {
    /// It was not sent.
    Unsent,
    /// The answer was lost.
    Settling,
    /// It was acknowledged.
    Acknowledged,
}

/// An operator who retries tasks that have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operator {
    /// The retry whose answer was lost.
    pub settling: Option<(usize, i64)>,
    /// The retry that was given up, and may yet arrive.
    pub stray: Option<(usize, i64)>,
    /// How many retries there were: the next is named by this.
    pub flights: i64,
}

/// What may still go wrong, or be done to tasks from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Budget {
    /// Crashes of the server.
    pub crashes: u8,
    /// Deaths of workers.
    pub deaths: u8,
    /// Answers that are lost, and statements that come late.
    pub losses: u8,
    /// Cancels by an operator.
    pub cancels: u8,
    /// Retries by an operator.
    pub revivals: u8,
}

/// A thing that must not happen, and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A statement about an attempt got past the fence, which another had.
    Trespass,
    /// A release took effect twice.
    ReleasedTwice,
    /// A release was told something else than what it came to.
    Lie,
    /// A lease was taken away that ran, or that a restart of the server had given more time.
    Hasty,
    /// A task that had ended was created anew.
    CreatedAnew,
}

/// What an onlooker knows who misses nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Onlooker {
    /// How often each task has ended.
    pub ends: Vec<u8>,
    /// How often each was made live again by an operator.
    pub revivals: Vec<u8>,
    /// The attempts that a release has ended, as far as anybody will still ask, in ascending order.
    pub released: Vec<Claim>,
    /// The first thing that went wrong.
    pub fault: Option<Fault>,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State {
    /// What statements see.
    pub tables: Tables,
    /// What a crash would leave, if that is something else: a retain does not wait for the disk.
    pub durable: Option<Tables>,
    /// The workers.
    pub workers: Vec<Worker>,
    /// Who creates each task.
    pub creations: Vec<Creation>,
    /// Creations that were given up, and may yet arrive.
    pub stray_creations: Vec<bool>,
    /// The operator.
    pub operator: Operator,
    /// What may still happen.
    pub budget: Budget,
    /// The onlooker.
    pub onlooker: Onlooker,
}

impl State {
    /// Nothing has been done yet.
    pub fn new(tasks: usize, workers: usize, budget: Budget) -> Self {
        let worker = Worker { hand: Hand::Empty, lost: Vec::new(), strays: Vec::new() };
        Self {
            tables: Tables::new(tasks),
            durable: None,
            workers: vec![worker; workers],
            creations: vec![Creation::Unsent; tasks],
            stray_creations: vec![false; tasks],
            operator: Operator { settling: None, stray: None, flights: 0 },
            budget,
            onlooker: Onlooker {
                ends: vec![0; tasks],
                revivals: vec![0; tasks],
                released: Vec::new(),
                fault: None,
            },
        }
    }

    /// A holder that nobody has.
    pub fn fresh_holder(&self) -> Holder {
        let mut most = 0;
        self.clone().each_holder(&mut |holder| most = most.max(*holder));
        most + 1
    }

    /// The same state under other names: workers in an order of their own, holders numbered as they are met, and those
    /// forgotten that nobody will ask for. What can happen from here on is the same, name for name.
    #[must_use]
    pub fn renamed(mut self) -> Self {
        let asked = self.asked();
        self.onlooker.released.retain(|claim| asked.contains(claim));
        let forget = |holder: &mut Option<Holder>| {
            *holder = holder.filter(|holder| asked.iter().any(|claim| claim.holder == *holder));
        };
        for tables in std::iter::once(&mut self.tables).chain(&mut self.durable) {
            for entry in &mut tables.entries {
                entry.past.iter_mut().for_each(|past| forget(&mut past.holder));
                entry.receipts.iter_mut().for_each(|(_, holder)| forget(holder));
                if let Place::Finished(end) = &mut entry.place {
                    forget(&mut end.holder);
                }
            }
        }
        let mut names = BTreeMap::new();
        self.each_holder(&mut |holder| {
            let next = Holder::try_from(names.len()).unwrap_or(Holder::MAX) + 1;
            *holder = *names.entry(*holder).or_insert(next);
        });
        self.workers.iter_mut().for_each(|worker| worker.lost.sort_unstable());
        self.workers.sort_unstable();
        self.onlooker.released.sort_unstable();
        self
    }

    /// The attempts about which a statement may still come.
    fn asked(&self) -> Vec<Claim> {
        let strays = self.workers.iter().flat_map(|worker| &worker.strays);
        let strays = strays.filter_map(|stray| match stray {
            Stray::Release { claim, .. } => Some(*claim),
            Stray::Retain { .. } => None,
        });
        self.workers.iter().filter_map(Worker::claim).chain(strays).collect()
    }

    /// Every holder in the state, the tables first.
    fn each_holder(&mut self, visit: &mut impl FnMut(&mut Holder)) {
        for tables in std::iter::once(&mut self.tables).chain(&mut self.durable) {
            for entry in &mut tables.entries {
                match &mut entry.place {
                    Place::Live(row) => row.holder.iter_mut().for_each(&mut *visit),
                    Place::Finished(end) => end.holder.iter_mut().for_each(&mut *visit),
                    Place::Nowhere | Place::Removed => {}
                }
                entry.past.iter_mut().for_each(|past| past.holder.iter_mut().for_each(&mut *visit));
                entry.receipts.iter_mut().for_each(|(_, holder)| holder.iter_mut().for_each(&mut *visit));
            }
        }
        for worker in &mut self.workers {
            match &mut worker.hand {
                Hand::Empty => {}
                Hand::Running { claim, .. } | Hand::Settling { claim, .. } => visit(&mut claim.holder),
            }
            worker.lost.iter_mut().for_each(&mut *visit);
            for stray in &mut worker.strays {
                match stray {
                    Stray::Retain { holder, lost } => {
                        visit(holder);
                        lost.iter_mut().for_each(&mut *visit);
                    }
                    Stray::Release { claim, .. } => visit(&mut claim.holder),
                }
            }
        }
        self.onlooker.released.iter_mut().for_each(|claim| visit(&mut claim.holder));
    }
}
