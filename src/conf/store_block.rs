//! `redis_cache_store NAME { ... }`: the block.

mod memory;
mod tls;
mod values;

use std::ffi::{c_char, c_void};
use std::rc::Rc;

use ngx::ffi::*;

use self::memory::{MemoryLine, memory};
use self::tls::TlsLines;
pub use self::tls::prepare_tls;
use self::values::{number, once, secret, single, timeout};
use super::MainConf;
use super::reader::{Directive, Fault, SetResult, set};
use super::servers;
use crate::store::redis::{
    Login, Mode, ReadFrom, Server, StoreConfig, is_address, parse, without_password,
};

/// A block that is being read.
#[derive(Default)]
struct Block {
    name: String,
    servers: Vec<Server>,
    mode: Option<Mode>,
    read_from: Option<ReadFrom>,
    connect_timeout: Option<u64>,
    send_timeout: Option<u64>,
    read_timeout: Option<u64>,
    connections: Option<usize>,
    queue: Option<usize>,
    username: Option<String>,
    password: Option<String>,
    sentinel_username: Option<String>,
    sentinel_password: Option<String>,
    database: Option<u32>,
    max_fails: Option<u32>,
    fail_timeout: Option<u64>,
    memory: Option<MemoryLine>,
    /// The first line that tells how servers are reached or used, but for `server` itself.
    of_servers: Option<String>,
    tls: TlsLines,
    /// Whether the address of a server asks for TLS.
    encrypted: bool,
}

impl Block {
    /// What must hold for the block as a whole.
    fn check(&self) -> SetResult {
        let name = &self.name;
        if self.servers.is_empty() {
            return self.check_alone();
        }
        let fault = match (&self.mode, self.servers.as_slice()) {
            (None | Some(Mode::Standalone), [_, _, ..]) => {
                "several servers; that takes \"mode sentinel MASTER\" or \"mode cluster\""
            }
            (None | Some(Mode::Standalone), _) if self.read_from == Some(ReadFrom::Replica) => {
                "\"read_from replica\"; that takes \"mode sentinel MASTER\" or \"mode cluster\""
            }
            (Some(Mode::Cluster), _) if self.database.is_some_and(|number| number > 0) => {
                "a \"database\"; a Redis Cluster has number 0 alone"
            }
            (mode, _)
                if !matches!(mode, Some(Mode::Sentinel(_)))
                    && (self.sentinel_username.is_some() || self.sentinel_password.is_some()) =>
            {
                "a user or password of Sentinels; that takes \"mode sentinel MASTER\""
            }
            (Some(Mode::Cluster), servers) if servers.iter().any(Server::is_local) => {
                "the address of a unix socket; the nodes of a Redis Cluster are reached by host and port"
            }
            _ => return Ok(()),
        };
        Err(Fault::Text(format!("store \"{name}\" has {fault}")))
    }

    /// The same without a server.
    fn check_alone(&self) -> SetResult {
        let fault = match (&self.memory, &self.of_servers) {
            (None, _) => String::from(
                "no \"server\"; add one such as \"server 127.0.0.1:6379\", or \"memory 64m\" for a store in shared memory alone",
            ),
            (Some(_), Some(word)) => format!(
                "\"{word}\", but no \"server\"; add one, or take the line out of a store in shared memory alone"
            ),
            (Some(memory), None) => match memory.of_servers() {
                Some(word) => format!(
                    "\"{word}=\" in \"memory\", but no \"server\"; add one, or take the parameter out of a store in shared memory alone"
                ),
                None => return Ok(()),
            },
        };
        let name = &self.name;
        Err(Fault::Text(format!("store \"{name}\" has {fault}")))
    }

    fn finish(self, cf: *mut ngx_conf_t) -> Result<StoreConfig, Fault> {
        let nameless = self.servers.iter().any(|s| s.text.starts_with("unix:"));
        let tls = self.tls.finish(cf, &self.name, self.encrypted, nameless)?;
        let alone = self.servers.is_empty();
        let standard = StoreConfig::new(self.name, self.servers);
        Ok(StoreConfig {
            tier: self.memory.map(|line| line.finish(alone)),
            tls,
            mode: self.mode.unwrap_or(standard.mode),
            read_from: self.read_from.unwrap_or(standard.read_from),
            connect_timeout: self.connect_timeout.unwrap_or(standard.connect_timeout),
            send_timeout: self.send_timeout.unwrap_or(standard.send_timeout),
            read_timeout: self.read_timeout.unwrap_or(standard.read_timeout),
            connections: self.connections.unwrap_or(standard.connections),
            queue: self.queue.unwrap_or(standard.queue),
            login: Login {
                username: self.username,
                password: self.password,
            },
            sentinel_login: Login {
                username: self.sentinel_username,
                password: self.sentinel_password,
            },
            database: self.database.unwrap_or(standard.database),
            max_fails: self.max_fails.unwrap_or(standard.max_fails),
            fail_timeout: self.fail_timeout.unwrap_or(standard.fail_timeout),
            ..standard
        })
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
    let mut block = Block {
        name,
        ..Block::default()
    };
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
    block.check()?;
    let store = servers::with_memory(cf, block.finish(cf)?)?;
    conf.stores.push(Rc::new(store));
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
    let store = block.name.clone();
    let store = store.as_str();
    if ![b"server".as_slice(), b"memory"].contains(&line.argument(0)) {
        block.of_servers.get_or_insert(line.text(0));
    }
    match line.argument(0) {
        b"server" => server(line, block),
        b"mode" => once(&mut block.mode, mode(line, store)?, line, store),
        b"read_from" => once(&mut block.read_from, read_from(line, store)?, line, store),
        b"connect_timeout" => once(
            &mut block.connect_timeout,
            timeout(line, store)?,
            line,
            store,
        ),
        b"send_timeout" => once(&mut block.send_timeout, timeout(line, store)?, line, store),
        b"read_timeout" => once(&mut block.read_timeout, timeout(line, store)?, line, store),
        b"fail_timeout" => once(&mut block.fail_timeout, timeout(line, store)?, line, store),
        b"connections" => {
            let most = number(line, store, 1..=1024)?;
            once(&mut block.connections, most, line, store)
        }
        b"queue" => once(
            &mut block.queue,
            number(line, store, 1..=1_000_000)?,
            line,
            store,
        ),
        b"max_fails" => once(
            &mut block.max_fails,
            number(line, store, 1..=60)?,
            line,
            store,
        ),
        b"username" => once(&mut block.username, single(line, store)?, line, store),
        b"password" => once(&mut block.password, secret(line, store)?, line, store),
        b"sentinel_username" => once(
            &mut block.sentinel_username,
            single(line, store)?,
            line,
            store,
        ),
        b"sentinel_password" => once(
            &mut block.sentinel_password,
            secret(line, store)?,
            line,
            store,
        ),
        b"database" => {
            let number = single(line, store)?.parse().map_err(|_| {
                format!("\"database\" of store \"{store}\" must be a number such as 0")
            })?;
            once(&mut block.database, number, line, store)
        }
        b"memory" => once(&mut block.memory, memory(line, store)?, line, store),
        _ => block.tls.take(line, store).unwrap_or_else(|| {
            let word = line.text(0);
            Err(Fault::Text(format!(
                "unknown directive \"{word}\" in store \"{store}\""
            )))
        }),
    }
}

fn server(line: &Directive, block: &mut Block) -> SetResult {
    let (address, store) = (single(line, &block.name)?, block.name.clone());
    let (address, shown) = (address.as_str(), without_password(&address));
    let what = format!("\"server {shown}\" of store \"{store}\"");
    let resolve = |address: &str| servers::of_configuration(line, address, &what);
    let fault = |reason: String| format!("{reason} in {what}");
    let server = if is_address(address) && !address.starts_with("unix:") {
        let parsed = parse(address, Some(&resolve)).map_err(fault)?;
        let store = store.as_str();
        if let Some(username) = parsed.login.username {
            once(&mut block.username, username, line, store)?;
        }
        if let Some(password) = parsed.login.password {
            once(&mut block.password, password, line, store)?;
        }
        if parsed.database > 0 {
            once(&mut block.database, parsed.database, line, store)?;
        }
        block.encrypted |= parsed.encrypted;
        parsed.server
    } else {
        resolve(address).map_err(fault)?
    };
    if block.servers.iter().any(|known| known.text == server.text) {
        return Err(Fault::Text(format!(
            "duplicate \"server {shown}\" in store \"{store}\""
        )));
    }
    block.servers.push(server);
    Ok(())
}

fn mode(line: &Directive, store: &str) -> Result<Mode, Fault> {
    match (line.argument(1), line.words().len()) {
        (b"sentinel", 3) if !line.argument(2).is_empty() => Ok(Mode::Sentinel(line.text(2))),
        (b"sentinel", _) => Err(Fault::Text(format!(
            "\"mode sentinel\" of store \"{store}\" takes the name of the master, such as \"mode sentinel mymaster\""
        ))),
        _ => match single(line, store)?.as_str() {
            "standalone" => Ok(Mode::Standalone),
            "cluster" => Ok(Mode::Cluster),
            mode => Err(Fault::Text(format!(
                "unknown mode \"{mode}\" of store \"{store}\"; it is \"standalone\", \"sentinel MASTER\" or \"cluster\""
            ))),
        },
    }
}

fn read_from(line: &Directive, store: &str) -> Result<ReadFrom, Fault> {
    match single(line, store)?.as_str() {
        "master" => Ok(ReadFrom::Master),
        "replica" => Ok(ReadFrom::Replica),
        other => Err(Fault::Text(format!(
            "unknown value \"{other}\" in \"read_from\" of store \"{store}\"; it is \"master\" or \"replica\""
        ))),
    }
}
