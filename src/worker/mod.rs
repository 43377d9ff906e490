//! One worker: its executor, its stores, its log.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use cache_core::executor::{Executor, TaskId};

use crate::ngx::event::Posted;
use crate::ngx::guard::report;
use crate::ngx::request::{Code, Request};
use crate::store::redis::{Client, Relay, StoreConfig};

/// How many stores may be named by addresses at run time: each has connections of its own.
const MAX_ADDRESSES: usize = 16;

/// How many locations may be stores: each is remembered.
const MAX_LOCATIONS: usize = 1024;

thread_local! {
    // Never dropped: at the worker's exit nginx has taken its pools away before.
    static EXECUTOR: ManuallyDrop<Executor<Ending>> =
        ManuallyDrop::new(Executor::new(notify, finish, |cause| report("task", cause.as_ref())));
    static TURN: OnceCell<ManuallyDrop<Posted>> = const { OnceCell::new() };
    static STORES: ManuallyDrop<RefCell<Stores>> = ManuallyDrop::default();
    static ADDRESSES: RefCell<Vec<Rc<StoreConfig>>> = const { RefCell::new(Vec::new()) };
    static RELAYS: RefCell<HashMap<Vec<u8>, Rc<Relay>>> = RefCell::default();
}

/// A few: those of the configuration, and at most MAX_ADDRESSES more.
type Stores = Vec<(Rc<StoreConfig>, Client)>;

/// A task is ready: run it in this turn of the event loop, but not inside whoever woke it.
fn notify() {
    TURN.with(|turn| {
        turn.get_or_init(|| ManuallyDrop::new(Posted::new(|| EXECUTOR.with(|tasks| tasks.run()))))
            .post();
    });
}

/// What a task ends with.
pub type Ending = Option<Go>;

/// A request goes on, once the future of its task is gone: that may free the request.
pub struct Go {
    /// The request.
    pub request: Request,
    /// What it is to be finalized with, if that is known.
    pub code: Option<Code>,
    /// How it goes on.
    pub on: fn(Request, Option<Code>),
}

fn finish(ending: Ending) {
    if let Some(go) = ending {
        (go.on)(go.request, go.code);
    }
}

/// Takes a task that serves nobody.
pub fn spawn(work: impl Future<Output = Ending> + 'static) -> TaskId {
    EXECUTOR.with(|executor| executor.spawn(work, None))
}

/// Takes a task that serves a request, which goes on like this should it panic.
pub fn serve(work: impl Future<Output = Ending> + 'static, otherwise: Go) -> TaskId {
    EXECUTOR.with(|executor| executor.spawn(work, Some(otherwise)))
}

/// Drops a task with all it holds.
pub fn cancel(task: TaskId) {
    EXECUTOR.with(|executor| executor.cancel(task));
}

/// This worker's connections to a store.
pub fn client(config: &Rc<StoreConfig>) -> Client {
    STORES.with(|stores| {
        let mut stores = stores.borrow_mut();
        let known = stores.iter().find(|(known, _)| Rc::ptr_eq(known, config));
        if let Some((_, client)) = known {
            return client.clone();
        }
        let client = Client::new(Rc::clone(config));
        // Without a master process the worker outlives a configuration, whose stores are known by name.
        stores.retain(|(known, _)| known.name != config.name);
        stores.push((Rc::clone(config), client.clone()));
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
