//! The store that all machines share.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use bytes::Bytes;
use cache_core::cache_control;
use cache_core::flow::Trouble;
use cache_core::headers::Headers;
use cache_core::record::{Meta, Record};
use cache_core::settings::MAX_SECONDS;
use cache_core::usable::Terms;

use super::config::Key;
use super::faults::StoreFault;
use super::wait::Slot;
use super::world::World;

/// What a client of the store waits for a reply, in milliseconds.
pub const TIMEOUT: u64 = 200;

/// A record as it is stored.
#[derive(Clone)]
pub struct Stored {
    pub status: u16,
    pub headers: Headers,
    pub body: Bytes,
    pub expires: u64,
    /// Names the write, or the confirmation, that it comes from.
    pub generation: u64,
    /// A 304 was the last that wrote it.
    pub confirmed: bool,
    /// The number of the fill that wrote it.
    pub fill: usize,
}

/// The records.
#[derive(Default)]
pub struct Store {
    records: RefCell<HashMap<Key, Stored>>,
    generation: Cell<u64>,
}

impl Stored {
    fn read(&self, now: u64) -> Option<Record> {
        let left = self.expires.checked_sub(now).filter(|left| *left > 0)?;
        Some(Record {
            status: self.status,
            headers: self.headers.clone(),
            body: self.body.clone(),
            ttl_ms: i64::try_from(left).unwrap(),
            age: 0,
            terms: Terms::of(&cache_control::parse(self.headers.get_all("Cache-Control"))),
            meta: Some(Meta {
                age: 0,
                expiry: MAX_SECONDS,
                generation: self.generation.to_string().into(),
                sum: 0,
                own_location: false,
                accel_expires: false,
            }),
        })
    }
}

impl Store {
    /// What there is of a key.
    pub fn peek(&self, key: Key, now: u64) -> Option<Stored> {
        let records = self.records.borrow();
        records
            .get(&key)
            .filter(|stored| stored.expires > now)
            .cloned()
    }

    /// A name for a write.
    fn next(&self) -> u64 {
        self.generation.set(self.generation.get() + 1);
        self.generation.get()
    }

    /// Puts a record there, or takes it away.
    pub fn put(&self, key: Key, stored: Option<Stored>) {
        match stored {
            Some(stored) => self.records.borrow_mut().insert(key, stored),
            None => self.records.borrow_mut().remove(&key),
        };
    }
}

/// Whether the store isn't known to be down.
pub fn is_available(world: &World) -> bool {
    let fault = world.config.faults.store_at(world.now());
    !world.faulty.get() || fault != Some(StoreFault::Refusing)
}

/// The ways of one command: to the store and back.
fn ways(world: &World, fault: Option<StoreFault>) -> (u64, u64) {
    let (low, high) = world.config.store_delay;
    if fault == Some(StoreFault::Slow) {
        return (
            world.between((low, TIMEOUT)),
            world.between((low, TIMEOUT / 2)),
        );
    }
    (world.between((low, high)), world.between((low, high)))
}

/// What the faults of the moment make of a command. `Ok(None)` is nothing out of the ordinary.
async fn trouble(world: &Rc<World>) -> Result<Option<StoreFault>, Trouble> {
    let fault = world.config.faults.store_at(world.now());
    match fault.filter(|_| world.faulty.get()) {
        Some(StoreFault::Refusing) => Err(Trouble::Unavailable),
        Some(StoreFault::Down) => {
            super::wait::sleep(world, world.between((1, TIMEOUT))).await;
            Err(Trouble::Unavailable)
        }
        other => Ok(other),
    }
}

/// Sends a command; `act` is what it does in the store.
async fn command<T: 'static>(
    world: &Rc<World>,
    fault: Option<StoreFault>,
    act: impl FnOnce(&Rc<World>) -> Result<T, Trouble> + 'static,
) -> Result<T, Trouble> {
    let (there, back) = ways(world, fault);
    let slot = Slot::new();
    let reply = Rc::clone(&slot);
    world.after(there, move |world| {
        let result = act(world);
        world.after(back, move |_| reply.set(result));
    });
    if there + back > TIMEOUT {
        let reply = Rc::clone(&slot);
        world.after(TIMEOUT, move |_| reply.set(Err(Trouble::Unavailable)));
    }
    slot.get().await
}

fn wrong_type(world: &World, key: Key) -> Result<(), Trouble> {
    let wrong = world.config.faults.is_wrong_type(key, world.now());
    if wrong && world.faulty.get() {
        return Err(Trouble::WrongType);
    }
    Ok(())
}

/// Reads a record.
pub async fn lookup(world: &Rc<World>, key: Key) -> Result<Option<Record>, Trouble> {
    let fault = trouble(world).await?;
    let fails = world.fault(world.config.faults.lookup_fails);
    command(world, fault, move |world| {
        wrong_type(world, key)?;
        if fails {
            return Err(Trouble::Unavailable);
        }
        let records = world.store.records.borrow();
        Ok(records.get(&key).and_then(|r| r.read(world.now())))
    })
    .await
}

/// Writes a record that expires in `expiry` seconds.
pub async fn write(
    world: &Rc<World>,
    key: Key,
    mut stored: Stored,
    expiry: u32,
) -> Result<(), Trouble> {
    let fault = trouble(world).await?;
    let lost = world.fault(world.config.faults.write_lost);
    let unsure = world.fault(world.config.faults.write_unsure);
    command(world, fault, move |world| {
        wrong_type(world, key)?;
        if !lost {
            world.note(|| format!("key {key} is stored by fill {}", stored.fill));
            stored.expires = world.now() + u64::from(expiry) * 1000;
            stored.generation = world.store.next();
            stored.confirmed = false;
            world.store.put(key, Some(stored));
        }
        if unsure {
            return Err(Trouble::Unavailable);
        }
        Ok(())
    })
    .await
}

/// Gives a record that was confirmed another expiry, if it is still the one of that name.
pub async fn refresh(
    world: &Rc<World>,
    key: Key,
    generation: Bytes,
    expiry: u32,
) -> Result<bool, Trouble> {
    let fault = trouble(world).await?;
    let unsure = world.fault(world.config.faults.write_unsure);
    command(world, fault, move |world| {
        wrong_type(world, key)?;
        let mut changed = false;
        let known = world.store.peek(key, world.now());
        if let Some(mut stored) = known.filter(|s| s.generation.to_string() == generation) {
            world.note(|| format!("key {key} is confirmed"));
            stored.expires = world.now() + u64::from(expiry) * 1000;
            stored.generation = world.store.next();
            stored.confirmed = true;
            world.store.put(key, Some(stored));
            changed = true;
        }
        if unsure {
            return Err(Trouble::Unavailable);
        }
        Ok(changed)
    })
    .await
}
