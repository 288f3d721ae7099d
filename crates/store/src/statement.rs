//! The statements: each is a file of `sql/`, with the types of its parameters.

use tokio_postgres::types::Type;

/// A statement and the types of its parameters, which are told to the server rather than guessed by it.
#[derive(Debug)]
pub(crate) struct Statement {
    #[cfg(test)]
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
    pub(crate) types: &'static [Type],
}

macro_rules! statements {
    ($($constant:ident = $file:literal ($($ty:ident),*);)*) => {
        $(pub(crate) const $constant: Statement = Statement {
            #[cfg(test)]
            name: $file,
            text: include_str!(concat!("../sql/", $file, ".sql")),
            types: &[$(Type::$ty),*],
        };)*

        /// Every statement that takes parameters or answers rows, for the test of their contract.
        #[cfg(test)]
        pub(crate) const ALL: &[&Statement] = &[$(&$constant),*];
    };
}

statements! {
    ENQUEUE = "enqueue" (TEXT_ARRAY, TEXT_ARRAY, INT8_ARRAY, INT4_ARRAY, TEXT_ARRAY, TIMESTAMPTZ_ARRAY, INT8_ARRAY,
        INT2_ARRAY, TEXT_ARRAY, TEXT_ARRAY, INT8, BOOL, BOOL);
    RETAIN = "retain" (TEXT_ARRAY, BOOL_ARRAY, INT4_ARRAY, TEXT_ARRAY, INT4_ARRAY, INT4_ARRAY, TEXT_ARRAY, INT8_ARRAY,
        BOOL_ARRAY, INT4_ARRAY, INT2_ARRAY, TIMESTAMPTZ_ARRAY, INT8_ARRAY, INT8, INT8_ARRAY);
    RETAIN_ONE = "retain_one" (TEXT, TEXT, INT4_ARRAY, TEXT_ARRAY, INT8_ARRAY, BOOL_ARRAY, INT4_ARRAY, INT2_ARRAY,
        TIMESTAMPTZ_ARRAY, INT8_ARRAY, INT8, INT8_ARRAY);
    RELEASE = "release" (TEXT_ARRAY, INT8_ARRAY, INT4_ARRAY, INT4_ARRAY, INT8_ARRAY, INT2_ARRAY, TEXT_ARRAY, INT8_ARRAY,
        BOOL);
    RELEASE_DONE = "release_done" (TEXT, INT8_ARRAY, INT4_ARRAY, INT8_ARRAY, TEXT_ARRAY);
    EXTEND = "extend" (TEXT, INT8_ARRAY, INT4_ARRAY, INT8_ARRAY, INT8_ARRAY);
    FOREIGN_ENQUEUE = "foreign_enqueue" (TEXT, TEXT, TEXT, TEXT, INT8, INT2, TEXT, TEXT);
    FOREIGN_GET_TASK = "foreign_get_task" (TEXT, INT8);
    RESERVE_IDS = "reserve_ids" (INT4);
    COPY_TASKS_OPEN = "copy_tasks_open" (TEXT, TEXT, INT8);
    COPY_TASKS_QUEUE = "copy_tasks_queue" (TEXT, TEXT);
    COPY_TASKS_COUNT = "copy_tasks_count" (INT4, INT4);
    CREATE_QUEUE = "create_queue" (TEXT, TEXT, BOOL, INT8, INT4, INT8, INT2, INT8, INT8, INT8, INT8);
    REGISTER_QUEUE = "register_queue" (TEXT, TEXT, BOOL, INT8, INT4, INT8, INT2, INT8, INT8, INT8, INT8);
    UPDATE_QUEUE = "update_queue" (TEXT, TEXT, BOOL, INT8, INT4, INT8, INT2, INT8, INT8, INT8, INT8, TEXT);
    DELETE_QUEUE = "delete_queue" (TEXT, TEXT);
    PAUSE_QUEUE = "pause_queue" (TEXT, TEXT, BOOL);
    GET_QUEUE = "get_queue" (TEXT, TEXT);
    LIST_QUEUES = "list_queues" (TEXT, INT8, INT8);
    CLEAN_QUEUE = "clean_queue" (TEXT, TEXT, INT4);
    LIST_NAMESPACES = "list_namespaces" ();
    LIST_QUEUE_STATUSES = "list_queue_statuses" (TEXT);
    LIST_QUEUE_COUNTS = "list_queue_counts" (TEXT, TEXT, INT8, INT8);
    OLDEST_WAITING = "oldest_waiting" (TEXT, INT4);
    DATABASE_HEALTH = "database_health" ();
    GET_TASK = "get_task" (TEXT, INT8);
    LIST_TASKS = "list_tasks" (TEXT, TEXT, INT2, TIMESTAMPTZ, INT8, INT8, INT8);
    COUNT_TASKS = "count_tasks" (TEXT, TEXT, INT2);
    CANCEL_TASK = "cancel_task" (TEXT, INT8);
    RETRY_TASK = "retry_task" (TEXT, INT8, INT8);
    FIRST_DUE = "first_due" (TEXT, TEXT_ARRAY, BOOL);
    LIST_ATTEMPTS = "list_attempts" (TEXT, INT8);
    CREATE_TICKER = "create_ticker" (TEXT, TEXT, TEXT, INT8, TEXT, TEXT, BOOL, TEXT, INT2, INT2, INT4, TIMESTAMPTZ,
        TIMESTAMPTZ);
    REGISTER_TICKER = "register_ticker" (TEXT, TEXT, TEXT, INT8, TEXT, TEXT, BOOL, TEXT, INT2, INT2, INT4, TIMESTAMPTZ,
        TIMESTAMPTZ, BOOL, TEXT, TEXT);
    UPDATE_TICKER = "update_ticker" (TEXT, TEXT, TEXT, INT8, TEXT, TEXT, BOOL, TEXT, INT2, INT2, INT4, TIMESTAMPTZ,
        TIMESTAMPTZ, BOOL, TEXT, TEXT, TEXT);
    DELETE_TICKER = "delete_ticker" (TEXT, TEXT);
    GET_TICKER = "get_ticker" (TEXT, TEXT);
    LIST_TICKERS = "list_tickers" (TEXT, INT8, INT8);
    CLAIM_TICKS = "claim_ticks" (TEXT, TEXT_ARRAY, INT4, INT8, INT8, TIMESTAMPTZ, INT4_ARRAY, TIMESTAMPTZ_ARRAY,
        TIMESTAMPTZ_ARRAY, TIMESTAMPTZ_ARRAY, BOOL_ARRAY);
    FINISH_TICK = "finish_tick" (TEXT, TEXT, INT8, INT8);
    EXTEND_TICK = "extend_tick" (TEXT, TEXT, INT8, INT8);
    SWEEP = "sweep" (INT4, INT2, TIMESTAMPTZ, INT8, INT4);
    FOLD_COUNTS = "fold_counts" (INT4);
    ROTATE_COUNTS = "rotate_counts" ();
    REMOVE_ORPHANS = "remove_orphans" (INT4);
    FINISH_JOBS = "finish_jobs" (TEXT_ARRAY, INT8_ARRAY, INT8);
    RETURN_JOBS = "return_jobs" (INT8, TEXT_ARRAY);
    PRUNE_STEPS = "prune_steps" ();
    DROP_DAY = "drop_day" (TEXT, DATE);
    REWRITE_DAY = "rewrite_day" (DATE);
    PRUNE_FINISHED = "prune_finished" (DATE, INT4, INT2, TIMESTAMPTZ, INT8, INT4);
    PRUNE_KEYS = "prune_keys" (INT4, TEXT, INT4);
    PRUNE_RESENT = "prune_resent" ();
    ENSURE_PARTITIONS = "ensure_partitions" (INT4);
    WANTED_QUEUES = "wanted_queues" (TEXT, TEXT_ARRAY);
    SLEEP = "sleep" (INT8, TEXT, TEXT_ARRAY, INT8);
    WAKE = "wake" (INT8, TEXT_ARRAY, TEXT_ARRAY, INT8_ARRAY);
    WAKE_ONE = "wake_one" (INT8, TEXT, TEXT, TEXT);
    TEST_LISTENER = "test_listener" (TEXT);
    CREATE_TOKEN = "create_token" (TEXT, BYTEA, INT2, TEXT_ARRAY, TEXT, INT8);
    FIND_TOKEN = "find_token" (INT8);
    LIST_TOKENS = "list_tokens" (INT8, INT8);
    REVOKE_TOKEN = "revoke_token" (INT8);
    TOUCH_TOKEN = "touch_token" (INT8);
    HAS_TOKENS = "has_tokens" ();
    PRUNE_TOKENS = "prune_tokens" (INT4);
    RECORD_AUDIT = "record_audit" (TEXT, INT8, TEXT, TEXT, TEXT, TEXT, TEXT);
    LIST_AUDIT = "list_audit" (TEXT, TEXT, INT8, INT8);
    PRUNE_AUDIT = "prune_audit" (INT4);
    WATCH = "watch" (INT8, TEXT_ARRAY, INT8);
    TELL_WATCHERS = "tell_watchers" (INT8, TEXT_ARRAY, TEXT_ARRAY);
    LOOK_LIMIT = "look_limit" (TEXT);
    MIGRATION_HOLDERS = "migration_holders" ();
    MIGRATION_LOCK = "migration_lock" ();
    MIGRATION_SCHEMA = "migration_schema" ();
    MIGRATION_LIST = "migration_list" ();
    MIGRATION_RECORD = "migration_record" (INT4, TEXT, TEXT, TEXT);
    CHECK_SERVER = "check_server" ();
    CHECK_PRIVILEGES = "check_privileges" ();
    CHECK_SCHEMA = "check_schema" ();
    CHECK_MIGRATIONS = "check_migrations" (INT4_ARRAY, TEXT_ARRAY, TEXT_ARRAY);
    CHECK_VACUUM = "check_vacuum" ();
    CHECK_HOLDERS = "check_holders" ();
    CHECK_PARTITIONS = "check_partitions" ();
    CHECK_JOBS = "check_jobs" ();
    CHECK_QUEUES = "check_queues" (INT4, INT4);
    CHECK_COUNTS = "check_counts" ();
}

/// The binary COPY of many tasks.
pub(crate) const COPY_TASKS: &str = include_str!("../sql/copy_tasks.sql");
/// What opens a transaction behind a pooler.
pub(crate) const POOLER_BEGIN: &str = include_str!("../sql/pooler_begin.sql");
/// The same for a statement that only reads.
pub(crate) const POOLER_BEGIN_READING: &str = include_str!("../sql/pooler_begin_reading.sql");
/// What ends one.
pub(crate) const POOLER_COMMIT: &str = include_str!("../sql/pooler_commit.sql");
/// What the transaction of a migration begins with.
pub(crate) const MIGRATION_BEGIN: &str = include_str!("../sql/migration_begin.sql");
