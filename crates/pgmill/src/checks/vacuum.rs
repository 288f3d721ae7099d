//! What to think of VACUUM, and of who holds it back.

use std::time::Duration;

use pgmill_store::{Holder, ServerFacts, TableState};

use super::report::{Check, span};

/// How many times as many rows may be dead as VACUUM begins with, and how many in any case.
const LAG: (u64, u64) = (5, 10_000);
/// For how many transactions anybody may hold back VACUUM who does not tell since when.
const MOST_XIDS: u64 = 1_000_000;

pub(super) fn autovacuum(facts: &ServerFacts, tables: &[TableState]) -> Check {
    let name = "autovacuum";
    let is_off = [("autovacuum", facts.autovacuum), ("track_counts", facts.track_counts)];
    if let Some((setting, _)) = is_off.into_iter().find(|(_, is_on)| !is_on) {
        let advice = "Dead rows are never removed, and claims become slower with each task: ALTER SYSTEM SET … = on; SELECT pg_reload_conf().";
        return Check::warn(name, format!("{setting} is off for the whole server"), advice);
    }
    let disabled: Vec<String> =
        tables.iter().filter(|table| !table.enabled).map(|table| format!("pgmill.{}", table.name)).collect();
    if !disabled.is_empty() {
        let advice = "Somebody switched it off: ALTER TABLE … RESET (autovacuum_enabled) for each.";
        return Check::warn(name, format!("it is off for {} tables", disabled.len()), advice)
            .details(disabled);
    }
    let (times, least) = LAG;
    let behind = tables.iter().filter(|table| table.dead >= least && table.dead > table.trigger * times);
    let behind: Vec<String> = behind.map(words).collect();
    if !behind.is_empty() {
        let advice = "Dead rows are not removed in time. First see xmin: somebody may hold it back. If not, raise autovacuum_max_workers, or \
            autovacuum_vacuum_cost_limit, and look in pg_stat_progress_vacuum.";
        return Check::warn(name, format!("it is behind in {} tables", behind.len()), advice).details(behind);
    }
    let dead: u64 = tables.iter().map(|table| table.dead).sum();
    Check::ok(name, format!("on for all {} tables; {dead} rows are dead", tables.len()))
}

fn words(table: &TableState) -> String {
    let since = match table.vacuumed {
        Some(since) => format!("vacuumed {} ago", span(since)),
        None => "never vacuumed".to_owned(),
    };
    let TableState { name, live, dead, trigger, .. } = table;
    format!("pgmill.{name}: {dead} rows are dead, {live} are not; it begins at {trigger}; {since}")
}

pub(super) fn xmin(facts: &ServerFacts, holders: &[Holder], old: Duration) -> Check {
    let name = "xmin";
    let is_old = |holder: &&Holder| match holder.held {
        Some(held) => held >= old,
        None => holder.xids >= MOST_XIDS,
    };
    let held: Vec<&Holder> = holders.iter().filter(is_old).collect();
    let blind =
        if facts.sees_all { "" } else { "; what other roles hold is not seen without pg_read_all_stats" };
    let Some(first) = held.first() else {
        return Check::ok(name, format!("nobody has held back VACUUM for long{blind}"));
    };
    let since = first.held.map(|held| format!("for {}", span(held)));
    let since = since.unwrap_or_else(|| format!("for {} transactions", first.xids));
    let seen = format!("{} hold back VACUUM, a {} {since}{blind}", held.len(), first.kind);
    let advice = "Rows that died since are not removed, and claims become slow after hundreds of thousands of them. A session: end its \
        transaction, or SELECT pg_terminate_backend(pid). A prepared transaction: COMMIT or ROLLBACK PREPARED. A slot that nobody reads: \
        pg_drop_replication_slot. A standby: end its long query, or set hot_standby_feedback = off there.";
    Check::warn(name, seen, advice).details(held.into_iter().map(described))
}

fn described(holder: &Holder) -> String {
    let pid = holder.pid.map(|pid| format!(" {pid}")).unwrap_or_default();
    let held = holder.held.map(|held| format!(", {}", span(held))).unwrap_or_default();
    let query = holder.query.as_ref().filter(|query| !query.is_empty());
    let query = query.map(|query| format!(": {query}")).unwrap_or_default();
    format!("{}{pid} ({}){held}, {} transactions{query}", holder.kind, holder.who, holder.xids)
}
