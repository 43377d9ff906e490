//! Servers of stores as the configuration names them: their addresses are looked up while it is read, while nobody waits.

use std::ffi::CStr;

use ngx::ffi::*;

use super::MainConf;
use super::main_conf::Reference;
use super::reader::{Directive, Fault, emerg};
use crate::ngx::resolver;
use crate::ngx::{sockaddr, text};
use crate::shm::{StoreMemory, TierMemory, digest};
use crate::store::memory::{LOG_ROOM, MemoryConfig};
use crate::store::redis::{HostName, Server, SocketAddress, StoreConfig};

/// The port of a server that names none.
const PORT: u16 = 6379;

/// A server by host and port, or `unix:/path`, as nginx reads them. A name that can't be looked up is noted with `what`,
/// which names the place in the configuration: see [`check`].
///
/// # Errors
///
/// What is wrong with the address.
pub fn of_configuration(line: &Directive, address: &str, what: &str) -> Result<Server, String> {
    let cf = line.as_ptr();
    // SAFETY: nginx parses its own copy; the addresses live in the configuration's pool.
    unsafe {
        let mut url: ngx_url_t = std::mem::zeroed();
        url.url = text::copy((*cf).pool, address.as_bytes()).ok_or("no memory")?;
        url.default_port = PORT;
        url.set_no_resolve(1);
        if ngx_parse_url((*cf).pool, &mut url) != NGX_OK as isize {
            return Err(words(&url));
        }
        if url.naddrs > 0 {
            let addresses = addresses(&url);
            return Ok(match addresses.as_slice() {
                [one] => Server::at(one.clone()),
                _ => Server {
                    announced: None,
                    text: address.to_owned(),
                    name: None,
                    addresses,
                },
            });
        }
        let name = HostName {
            host: String::from_utf8_lossy(text::bytes(&url.host)).into_owned(),
            port: url.port,
        };
        let known = ngx_inet_resolve_host((*cf).pool, &mut url) == NGX_OK as isize;
        if !known {
            let main: &mut MainConf = line.main_conf().map_err(|_| "not in an http block")?;
            main.unknown_hosts.push(Reference {
                name: format!("{} in {what}", words(&url)),
                line: line.line(),
            });
        }
        Ok(Server {
            announced: None,
            text: format!("{}:{}", name.host, name.port),
            name: Some(name),
            addresses: if known { addresses(&url) } else { Vec::new() },
        })
    }
}

/// # Safety
///
/// nginx has parsed the address, or has refused to.
unsafe fn words(url: &ngx_url_t) -> String {
    if url.err.is_null() {
        return String::from("invalid address");
    }
    // SAFETY: nginx's words are C strings.
    let words = unsafe { CStr::from_ptr(url.err) };
    words.to_string_lossy().into_owned()
}

/// # Safety
///
/// nginx has looked the name up.
unsafe fn addresses(url: &ngx_url_t) -> Vec<SocketAddress> {
    if url.addrs.is_null() {
        return Vec::new();
    }
    // SAFETY: by contract: so many addresses lie there.
    let all = unsafe { std::slice::from_raw_parts(url.addrs, url.naddrs) };
    let address = |address: &ngx_addr_t| {
        // SAFETY: nginx has filled it in.
        let (sockaddr, text) = unsafe { sockaddr::of_nginx(address) };
        SocketAddress { sockaddr, text }
    };
    all.iter().map(address).collect()
}

/// A store with the memory that the workers share of it.
///
/// # Errors
///
/// There is no memory for its name.
pub fn with_memory(cf: *mut ngx_conf_t, store: StoreConfig) -> Result<StoreConfig, Fault> {
    let servers: Vec<&str> = store.servers.iter().map(|s| s.text.as_str()).collect();
    let identity = format!("{:?} {}", store.mode, servers.join(" "));
    // A store that is named by its address has a password in its name.
    let name = if crate::store::redis::is_address(&store.name) {
        ""
    } else {
        store.name.as_str()
    };
    // Without servers its log of purges is there.
    let room = match store.is_memory_alone() {
        true => LOG_ROOM,
        false => store.mode.room(),
    };
    // SAFETY: this is the configuration being read.
    let memory = unsafe { StoreMemory::declare(cf, name, digest(identity.as_bytes()), room) };
    let memory = Some(memory.ok_or_else(no_memory)?);
    let tier = match store.tier {
        Some(tier) => {
            // SAFETY: as above.
            let memory = unsafe {
                // What was kept without a feed isn't used with one, nor for longer than it may be by now.
                let heard = match tier.feed {
                    true => String::new(),
                    false => format!(" unheard {}", tier.valid),
                };
                let identity = format!("{identity} {} {:?}{heard}", store.database, tier.prefix);
                TierMemory::declare(cf, name, digest(identity.as_bytes()), tier.size)
            };
            Some(MemoryConfig {
                memory: Some(memory.ok_or_else(no_memory)?),
                ..tier
            })
        }
        None => None,
    };
    Ok(StoreConfig {
        tier,
        memory,
        ..store
    })
}

fn no_memory() -> Fault {
    Fault::Text(String::from("no memory"))
}

/// Checks that each name could be looked up, or can be later: where the http block has a `resolver`. Says which can't.
pub fn check(cf: *mut ngx_conf_t, conf: &MainConf) -> bool {
    // SAFETY: nginx calls postconfigurations with the configuration that was read, within http.
    if unsafe { resolver::is_configured(cf) } {
        return true;
    }
    if let Some(host) = conf.unknown_hosts.first() {
        let what = &host.name;
        emerg(
            cf,
            &host.line,
            &format!(
                "{what}; correct it, or add a \"resolver\" to the http block, which looks it up later"
            ),
        );
        return false;
    }
    true
}
