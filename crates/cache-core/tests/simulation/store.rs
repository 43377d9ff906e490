//! The store that all machines share.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use bytes::Bytes;
use cache_core::cache_control;
use cache_core::flow::Trouble;
use cache_core::headers::Headers;
use cache_core::record::{Meta, Record, Tie};
use cache_core::terms::Terms;
use cache_core::units::MAX_SECONDS;
use cache_core::vary::{Family, VariantId};

use super::config::Key;
use super::faults::StoreFault;
use super::variants::{self, FieldValues, Variants};
use super::wait::Later;
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
    /// Which variant of the key it is.
    pub tie: Option<Tie>,
}

/// The records.
#[derive(Default)]
pub struct Store {
    records: RefCell<HashMap<(Key, usize), Stored>>,
    variants: RefCell<HashMap<Key, Bytes>>,
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
                date: None,
                own_location: false,
                accel_expires: false,
                tie: self.tie.clone(),
                unsent: cache_core::record::Unsent::default(),
            }),
            stored_headers: Bytes::new(),
        })
    }
}

impl Store {
    /// What there is of a key, or in a slot of it.
    pub fn peek_at(&self, key: Key, slot: usize, now: u64) -> Option<Stored> {
        let records = self.records.borrow();
        records
            .get(&(key, slot))
            .filter(|stored| stored.expires > now)
            .cloned()
    }

    /// What there is of a key.
    pub fn peek(&self, key: Key, now: u64) -> Option<Stored> {
        self.peek_at(key, 0, now)
    }

    /// What there is of a key for a request.
    pub fn peek_for(&self, key: Key, fields: FieldValues, now: u64) -> Option<Stored> {
        let slot = self.slot_for(key, fields, now)?;
        self.peek_at(key, slot, now).filter(|s| s.is_for(fields))
    }

    fn slot_for(&self, key: Key, fields: FieldValues, now: u64) -> Option<usize> {
        match self.variants(key, now).family {
            Some(family) => family.slot_of(VariantId::of(&family.on, &fields)),
            None => Some(0),
        }
    }

    /// What a key says of its variants.
    pub fn variants(&self, key: Key, now: u64) -> Variants {
        let base = self.peek(key, now);
        let known = self.variants.borrow();
        let text = known.get(&key).filter(|_| base.is_some()).cloned();
        let text = text.unwrap_or_default();
        let tie = base.and_then(|base| base.tie);
        let family = Family::parse(&text)
            .filter(|f| tie.is_some_and(|t| t.family == f.token && f.ids[0] == t.id));
        Variants { text, family }
    }

    /// Takes all of a key away, as DEL of it does.
    pub fn purge(&self, key: Key) {
        self.records.borrow_mut().remove(&(key, 0));
        self.variants.borrow_mut().remove(&key);
    }

    /// A name for a write.
    fn next(&self) -> u64 {
        self.generation.set(self.generation.get() + 1);
        self.generation.get()
    }

    /// Puts a record there, or takes it away.
    pub fn put(&self, key: Key, stored: Option<Stored>) {
        match stored {
            Some(stored) => self.put_at(key, 0, stored),
            None => self.purge(key),
        };
    }

    fn put_at(&self, key: Key, slot: usize, stored: Stored) {
        self.records.borrow_mut().insert((key, slot), stored);
    }
}

impl Stored {
    /// Whether its own Vary selects it for a request.
    fn is_for(&self, fields: FieldValues) -> bool {
        let on = variants::names(&self.headers);
        let id = VariantId::of(&on, &fields);
        on.is_empty() || self.tie.as_ref().is_some_and(|tie| tie.id == id)
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
    let later = Later::new();
    let reply = Rc::clone(&later);
    world.after(there, move |world| {
        let result = act(world);
        world.after(back, move |_| reply.set(result));
    });
    if there + back > TIMEOUT {
        let reply = Rc::clone(&later);
        world.after(TIMEOUT, move |_| reply.set(Err(Trouble::Unavailable)));
    }
    later.get().await
}

fn wrong_type(world: &World, key: Key) -> Result<(), Trouble> {
    let wrong = world.config.faults.is_wrong_type(key, world.now());
    if wrong && world.faulty.get() {
        return Err(Trouble::WrongType);
    }
    Ok(())
}

/// Reads a record for a request, and what its key says of variants: in one command if it is the key's own.
pub async fn lookup(
    world: &Rc<World>,
    key: Key,
    fields: FieldValues,
) -> Result<(Option<Rc<Record>>, Variants), Trouble> {
    let (found, variants) = read(world, key, 0).await?;
    let Some(family) = &variants.family else {
        return Ok((
            found
                .filter(|(_, s)| s.is_for(fields))
                .map(|f| Rc::new(f.0)),
            variants,
        ));
    };
    let id = VariantId::of(&family.on, &fields);
    let found = match family.slot_of(id) {
        None => None,
        Some(0) => found,
        Some(slot) => {
            let (found, _) = read(world, key, slot).await?;
            found.filter(|(_, stored)| {
                let tie = stored.tie.as_ref();
                tie.is_some_and(|tie| tie.family == family.token && tie.slot == slot)
            })
        }
    };
    Ok((
        found
            .filter(|(_, s)| s.is_for(fields))
            .map(|f| Rc::new(f.0)),
        variants,
    ))
}

async fn read(
    world: &Rc<World>,
    key: Key,
    slot: usize,
) -> Result<(Option<(Record, Stored)>, Variants), Trouble> {
    let fault = trouble(world).await?;
    let fails = world.fault(world.config.faults.lookup_fails);
    command(world, fault, move |world| {
        wrong_type(world, key)?;
        if fails {
            return Err(Trouble::Unavailable);
        }
        let records = world.store.records.borrow();
        let stored = records.get(&(key, slot));
        let found = stored.and_then(|s| Some((s.read(world.now())?, s.clone())));
        Ok((found, world.store.variants(key, world.now())))
    })
    .await
}

/// What more there is to a variant that is written: the slot, what was seen of the key's variants, what is to be.
pub struct VariantWrite {
    pub slot: usize,
    pub seen: Bytes,
    pub text: Bytes,
}

/// Writes a record that expires in `expiry` seconds. If the key has other variants than were seen nothing is
/// written, and the result says which.
pub async fn write(
    world: &Rc<World>,
    key: Key,
    mut stored: Stored,
    variant: Option<VariantWrite>,
    expiry: u32,
) -> Result<Option<Variants>, Trouble> {
    let fault = trouble(world).await?;
    let lost = world.fault(world.config.faults.write_lost);
    let unsure = world.fault(world.config.faults.write_unsure);
    command(world, fault, move |world| {
        wrong_type(world, key)?;
        if !lost {
            let known = world.store.variants(key, world.now());
            if variant.as_ref().is_some_and(|v| v.seen != known.text) {
                return Ok(Some(known));
            }
            let slot = variant.as_ref().map_or(0, |variant| variant.slot);
            world.note(|| format!("slot {slot} of key {key} is stored by fill {}", stored.fill));
            stored.expires = world.now() + u64::from(expiry) * 1000;
            stored.generation = world.store.next();
            stored.confirmed = false;
            world.store.put_at(key, slot, stored);
            let mut all = world.store.variants.borrow_mut();
            match variant {
                Some(variant) => all.insert(key, variant.text),
                None => all.remove(&key),
            };
        }
        if unsure {
            return Err(Trouble::Unavailable);
        }
        Ok(None)
    })
    .await
}

/// Gives a record that was confirmed another expiry, if it is still the one of that name; takes it away if there is
/// none.
pub async fn refresh(
    world: &Rc<World>,
    key: Key,
    slot: usize,
    generation: Bytes,
    expiry: Option<u32>,
) -> Result<bool, Trouble> {
    let fault = trouble(world).await?;
    let unsure = world.fault(world.config.faults.write_unsure);
    command(world, fault, move |world| {
        wrong_type(world, key)?;
        let mut changed = false;
        let known = world.store.peek_at(key, slot, world.now());
        if let Some(mut stored) = known.filter(|s| s.generation.to_string() == generation) {
            world.note(|| format!("slot {slot} of key {key} is confirmed: {expiry:?}"));
            stored.expires = world.now() + u64::from(expiry.unwrap_or(0)) * 1000;
            stored.generation = world.store.next();
            stored.confirmed = true;
            world.store.put_at(key, slot, stored);
            changed = true;
        }
        if unsure {
            return Err(Trouble::Unavailable);
        }
        Ok(changed)
    })
    .await
}
