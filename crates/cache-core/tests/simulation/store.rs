//! The store that all machines share: one server, or several.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use cache_core::attempts::Access;
use cache_core::fence::{Token, permits};
use cache_core::flow::Trouble;
use cache_core::record::Record;
use cache_core::vary::VariantId;

use super::config::Key;
pub use super::data::Place;
use super::data::{Data, Stored};
use super::faults::StoreFault;
use super::invalidating;
use super::purging;
use super::routes;
use super::servers::{Request, Servers};
use super::serving::Act;
use super::topology::{Broken, Mode, Topology};
use super::variants::{FieldValues, Variants, key_of};
use super::wait::{Later, both};
use super::worker::Worker;
use super::world::World;

/// What a client of the store waits for a reply, in milliseconds.
pub const TIMEOUT: u64 = 200;

/// The records.
pub struct Store {
    one: RefCell<Data>,
    servers: Option<Servers>,
    generation: Cell<u64>,
    /// When it has lost leases last.
    failed_over: Cell<Option<u64>>,
}

impl Store {
    pub fn new(plan: &Topology) -> Store {
        Store {
            one: RefCell::default(),
            servers: (plan.mode != Mode::One).then(|| Servers::new(plan)),
            generation: Cell::new(0),
            failed_over: Cell::new(None),
        }
    }

    /// The servers, if it is more than one.
    pub fn servers(&self) -> &Servers {
        self.servers.as_ref().expect("servers")
    }

    /// Calls `f` with the data of whoever has a key.
    fn with<T>(&self, key: Key, f: impl FnOnce(&mut Data) -> T) -> T {
        match &self.servers {
            None => f(&mut self.one.borrow_mut()),
            Some(servers) => {
                let owner = servers.owner(key);
                f(&mut servers.all.borrow_mut()[owner].data)
            }
        }
    }

    /// What there is of a key.
    pub fn peek(&self, key: Key, now: u64) -> Option<Stored> {
        self.with(key, |data| data.peek_at(key, 0, now))
    }

    /// What there is of a key for a request.
    pub fn peek_for(&self, key: Key, fields: FieldValues, now: u64) -> Option<Stored> {
        self.with(key, |data| data.peek_for(key, fields, now))
    }

    /// Takes all of a key away, as DEL of it does.
    pub fn purge(&self, key: Key) {
        self.one.borrow_mut().purge(key);
        if let Some(servers) = &self.servers {
            let mut all = servers.all.borrow_mut();
            all.iter_mut().for_each(|server| server.data.purge(key));
        }
    }

    /// A name for a write.
    fn next(&self) -> u64 {
        self.generation.set(self.generation.get() + 1);
        self.generation.get()
    }

    /// The name of the last write.
    pub fn last(&self) -> u64 {
        self.generation.get()
    }

    /// Whether a lease has this token.
    pub fn holds_lease(&self, lock: Key, token: Token, now: u64) -> bool {
        self.with(key_of(lock), |data| data.holds(lock, token, now).is_some())
    }

    /// When the last lease ends that is held.
    pub fn last_lease(&self) -> u64 {
        let one = self.one.borrow().last_lease();
        let several = self.servers.as_ref().map_or(0, |servers| {
            let all = servers.all.borrow();
            all.iter().map(|s| s.data.last_lease()).max().unwrap_or(0)
        });
        one.max(several)
    }

    /// A replica takes the place of the one server: it knows of no lease.
    pub fn fail_over(&self, now: u64) {
        self.one.borrow_mut().lose_leases();
        self.failed_over.set(Some(now));
    }

    /// Whether it is a single server.
    pub fn is_one(&self) -> bool {
        self.servers.is_none()
    }

    /// Whether it may have lost leases since then.
    pub fn may_have_lost_leases(&self, world: &World, since: u64) -> bool {
        if self.is_one() {
            return self.failed_over.get().is_some_and(|at| at >= since);
        }
        let topology = &world.config.topology;
        let mut troubles = topology.troubles.iter();
        topology.lost > 0 || troubles.any(|(when, _)| *when <= world.now())
    }

    /// What the fence of a key holds.
    pub fn fence(&self, key: Key) -> Bytes {
        self.with(key, |data| data.fence(key))
    }

    /// Whether a record may be there that a lookup of a moment ago hasn't seen.
    pub fn may_be_behind(&self, world: &World) -> bool {
        self.servers.as_ref().is_some_and(|servers| {
            let deceived = servers.deceived.get();
            world.config.topology.read_from_replica || world.now() < deceived + 3 * TIMEOUT
        })
    }

    /// The last number in the log of purges of the one server.
    pub fn last_purge(&self) -> u64 {
        self.one.borrow().log.last()
    }

    /// Puts a record there, or takes it away.
    pub fn put(&self, key: Key, stored: Option<Stored>) {
        match stored {
            Some(stored) => self.with(key, |data| data.put((key, 0), stored)),
            None => self.purge(key),
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
pub async fn trouble(world: &Rc<World>) -> Result<Option<StoreFault>, Trouble> {
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
pub async fn command<T: 'static>(
    world: &Rc<World>,
    worker: &Rc<Worker>,
    fault: Option<StoreFault>,
    (places, access): (&[Place], Access),
    act: Act<T>,
) -> Result<T, Trouble> {
    if world.store.servers.is_some() {
        let request = Request {
            places: places.to_vec(),
            access,
            repeatable: access != Access::Write,
            readonly: false,
            carried_out: Rc::default(),
        };
        return routes::command(world, worker, request, act).await;
    }
    let (there, back) = ways(world, fault);
    let later = Later::new();
    let reply = Rc::clone(&later);
    world.after(there, move |world| {
        let result = act(world, &mut world.store.one.borrow_mut());
        world.after(back, move |_| reply.set(result));
    });
    if there + back > TIMEOUT {
        let reply = Rc::clone(&later);
        world.after(TIMEOUT, move |_| reply.set(Err(Trouble::Unavailable)));
    }
    later.get().await
}

pub fn wrong_type(world: &World, key: Key) -> Result<(), Trouble> {
    let wrong = world.config.faults.is_wrong_type(key, world.now());
    if wrong && world.faulty.get() {
        return Err(Trouble::WrongType);
    }
    Ok(())
}

/// What a lookup has found.
pub struct Found {
    pub record: Option<Rc<Record>>,
    pub variants: Variants,
    /// There is a record, but nobody says whether it was purged.
    pub is_unjudged: bool,
}

/// Reads a record for a request, and what its key says of variants; and what purges leave of it.
pub async fn lookup(
    world: &Rc<World>,
    worker: &Rc<Worker>,
    key: Key,
    fields: FieldValues,
) -> Result<Found, Trouble> {
    if !world.config.has_log {
        let (found, variants) = find(world, worker, key, fields).await?;
        return Ok(Found {
            record: found.map(|(record, _)| record),
            variants,
            is_unjudged: false,
        });
    }
    let known = world.judge().purges_known(world, worker.machine);
    let find = find(world, worker, key, fields);
    let (found, ()) = both(find, purging::knows(world, worker)).await;
    let (found, variants) = found?;
    let judged = match found {
        Some((record, (place, labels))) => {
            let has_variants = place.1 == 0 && !variants.text.is_empty();
            purging::judged(world, worker, (place, record, labels), has_variants).await
        }
        None => Ok(None),
    };
    let is_unjudged = judged.is_err();
    let record = judged.unwrap_or_default();
    let judge = world.judge();
    judge.finds_unpurged(world, key, &known, record.as_ref());
    Ok(Found {
        record,
        variants,
        is_unjudged,
    })
}

/// The record, and where it stands: in one command if it is the key's own.
async fn find(
    world: &Rc<World>,
    worker: &Rc<Worker>,
    key: Key,
    fields: FieldValues,
) -> Result<(Option<(Rc<Record>, (Place, Bytes))>, Variants), Trouble> {
    let (found, variants) = read(world, worker, (key, 0)).await?;
    let fits = |found: Option<(Rc<Record>, Stored)>| {
        let found = found.filter(|(_, stored)| stored.is_for(fields));
        found.map(|(record, stored)| {
            let slot = stored.tie.as_ref().map_or(0, |tie| tie.slot);
            (record, ((key, slot), stored.labels))
        })
    };
    let Some(family) = &variants.family else {
        return Ok((fits(found), variants));
    };
    let id = VariantId::of(&family.on, &fields);
    let found = match family.slot_of(id) {
        None => None,
        Some(0) => found,
        Some(slot) => {
            let (found, _) = read(world, worker, (key, slot)).await?;
            found.filter(|(_, stored)| {
                let tie = stored.tie.as_ref();
                tie.is_some_and(|tie| tie.family == family.token && tie.slot == slot)
            })
        }
    };
    Ok((fits(found), variants))
}

async fn read(
    world: &Rc<World>,
    worker: &Rc<Worker>,
    place: Place,
) -> Result<(Option<(Rc<Record>, Stored)>, Variants), Trouble> {
    let fault = trouble(world).await?;
    let fails = world.fault(world.config.faults.lookup_fails);
    let (key, slot) = place;
    let act = move |world: &Rc<World>, data: &mut Data| {
        wrong_type(world, key)?;
        if fails {
            return Err(Trouble::Unavailable);
        }
        let now = world.now();
        // A lookup that went astray reads what is there.
        let key = if world.config.topology.broken == Some(Broken::OtherKey) && world.fault(5) {
            (key + 1) % world.config.keys
        } else {
            key
        };
        Ok((data.read(key, slot, now), data.variants(key, now)))
    };
    command(world, worker, fault, (&[place], Access::Read), Rc::new(act)).await
}

/// What more there is to a variant that is written: the slot, what was seen of the key's variants, what is to be.
#[derive(Clone)]
pub struct VariantWrite {
    pub slot: usize,
    pub seen: Bytes,
    pub text: Bytes,
}

/// Writes a record that expires in `expiry` seconds, unless the fence of the key doesn't permit it any more. If the key has other variants than were seen nothing is
/// written, and the result says which.
pub async fn write(
    world: &Rc<World>,
    worker: &Rc<Worker>,
    key: Key,
    (stored, variant): (Stored, Option<VariantWrite>),
    (expiry, fence, lease): (u32, Bytes, Option<(Key, Token)>),
) -> Result<Option<Variants>, Trouble> {
    let fault = trouble(world).await?;
    let lost = world.fault(world.config.faults.write_lost);
    let unsure = world.fault(world.config.faults.write_unsure);
    let slot = variant.as_ref().map_or(0, |variant| variant.slot);
    let act = move |world: &Rc<World>, data: &mut Data| {
        wrong_type(world, key)?;
        if world.config.fences && !permits(&data.fence(key), &fence) {
            return Err(Trouble::Invalidated);
        }
        if !has_lease(world, data, lease) {
            return Err(Trouble::ClaimLost);
        }
        world.judge().writes_under(world, lease);
        if !lost {
            let known = data.variants(key, world.now());
            if variant.as_ref().is_some_and(|v| v.seen != known.text) {
                return Ok(Some(known));
            }
            world.note(|| format!("slot {slot} of key {key} is stored by fill {}", stored.fill));
            let stored = Stored {
                expires: world.now() + u64::from(expiry) * 1000,
                lasts: u64::from(expiry) * 1000,
                generation: world.store.next(),
                confirmed: false,
                ..stored.clone()
            };
            let name = stored.generation.to_string();
            world
                .judge()
                .is_written(name.into(), stored.fill, stored.lasts);
            data.put((key, slot), stored);
            data.put_variants(key, variant.as_ref().map(|variant| variant.text.clone()));
        }
        if unsure {
            return Err(Trouble::Unavailable);
        }
        Ok(None)
    };
    let places = [(key, 0), (key, slot)];
    let places = if slot == 0 { &places[..1] } else { &places };
    command(world, worker, fault, (places, Access::Write), Rc::new(act)).await
}

/// Whether something may be written that needs this lease.
fn has_lease(world: &World, data: &Data, lease: Option<(Key, Token)>) -> bool {
    let Some((lock, token)) = lease else {
        return true;
    };
    data.holds(lock, token, world.now()).is_some()
}

/// Gives a record that was confirmed another expiry, if it is still the one of that name; takes it away if there is
/// none.
pub async fn refresh(
    world: &Rc<World>,
    worker: &Rc<Worker>,
    place: Place,
    generation: Bytes,
    (expiry, lease): (Option<u32>, Option<(Key, Token)>),
    (answer, log): (usize, u64),
) -> Result<bool, Trouble> {
    let fault = trouble(world).await?;
    let unsure = world.fault(world.config.faults.write_unsure);
    let (key, slot) = place;
    let act = move |world: &Rc<World>, data: &mut Data| {
        wrong_type(world, key)?;
        // What isn't fit to be kept is taken away in any case.
        if expiry.is_some() && !has_lease(world, data, lease) {
            return Err(Trouble::ClaimLost);
        }
        world
            .judge()
            .writes_under(world, lease.filter(|_| expiry.is_some()));
        let mut changed = false;
        let known = data.peek_at(key, slot, world.now());
        if let Some(mut stored) = known.filter(|s| s.generation.to_string() == generation) {
            world.note(|| format!("slot {slot} of key {key} is confirmed: {expiry:?}"));
            stored.lasts = u64::from(expiry.unwrap_or(0)) * 1000;
            stored.expires = world.now() + stored.lasts;
            stored.generation = world.store.next();
            stored.confirmed = true;
            stored.log = log;
            let name = stored.generation.to_string();
            world.judge().is_written(name.into(), answer, stored.lasts);
            data.put(place, stored);
            changed = true;
        }
        if unsure {
            return Err(Trouble::Unavailable);
        }
        Ok(changed)
    };
    command(
        world,
        worker,
        fault,
        (&[place], Access::Write),
        Rc::new(act),
    )
    .await
}

/// Reads the fence of a key.
pub async fn read_fence(
    world: &Rc<World>,
    worker: &Rc<Worker>,
    key: Key,
) -> Result<Bytes, Trouble> {
    let fault = trouble(world).await?;
    let fails = world.fault(world.config.faults.lookup_fails);
    let act = move |_: &Rc<World>, data: &mut Data| {
        if fails {
            return Err(Trouble::Unavailable);
        }
        Ok(data.fence(key))
    };
    let access = (&[(key, 0)][..], Access::ReadMaster);
    command(world, worker, fault, access, Rc::new(act)).await
}

/// Deletes the record of a key; with a token it sets the fence, too, and tells all machines.
pub async fn delete(
    world: &Rc<World>,
    worker: &Rc<Worker>,
    key: Key,
    token: Option<Token>,
) -> Result<(), Trouble> {
    let fault = trouble(world).await?;
    let unsure = world.fault(world.config.faults.write_unsure);
    let act = move |world: &Rc<World>, data: &mut Data| {
        if let Some(token) = token {
            data.set_fence(key, token.to_string().into());
            invalidating::told(world, key, token);
        }
        world.note(|| format!("key {key} is deleted: {token:?}"));
        data.purge(key);
        if unsure {
            return Err(Trouble::Unavailable);
        }
        Ok(())
    };
    let access = (&[(key, 0)][..], Access::Write);
    command(world, worker, fault, access, Rc::new(act)).await
}
