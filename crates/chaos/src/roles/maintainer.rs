//! Runs maintenance, and nothing else.

use tokio_util::sync::CancellationToken;

use super::{RoleArgs, manager};

pub(super) async fn maintain(args: &RoleArgs, over: CancellationToken) -> anyhow::Result<()> {
    manager(args).await?.run(over).await;
    Ok(())
}
