//! A zone's memory as the configuration holds it, and what a worker sees of it.

use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use ngx::ffi::*;

use super::super::counters::{ServerCounters, ZoneCounters};
use super::super::locks::{Table, TableHeader};
use super::super::search_rules::SearchRules;
use super::super::uses::Uses;
use super::common::Common;
use super::layout::{
    Init, STORE_SIZE, init, init_common, init_servers, init_store, init_tier, table,
};
use super::names;
use super::servers;
use super::store::StoreState;
use super::tier::{self, TierHeader, TierView};
use crate::ngx::module;
use crate::ngx::text;

/// Enough for [`Common`] and nginx's own pages.
const COMMON_SIZE: usize = size_of::<Common>() + 64 * 1024;

/// Declares memory in the configuration that is being read. The module's address tags it as ours.
///
/// # Safety
///
/// `cf` is the configuration being read.
unsafe fn add(
    cf: *mut ngx_conf_t,
    name: &str,
    size: usize,
    init: Init,
) -> Option<*mut ngx_shm_zone_t> {
    // SAFETY: by contract; nginx keeps the name, which lives in the configuration's pool.
    unsafe {
        let mut name = text::copy((*cf).pool, name.as_bytes())?;
        let zone = ngx_shared_memory_add(cf, &mut name, size, module::own().cast());
        zone.as_mut()?.init = Some(init);
        Some(zone)
    }
}

/// The memory of a declared store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreMemory(*mut ngx_shm_zone_t);

impl StoreMemory {
    /// Declares the memory of a store in the configuration that is being read. `identity` tells what the configuration
    /// says of its servers, `room` is how many bytes what is known of them takes at most.
    ///
    /// # Safety
    ///
    /// `cf` is the configuration being read.
    pub unsafe fn declare(
        cf: *mut ngx_conf_t,
        name: &str,
        identity: u64,
        room: usize,
    ) -> Option<StoreMemory> {
        let (name, size) = (names::of_store(name, identity), STORE_SIZE + room);
        // SAFETY: by contract.
        let zone = unsafe { add(cf, &name, size, init_store) };
        zone.map(StoreMemory)
    }

    /// What is shared of the store. `None` before it is initialised.
    pub fn state<'a>(self) -> Option<&'a StoreState> {
        // SAFETY: laid out by `init_store`, mapped as long as the process lives; what changes in it is atomic.
        unsafe { (*self.0).data.cast::<StoreState>().as_ref() }
    }
}

/// The memory tier of a declared store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierMemory(*mut ngx_shm_zone_t);

impl TierMemory {
    /// Declares the memory tier of a store in the configuration that is being read. `identity` as for [`StoreMemory`].
    ///
    /// # Safety
    ///
    /// `cf` is the configuration being read.
    pub unsafe fn declare(
        cf: *mut ngx_conf_t,
        name: &str,
        identity: u64,
        size: usize,
    ) -> Option<TierMemory> {
        // SAFETY: by contract.
        let zone = unsafe { add(cf, &names::of_tier(name, identity), size, init_tier) };
        zone.map(TierMemory)
    }

    /// The memory as a worker uses it. `None` before it is initialised.
    pub fn view(self) -> Option<TierView> {
        // SAFETY: laid out by `init_tier`, mapped as long as the process lives.
        unsafe {
            let header = (*self.0).data.cast::<TierHeader>();
            if header.is_null() {
                return None;
            }
            tier::view(header)
        }
    }
}

/// The memory in which the responses of server blocks are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServersMemory(*mut ngx_shm_zone_t);

impl ServersMemory {
    /// Declares it for so many server blocks. `identity` tells which they are: it begins anew with others.
    ///
    /// # Safety
    ///
    /// `cf` is the configuration being read.
    pub unsafe fn declare(
        cf: *mut ngx_conf_t,
        identity: u64,
        count: usize,
    ) -> Option<ServersMemory> {
        let (name, size) = (names::of_servers(identity), servers::size(count));
        // SAFETY: by contract.
        let zone = unsafe { add(cf, &name, size, init_servers) };
        zone.map(ServersMemory)
    }

    /// The counters of the server block at this place. `None` before it is initialised.
    pub fn counters<'a>(self, place: usize) -> Option<&'a ServerCounters> {
        // SAFETY: laid out by `init_servers`, mapped as long as the process lives.
        unsafe { servers::counters((*self.0).data.cast(), place) }
    }
}

/// The memory of a declared zone, and of what all zones have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    table: *mut ngx_shm_zone_t,
    common: *mut ngx_shm_zone_t,
}

impl Mapping {
    /// Declares a zone in the configuration that is being read.
    ///
    /// # Safety
    ///
    /// `cf` is the configuration being read.
    pub unsafe fn declare(cf: *mut ngx_conf_t, name: &str, size: usize) -> Option<Mapping> {
        // SAFETY: by contract.
        unsafe {
            Some(Mapping {
                table: add(cf, &names::of_zone(name), size, init)?,
                common: add(cf, names::COMMON, COMMON_SIZE, init_common)?,
            })
        }
    }

    /// Its name in the configuration.
    pub fn name(self) -> String {
        // SAFETY: the zone is that of a configuration that lives.
        unsafe { names::in_configuration(&*self.table) }
    }

    /// What all zones have in common. `None` before it is initialised.
    pub fn common<'a>(self) -> Option<&'a Common> {
        // SAFETY: laid out by `init_common`, mapped as long as the process lives; what changes in it is atomic.
        unsafe { (*self.common).data.cast::<Common>().as_ref() }
    }

    /// Runs `f` with the table, under the zone's mutex. `None` before the zone is initialised.
    pub fn with<T>(self, f: impl FnOnce(&mut Table<'_>) -> T) -> Option<T> {
        // SAFETY: the zone's memory was laid out by `init` and is mapped in every worker at the
        // same address; under the mutex nobody else touches it. Nothing in `f` asks for the mutex again.
        unsafe {
            let pool = (*self.table).shm.addr.cast::<ngx_slab_pool_t>();
            let header = (*self.table).data.cast::<TableHeader>();
            if pool.is_null() || header.is_null() {
                return None;
            }
            let _locked = Locked::new(&raw mut (*pool).mutex);
            Some(f(&mut table(header)))
        }
    }

    /// What is counted of it. `None` before it is initialised.
    pub fn counters<'a>(self) -> Option<&'a ZoneCounters> {
        // SAFETY: the header is laid out by `init`, which writes the address of counters beside it; what changes in them is
        // atomic.
        unsafe {
            let header = (*self.table).data.cast::<TableHeader>().as_ref()?;
            let address = usize::try_from(header.counters).ok()?;
            ptr::with_exposed_provenance::<ZoneCounters>(address).as_ref()
        }
    }

    /// How often keys were asked for. Without words before it is initialised.
    pub fn uses<'a>(self) -> Uses<'a> {
        // SAFETY: `init` has laid the counts out where the header says.
        Uses(unsafe { self.words(|header| (header.uses, header.use_words)) })
    }

    /// The rules of No-Vary-Search. Without words before it is initialised.
    pub fn search_rules<'a>(self) -> SearchRules<'a> {
        // SAFETY: `init` has laid the rules out where the header says.
        SearchRules(unsafe { self.words(|header| (header.rules, header.rule_words)) })
    }

    /// The words of a table beside the locks, none before the zone is initialised.
    ///
    /// # Safety
    ///
    /// `place` gives the address of atomic words that `init` has laid out, or 0, and how many they are.
    unsafe fn words<'a>(self, place: impl FnOnce(&TableHeader) -> (u64, u64)) -> &'a [AtomicU64] {
        // SAFETY: the header is laid out by `init`; the words by contract. They are mapped as long as the process lives.
        unsafe {
            let header = (*self.table).data.cast::<TableHeader>().as_ref();
            let found = header.and_then(|header| {
                let (address, words) = place(header);
                let address = usize::try_from(address).ok().filter(|at| *at != 0)?;
                Some((address, usize::try_from(words).ok()?))
            });
            found.map_or(&[], |(address, words)| {
                std::slice::from_raw_parts(ptr::with_exposed_provenance(address), words)
            })
        }
    }

    /// The count of releases so far, read without the mutex.
    pub fn sequence(self) -> u64 {
        // SAFETY: the header is laid out by `init`; the counter is atomic.
        unsafe {
            let header = (*self.table).data.cast::<TableHeader>();
            header
                .as_ref()
                .map_or(0, |header| header.sequence.load(Ordering::Relaxed))
        }
    }
}

/// The mutex of a zone, held. It is free again when this is dropped, after a panic, too.
struct Locked(*mut ngx_shmtx_t);

impl Locked {
    /// # Safety
    ///
    /// `mutex` is that of a mapped zone, and this process doesn't hold it.
    unsafe fn new(mutex: *mut ngx_shmtx_t) -> Locked {
        // SAFETY: by contract.
        unsafe { ngx_shmtx_lock(mutex) };
        Locked(mutex)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // SAFETY: `new` has locked it, and a zone stays mapped as long as its process lives.
        unsafe { ngx_shmtx_unlock(self.0) };
    }
}
