//! The parts of a database URL that tests exchange.

/// `postgres://user:password@host:port/database?name=value&…`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url<'a> {
    scheme: &'a str,
    user: Option<String>,
    pub(crate) host: String,
    pub(crate) database: &'a str,
    query: Vec<String>,
}

impl<'a> Url<'a> {
    /// Takes a URL apart; panics when it is none, as a test has no use for a wrong one.
    pub(crate) fn parse(text: &'a str) -> Self {
        let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
            // Not shown: it may hold a password.
            panic!("the database must be given as a URL, postgres://user:password@host:port/database");
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user.to_owned()), host),
            None => (None, authority),
        };
        let query = query.split('&').filter(|parameter| !parameter.is_empty()).map(str::to_owned).collect();
        Self { scheme, user, host: host.to_owned(), database, query }
    }

    /// The same URL for another database. The name needs no escape: the test kit makes the names itself.
    pub(crate) fn with_database(mut self, name: &'a str) -> Self {
        self.without(&["dbname"]);
        self.database = name;
        self
    }

    /// The same URL for another user, with the same password. The name needs no escape.
    pub(crate) fn with_user(mut self, name: &str) -> Self {
        let password = self.password().map(str::to_owned);
        self.user = Some(password.map_or_else(|| name.to_owned(), |password| format!("{name}:{password}")));
        self
    }

    /// The password, as it is written.
    pub(crate) fn password(&self) -> Option<&str> {
        self.user.as_deref()?.split_once(':').map(|(_, password)| password)
    }

    /// The same URL through a pooler in transaction mode; the server itself is where one listens.
    pub(crate) fn with_pooler(mut self, address: &str) -> Self {
        let listen = format!("pgmill_listen={}", self.host);
        self.query.extend(["pgmill_mode=pooler".to_owned(), listen]);
        address.clone_into(&mut self.host);
        self
    }

    /// The same URL for another server, which has no TLS.
    pub(crate) fn with_plain_host(mut self, host: String) -> Self {
        self.without(&["host", "hostaddr", "port", "sslmode"]);
        self.query.push("sslmode=disable".to_owned());
        self.host = host;
        self
    }

    fn without(&mut self, names: &[&str]) {
        self.query.retain(|parameter| {
            let name = parameter.split_once('=').map_or(parameter.as_str(), |(name, _)| name);
            !names.contains(&name)
        });
    }
}

fn is_scheme(scheme: &str) -> bool {
    scheme == "postgres" || scheme == "postgresql"
}

impl std::fmt::Display for Url<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { scheme, user, host, database, query } = self;
        write!(f, "{scheme}://")?;
        if let Some(user) = user {
            write!(f, "{user}@")?;
        }
        write!(f, "{host}/{database}")?;
        if !query.is_empty() {
            write!(f, "?{}", query.join("&"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_database_keeps_everything_else() {
        let url = Url::parse("postgres://me:p%40ss@[::1]:5433/app?sslmode=require&dbname=other&x=1");
        assert_eq!(
            url.with_database("t_1").to_string(),
            "postgres://me:p%40ss@[::1]:5433/t_1?sslmode=require&x=1"
        );
        assert_eq!(Url::parse("postgresql://db").with_database("t").to_string(), "postgresql://db/t");
    }

    #[test]
    fn through_a_pooler_one_listens_where_the_server_was() {
        let url = Url::parse("postgres://me:secret@db:5433/app").with_user("other");
        assert_eq!(
            url.with_pooler("127.0.0.1:6432").to_string(),
            "postgres://other:secret@127.0.0.1:6432/app?pgmill_mode=pooler&pgmill_listen=db:5433"
        );
    }

    #[test]
    fn another_server_is_spoken_to_without_tls() {
        let url = Url::parse("postgres://me@db/app?sslmode=verify-full&port=1&pgmill_mode=pooler");
        assert_eq!(
            url.with_plain_host("127.0.0.1:7".to_owned()).to_string(),
            "postgres://me@127.0.0.1:7/app?pgmill_mode=pooler&sslmode=disable"
        );
    }

    #[test]
    #[should_panic(expected = "must be given as a URL")]
    fn a_list_of_parameters_is_no_url() {
        Url::parse("host=localhost dbname=app");
    }
}
