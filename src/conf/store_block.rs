//! `redis_cache_store NAME { ... }`: the block, and how its server is looked up.

use std::ffi::{c_char, c_void};
use std::fs;
use std::rc::Rc;

use ngx::ffi::*;

use super::MainConf;
use super::reader::{Directive, Fault, SetResult, set};
use crate::ngx::{sockaddr, text};
use crate::store::redis::{Server, SocketAddress, StoreConfig, is_address};

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
    queue: Option<usize>,
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
            queue: None,
            username: None,
            password: None,
            database: None,
            mode: None,
        }
    }

    fn finish(self, server: Server) -> StoreConfig {
        let standard = StoreConfig::new(self.name, server);
        StoreConfig {
            connect_timeout: self.connect_timeout.unwrap_or(standard.connect_timeout),
            send_timeout: self.send_timeout.unwrap_or(standard.send_timeout),
            read_timeout: self.read_timeout.unwrap_or(standard.read_timeout),
            connections: self.connections.unwrap_or(standard.connections),
            queue: self.queue.unwrap_or(standard.queue),
            username: self.username,
            password: self.password,
            database: self.database.unwrap_or(standard.database),
            ..standard
        }
    }
}

/// Reads the block.
pub fn block(directive: &Directive, conf: &mut MainConf) -> SetResult {
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

/// Takes a line of the block for nginx.
unsafe extern "C" fn line(
    cf: *mut ngx_conf_t,
    _: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx calls with what `block` has set.
    unsafe { set::<Block>(cf, conf, parameter) }
}

fn parameter(line: &Directive, block: &mut Block) -> SetResult {
    match line.argument(0) {
        b"server" => server(line, block),
        b"connect_timeout" | b"send_timeout" | b"read_timeout" => timeout(line, block),
        b"connections" => {
            let number = single(line, block)?.parse().ok();
            let number = number.filter(|n| (1..=1024).contains(n)).ok_or_else(|| {
                let store = &block.name;
                format!("\"connections\" of store \"{store}\" must be between 1 and 1024")
            })?;
            once(&mut block.connections, number, line, &block.name)
        }
        b"queue" => {
            let number = single(line, block)?.parse().ok();
            let number = number
                .filter(|n| (1..=1_000_000).contains(n))
                .ok_or_else(|| {
                    let store = &block.name;
                    format!("\"queue\" of store \"{store}\" must be between 1 and 1000000")
                })?;
            once(&mut block.queue, number, line, &block.name)
        }
        b"username" => {
            let username = single(line, block)?;
            once(&mut block.username, username, line, &block.name)
        }
        b"password" => {
            let password = secret(line.as_ptr(), &single(line, block)?).map_err(|reason| {
                let store = &block.name;
                format!("\"password\" of store \"{store}\" can't be read: {reason}")
            })?;
            once(&mut block.password, password, line, &block.name)
        }
        b"database" => {
            let number = single(line, block)?.parse().map_err(|_| {
                let store = &block.name;
                format!("\"database\" of store \"{store}\" must be a number such as 0")
            })?;
            once(&mut block.database, number, line, &block.name)
        }
        b"mode" => mode(line, block),
        other => {
            let (word, store) = (line.text(0), &block.name);
            Err(Fault::Text(match other {
                b"tls" | b"tls_name" | b"tls_trusted_certificate" | b"tls_verify" => {
                    format!("\"{word}\" of store \"{store}\" is not supported yet")
                }
                _ => format!("unknown directive \"{word}\" in store \"{store}\""),
            }))
        }
    }
}

/// The value of a line that takes one.
fn single(line: &Directive, block: &Block) -> Result<String, Fault> {
    if line.words().len() == 2 {
        return Ok(line.text(1));
    }
    let (word, store) = (line.text(0), &block.name);
    Err(Fault::Text(format!(
        "\"{word}\" of store \"{store}\" takes one value"
    )))
}

fn server(line: &Directive, block: &mut Block) -> SetResult {
    let (address, store) = (single(line, block)?, &block.name);
    if block.server.is_some() {
        return Err(Fault::Text(format!(
            "duplicate \"server\" in store \"{store}\"; several servers are not supported yet"
        )));
    }
    let server = resolve(line.as_ptr(), &address)
        .map_err(|reason| format!("{reason} in \"server {address}\" of store \"{store}\""))?;
    block.server = Some(server);
    Ok(())
}

fn timeout(line: &Directive, block: &mut Block) -> SetResult {
    let (word, value) = (line.text(0), single(line, block)?);
    let millis = line.millis(1).ok().filter(|ms| *ms > 0).ok_or_else(|| {
        let store = &block.name;
        format!(
            "invalid time \"{value}\" in \"{word}\" of store \"{store}\"; use a time such as 200ms"
        )
    })?;
    let timeout = match word.as_str() {
        "connect_timeout" => &mut block.connect_timeout,
        "send_timeout" => &mut block.send_timeout,
        _ => &mut block.read_timeout,
    };
    once(timeout, millis, line, &block.name)
}

fn mode(line: &Directive, block: &mut Block) -> SetResult {
    let store = block.name.clone();
    let mode = line.text(1);
    if let "sentinel" | "cluster" = mode.as_str() {
        return Err(Fault::Text(format!(
            "\"mode {mode}\" of store \"{store}\" is not supported yet"
        )));
    }
    match single(line, block)?.as_str() {
        "standalone" => once(&mut block.mode, (), line, &store),
        mode => Err(Fault::Text(format!(
            "unknown mode \"{mode}\" of store \"{store}\"; it is \"standalone\""
        ))),
    }
}

/// Sets a value that may be set once in a block.
fn once<T>(place: &mut Option<T>, value: T, line: &Directive, store: &str) -> SetResult {
    if place.is_some() {
        let word = line.text(0);
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
pub fn resolve(cf: *mut ngx_conf_t, address: &str) -> Result<Server, String> {
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
        if url.addrs.is_null() || url.naddrs == 0 {
            return Err(String::from("no address"));
        }
        let addresses: Vec<SocketAddress> = std::slice::from_raw_parts(url.addrs, url.naddrs)
            .iter()
            .map(|address| {
                let (sockaddr, text) = sockaddr::of_nginx(address);
                SocketAddress { sockaddr, text }
            })
            .collect();
        let text = match addresses.as_slice() {
            [one] => one.text.clone(),
            _ => address.to_owned(),
        };
        Ok(Server { text, addresses })
    }
}
