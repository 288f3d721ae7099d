//! Splits a connection string into parameters, as libpq does. Knows the syntax, and no parameter but those that a URL
//! has a place for.

use super::error::ConnectError;

/// One parameter as it was given: its name and its decoded value.
pub(super) type Setting = (String, String);

const ENCODE: &str = "in a URL the characters @ : / ? # % of a user name or password must be percent-encoded";

/// Splits a URL (`postgres://…`, `postgresql://…`) or a list of `name=value`. Later settings win over earlier ones.
pub(super) fn split(text: &str) -> Result<Vec<Setting>, ConnectError> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://")) {
        split_url(rest)
    } else if let Some((scheme, _)) = text.split_once("://")
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    {
        Err(ConnectError::malformed(format!(
            "the scheme is `{scheme}`, expected `postgres://` or `postgresql://`"
        )))
    } else {
        split_pairs(text)
    }
}

fn split_url(rest: &str) -> Result<Vec<Setting>, ConnectError> {
    let mut settings = Vec::new();
    let mut set = |name: &str, value: String| settings.push((name.to_owned(), value));

    let (location, query) = match rest.split_once('?') {
        Some((location, query)) => (location, Some(query)),
        None => (rest, None),
    };
    let (authority, database) = match location.split_once('/') {
        Some((authority, database)) => (authority, database),
        None => (location, ""),
    };
    // An unencoded @ in the password belongs to it, so the last one ends the credentials.
    let (credentials, hosts) = match authority.rsplit_once('@') {
        Some((credentials, hosts)) => (Some(credentials), hosts),
        None => (None, authority),
    };
    if credentials.is_none()
        && (database.contains('@') || query.is_some_and(|q| q.split('&').any(is_cut_password)))
    {
        return Err(ConnectError::malformed(format!("there is an @ after the host; {ENCODE}")));
    }

    if let Some(credentials) = credentials {
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (credentials, None),
        };
        if !user.is_empty() {
            set("user", decode(user)?);
        }
        if let Some(password) = password {
            set("password", decode(password)?);
        }
    }
    if !hosts.is_empty() {
        let (names, ports) = split_hosts(hosts)?;
        if names.iter().any(|name| !name.is_empty()) {
            set("host", names.join(","));
        }
        if ports.iter().any(|port| !port.is_empty()) {
            set("port", ports.join(","));
        }
    }
    if !database.is_empty() {
        set("dbname", decode(database)?);
    }
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| ConnectError::malformed("a parameter after the ? has no ="))?;
        let (name, value) = (decode(name)?, decode(value)?);
        // The spelling of JDBC, which libpq also takes.
        if name == "ssl" && value == "true" {
            set("sslmode", "require".to_owned());
        } else {
            set(&name, value);
        }
    }
    Ok(settings)
}

/// Whether a part of the query is really the tail of a password with an unencoded `?`.
fn is_cut_password(part: &str) -> bool {
    part.split('=').next().is_some_and(|name| name.contains('@'))
}

/// The names and ports of `host:port,host:port`; a port that is not there is empty.
pub(super) fn split_hosts(hosts: &str) -> Result<(Vec<String>, Vec<String>), ConnectError> {
    let mut names = Vec::new();
    let mut ports = Vec::new();
    for host in hosts.split(',') {
        let (name, port) = match host.strip_prefix('[') {
            Some(address) => {
                let (address, rest) = address
                    .split_once(']')
                    .ok_or_else(|| ConnectError::malformed("an IPv6 address has no closing ]"))?;
                let port = match rest.strip_prefix(':') {
                    Some(port) => port,
                    None if rest.is_empty() => "",
                    None => {
                        return Err(ConnectError::malformed(
                            "after the ] of an IPv6 address only :port may follow",
                        ));
                    }
                };
                (address, port)
            }
            None => host.split_once(':').unwrap_or((host, "")),
        };
        // The text is not quoted: with a stray / in the password this is a part of it.
        if !port.is_empty() && !matches!(port.parse::<u16>(), Ok(1..)) {
            return Err(ConnectError::malformed(format!(
                "what follows the : of a host is no port number from 1 to 65535; {ENCODE}"
            )));
        }
        names.push(decode(name)?);
        ports.push(port.to_owned());
    }
    Ok((names, ports))
}

fn decode(text: &str) -> Result<String, ConnectError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte != b'%' {
            bytes.push(byte);
            rest = tail;
            continue;
        }
        let digit = |at: usize| tail.get(at).and_then(|&b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            return Err(ConnectError::malformed(
                "a % is not followed by two hexadecimal digits; write %25 for a %",
            ));
        };
        match u8::try_from(high * 16 + low) {
            Ok(0) | Err(_) => return Err(ConnectError::malformed("%00 is not allowed")),
            Ok(byte) => bytes.push(byte),
        }
        rest = &tail[2..];
    }
    String::from_utf8(bytes).map_err(|_| ConnectError::malformed("the percent-encoded text is not UTF-8"))
}

fn split_pairs(text: &str) -> Result<Vec<Setting>, ConnectError> {
    let mut settings = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (name, tail) = rest.split_at(end);
        // Neither the name nor the rest is quoted: after a password with a space they are parts of it.
        let tail = tail.trim_start().strip_prefix('=').ok_or_else(|| {
            ConnectError::malformed(
                "expected a URL `postgres://user:password@host:port/database`, or `name=value` pairs \
                 with values that contain spaces in single quotes",
            )
        })?;
        let (value, tail) = take_value(tail.trim_start())?;
        settings.push((name.to_owned(), value));
        rest = tail.trim_start();
    }
    Ok(settings)
}

/// Takes one value, in single quotes or up to the next space; a backslash stands before a quote or another backslash.
fn take_value(text: &str) -> Result<(String, &str), ConnectError> {
    let (text, quoted) = match text.strip_prefix('\'') {
        Some(text) => (text, true),
        None => (text, false),
    };
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            c if !quoted && c.is_whitespace() => return Ok((value, &text[at..])),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            c => value.push(c),
        }
    }
    if quoted {
        return Err(ConnectError::malformed("a value in single quotes has no closing quote"));
    }
    Ok((value, ""))
}
