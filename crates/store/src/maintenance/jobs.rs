//! The leases of maintenance jobs, which are tickers of the namespace `pgmill`.

use std::time::Duration;

use pgmill_schema::{from_micros, to_micros};

use crate::error::StoreError;
use crate::row::Reader;
use crate::statement::{FINISH_JOBS, RETURN_JOBS};
use crate::store::Store;

impl Store {
    /// Ends the leases of jobs that `holder` has run, each with how long it is to rest at least; its next run is on its grid.
    /// Returns how long it is until a job is due that nobody runs.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn finish_jobs(
        &self,
        holder: i64,
        jobs: &[(&str, Duration)],
    ) -> Result<Option<Duration>, StoreError> {
        let (names, pauses): (Vec<&str>, Vec<i64>) =
            jobs.iter().map(|(job, pause)| (*job, to_micros(*pause))).unzip();
        let rows = self.query_again(&FINISH_JOBS, &[&names, &pauses, &holder]).await?;
        let wait: Option<i64> = rows.first().map_or(Ok(None), |row| Reader::of(row).get("wait"))?;
        Ok(wait.map(from_micros))
    }

    /// Gives back the jobs that `holder` has taken, but for those of `running`: they are due at once, for whoever asks.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn return_jobs(&self, holder: i64, running: &[&str]) -> Result<(), StoreError> {
        self.query_again(&RETURN_JOBS, &[&holder, &running]).await.map(drop)
    }
}
