//! `pgmill token`: who may use the server.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use pgmill::{AuditMeta, Json, ListRequest, Manager, Namespace, Role, Token, TokenMeta};

use crate::database::{Database, DatabaseArgs};
use crate::page::PageArgs;
use crate::show::Show;
use crate::{args, output};

/// Under which name the audit has what is done here.
const ACTOR: &str = "cli";

/// Create, list and revoke the tokens that the server asks for.
///
/// This works on the database itself, for the first token must come from somewhere: whoever can reach the database may do
/// everything. A server that runs takes a new token at once, and one that is revoked for five seconds more at most.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Create(CreateArgs),
    List(ListArgs),
    Revoke(RevokeArgs),
}

/// Create a token, and print it: the only time that it is shown.
#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// The name, under which the audit tells what is done with it.
    name: String,
    /// What its holder may do.
    #[arg(long, value_parser = role())]
    role: Role,
    /// A namespace it is for; may be given several times. Default: all.
    #[arg(long = "namespace", value_name = "NAME", value_parser = args::namespace)]
    namespaces: Vec<Namespace>,
    /// How long it is good for, such as 720h: 1s to 87600h (10 years). Default: until it is revoked.
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    expires_in: Option<Duration>,
    #[command(flatten)]
    common: Common,
}

/// List the tokens, newest first, without what proves them.
///
/// Those that were revoked or have expired are among them for 90 days.
#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    common: Common,
}

/// Revoke a token, so that it opens nothing any more.
#[derive(Debug, clap::Args)]
struct RevokeArgs {
    /// Its name or its id.
    token: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Common {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Print JSON on a terminal, too.
    #[arg(long)]
    json: bool,
}

fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::as_str)).try_map(|name| name.parse::<Role>())
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Create(args) => create(args).await,
        Command::List(args) => {
            let page = args.page.request();
            args.common.within(async |manager| args.common.print(&manager.list_tokens(page).await?)).await
        }
        Command::Revoke(args) => {
            args.common.within(async |manager| args.common.print(&revoke(manager, &args.token).await?)).await
        }
    }
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let namespaces = Some(args.namespaces.iter().map(Namespace::to_string).collect());
    let meta = TokenMeta {
        name: args.name,
        role: args.role,
        namespaces: namespaces.filter(|names: &Vec<String>| !names.is_empty()),
        expires_in: args.expires_in,
    };
    let create = async |manager: &Manager| {
        let new = manager.create_token(meta, ACTOR).await?;
        record(manager, "create_token", &new.token).await;
        if args.common.json {
            return output::object(&new);
        }
        // Alone, for `TOKEN=$(pgmill token create …)`.
        output::line(new.secret.expose());
        output::note(&format!("pgmill: the token {} is shown this once: keep it", new.token.name));
        Ok(())
    };
    args.common.within(create).await
}

async fn revoke(manager: &Manager, token: &str) -> anyhow::Result<Token> {
    let id = match token.parse() {
        Ok(id) => id,
        Err(_) => living(manager, &token.trim().to_lowercase()).await?,
    };
    let revoked = manager.revoke_token(id).await?;
    record(manager, "revoke_token", &revoked).await;
    Ok(revoked)
}

/// The id of the token that has this name: of those that are not revoked there is one at most.
async fn living(manager: &Manager, name: &str) -> anyhow::Result<u64> {
    let mut page = ListRequest::new();
    loop {
        let list = manager.list_tokens(page).await?;
        let found = list.body.iter().find(|token| token.revoked_at.is_none() && token.name.as_str() == name);
        if let Some(token) = found {
            return Ok(token.id);
        }
        if list.body.is_empty() {
            bail!("there is no token {name:?} that is not revoked; pgmill token list shows all");
        }
        page = page.offset(page.offset + list.body.len() as u64);
    }
}

/// What was done is done: if it cannot be recorded, that is told.
async fn record(manager: &Manager, action: &str, token: &Token) {
    let mut meta = AuditMeta::new(ACTOR, action, token.name.as_str());
    meta.detail = Json::encode(token).ok();
    if let Err(error) = manager.record_audit(meta).await {
        output::note(&format!("pgmill: this is not in the audit: {error}"));
    }
}

impl Common {
    async fn within(&self, command: impl AsyncFnOnce(&Manager) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let database = Database::open(&self.database).await?;
        let manager = Manager::connect_with(database.options().clone()).listen(false).await;
        let manager = manager.context("the database cannot be used")?;
        let done = command(&manager).await;
        manager.close().await;
        manager.pool().close();
        database.close().await?;
        done
    }

    fn print(&self, answer: &impl Show) -> anyhow::Result<()> {
        if self.json || !output::is_for_people() {
            return output::object(answer);
        }
        output::line(&answer.show());
        Ok(())
    }
}
