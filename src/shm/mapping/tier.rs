//! The shared memory of a tier: records that workers keep before the servers of a store.
//!
//! nginx's own pages and mutex aren't used behind its start: the index has a mutex of its own that no worker waits for
//! longer than a moment, and its arena is cut as records need it (crate `tier`).

use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::lease::Lease;
use ngx::ffi::*;
use tier::{Layout, Tier};

use crate::ngx::memory;

/// Changes whenever the layout does, or what the words mean: workers of a module that knows another one have memory of their
/// own.
pub(super) const VERSION: u16 = 5;

/// Tells that it was laid out.
pub(super) const MAGIC: u64 = 0x7263_7469_6572_0000 | VERSION as u64;

/// What lies before the index.
#[repr(C, align(64))]
pub struct TierHeader {
    /// [`MAGIC`].
    magic: u64,
    /// Bytes behind this header.
    size: u64,
    /// Goes into the hashes of keys: nobody outside can choose keys that meet in one place.
    pub secret: [u64; 2],
    /// The worker that listens to the servers.
    pub feed: Lease,
    /// When it began to, in milliseconds.
    pub since: AtomicU64,
    /// The one that is to take over from it.
    pub successor: Lease,
    /// Until when changes are published, in milliseconds.
    telling: AtomicU64,
    /// The last number of the store's log of purges that is known.
    purged: AtomicU64,
    /// When a reading of that log began that has read all of it, in milliseconds. 0: none has.
    confirmed: AtomicU64,
}

impl TierHeader {
    /// Changes of this machine are to be published until then, in milliseconds, or later.
    pub fn tell_until(&self, until: u64) {
        self.telling.fetch_max(until, Ordering::Relaxed);
    }

    /// The last number of the store's log of purges that is known. Of a record with a lower number it isn't known whether it is
    /// purged.
    pub fn purged(&self) -> u64 {
        self.purged.load(Ordering::Acquire)
    }

    /// That number is at least this.
    pub fn raise_purged(&self, number: u64) {
        self.purged.fetch_max(number, Ordering::AcqRel);
    }

    /// When a reading of the log of purges began that has read all of it, in milliseconds. 0: none has.
    pub fn confirmed(&self) -> u64 {
        self.confirmed.load(Ordering::Acquire)
    }

    /// All of it was read, as it was then (milliseconds) at the earliest.
    pub fn confirm(&self, began: u64) {
        self.confirmed.store(began, Ordering::Release);
    }

    /// Until when they are, in milliseconds.
    pub fn tells_until(&self) -> u64 {
        self.telling.load(Ordering::Relaxed)
    }
}

/// The memory as a worker uses it.
#[derive(Clone, Copy)]
pub struct TierView {
    header: &'static TierHeader,
    words: &'static [AtomicU64],
    layout: Layout,
    arena: *mut u8,
}

/// Lays it out at the beginning of fresh memory.
///
/// # Safety
///
/// `pool` is a slab pool that no other process uses yet.
pub(super) unsafe fn lay_out(pool: *mut ngx_slab_pool_t) -> Option<*mut TierHeader> {
    // SAFETY: by contract; the allocation has room for what is written.
    unsafe {
        let size = (*pool).pfree.checked_mul(ngx_pagesize)?;
        let behind = size.checked_sub(size_of::<TierHeader>())?;
        Layout::of(behind)?;
        let header = ngx_slab_alloc(pool, size).cast::<TierHeader>();
        if header.is_null() {
            return None;
        }
        // Hits go to pages all over it. Before it is written to; where the system keeps to small pages nothing comes of it.
        libc::madvise(header.cast(), size, libc::MADV_HUGEPAGE);
        let mut random = [0_u64; 2];
        let got = libc::getrandom(random.as_mut_ptr().cast(), size_of_val(&random), 0);
        if usize::try_from(got) != Ok(size_of_val(&random)) {
            return None;
        }
        ptr::addr_of_mut!((*header).secret).write(random);
        ptr::addr_of_mut!((*header).size).write(behind as u64);
        ptr::addr_of_mut!((*header).magic).write(MAGIC);
        let view = view(header)?;
        // nginx maps zeroes, and may be built to write something else there (NGX_DEBUG_MALLOC).
        let word = |at: usize| view.words.get(at).is_none_or(|word| *word.as_ptr() == 0);
        if (0..64).all(word) && word(view.words.len().saturating_sub(1)) {
            Tier::lay_out_zeroed(view.words, view.layout)?;
        } else {
            Tier::lay_out(view.words, view.layout)?;
        }
        Some(header)
    }
}

/// # Safety
///
/// `header` was laid out, and stays mapped as long as the process lives.
pub(super) unsafe fn view(header: *mut TierHeader) -> Option<TierView> {
    // SAFETY: by contract: so many bytes lie behind the header, which is aligned as words are.
    unsafe {
        let layout = Layout::of(usize::try_from((*header).size).ok()?)?;
        let words = header.add(1).cast::<AtomicU64>();
        Some(TierView {
            header: &*header,
            words: std::slice::from_raw_parts(words, layout.control_words()),
            layout,
            arena: words.cast::<u8>().add(layout.arena_offset()),
        })
    }
}

impl TierView {
    /// What lies before the index.
    pub fn header(&self) -> &'static TierHeader {
        self.header
    }

    /// The index.
    pub fn tier(&self) -> Option<Tier<'static>> {
        Tier::attach(self.words, self.layout)
    }

    /// Has the processor fetch words of the index: a hint.
    pub fn prefetch(&self, words: Range<usize>) {
        if let Some(words) = self.words.get(words) {
            memory::prefetch(words.as_ptr(), size_of_val(words));
        }
    }

    /// So many bytes of the arena from this one on. `None` if they don't lie within it.
    pub fn bytes(&self, begin: usize, length: usize) -> Option<*mut u8> {
        let end = begin.checked_add(length)?;
        // SAFETY: within the arena, which is mapped as long as the process lives.
        (end <= self.layout.arena_bytes()).then(|| unsafe { self.arena.add(begin) })
    }
}
