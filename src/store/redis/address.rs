//! Stores that are named by their addresses: `redis://[user:password@]host[:port][/db]` or `unix:/path`.

use std::net::{IpAddr, SocketAddr};

use redis::{ConnectionAddr, IntoConnectionInfo};

use super::config::{HostName, Login, Server, SocketAddress, StoreConfig};
use crate::ngx::{resolver, sockaddr};

/// Looks up a host name: gets `host:port`, gives the server or the reason why there is none.
pub type Resolve<'a> = &'a dyn Fn(&str) -> Result<Server, String>;

/// Whether the name of a store is an address.
pub fn is_address(name: &str) -> bool {
    ["redis://", "rediss://", "unix:", "redis+unix://"]
        .iter()
        .any(|scheme| name.starts_with(scheme))
}

/// An address without its password, for the log. Any other name of a store is left as it is.
pub fn without_password(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
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

/// The store at an address. Without `resolve` (at run time) the host must be an IP address, unless the http block has a
/// `resolver`, which looks it up at the first use.
///
/// # Errors
///
/// What is wrong with the address, for the log.
pub fn from_address(address: &str, resolve: Option<Resolve<'_>>) -> Result<StoreConfig, String> {
    let config = |server| StoreConfig::new(address.to_owned(), vec![server]);
    if let Some(path) = address.strip_prefix("unix:")
        && !path.starts_with("//")
    {
        return Ok(config(unix(path)?));
    }
    if address.starts_with("rediss://") {
        return Err(String::from("tls is not supported yet"));
    }
    let info = address.into_connection_info().map_err(|error| {
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
        _ => return Err(String::from("tls is not supported yet")),
    };
    Ok(StoreConfig {
        login: Login {
            username: settings.username().map(str::to_owned),
            password: settings.password().map(str::to_owned),
        },
        database,
        ..config(server)
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
