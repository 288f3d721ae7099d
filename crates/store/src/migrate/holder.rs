//! Who holds what a migration waits for.

use std::fmt;

use crate::error::StoreError;
use crate::row::Reader;
use crate::statement::MIGRATION_HOLDERS;
use crate::store::Store;

/// Sessions that hold locks on what is pgmill's. What they run is not told, for it may hold data.
pub(super) struct Holders(Vec<Holder>);

struct Holder {
    pid: i32,
    role: Option<String>,
    application: Option<String>,
    state: Option<String>,
    seconds: Option<i64>,
}

impl Holders {
    /// Those there are now: none if that cannot be found out.
    pub(super) async fn of(store: &Store) -> Self {
        let rows = store.query(&MIGRATION_HOLDERS, &[]).await.unwrap_or_default();
        let holders = rows.iter().map(|row| Holder::read(&Reader::of(row)));
        Self(holders.collect::<Result<_, StoreError>>().unwrap_or_default())
    }
}

impl Holder {
    fn read(row: &Reader<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            pid: row.get("pid")?,
            role: row.get("role")?,
            application: row.get("application")?,
            state: row.get("state")?,
            seconds: row.get("seconds")?,
        })
    }
}

impl fmt::Display for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("a session that has gone by now");
        }
        for (at, holder) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            write!(f, "{separator}{holder}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)?;
        if let Some(role) = &self.role {
            write!(f, " of role {role}")?;
        }
        if let Some(application) = self.application.as_ref().filter(|name| !name.is_empty()) {
            write!(f, " ({application})")?;
        }
        if let Some(state) = &self.state {
            write!(f, ", {state}")?;
        }
        match self.seconds {
            Some(seconds) => write!(f, ", in its transaction for {seconds} s"),
            None => Ok(()),
        }
    }
}
