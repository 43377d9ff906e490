//! Stores that are named by their addresses: `redis://[user:password@]host[:port][/db]`, `rediss://` for the same through
//! TLS, `redis+unix://` or `unix:/path`.

use std::net::{IpAddr, SocketAddr};

use redis::{ConnectionAddr, IntoConnectionInfo};

use super::config::{HostName, Login, Server, SocketAddress, StoreConfig};
use super::tls::TlsConfig;
use crate::ngx::{resolver, sockaddr};

/// Looks up a host name: gets `host:port`, gives the server or the reason why there is none.
pub type Resolve<'a> = &'a dyn Fn(&str) -> Result<Server, String>;

/// Begins an address that is reached through TLS.
const ENCRYPTED: &str = "rediss://";

/// What is wrong with one where nginx can't do that.
pub const WITHOUT_TLS: &str =
    "this nginx was built without TLS; build it with --with-http_ssl_module";

/// Whether an address is reached through TLS.
pub fn is_encrypted(address: &str) -> bool {
    address.starts_with(ENCRYPTED)
}

/// Whether the name of a store is an address.
pub fn is_address(name: &str) -> bool {
    ["redis://", ENCRYPTED, "unix:", "redis+unix://"]
        .iter()
        .any(|scheme| name.starts_with(scheme))
}

/// An address without its password, for the log. Any other name of a store is left as it is.
pub fn without_password(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    // Nor has anybody a question mark. Before a query there is a place, and a query of a password has that behind it.
    let (address, query) = match rest.split_once('?') {
        Some((before, query))
            if before.contains('@') || before.starts_with('/') || !query.contains('@') =>
        {
            (before, query)
        }
        _ => (rest, ""),
    };
    // A password may contain a slash that nobody has escaped.
    let (user, place) = address.rsplit_once('@').unwrap_or(("", address));
    let user = match user.split_once(':') {
        Some((name, _)) => format!("{name}:...@"),
        None if user.is_empty() => String::new(),
        None => format!("{user}@"),
    };
    let query: Vec<&str> = query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            if part.starts_with("pass=") {
                "pass=..."
            } else {
                part
            }
        })
        .collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{user}{place}{mark}{}", query.join("&"))
}

/// What an address says.
pub struct Parsed {
    /// The server.
    pub server: Server,
    /// Who logs in there.
    pub login: Login,
    /// The number of the database.
    pub database: u32,
    /// Whether it is reached through TLS: `rediss://`.
    pub encrypted: bool,
}

/// The store at an address. Without `resolve` (at run time) the host must be an IP address, unless the
/// http block has a `resolver`, which looks it up at the first use. `tls` says how connections
/// are encrypted where the address asks for that.
///
/// # Errors
///
/// What is wrong with the address, for the log.
pub fn from_address(
    address: &str,
    resolve: Option<Resolve<'_>>,
    tls: Option<&TlsConfig>,
) -> Result<StoreConfig, String> {
    let parsed = parse(address, resolve)?;
    let tls = tls.filter(|_| parsed.encrypted).cloned();
    if parsed.encrypted && tls.is_none() {
        return Err(String::from(WITHOUT_TLS));
    }
    Ok(StoreConfig {
        login: parsed.login,
        database: parsed.database,
        tls,
        ..StoreConfig::new(address.to_owned(), vec![parsed.server])
    })
}

/// Reads an address; `resolve` as for [`from_address`].
///
/// # Errors
///
/// What is wrong with it, for the log.
pub fn parse(address: &str, resolve: Option<Resolve<'_>>) -> Result<Parsed, String> {
    if let Some(path) = address.strip_prefix("unix:")
        && !path.starts_with("//")
    {
        return Ok(Parsed {
            server: unix(path)?,
            login: Login::default(),
            database: 0,
            encrypted: false,
        });
    }
    // Its parser knows `rediss://` only with a TLS of its own.
    let plain = address.strip_prefix(ENCRYPTED);
    let encrypted = plain.is_some();
    let plain = plain.map(|rest| format!("redis://{rest}"));
    let info = plain
        .as_deref()
        .unwrap_or(address)
        .into_connection_info()
        .map_err(|error| {
            let text = error.to_string();
            text.split(" - ")
                .next()
                .unwrap_or(&text)
                .trim_end_matches('.')
                .to_lowercase()
        })?;
    let settings = info.redis_settings();
    let database = u32::try_from(settings.db()).map_err(|_| "invalid database")?;
    let server = match info.addr() {
        ConnectionAddr::Unix(path) => unix(&path.to_string_lossy())?,
        ConnectionAddr::Tcp(host, port) => tcp(host, *port, resolve)?,
        _ => return Err(String::from("unknown kind of address")),
    };
    Ok(Parsed {
        server,
        login: Login {
            username: settings.username().map(str::to_owned),
            password: settings.password().map(str::to_owned),
        },
        database,
        encrypted,
    })
}

fn unix(path: &str) -> Result<Server, String> {
    let sockaddr = sockaddr::unix(path).ok_or("invalid path of a unix socket")?;
    Ok(Server::at(SocketAddress {
        sockaddr,
        text: format!("unix:{path}"),
    }))
}

fn tcp(host: &str, port: u16, resolve: Option<Resolve<'_>>) -> Result<Server, String> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match (bare.parse::<IpAddr>(), resolve) {
        (Ok(ip), _) => {
            let address = SocketAddr::new(ip, port);
            Ok(Server::at(SocketAddress {
                sockaddr: sockaddr::inet(address),
                text: address.to_string(),
            }))
        }
        (Err(_), Some(resolve)) => resolve(&format!("{host}:{port}")),
        (Err(_), None) if resolver::is_there() => {
            let host = host.to_owned();
            Ok(Server {
                announced: None,
                text: format!("{host}:{port}"),
                name: Some(HostName { host, port }),
                addresses: Vec::new(),
            })
        }
        (Err(_), None) => Err(String::from(
            "a host name can't be looked up at run time; use a \"redis_cache_store\" block",
        )),
    }
}
