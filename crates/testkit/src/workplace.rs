//! Where the databases of a server are made and dropped: the statements, and the one connection they go over.

use std::hash::{BuildHasher, RandomState};

use pgmill_store::{ConnectOptions, Migrator, Store};
use tokio_postgres::Client;

use crate::environment::Environment;
use crate::url::Url;

/// The role of programs under test that is to own the schema and nothing else.
pub(crate) const ROLE: &str = "pgmill_test_role";

/// What a new database holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Empty,
    Migrated,
}

pub(crate) struct Workplace {
    url: String,
    /// Starts the name of every database of this process, and names its connection, by which other processes see that
    /// the databases are in use.
    tag: String,
    made: u64,
    template: Option<String>,
    /// What a copy of the template is asked for in addition.
    strategy: &'static str,
    admin: Option<Client>,
    sweep: bool,
}

impl Workplace {
    pub(crate) fn new(url: String, lasting: bool) -> Self {
        let tag = format!("pgmill_test_{:016x}", RandomState::new().hash_one(std::process::id()));
        Self { url, tag, made: 0, template: None, strategy: "", admin: None, sweep: lasting }
    }

    /// Whether there is a migrated database to make copies of.
    pub(crate) fn has_template(&self) -> bool {
        self.template.is_some()
    }

    pub(crate) async fn create(&mut self, content: Content) -> Result<String, String> {
        match content {
            Content::Empty => self.empty().await,
            Content::Migrated => {
                let template = self.template().await?;
                self.copy(&template, "").await
            }
        }
    }

    async fn empty(&mut self) -> Result<String, String> {
        let name = self.copy("template0", &Environment::get().create_database).await?;
        if Environment::get().role {
            self.leave_to_role(&name).await?;
        }
        Ok(name)
    }

    async fn copy(&mut self, template: &str, options: &str) -> Result<String, String> {
        let name = self.next_name();
        // Not yet known before the first connection, and not worth one.
        let strategy = self.strategy;
        self.run(&format!("create database {name} template {template} {strategy} {options}")).await?;
        if Environment::get().role {
            self.run(&format!("revoke temporary on database {name} from public")).await?;
        }
        Ok(name)
    }

    pub(crate) async fn discard(&mut self, name: &str) -> Result<(), String> {
        self.run(&format!("drop database if exists {name} with (force)")).await
    }

    /// The migrated database, which is made when it is first needed.
    async fn template(&mut self) -> Result<String, String> {
        if let Some(template) = &self.template {
            return Ok(template.clone());
        }
        let name = self.empty().await?;
        let store = Store::open(&self.options_for_programs(&name)?).map_err(describe)?;
        Migrator::new(&store).run().await.map_err(describe)?;
        store.pool().close();
        self.template = Some(name.clone());
        Ok(name)
    }

    fn next_name(&mut self) -> String {
        self.made += 1;
        format!("{}_{}", self.tag, self.made)
    }

    fn options(&self, database: &str) -> Result<ConnectOptions, String> {
        let url = Url::parse(&self.url).with_database(database).to_string();
        Ok(ConnectOptions::parse(&url).map_err(describe)?.with_application_name(&self.tag))
    }

    /// Not through a pooler, for a database that others are connected to cannot be copied.
    fn options_for_programs(&self, database: &str) -> Result<ConnectOptions, String> {
        if !Environment::get().role {
            return self.options(database);
        }
        let url = Url::parse(&self.url).with_user(ROLE).with_database(database).to_string();
        Ok(ConnectOptions::parse(&url).map_err(describe)?.with_application_name(&self.tag))
    }

    /// Makes the role, and a schema that it owns, with whatever tests make in it. It has no other right, but to what they make
    /// beside it.
    async fn leave_to_role(&self, database: &str) -> Result<(), String> {
        let url = Url::parse(&self.url);
        let password = url.password().unwrap_or_default();
        let (admin, driver) = self.options(database)?.connect().await.map_err(describe)?;
        tokio::spawn(driver.run());
        let statements = format!(
            "do $$ begin
                if not exists (select from pg_catalog.pg_roles where rolname = '{ROLE}') then
                    create role {ROLE} login password '{password}';
                end if;
            end $$;
            revoke create on schema public from public;
            create schema pgmill authorization {ROLE};
            alter default privileges grant all on tables to {ROLE};
            alter default privileges grant all on sequences to {ROLE};
            create function public.leave_to_role() returns event_trigger language plpgsql as $$
            declare made record;
            begin
                for made in select object_identity from pg_event_trigger_ddl_commands()
                    where schema_name = 'pgmill' and object_type = 'table'
                loop
                    execute 'alter table ' || made.object_identity || ' owner to {ROLE}';
                end loop;
            end $$;
            create event trigger leave_to_role on ddl_command_end when tag in ('CREATE TABLE')
                execute function public.leave_to_role();"
        );
        admin.batch_execute(&statements).await.map_err(describe)
    }

    /// Runs a statement, on a new connection if the server was restarted.
    async fn run(&mut self, statement: &str) -> Result<(), String> {
        let admin = match self.admin.take().filter(|admin| !admin.is_closed()) {
            Some(admin) => admin,
            None => self.connect().await?,
        };
        let done = admin.batch_execute(statement).await.map_err(describe);
        self.admin = Some(admin);
        done
    }

    async fn connect(&mut self) -> Result<Client, String> {
        let database = Url::parse(&self.url).database;
        let (admin, driver) = self.options(database)?.connect().await.map_err(describe)?;
        tokio::spawn(driver.run());
        self.strategy = strategy(&admin).await.map_err(describe)?;
        if self.sweep {
            sweep(&admin).await.map_err(describe)?;
            self.sweep = false;
        }
        Ok(admin)
    }
}

/// How to copy a database. Writing the pages to the log costs more than writing them to files, unless files are flushed to
/// a disk, twice for each database; before version 15 there was only the one way.
async fn strategy(admin: &Client) -> Result<&'static str, tokio_postgres::Error> {
    const IN_FILES: &str = r"
        select current_setting('server_version_num')::integer >= 150000 and not current_setting('fsync')::boolean";
    let in_files: bool = admin.query_one(IN_FILES, &[]).await?.try_get(0)?;
    Ok(if in_files { "strategy file_copy" } else { "" })
}

/// Drops what processes that were killed have left. Those that run are seen by their connection.
async fn sweep(admin: &Client) -> Result<(), tokio_postgres::Error> {
    const LEFT: &str = r"
        select datname from pg_catalog.pg_database
        where datname ~ '^pgmill_test_[0-9a-f]{16}_[0-9]+$'
          and substr(datname::text, 1, 28) not in (select application_name from pg_catalog.pg_stat_activity)";
    for row in admin.query(LEFT, &[]).await? {
        let name: &str = row.try_get(0)?;
        // Another process may be sweeping too.
        let _ = admin.batch_execute(&format!("drop database if exists {name} with (force)")).await;
    }
    Ok(())
}

/// An error with its causes, in one line.
fn describe(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
