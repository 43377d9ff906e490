//! One worker: its executor, its stores, its log.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use cache_core::executor::{Executor, TaskId, Then};
use ngx::ffi::*;

use crate::ngx::event::Posted;
use crate::redis::{Client, Relay, StoreConfig};

/// How many stores may be named by addresses at run time: each has connections of its own.
const MAX_ADDRESSES: usize = 16;

/// How many locations may be stores: each is remembered.
const MAX_LOCATIONS: usize = 1024;

thread_local! {
    // Never dropped: at the worker's exit nginx has taken its pools away before.
    static EXECUTOR: ManuallyDrop<Executor> = ManuallyDrop::new(Executor::new(notify));
    static TURN: OnceCell<ManuallyDrop<Posted>> = const { OnceCell::new() };
    static STORES: ManuallyDrop<RefCell<Stores>> = ManuallyDrop::default();
    static ADDRESSES: RefCell<Vec<Rc<StoreConfig>>> = const { RefCell::new(Vec::new()) };
    static RELAYS: RefCell<HashMap<Vec<u8>, Rc<Relay>>> = RefCell::default();
}

type Stores = HashMap<String, (Rc<StoreConfig>, Client)>;

/// A task is ready: run it in this turn of the event loop, but not inside whoever woke it.
fn notify() {
    TURN.with(|turn| {
        turn.get_or_init(|| ManuallyDrop::new(Posted::new(|| EXECUTOR.with(|tasks| tasks.run()))))
            .post();
    });
}

/// Takes a task.
pub fn spawn(work: impl Future<Output = Then> + 'static) -> TaskId {
    EXECUTOR.with(|executor| executor.spawn(work))
}

/// Drops a task with all it holds.
pub fn cancel(task: TaskId) {
    EXECUTOR.with(|executor| executor.cancel(task));
}

/// The log of what belongs to no request.
pub fn log() -> *mut ngx_log_t {
    // SAFETY: there is a cycle with a log while a worker runs.
    unsafe { (*ngx_cycle).log }
}

/// This worker's connections to a store.
pub fn client(config: &Rc<StoreConfig>) -> Client {
    STORES.with(|stores| {
        let mut stores = stores.borrow_mut();
        if let Some((known, client)) = stores.get(&config.name)
            && Rc::ptr_eq(known, config)
        {
            return client.clone();
        }
        let client = Client::new(Rc::clone(config));
        stores.insert(config.name.clone(), (Rc::clone(config), client.clone()));
        client
    })
}

/// The store at an address that a variable names.
pub fn at_address(address: &[u8]) -> Result<Rc<StoreConfig>, String> {
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
        let config = Rc::new(crate::conf::store::from_address(address, None)?);
        known.push(Rc::clone(&config));
        Ok(config)
    })
}

/// The store behind a location of a server, which `place` tells from others.
pub fn relay(uri: &[u8], place: &str) -> Result<Rc<Relay>, String> {
    let id = [place.as_bytes(), uri].join(&0);
    RELAYS.with_borrow_mut(|known| {
        if let Some(relay) = known.get(&id) {
            return Ok(Rc::clone(relay));
        }
        if known.len() >= MAX_LOCATIONS {
            return Err(format!("more than {MAX_LOCATIONS} locations are stores"));
        }
        let name = cache_core::shown::shown(uri);
        let relay = Relay::new(&name, &format!("location of {place}"), id.clone());
        known.insert(id, Rc::clone(&relay));
        Ok(relay)
    })
}
