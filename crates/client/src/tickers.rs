//! Tickers.

use futures_util::Stream;
use pgmill_schema::{List, ListRequest, Ticker, TickerMeta};

use crate::call::Call;
use crate::feed::{Signal, Subscription};
use crate::{Client, Error};

impl Client {
    /// One page of the tickers, by name. Repeated after transient failures.
    ///
    /// # Errors
    ///
    /// [`Error`], as with every method.
    pub async fn list_tickers(&self, page: ListRequest) -> Result<List<Ticker>, Error> {
        self.fetch(Call::get(&["ticker"]).page(page)).await
    }

    /// All tickers, page by page: see [`list_tasks_stream`](Client::list_tasks_stream).
    pub fn list_tickers_stream(&self) -> impl Stream<Item = Result<Ticker, Error>> + Send + use<> {
        self.pages(Call::get(&["ticker"]), |ticker: &Ticker| ticker.ticker.clone())
    }

    /// A ticker. Repeated after transient failures.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if there is none of this name.
    pub async fn get_ticker(&self, ticker: &str) -> Result<Ticker, Error> {
        self.fetch(Call::get(&["ticker", ticker])).await
    }

    /// Creates a ticker. Repeated only if nothing was done for certain.
    ///
    /// # Errors
    ///
    /// [`Error::is_conflict`] if the name is taken.
    pub async fn create_ticker(&self, meta: &TickerMeta) -> Result<Ticker, Error> {
        self.fetch(Call::post(&["ticker"]).json(meta)?).await
    }

    /// Changes the settings of a ticker that are set in `meta`. Repeated after transient failures, but if the change gives the
    /// ticker another name, then only if nothing was done for certain.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if there is none of this name, [`Error::is_conflict`] if its new name is taken.
    pub async fn update_ticker(&self, ticker: &str, meta: &TickerMeta) -> Result<Ticker, Error> {
        let call = Call::patch(&["ticker", ticker]).repeatable_if(meta.ticker.is_empty());
        self.fetch(call.json(meta)?).await
    }

    /// Deletes a ticker, and returns what it was. Repeated only if nothing was done for certain.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if there is none of this name.
    pub async fn delete_ticker(&self, ticker: &str) -> Result<Ticker, Error> {
        self.fetch(Call::delete(&["ticker", ticker])).await
    }

    /// The ticks of the namespace, as they fall due: each goes to one of all that listen, this stream or another. One that is on
    /// its way while the connection breaks is lost.
    pub fn ticks(&self) -> Subscription<Ticker> {
        Subscription::new(self, Call::get(&["ticker"]), |signal| match signal {
            Signal::Message(message) if message.event == "ticker" => Some(message.decode()),
            _ => None,
        })
    }
}
