//! What becomes of a look-up whose caller goes away: of an HTTP client that hung up, or a handler that was aborted.
//!
//! Its statement is under way, and the connection is of use to nobody until that is over. Most are within milliseconds, so it is
//! given a moment, and the connection then goes back to the pool. If it takes longer, the server is asked to give it up, and the
//! connection is closed rather than kept: the server does as it is asked at some time, and would hit the statement of whoever
//! has the connection then.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::connect::ConnectOptions;

/// How long the statement of an abandoned look-up may take to end by itself.
const MOMENT: Duration = Duration::from_millis(100);
/// How long the server may take to be asked.
const ASKING: Duration = Duration::from_secs(5);

/// Knows how to reach the server. On a pool of somebody else's making it does not, and a pooler is not asked, for PgBouncer 1.18 and
/// 1.19 may crash when they are: the statement goes on until it ends or times out, but the pool may open another connection at once.
#[derive(Clone, Default)]
pub(crate) struct Canceller(Option<Arc<ConnectOptions>>);

impl Canceller {
    pub(crate) fn of(options: &ConnectOptions) -> Self {
        Self((!options.is_pooler()).then(|| Arc::new(options.clone())))
    }

    /// To be kept while a look-up runs on this connection.
    pub(crate) fn guard(&self, connection: &Arc<Object>) -> Guard {
        Guard { connection: Some(Arc::clone(connection)), canceller: self.clone() }
    }

    async fn abandon(self, connection: Arc<Object>) {
        // Answered after what is under way. The error of a connection that broke is the pool's to find.
        if timeout(MOMENT, connection.simple_query("")).await.is_ok() {
            return;
        }
        let token = connection.cancel_token();
        // Out of the pool at once. It is closed when the statement was given up, for a pooler that passes on what it is asked
        // finds the server's connection by ours.
        let leaving = Arc::into_inner(connection).map(Object::take);
        if let Some(options) = self.0 {
            let asked = timeout(ASKING, options.cancel(&token)).await;
            tracing::debug!(
                asked = asked.unwrap_or(false),
                "gave up the statement of a caller that went away"
            );
            if let Some(leaving) = leaving {
                let _ = timeout(ASKING, leaving.simple_query("")).await;
            }
        }
    }
}

/// Looks after the connection if the look-up is dropped before it was answered.
pub(crate) struct Guard {
    connection: Option<Arc<Object>>,
    canceller: Canceller,
}

impl Guard {
    /// The look-up was answered, or given up otherwise.
    pub(crate) fn answered(mut self) {
        self.connection = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Without a runtime there is no connection any more either.
        if let Some(connection) = self.connection.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(self.canceller.clone().abandon(connection));
        }
    }
}
