//! The steps of the schema, each a file of `migrations/`.

/// One step of the schema.
#[derive(Debug)]
pub(super) struct Migration {
    pub(super) version: i32,
    pub(super) name: &'static str,
    /// The oldest version of pgmill that can work with the database after this step.
    pub(super) min_binary: &'static str,
    pub(super) sql: &'static str,
}

/// What keeps the record of them.
pub(super) const RECORD: &str = include_str!("../../migrations/0000_migration.sql");

macro_rules! migrations {
    ($($version:literal $name:literal $min_binary:literal;)*) => {
        &[$(Migration {
            version: $version,
            name: $name,
            min_binary: $min_binary,
            sql: include_str!(concat!("../../migrations/", $name, ".sql")),
        }),*]
    };
}

/// All of them, in their order.
pub(super) const MIGRATIONS: &[Migration] = migrations! {
    1 "0001_tables" "0.1.0";
    2 "0002_ensure_partitions" "0.1.0";
    3 "0003_enqueue" "0.1.0";
    4 "0004_retain" "0.1.0";
    5 "0005_release" "0.1.0";
    6 "0006_extend" "0.1.0";
    7 "0007_create_task" "0.1.0";
    8 "0008_views" "0.1.0";
    9 "0009_maintenance" "0.1.0";
    10 "0010_delete_queue" "0.1.0";
    11 "0011_tickers" "0.1.0";
    12 "0012_jobs" "0.1.0";
    13 "0013_waiter" "0.1.0";
    14 "0014_tokens" "0.1.0";
    15 "0015_watcher" "0.1.0";
    16 "0016_interventions" "0.1.0";
    17 "0017_oldest_waiting" "0.1.0";
    18 "0018_release_done" "0.1.0";
    19 "0019_retain_one" "0.1.0";
    20 "0020_list_tasks" "0.1.0";
    21 "0021_check_queues" "0.1.0";
};

/// The versions, names and texts of all steps.
pub(crate) fn all() -> (Vec<i32>, Vec<&'static str>, Vec<&'static str>) {
    let versions = MIGRATIONS.iter().map(|step| step.version).collect();
    let names = MIGRATIONS.iter().map(|step| step.name).collect();
    (versions, names, MIGRATIONS.iter().map(|step| step.sql).collect())
}
