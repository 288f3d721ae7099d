//! Connections as the tests want them: without the environment of whoever runs the tests, and with a short answer.

use pgmill_store::{ConnectError, ConnectOptions};
use tokio_postgres::Client;

pub(crate) fn options(text: &str) -> ConnectOptions {
    // A home without files: what the person has who runs the tests must not decide them.
    let env = |name: &str| (name == "HOME").then(|| "/nonexistent".to_owned());
    ConnectOptions::parse_with(text, env).unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub(crate) async fn connect(text: &str) -> Result<Client, ConnectError> {
    let (client, driver) = options(text).connect().await?;
    tokio::spawn(driver.run());
    Ok(client)
}

pub(crate) async fn refusal(text: &str) -> ConnectError {
    match connect(text).await {
        Ok(_) => panic!("{text} connected"),
        Err(error) => error,
    }
}

pub(crate) async fn show(client: &Client, query: &str) -> String {
    let row = client.query_one(query, &[]).await.expect("the query runs");
    row.get(0)
}

/// How a connection came out, in a word or two.
pub(crate) async fn outcome(text: &str) -> String {
    match connect(text).await {
        Ok(client) => {
            let query = "SELECT CASE WHEN ssl THEN 'tls' ELSE 'plain' END FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
            show(&client, query).await
        }
        Err(ConnectError::RootCertificateMissing { .. }) => "no root".to_owned(),
        Err(error) => {
            let message = error.to_string();
            let known = [
                ("UnknownIssuer", "wrong issuer"),
                ("not valid for", "wrong name"),
                ("server does not support TLS", "no tls"),
            ];
            match known.iter().find(|(part, _)| message.contains(part)) {
                Some((_, word)) => (*word).to_owned(),
                None => message,
            }
        }
    }
}
