//! The job `sweep`: ends what nobody can retain any more.

use pgmill_store::{Store, StoreError, SweepPlace};
use tokio_util::sync::CancellationToken;

use super::{Maintained, STRETCH};

pub(super) async fn run(store: &Store, stop: &CancellationToken) -> Result<Maintained, StoreError> {
    let mut done = Maintained::default();
    let mut place = Some(SweepPlace::START);
    while let Some(from) = place
        && !stop.is_cancelled()
    {
        let swept = store.sweep(from, STRETCH).await?;
        done.expired += swept.expired;
        done.failed += swept.failed;
        place = swept.place;
    }
    Ok(done)
}
