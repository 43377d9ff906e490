//! Reading a record from the store.

use std::cell::RefCell;
use std::collections::HashSet;
use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;
use cache_core::flow::Trouble;
use cache_core::key::LockKey;
use cache_core::record::{self, Base, Broken, ReadFrom, Record, Standing};
use cache_core::rules::Rules;
use cache_core::shown::shown;
use cache_core::vary::{self, Family, Names, Select, Variant, VariantId};
use ngx::ffi::*;
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use crate::ngx::event::{exact_msec, exact_usec};
use crate::ngx::output::Body;
use crate::shm::Zone;
use crate::store::key::lock_of_variant;
use crate::store::memory::{Entry, Memory, Seen};
use crate::store::redis::{Found, LastLook, Reading, StoreError};
use crate::store::{Key, Store};

mod judging;

use judging::{judged, soften};

/// How many keys whose records were complained about are remembered.
const COMPLAINTS: usize = 1024;

/// A lookup: what a request looks for, and where.
#[derive(Clone)]
pub struct Lookup {
    /// The zone whose lock table has the key.
    pub zone: Zone,
    /// The store.
    pub store: Store,
    /// The key.
    pub key: Key,
    /// The operator's rules: what of a record counts.
    pub rules: Rc<Rules>,
    /// `redis_cache_memory`: the memory tier has a part in it.
    pub memory: bool,
}

impl Lookup {
    /// The lock key.
    pub fn lock_key(&self) -> &LockKey {
        self.key.lock(self.zone, &self.store)
    }

    /// The memory tier that the request uses.
    fn memory(&self) -> Option<&Rc<Memory>> {
        memory_of(&self.store, self.memory)
    }

    /// Whether the memory tier carries on alone with the key.
    pub fn is_alone(&self) -> bool {
        self.store.is_alone(&self.key.redis)
    }

    /// What the memory tier has of a key that may be used now.
    fn kept_of(&self, memory: &Memory, key: &[u8], now: u64) -> Option<Rc<Entry>> {
        memory.look(key, now, || self.store.is_alone(key))
    }

    /// The lock key of a variant.
    pub fn lock_key_of(&self, variant: VariantId) -> LockKey {
        lock_of_variant(self.lock_key(), variant)
    }
}

/// What is known of the variants of a key.
#[derive(Clone, Debug, Default)]
pub struct Variants {
    /// The key's field `variants`, empty if it has none.
    pub text: Bytes,
    /// The variants, if that field counts.
    pub family: Option<Family>,
    /// The one that the request asks for.
    pub ours: Option<VariantId>,
}

impl Variants {
    /// What a key says of its variants.
    pub fn of(base: Base) -> Variants {
        Variants {
            family: base.family(),
            ours: None,
            text: base.variants.unwrap_or_default(),
        }
    }
}

/// What a look has shown, for a claim: the record for the request, and what its key says of variants.
pub fn seen(lookup: &Lookup, record: Option<&Record>, variants: &Variants) -> LastLook {
    let text = (!lookup.rules.ignore.vary).then(|| variants.text.clone());
    let Some(family) = &variants.family else {
        return LastLook::of(record, text, None);
    };
    match variants.ours.and_then(|id| family.slot_of(id)) {
        Some(0) => LastLook::of(record, text, None),
        Some(slot) => match vary::slot_key(&lookup.key.redis, slot) {
            Some(place) => LastLook::of(record, text, Some(place.into())),
            None => LastLook::without_place(text),
        },
        None => LastLook::without_place(text),
    }
}

thread_local! {
    static COMPLAINED: RefCell<HashSet<Bytes>> = RefCell::default();
}

/// Reads the record for a request from the store, and what its key says of variants. A broken record is none. One round
/// trip, and another for a variant that isn't the base's.
pub async fn lookup(
    lookup: &Lookup,
    select: Select<'_>,
) -> Result<(Option<Rc<Record>>, Variants), Trouble> {
    let key = &lookup.key.redis;
    let purges = lookup.store.purges();
    // Beside the lookup.
    let began = exact_usec();
    let asked = purges.and_then(|purges| purges.know(began / 1000));
    let found = read(lookup, key, began).await?;
    if let Some(asked) = asked {
        // From now on it is known before somebody asks.
        lookup.store.hear();
        let _ = asked.await;
    }
    let Some(text) = found
        .variants
        .as_ref()
        .filter(|_| !lookup.rules.ignore.vary)
    else {
        let record = decode(lookup, &found, ReadFrom::Base, select);
        let record = judged(lookup, key, &found, record).await;
        return Ok((record, Variants::default()));
    };
    // Boxed to keep the future of a lookup without variants small.
    let text = text.clone();
    Box::pin(lookup_varied(lookup, found, text, select)).await
}

/// The same from the memory tier alone. `None` if what the request needs isn't all there.
pub fn in_memory(lookup: &Lookup, select: Select<'_>) -> Option<(Option<Rc<Record>>, Variants)> {
    let memory = lookup.memory()?;
    let now = exact_msec();
    let base = lookup.kept_of(memory, &lookup.key.redis, now)?;
    let find = |entry: &Rc<Entry>, from: ReadFrom<'_>, select: Select<'_>| match entry
        .record(&lookup.rules, from, select)
        .ok()?
    {
        Ok(Some(record)) if entry.is_soft() => {
            let place = (entry.key(), entry.variants().is_some());
            Some(Some(soften(lookup, place, &record)))
        }
        Ok(record) => Some(record),
        Err(broken) => {
            complain_of(lookup, broken);
            Some(None)
        }
    };
    let (record, ours) = choose(lookup, (memory, &base), select, now, &find)?;
    let text = base.variants().filter(|_| !lookup.rules.ignore.vary);
    let variants = text.map_or_else(Variants::default, |text| Variants {
        text: text.clone(),
        family: base.family().ok().flatten().cloned(),
        ours,
    });
    Some((record, variants))
}

/// The memory tier that a request uses. `wanted`: see [`Lookup::memory`].
fn memory_of(store: &Store, wanted: bool) -> Option<&Rc<Memory>> {
    let memory = store.memory();
    memory.filter(|_| wanted || store.is_memory_alone())
}

/// What a memory tier has under a key.
pub struct Known {
    /// The entry.
    pub entry: Rc<Entry>,
    /// When it was current, in milliseconds.
    at: u64,
}

impl Known {
    /// Looks for a key in the memory tier of a store. `wanted`: see [`Lookup::memory`].
    pub fn find(store: &Store, wanted: bool, key: &[u8]) -> Option<Known> {
        let at = exact_msec();
        let memory = memory_of(store, wanted)?;
        let entry = memory.look(key, at, || store.is_alone(key))?;
        Some(Known { entry, at })
    }
}

/// A record of the memory tier that is the response to a request.
pub struct Hit {
    /// The record.
    pub entry: Rc<Entry>,
    /// Its body.
    pub body: Body,
    /// How it stands with its time.
    pub standing: Standing,
}

/// A record of the memory tier for a request, if it is all there and `suits`. `known`: what the tier has under the key now.
/// `copy`: how a small body is copied.
pub fn hit_in_memory(
    lookup: &Lookup,
    known: &Known,
    select: Select<'_>,
    suits: impl Fn(Standing) -> bool,
    copy: impl Fn(&[u8]) -> Option<Bytes>,
) -> Option<Hit> {
    let memory = lookup.memory()?;
    let Known {
        entry: base,
        at: now,
    } = known;
    let now = *now;
    let find = |entry: &Rc<Entry>, from: ReadFrom<'_>, select: Select<'_>| {
        let seen = entry.see(&lookup.rules, (from, select), now).ok()?;
        let Ok(Seen::Usable(usable, later)) = seen else {
            return None;
        };
        let standing = usable.standing.later(later);
        if entry.is_soft() || usable.is_part || !suits(standing) {
            return None;
        }
        Some(Some(Hit {
            entry: Rc::clone(entry),
            body: entry.body_in_place(&copy).ok()?,
            standing,
        }))
    };
    choose(lookup, (memory, base), select, now, &find)?.0
}

/// What is found in an entry of the memory tier. `None` if that isn't there any more.
type Find<'a, T> = &'a dyn Fn(&Rc<Entry>, ReadFrom<'_>, Select<'_>) -> Option<Option<T>>;

/// Finds something in the entry that has the request's variant, `base` or that of another slot. Gives the variant, too, if
/// the key has some. `None` if it isn't all there.
fn choose<T>(
    lookup: &Lookup,
    (memory, base): (&Memory, &Rc<Entry>),
    select: Select<'_>,
    now: u64,
    find: Find<'_, T>,
) -> Option<(Option<T>, Option<VariantId>)> {
    let varies = base.variants().is_some() && !lookup.rules.ignore.vary;
    let family = if varies { base.family().ok()? } else { None };
    let Some(family) = family else {
        return Some((find(base, ReadFrom::Base, select)?, None));
    };
    let ours = select(&family.on);
    let select = |on: &Names| {
        if *on == family.on { ours } else { select(on) }
    };
    let found = match ours.and_then(|id| family.slot_of(id)) {
        None => None,
        Some(0) => find(base, ReadFrom::Base, &select)?,
        Some(slot) => {
            let key = vary::slot_key(&lookup.key.redis, slot)?;
            let entry = lookup.kept_of(memory, &key, now)?;
            find(&entry, ReadFrom::Slot(family, slot), &select)?
        }
    };
    Some((found, ours))
}

async fn lookup_varied(
    lookup: &Lookup,
    found: Rc<Found>,
    text: Bytes,
    select: Select<'_>,
) -> Result<(Option<Rc<Record>>, Variants), Trouble> {
    let key = &lookup.key.redis;
    let mut variants = Variants::of(Base::of(&found.record, text));
    let Some(family) = &variants.family else {
        let record = decode(lookup, &found, ReadFrom::Base, select);
        return Ok((judged(lookup, key, &found, record).await, variants));
    };
    let ours = select(&family.on);
    let select = |on: &Names| {
        if *on == family.on { ours } else { select(on) }
    };
    let record = match ours.and_then(|id| family.slot_of(id)) {
        None => None,
        Some(0) => {
            let record = decode(lookup, &found, ReadFrom::Base, &select);
            judged(lookup, key, &found, record).await
        }
        Some(slot) => match vary::slot_key(key, slot) {
            Some(key) => {
                // The base's body isn't needed while the slot is read.
                drop(found);
                let key = Bytes::from(key);
                let found = read(lookup, &key, exact_usec()).await?;
                let record = decode(lookup, &found, ReadFrom::Slot(family, slot), &select);
                judged(lookup, &key, &found, record).await
            }
            None => None,
        },
    };
    variants.ours = ours;
    Ok((record, variants))
}

/// Reads the record that the key itself holds. The caller may be gone when it comes. A record that varies counts if it
/// is this variant.
pub fn lookup_detached(
    lookup: Lookup,
    own: Option<Variant>,
) -> impl Future<Output = Result<Option<Rc<Record>>, Trouble>> {
    let found = lookup.store.lookup_detached(&lookup.key.redis);
    async move {
        let found = heard(&lookup, found.await)?;
        let own = own.as_ref();
        let select = |on: &Names| own.filter(|own| own.on == *on).map(|own| own.id);
        let record = decode(&lookup, &found, ReadFrom::Base, &select);
        Ok(judged(&lookup, &lookup.key.redis, &found, record).await)
    }
}

/// Reads what is under a key. `began`: the time now, in microseconds.
async fn read(lookup: &Lookup, key: &Bytes, began: u64) -> Result<Rc<Found>, Trouble> {
    let found = lookup.store.lookup(key, (lookup.memory, began));
    heard(lookup, found.await)
}

fn heard(lookup: &Lookup, found: Result<Rc<Found>, StoreError>) -> Result<Rc<Found>, Trouble> {
    match found {
        Ok(found) => Ok(found),
        Err(StoreError::WrongType) => {
            complain(lookup, NGX_LOG_ERR, "is no hash; it is left alone");
            Err(Trouble::WrongType)
        }
        Err(error) => {
            if !error.is_down() {
                let level = u32::try_from(error.level()).unwrap_or(NGX_LOG_INFO);
                complain(lookup, level, &format!("can't be read: {error}"));
            }
            Err(Trouble::Unavailable)
        }
    }
}

/// Makes a record of what is found: once for all requests that share it, if they share their rules.
fn decode(
    lookup: &Lookup,
    found: &Found,
    from: ReadFrom<'_>,
    select: Select<'_>,
) -> Option<Rc<Record>> {
    let read = || Reading {
        rules: Rc::clone(&lookup.rules),
        decoded: record::decode(&found.record, &lookup.rules),
    };
    let shared = found.reading.get_or_init(read);
    let own;
    // Locations that say nothing of their own have equal rules.
    let reading = if shared.rules == lookup.rules {
        shared
    } else {
        own = read();
        &own
    };
    match &reading.decoded {
        Ok(decoded) => decoded.as_ref()?.for_request(from, select),
        Err(broken) => {
            complain_of(lookup, *broken);
            None
        }
    }
}

/// The record can't be used.
fn complain_of(lookup: &Lookup, broken: Broken) {
    let level = if broken.is_refused() {
        NGX_LOG_INFO
    } else {
        NGX_LOG_WARN
    };
    let what = format!("is no usable record: {broken}; it counts as a miss");
    complain(lookup, level, &what);
}

/// Logs it once per key and worker.
fn complain(lookup: &Lookup, level: u32, what: &str) {
    let new = COMPLAINED.with_borrow_mut(|known| {
        if known.len() >= COMPLAINTS {
            known.clear();
        }
        known.insert(lookup.key.redis.clone())
    });
    if new {
        let (key, store) = (shown(&lookup.key.redis), lookup.store.name());
        ngx_log_error!(
            level,
            ngx_cycle_log().as_ptr(),
            "redis_cache: \"{key}\" in store \"{store}\" {what}"
        );
    }
}
