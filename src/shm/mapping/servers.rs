//! The memory in which the responses of server blocks are counted.

use std::ptr;

use cache_core::counters::LAYOUT;
use ngx::ffi::*;

use super::super::counters::ServerCounters;

/// Changes whenever the layout does.
pub const MAGIC: u64 = 0x7263_7372_7672_0001 ^ LAYOUT;

/// What lies before the counters.
#[repr(C, align(64))]
pub struct ServersHeader {
    /// [`MAGIC`].
    magic: u64,
    /// How many server blocks there are.
    count: u64,
}

/// Bytes of nginx's memory for so many server blocks: nginx's own pages are small beside it.
pub fn size(count: usize) -> usize {
    let own = size_of::<ServersHeader>() + count * size_of::<ServerCounters>();
    own + own / 64 + 64 * 1024
}

/// Lays it out.
///
/// # Safety
///
/// `pool` is a slab pool that no other process uses yet.
pub unsafe fn lay_out(pool: *mut ngx_slab_pool_t, size: usize) -> Option<*mut ServersHeader> {
    let count = (0..).find(|count| self::size(count + 1) > size)?;
    let own = size_of::<ServersHeader>() + count * size_of::<ServerCounters>();
    // SAFETY: by contract; the allocation is zeroed and has room for what is written, and counters of zero are valid.
    unsafe {
        let header = ngx_slab_calloc(pool, own).cast::<ServersHeader>();
        if header.is_null() {
            return None;
        }
        ptr::addr_of_mut!((*header).count).write(count as u64);
        ptr::addr_of_mut!((*header).magic).write(MAGIC);
        Some(header)
    }
}

/// The counters of a server block. `None` if there is no such place.
///
/// # Safety
///
/// `header` was made by [`lay_out`], and its memory stays mapped.
pub unsafe fn counters<'a>(
    header: *const ServersHeader,
    place: usize,
) -> Option<&'a ServerCounters> {
    // SAFETY: by contract: so many follow the header.
    unsafe {
        let header = header.as_ref()?;
        (place < usize::try_from(header.count).unwrap_or(0)).then(|| {
            let first = ptr::from_ref(header).add(1).cast::<ServerCounters>();
            &*first.add(place)
        })
    }
}
