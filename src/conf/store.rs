//! `redis_cache_store NAME { ... }`, and addresses in its place.

use std::ffi::{c_char, c_void};
use std::fs;
use std::rc::Rc;

use ngx::ffi::*;
use redis::{ConnectionAddr, IntoConnectionInfo};

use super::MainConf;
use super::reader::{Directive, Fault, Setting, set};
use crate::ngx::text;
use crate::store::redis::{Server, StoreConfig};

/// The port of a server that names none.
const PORT: u16 = 6379;
/// A block that is being read.
struct Block {
    name: String,
    server: Option<Server>,
    connect_timeout: Option<u64>,
    send_timeout: Option<u64>,
    read_timeout: Option<u64>,
    connections: Option<usize>,
    username: Option<String>,
    password: Option<String>,
    database: Option<u32>,
    mode: Option<()>,
}

impl Block {
    fn new(name: String) -> Block {
        Block {
            name,
            server: None,
            connect_timeout: None,
            send_timeout: None,
            read_timeout: None,
            connections: None,
            username: None,
            password: None,
            database: None,
            mode: None,
        }
    }

    fn finish(self, server: Server) -> StoreConfig {
        StoreConfig {
            name: self.name,
            server,
            connect_timeout: self.connect_timeout.unwrap_or(200),
            send_timeout: self.send_timeout.unwrap_or(200),
            read_timeout: self.read_timeout.unwrap_or(200),
            connections: self.connections.unwrap_or(2),
            username: self.username,
            password: self.password,
            database: self.database.unwrap_or(0),
        }
    }
}

/// Reads the block.
pub fn block(directive: &Directive, conf: &mut MainConf) -> Setting {
    let name = directive.text(1);
    // `redis_cache_pass` takes these for what they look like.
    if name.is_empty() || name.starts_with('/') || is_address(&name) {
        return Err(Fault::Text(format!(
            "invalid store name \"{name}\" in \"redis_cache_store\"; use one such as main"
        )));
    }
    if conf.store(name.as_bytes()).is_some() {
        return Err(Fault::Text(format!(
            "store \"{name}\" is declared twice; give each a name of its own"
        )));
    }
    let mut block = Block::new(name);
    let cf = directive.as_ptr();
    // SAFETY: as nginx's own blocks (map, types) do: the handler sees the block's lines, and the
    // configuration is put back as it was.
    let result = unsafe {
        let saved = std::ptr::read(cf);
        (*cf).handler = Some(line);
        (*cf).handler_conf = (&raw mut block).cast();
        let result = ngx_conf_parse(cf, std::ptr::null_mut());
        let args = (*cf).args;
        std::ptr::write(cf, saved);
        (*cf).args = args;
        result
    };
    if !result.is_null() {
        return Err(Fault::Logged);
    }
    let Some(server) = block.server.take() else {
        return Err(Fault::Text(format!(
            "store \"{}\" has no \"server\"; add one such as \"server 127.0.0.1:6379\"",
            block.name
        )));
    };
    conf.stores.push(Rc::new(block.finish(server)));
    Ok(())
}

unsafe extern "C" fn line(
    cf: *mut ngx_conf_t,
    _: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx calls with what `block` has set.
    unsafe { set::<Block>(cf, conf, parameter) }
}

fn parameter(line: &Directive, block: &mut Block) -> Setting {
    let store = block.name.clone();
    let word = line.text(0);
    let count = line.words().len();
    let single = || match count {
        2 => Ok(line.text(1)),
        _ => Err(Fault::Text(format!(
            "\"{word}\" of store \"{store}\" takes one value"
        ))),
    };
    match word.as_str() {
        "server" => {
            let address = single()?;
            if block.server.is_some() {
                return Err(Fault::Text(format!(
                    "duplicate \"server\" in store \"{store}\"; several servers are not supported yet"
                )));
            }
            let server = resolve(line.as_ptr(), &address).map_err(|reason| {
                format!("{reason} in \"server {address}\" of store \"{store}\"")
            })?;
            block.server = Some(server);
            Ok(())
        }
        "connect_timeout" | "send_timeout" | "read_timeout" => {
            let value = single()?;
            let millis = line.millis(1).ok().filter(|ms| *ms > 0).ok_or_else(|| {
                format!(
                    "invalid time \"{value}\" in \"{word}\" of store \"{store}\"; \
                     use a time such as 200ms"
                )
            })?;
            let place = match word.as_str() {
                "connect_timeout" => &mut block.connect_timeout,
                "send_timeout" => &mut block.send_timeout,
                _ => &mut block.read_timeout,
            };
            once(place, millis, &word, &store)
        }
        "connections" => {
            let number = single()?.parse().ok().filter(|n| (1..=1024).contains(n));
            let number = number.ok_or_else(|| {
                format!("\"connections\" of store \"{store}\" must be between 1 and 1024")
            })?;
            once(&mut block.connections, number, &word, &store)
        }
        "username" => once(&mut block.username, single()?, &word, &store),
        "password" => {
            let password = secret(line.as_ptr(), &single()?).map_err(|reason| {
                format!("\"password\" of store \"{store}\" can't be read: {reason}")
            })?;
            once(&mut block.password, password, &word, &store)
        }
        "database" => {
            let number = single()?.parse().map_err(|_| {
                format!("\"database\" of store \"{store}\" must be a number such as 0")
            })?;
            once(&mut block.database, number, &word, &store)
        }
        "mode" => match line.argument(1) {
            mode @ (b"sentinel" | b"cluster") => {
                let mode = String::from_utf8_lossy(mode);
                Err(Fault::Text(format!(
                    "\"mode {mode}\" of store \"{store}\" is not supported yet"
                )))
            }
            _ => match single()?.as_str() {
                "standalone" => once(&mut block.mode, (), &word, &store),
                mode => Err(Fault::Text(format!(
                    "unknown mode \"{mode}\" of store \"{store}\"; it is \"standalone\""
                ))),
            },
        },
        "tls" | "tls_name" | "tls_trusted_certificate" | "tls_verify" => Err(Fault::Text(format!(
            "\"{word}\" of store \"{store}\" is not supported yet"
        ))),
        _ => Err(Fault::Text(format!(
            "unknown directive \"{word}\" in store \"{store}\""
        ))),
    }
}

fn once<T>(place: &mut Option<T>, value: T, word: &str, store: &str) -> Setting {
    if place.is_some() {
        return Err(Fault::Text(format!(
            "duplicate \"{word}\" in store \"{store}\""
        )));
    }
    *place = Some(value);
    Ok(())
}

/// A password as it stands, or the first line of a file: `file:/path`, relative to the
/// configuration's directory.
fn secret(cf: *mut ngx_conf_t, value: &str) -> Result<String, String> {
    let Some(path) = value.strip_prefix("file:") else {
        return Ok(value.to_owned());
    };
    // SAFETY: nginx replaces the string by a full path in the configuration's pool.
    let path = unsafe {
        let mut name = text::copy((*cf).pool, path.as_bytes()).ok_or("no memory")?;
        if ngx_conf_full_name((*cf).cycle, &mut name, 1) != NGX_OK as isize {
            return Err(String::from("no memory"));
        }
        String::from_utf8_lossy(text::bytes(&name)).into_owned()
    };
    let content = fs::read_to_string(&path).map_err(|error| format!("\"{path}\": {error}"))?;
    Ok(content.lines().next().unwrap_or_default().to_owned())
}

/// A host and port, or `unix:/path`, as nginx reads them. Names are looked up here and now, while
/// nobody waits.
fn resolve(cf: *mut ngx_conf_t, address: &str) -> Result<Server, String> {
    // SAFETY: nginx parses its own copy; the addresses live in the configuration's pool.
    unsafe {
        let mut url: ngx_url_t = std::mem::zeroed();
        url.url = text::copy((*cf).pool, address.as_bytes()).ok_or("no memory")?;
        url.default_port = PORT;
        if ngx_parse_url((*cf).pool, &mut url) != NGX_OK as isize {
            if url.err.is_null() {
                return Err(String::from("invalid address"));
            }
            return Err(std::ffi::CStr::from_ptr(url.err)
                .to_string_lossy()
                .into_owned());
        }
        let Some(first) = url.addrs.as_ref() else {
            return Err(String::from("no address"));
        };
        Ok(server(first))
    }
}

/// # Safety
///
/// `address` is one that nginx has resolved.
unsafe fn server(address: &ngx_addr_t) -> Server {
    // SAFETY: by contract.
    unsafe {
        let bytes =
            std::slice::from_raw_parts(address.sockaddr.cast::<u8>(), address.socklen as usize);
        Server {
            sockaddr: bytes.to_vec(),
            text: String::from_utf8_lossy(text::bytes(&address.name)).into_owned(),
        }
    }
}

/// Whether a store is named by its address.
pub fn is_address(name: &str) -> bool {
    ["redis://", "rediss://", "unix:", "redis+unix://"]
        .iter()
        .any(|scheme| name.starts_with(scheme))
}

/// The store at an address: `redis://[user:password@]host[:port][/db]` or `unix:/path`. With a
/// directive host names are looked up; without, at run time, the host must be an IP address.
pub fn from_address(address: &str, directive: Option<&Directive>) -> Result<StoreConfig, String> {
    let mut block = Block::new(address.to_owned());
    if let Some(path) = address.strip_prefix("unix:")
        && !path.starts_with("//")
    {
        return Ok(block.finish(unix(path)?));
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
    block.username = settings.username().map(str::to_owned);
    block.password = settings.password().map(str::to_owned);
    block.database = Some(u32::try_from(settings.db()).map_err(|_| "invalid database")?);
    let server = match info.addr() {
        ConnectionAddr::Unix(path) => unix(&path.to_string_lossy())?,
        ConnectionAddr::Tcp(host, port) => {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            match (bare.parse::<std::net::IpAddr>(), directive) {
                (Ok(ip), _) => tcp(std::net::SocketAddr::new(ip, *port)),
                (Err(_), Some(directive)) => {
                    resolve(directive.as_ptr(), &format!("{host}:{port}"))?
                }
                (Err(_), None) => {
                    return Err(String::from(
                        "a host name can't be looked up at run time; use a \"redis_cache_store\" block",
                    ));
                }
            }
        }
        _ => return Err(String::from("tls is not supported yet")),
    };
    Ok(block.finish(server))
}

fn unix(path: &str) -> Result<Server, String> {
    // SAFETY: all zeroes is a valid sockaddr_un.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    if path.is_empty() || path.len() >= address.sun_path.len() {
        return Err(String::from("invalid path of a unix socket"));
    }
    for (place, byte) in address.sun_path.iter_mut().zip(path.bytes()) {
        *place = byte as libc::c_char;
    }
    // nginx gives the whole structure's length, too
    Ok(Server {
        sockaddr: bytes_of(&address),
        text: format!("unix:{path}"),
    })
}

fn tcp(address: std::net::SocketAddr) -> Server {
    let sockaddr = match address {
        std::net::SocketAddr::V4(v4) => {
            // SAFETY: all zeroes is a valid sockaddr_in.
            let mut raw: libc::sockaddr_in = unsafe { std::mem::zeroed() };
            raw.sin_family = libc::AF_INET as libc::sa_family_t;
            raw.sin_port = v4.port().to_be();
            raw.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
            bytes_of(&raw)
        }
        std::net::SocketAddr::V6(v6) => {
            // SAFETY: all zeroes is a valid sockaddr_in6.
            let mut raw: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
            raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            raw.sin6_port = v6.port().to_be();
            raw.sin6_addr.s6_addr = v6.ip().octets();
            raw.sin6_scope_id = v6.scope_id();
            bytes_of(&raw)
        }
    };
    Server {
        sockaddr,
        text: address.to_string(),
    }
}

fn bytes_of<T: Copy>(value: &T) -> Vec<u8> {
    // SAFETY: socket addresses are plain bytes without padding that matters.
    unsafe { std::slice::from_raw_parts((&raw const *value).cast::<u8>(), size_of::<T>()).to_vec() }
}
