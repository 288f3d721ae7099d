//! The database of the server.

use crate::database::DatabaseArgs;

/// Which database to serve.
#[derive(Debug, clap::Args)]
pub(super) struct PostgresArgs {
    /// The database, in place of that of `--url` or `DATABASE_URL`.
    #[arg(value_name = "URL")]
    address: Option<String>,
    #[command(flatten)]
    database: DatabaseArgs,
    /// The user to connect as, in place of the one that the URL names.
    #[arg(long = "pg.user", value_name = "NAME", env = "PG_USER")]
    user: Option<String>,
    /// The password of the user, in place of the one in the URL.
    ///
    /// Arguments can be read by every user of the machine: it is better given as `PG_PASSWORD`.
    #[arg(long = "pg.password", value_name = "PASSWORD", env = "PG_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// Has no effect, and is taken for the sake of scripts that give it: what belongs to pgmill is in the schema `pgmill`
    /// always, which is created.
    #[arg(long = "pg.schema", value_name = "NAME", env = "PG_SCHEMA")]
    pub(super) schema: Option<String>,
}

impl PostgresArgs {
    pub(super) fn database(self) -> DatabaseArgs {
        let database = match self.address {
            Some(url) => DatabaseArgs::named(url),
            None => self.database,
        };
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        database.with_credentials(given(self.user).as_deref(), given(self.password).as_deref())
    }
}
