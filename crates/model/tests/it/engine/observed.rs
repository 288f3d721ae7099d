//! What the tables of the database hold, in the words of the model.

use pgmill_model::{Counts, Death, Entry, Finished, Holder, Lease, Outcome, PastAttempt, Place, Row, Tables};

use super::{Engine, stored};

impl Engine {
    /// What the tables have.
    pub(crate) async fn observe(&self) -> Tables {
        let client = self.store.pool().get().await.unwrap();
        let mut tables = Tables::new(self.ids.len());
        let rows = client.query(LIVE, &[&self.ids]).await.unwrap();
        for row in &rows {
            let lease: Option<bool> = row.get("running");
            let dead: Option<bool> = row.get("dead");
            tables.entries[self.task(row.get("id"))].place = Place::Live(Row {
                attempt: small(row.get("attempt")),
                spared: small(row.get("spared")),
                retries: small(row.get("retries")),
                lease: lease.map(|running| if running { Lease::Running } else { Lease::Lapsed }),
                holder: halved(row.get("holder")),
                due: row.get("due"),
                death: match dead {
                    None => Death::Never,
                    Some(false) => Death::Ahead,
                    Some(true) => Death::Past,
                },
                spared_by_restart: row.get("spared_by_restart"),
            });
        }
        for row in &client.query(FINISHED, &[&self.ids]).await.unwrap() {
            let place = &mut tables.entries[self.task(row.get("id"))].place;
            assert_eq!(*place, Place::Nowhere, "a task is live and finished, or finished twice");
            *place = Place::Finished(Finished {
                status: stored(row.get("status")),
                attempt: small(row.get("attempt")),
                spared: small(row.get("spared")),
                holder: halved(row.get("holder")),
            });
        }
        for row in &client.query(PAST, &[&self.ids]).await.unwrap() {
            let past = PastAttempt {
                attempt: small(row.get("attempt")),
                holder: halved(row.get("holder")),
                outcome: OUTCOMES[usize::try_from(row.get::<_, i16>("outcome")).unwrap()],
            };
            tables.entries[self.task(row.get("id"))].past.push(past);
        }
        for row in &client.query(RECEIPTS, &[&self.ids]).await.unwrap() {
            let receipt = (small(row.get("attempt")), halved(row.get("holder")));
            tables.entries[self.task(row.get("id"))].receipts.push(receipt);
        }
        for row in &client.query(RESENT, &[]).await.unwrap() {
            let flight: i64 = row.get("flight");
            match self.flights.iter().position(|known| *known == flight) {
                Some(number) => tables.flights.push(i64::try_from(number).unwrap()),
                None => tables.entries[self.task(flight)].resent = true,
            }
        }
        for (kind, counts) in [(FOLDED, &mut tables.folded), (CHANGES, &mut tables.changes)] {
            for row in &client.query(kind, &[]).await.unwrap() {
                let status = usize::try_from(row.get::<_, i16>("status")).unwrap();
                counts[status] = i8::try_from(row.get::<_, i64>("n")).unwrap();
            }
        }
        tables
    }

    fn task(&self, id: i64) -> usize {
        self.ids.iter().position(|known| *known == id).expect("a task of this script")
    }
}

/// What can be seen of tables: not which of two receipts came first, and not what became of a task that left nothing
/// but a receipt.
pub(crate) fn visible(mut tables: Tables) -> (Vec<Entry>, Vec<i64>, Counts, Counts) {
    for entry in &mut tables.entries {
        entry.receipts.sort_unstable();
        if entry.place == Place::Removed {
            entry.place = Place::Nowhere;
        }
    }
    (tables.entries, tables.flights, tables.folded, tables.changes)
}

const LIVE: &str =
    "SELECT id, attempt, coalesce(spared, 0) AS spared, retries, holder, lease_until >= now() AS running, run_at <= now() AS due,
    dies_at <= now() AS dead, lease_until IS NOT NULL AND started_at < pg_postmaster_start_time()
        AND now() < pg_postmaster_start_time() + interval '30 s' AS spared_by_restart
    FROM pgmill.task WHERE id = ANY ($1)";
const FINISHED: &str = "SELECT id, status, attempt, coalesce(spared, 0) AS spared, holder FROM pgmill.task_finished WHERE id = ANY ($1)";
const PAST: &str =
    "SELECT id, attempt, holder, outcome FROM pgmill.task_attempt WHERE id = ANY ($1) ORDER BY id, attempt";
const RECEIPTS: &str = "SELECT g.id, g.attempt, g.holder
    FROM pgmill.task_gone e, unnest(e.ids, e.attempts, e.holders) AS g(id, attempt, holder) WHERE g.id = ANY ($1)";
const RESENT: &str = "SELECT flight FROM pgmill.enqueue_resent ORDER BY flight";
const FOLDED: &str = "SELECT status, sum(n)::bigint AS n FROM pgmill.task_count GROUP BY status";
const CHANGES: &str = "SELECT status, sum(n)::bigint AS n FROM pgmill.task_count_delta GROUP BY status";

const OUTCOMES: [Outcome; 7] = [
    Outcome::Retry,
    Outcome::Failed,
    Outcome::Lapsed,
    Outcome::GivenBack,
    Outcome::Snoozed,
    Outcome::Cancelled,
    Outcome::Expired,
];

fn small(number: i32) -> u8 {
    u8::try_from(number).unwrap()
}

fn halved(holder: Option<i64>) -> Option<Holder> {
    holder.map(|holder| holder / 2)
}
