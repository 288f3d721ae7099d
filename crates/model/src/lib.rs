#![doc = include_str!("../README.md")]

mod action;
mod onlooker;
mod passing;
mod recovery;
mod rules;
mod state;
mod statement;
mod system;
mod tables;

pub use action::{Action, Transit};
pub use passing::Passing;
pub use rules::{Guards, Queue, Rules};
pub use state::{Budget, Creation, Fault, Hand, Onlooker, Operator, State, Stray, Worker};
pub use statement::{Answer, Ending, Pause, Statement};
pub use system::{
    BOUNDED, COUNTED, FENCED, KEPT, NO_OVERLAP, NOT_STUCK, ONCE, PATIENT, REACHES_END, System, TRUTH,
};
pub use tables::{
    Claim, Counts, Death, Entry, Finished, Holder, Lease, Outcome, PastAttempt, Place, Row, Status, Tables,
};
