//! How the shared memory of a zone, and what all zones have in common, is laid out when nginx maps it.

use std::ptr;
use std::sync::atomic::AtomicU64;

use ngx::ffi::*;
use ngx::ngx_log_error;

use super::super::counters::ZoneCounters;
use super::super::locks::{Entry, MAGIC, Table, TableHeader, WORKERS};
use super::super::search_rules;
use super::super::uses;
use super::common::{self, Common};
use super::names;
use super::servers;
use super::store::{self, StoreState};
use super::tier;
use crate::ngx::guard::guard;
use crate::ngx::request::{Code, ERROR, OK};

/// Enough for [`StoreState`] and nginx's own pages. What is declared beyond it is room for the topology.
pub(super) const STORE_SIZE: usize = size_of::<StoreState>() + 64 * 1024;

/// Most bytes of rules of No-Vary-Search: those of 2048 paths.
const MOST_RULES: usize = 2048 * search_rules::SLOT * size_of::<AtomicU64>();

/// # Safety
///
/// `header` begins a table laid out by `lay_out`, and the caller holds the zone's mutex.
pub(super) unsafe fn table<'a>(header: *mut TableHeader) -> Table<'a> {
    // SAFETY: by contract: entries follow the tags, the tags the header.
    unsafe {
        let count = usize::try_from((*header).entries).unwrap_or(0);
        let tags = header.add(1).cast::<u64>();
        let entries = tags.add(count).cast::<Entry>();
        Table {
            header: &mut *header,
            tags: std::slice::from_raw_parts_mut(tags, count),
            entries: std::slice::from_raw_parts_mut(entries, count),
        }
    }
}

/// What nginx calls when it has mapped shared memory.
pub(super) type Init = unsafe extern "C" fn(*mut ngx_shm_zone_t, *mut std::ffi::c_void) -> Code;

/// The memory that nginx gives: laid out already, or to be laid out.
///
/// # Safety
///
/// `zone` is mapped, with a slab pool in it, and `old` the data of the zone before it, if that had the same size.
unsafe fn adopt(
    zone: *mut ngx_shm_zone_t,
    old: *mut std::ffi::c_void,
    magic: u64,
    lay_out: impl FnOnce(*mut ngx_slab_pool_t) -> Option<*mut std::ffi::c_void>,
) -> Code {
    // SAFETY: by contract; what we lay out begins with its magic number.
    unsafe {
        let pool = (*zone).shm.addr.cast::<ngx_slab_pool_t>();
        let known = if old.is_null() && (*zone).shm.exists != 0 {
            (*pool).data
        } else {
            old
        };
        if !known.is_null() && *known.cast::<u64>() == magic {
            (*zone).data = known;
            return OK;
        }
        let Some(data) = lay_out(pool) else {
            let name = names::in_configuration(&*zone);
            ngx_log_error!(
                NGX_LOG_EMERG,
                (*zone).shm.log,
                "zone \"{name}\" is too small"
            );
            return ERROR;
        };
        (*pool).data = data;
        (*zone).data = data;
        OK
    }
}

/// nginx calls this when the zone is mapped: at start, and at a reload with the data of the zone
/// before it, where name and size are the same.
pub(super) unsafe extern "C" fn init(
    zone: *mut ngx_shm_zone_t,
    old: *mut std::ffi::c_void,
) -> Code {
    guard("zone init", ERROR, || {
        // SAFETY: nginx gives a mapped zone, with a slab pool in it that no other process uses yet if it is new.
        unsafe {
            adopt(zone, old, MAGIC, |pool| {
                lay_out(pool).map(|header| header.cast())
            })
        }
    })
}

/// The same for what all zones have in common, whose name and size are always the same.
pub(super) unsafe extern "C" fn init_common(
    zone: *mut ngx_shm_zone_t,
    old: *mut std::ffi::c_void,
) -> Code {
    guard("zone init", ERROR, || {
        // SAFETY: as above.
        unsafe {
            adopt(zone, old, common::MAGIC, |pool| {
                lay_out_common(pool).map(|common| common.cast())
            })
        }
    })
}

/// The same for the memory of a store.
pub(super) unsafe extern "C" fn init_store(
    zone: *mut ngx_shm_zone_t,
    old: *mut std::ffi::c_void,
) -> Code {
    guard("store memory init", ERROR, || {
        // SAFETY: as above.
        unsafe {
            adopt(zone, old, store::MAGIC, |pool| {
                // What the declaration has added to the rest is room for the topology.
                let room = (*zone).shm.size.checked_sub(STORE_SIZE)?;
                let state = ngx_slab_calloc(pool, size_of::<StoreState>() + room);
                if state.is_null() {
                    return None;
                }
                StoreState::lay_out(state.cast(), (room / size_of::<u64>()) as u64);
                Some(state)
            })
        }
    })
}

/// The same for the counters of server blocks.
pub(super) unsafe extern "C" fn init_servers(
    zone: *mut ngx_shm_zone_t,
    old: *mut std::ffi::c_void,
) -> Code {
    guard("counters init", ERROR, || {
        // SAFETY: as above.
        unsafe {
            adopt(zone, old, servers::MAGIC, |pool| {
                servers::lay_out(pool, (*zone).shm.size).map(|header| header.cast())
            })
        }
    })
}

/// The same for the memory tier of a store.
pub(super) unsafe extern "C" fn init_tier(
    zone: *mut ngx_shm_zone_t,
    old: *mut std::ffi::c_void,
) -> Code {
    guard("memory tier init", ERROR, || {
        // SAFETY: as above.
        unsafe {
            adopt(zone, old, tier::MAGIC, |pool| {
                tier::lay_out(pool).map(|header| header.cast())
            })
        }
    })
}

/// # Safety
///
/// `pool` is a slab pool that no other process uses yet.
unsafe fn lay_out_common(pool: *mut ngx_slab_pool_t) -> Option<*mut Common> {
    let mut random = [0; 24];
    // SAFETY: by contract; the allocation is zeroed and has room for what is written, and counters of zero are valid.
    unsafe {
        let got = libc::getrandom(random.as_mut_ptr().cast(), random.len(), 0);
        if usize::try_from(got) != Ok(random.len()) {
            return None;
        }
        let common = ngx_slab_calloc(pool, size_of::<Common>()).cast::<Common>();
        if common.is_null() {
            return None;
        }
        let (instance, secret) = random.split_at(8);
        ptr::addr_of_mut!((*common).instance).write(u64::from_ne_bytes(instance.try_into().ok()?));
        ptr::addr_of_mut!((*common).secret).write(secret.try_into().ok()?);
        ptr::addr_of_mut!((*common).magic).write(common::MAGIC);
        Some(common)
    }
}

/// Half of the zone becomes the lock table, up to a quarter counts requests, and a part has the rules of No-Vary-Search; the
/// rest is for what else workers will share.
///
/// # Safety
///
/// `pool` is a slab pool that no other process uses yet.
unsafe fn lay_out(pool: *mut ngx_slab_pool_t) -> Option<*mut TableHeader> {
    // SAFETY: by contract; the allocation has room for what is written.
    unsafe {
        let size = (*pool).pfree * ngx_pagesize / 2;
        let count =
            size.checked_sub(size_of::<TableHeader>())? / (size_of::<Entry>() + size_of::<u64>());
        if count == 0 {
            return None;
        }
        let header = ngx_slab_calloc(pool, size).cast::<TableHeader>();
        if header.is_null() {
            return None;
        }
        ptr::addr_of_mut!((*header).magic).write(MAGIC);
        ptr::addr_of_mut!((*header).entries).write(count as u64);
        ptr::addr_of_mut!((*header).workers).write([0; WORKERS]);
        let counters = ngx_slab_calloc(pool, size_of::<ZoneCounters>());
        if counters.is_null() {
            return None;
        }
        // Workers are forked: it lies at the same address in all of them.
        ptr::addr_of_mut!((*header).counters).write(counters.expose_provenance() as u64);
        let (uses, words) = lay_out_words(pool, size / 2, uses::ROW);
        ptr::addr_of_mut!((*header).uses).write(uses.expose_provenance() as u64);
        ptr::addr_of_mut!((*header).use_words).write(words as u64);
        let (rules, words) = lay_out_words(pool, MOST_RULES, search_rules::ROW);
        ptr::addr_of_mut!((*header).rules).write(rules.expose_provenance() as u64);
        ptr::addr_of_mut!((*header).rule_words).write(words as u64);
        for entry in table(header).entries {
            *entry = Entry::EMPTY;
        }
        Some(header)
    }
}

/// Room for a table of words without a mutex, in rows of so many, and how many words it has: so many bytes at most, and no
/// more than half of what is left.
///
/// # Safety
///
/// `pool` is a slab pool that no other process uses yet.
unsafe fn lay_out_words(
    pool: *mut ngx_slab_pool_t,
    most: usize,
    row: usize,
) -> (*mut AtomicU64, usize) {
    // SAFETY: by contract. Zeroes are counts, and free slots.
    unsafe {
        let size = most.min((*pool).pfree / 2 * ngx_pagesize);
        let size = size - size % (row * size_of::<AtomicU64>());
        if size == 0 {
            return (ptr::null_mut(), 0);
        }
        let words = ngx_slab_calloc(pool, size).cast::<AtomicU64>();
        let count = if words.is_null() {
            0
        } else {
            size / size_of::<AtomicU64>()
        };
        (words, count)
    }
}
