//! The stores that this worker knows: those of the configuration, those at addresses that variables name, and locations
//! that are stores.

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use cache_core::shown::shown;

use crate::store::redis::{Client, Mode, Relay, StoreConfig, TlsConfig, from_address};
use crate::store::{Local, Store};

/// How many stores may be named by addresses at run time: each has connections of its own.
const MAX_ADDRESSES: usize = 16;

/// How many locations may be stores: each is remembered.
const MAX_LOCATIONS: usize = 1024;

thread_local! {
    // Never dropped: at the worker's exit nginx has taken its pools away before.
    static STORES: ManuallyDrop<RefCell<Stores>> = ManuallyDrop::default();
    static ADDRESSES: RefCell<Vec<Rc<StoreConfig>>> = const { RefCell::new(Vec::new()) };
    static RELAYS: RefCell<HashMap<Vec<u8>, Rc<Relay>>> = RefCell::default();
}

/// A few: those of the configuration, and at most MAX_ADDRESSES more.
type Stores = Vec<(Rc<StoreConfig>, Store)>;

/// A store as this worker has it: with its connections, or in shared memory alone.
pub fn store(config: &Rc<StoreConfig>) -> Store {
    STORES.with(|stores| {
        let mut stores = stores.borrow_mut();
        let known = stores.iter().find(|(known, _)| Rc::ptr_eq(known, config));
        if let Some((_, store)) = known {
            return store.clone();
        }
        let store = if config.is_memory_alone() {
            Store::Memory(Local::new(Rc::clone(config)))
        } else {
            Store::Redis(Client::new(Rc::clone(config)))
        };
        // Without a master process the worker outlives a configuration, whose stores are known by name.
        stores.retain(|(known, store)| {
            let is_other = known.name != config.name;
            if let (Store::Redis(client), false) = (store, is_other) {
                client.hear_no_more();
            }
            is_other
        });
        stores.push((Rc::clone(config), store.clone()));
        store
    })
}

/// Gives up, for this worker's exit, what it does for all workers.
pub fn leave() {
    STORES.with(|stores| {
        for (_, store) in stores.borrow().iter() {
            match store {
                Store::Redis(client) => client.leave(),
                Store::Memory(local) => local.leave(),
                Store::Location(_) => {}
            }
        }
    });
}

/// Has a store whose servers must be asked for, or that listens to them, found before the first request needs it.
pub fn prepare(config: &Rc<StoreConfig>) {
    if config.mode != Mode::Standalone || config.tier.is_some() {
        let _ = store(config);
    }
}

/// The store at an address that a variable names. `tls`: how connections are encrypted where the address asks for that.
///
/// # Errors
///
/// Why there is none, for the log.
pub fn at_address(address: &[u8], tls: Option<&TlsConfig>) -> Result<Rc<StoreConfig>, String> {
    let address = std::str::from_utf8(address).map_err(|_| String::from("invalid address"))?;
    ADDRESSES.with_borrow_mut(|known| {
        if let Some(config) = known.iter().find(|config| config.name == address) {
            return Ok(Rc::clone(config));
        }
        if known.len() >= MAX_ADDRESSES {
            return Err(format!(
                "more than {MAX_ADDRESSES} addresses; use \"redis_cache_store\""
            ));
        }
        let config = Rc::new(from_address(address, None, tls)?);
        known.push(Rc::clone(&config));
        Ok(config)
    })
}

/// The store behind the location `uri` of a server. `server` tells the server from others, and says for people which it
/// is.
///
/// # Errors
///
/// Why there is none, for the log.
pub fn relay(uri: &[u8], server: &str) -> Result<Rc<Relay>, String> {
    let id = [server.as_bytes(), uri].join(&0);
    RELAYS.with_borrow_mut(|known| {
        if let Some(relay) = known.get(&id) {
            return Ok(Rc::clone(relay));
        }
        if known.len() >= MAX_LOCATIONS {
            return Err(format!("more than {MAX_LOCATIONS} locations are stores"));
        }
        let name = shown(uri);
        let relay = Relay::new(&name, &format!("location of {server}"), id.clone());
        known.insert(id, Rc::clone(&relay));
        Ok(relay)
    })
}
