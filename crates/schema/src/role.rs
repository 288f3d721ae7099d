use crate::word::words;

words! {
    /// What the holder of a [`Token`](crate::Token) may do. Each role includes those below it; producer and worker stand side
    /// by side:
    ///
    /// | role | may |
    /// |---|---|
    /// | `admin` | what an operator may, and manage tokens and read the audit |
    /// | `operator` | what producer and worker may; create, change, pause and delete queues and tickers; cancel and retry tasks |
    /// | `producer` | what a viewer may, and create tasks |
    /// | `worker` | what a viewer may, and retain, extend and release tasks, and take ticks |
    /// | `viewer` | read |
    ///
    /// ```
    /// use pgmill_schema::Role;
    ///
    /// assert!(Role::Operator.includes(Role::Worker));
    /// assert!(!Role::Producer.includes(Role::Worker) && !Role::Worker.includes(Role::Producer));
    /// ```
    pub enum Role ("role"), error RoleError {
        /// Reads.
        Viewer = 0 "viewer",
        /// Reads, and creates tasks.
        Producer = 1 "producer",
        /// Reads, and runs tasks.
        Worker = 2 "worker",
        /// Does everything with queues, tickers and tasks.
        Operator = 3 "operator",
        /// Does everything.
        Admin = 4 "admin",
    }
}

impl Role {
    /// Whether whoever has this role may do what `needed` is needed for.
    #[must_use]
    pub const fn includes(self, needed: Role) -> bool {
        match self {
            Role::Admin => true,
            Role::Operator => !matches!(needed, Role::Admin),
            Role::Worker => matches!(needed, Role::Worker | Role::Viewer),
            Role::Producer => matches!(needed, Role::Producer | Role::Viewer),
            Role::Viewer => matches!(needed, Role::Viewer),
        }
    }
}
