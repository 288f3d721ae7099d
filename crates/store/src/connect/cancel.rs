//! Asks a server to give up a statement, over a connection of its own for that.

use tokio::task::spawn_blocking;
use tokio_postgres::CancelToken;

use super::dial::connector;
use super::options::ConnectOptions;

impl ConnectOptions {
    /// Asks the server to give up what the token's connection is at. It does so at some time after this: whatever that
    /// connection is at by then. Returns whether it was asked.
    pub(crate) async fn cancel(&self, token: &CancelToken) -> bool {
        let options = self.clone();
        let Ok(Ok(tls)) = spawn_blocking(move || connector(&options)).await else { return false };
        token.cancel_query(tls).await.is_ok()
    }
}
