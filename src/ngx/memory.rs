//! The allocator: memory that can't be had costs a request, not the worker.
//!
//! Rust ends the process when an allocation fails, which nginx never does. So what may be large (pieces of bodies,
//! records) is asked for by [`room`], which says no; and for all that is small and has no way to fail there is a
//! reserve, given back to the system when it has nothing left. While that is so the cache takes no new requests: they
//! go past it, by nginx's own means.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use bytes::Bytes;

/// Enough for what a thousand requests under way still need until they end. Nobody writes to it, so it costs addresses,
/// no memory; and it is so large that the system has it back at once when it is freed.
const RESERVE: usize = 8 << 20;

static HELD: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
/// The reserve was used, and isn't there again.
static SHORT: AtomicBool = AtomicBool::new(false);
/// Who asks can do without.
static MAY_FAIL: AtomicBool = AtomicBool::new(false);

/// Bytes of a line of the processor's cache.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 64;

/// Has the processor fetch so many bytes, from here on, for a read that comes soon. A hint: nothing but time depends on it,
/// and no address is wrong.
#[inline]
pub fn prefetch<T>(begin: *const T, bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let first = begin.cast::<i8>();
        let bytes = bytes + first.addr() % LINE;
        let mut line = 0;
        while line < bytes {
            // SAFETY: always: the processor ignores an address that can't be read.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(first.wrapping_add(line)) };
            line += LINE;
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (begin, bytes);
}

/// The system's allocator, with a reserve behind it.
struct Reserved;

#[global_allocator]
static ALLOCATOR: Reserved = Reserved;

fn layout() -> Layout {
    Layout::new::<[u8; RESERVE]>()
}

/// Gives the reserve back to the system. Whether there was one.
fn spend() -> bool {
    if MAY_FAIL.load(Ordering::Relaxed) {
        return false;
    }
    let held = HELD.swap(ptr::null_mut(), Ordering::Relaxed);
    if held.is_null() {
        return false;
    }
    SHORT.store(true, Ordering::Relaxed);
    // SAFETY: it was allocated so by `restore`, and nobody else has it any more.
    unsafe { System.dealloc(held, layout()) };
    true
}

// SAFETY: all memory comes from the system's allocator and goes back to it, with the same layouts; nothing here
// unwinds.
unsafe impl GlobalAlloc for Reserved {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: by the caller's contract.
        unsafe {
            let memory = System.alloc(layout);
            if memory.is_null() && spend() {
                return System.alloc(layout);
            }
            memory
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: by the caller's contract.
        unsafe {
            let memory = System.alloc_zeroed(layout);
            if memory.is_null() && spend() {
                return System.alloc_zeroed(layout);
            }
            memory
        }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: by the caller's contract; a reallocation that fails leaves the old memory as it is.
        unsafe {
            let memory = System.realloc(old, layout, size);
            if memory.is_null() && spend() {
                return System.realloc(old, layout, size);
            }
            memory
        }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: by the caller's contract.
        unsafe { System.dealloc(memory, layout) };
    }
}

/// Puts the reserve aside, for the first time or again. Whether it is there.
pub fn restore() -> bool {
    if HELD.load(Ordering::Relaxed).is_null() {
        // SAFETY: the layout has a size.
        let memory = unsafe { System.alloc(layout()) };
        HELD.store(memory, Ordering::Relaxed);
        SHORT.store(memory.is_null(), Ordering::Relaxed);
    }
    !is_short()
}

/// Whether the reserve is in use: what takes memory shall end.
pub fn is_short() -> bool {
    SHORT.load(Ordering::Relaxed)
}

/// Room for so many bytes, if there is memory for them.
pub fn room(bytes: usize) -> Option<Vec<u8>> {
    let mut room = Vec::new();
    MAY_FAIL.store(true, Ordering::Relaxed);
    let granted = room.try_reserve_exact(bytes);
    MAY_FAIL.store(false, Ordering::Relaxed);
    granted.ok().map(|()| room)
}

/// A copy, if there is memory for it.
pub fn copy(bytes: &[u8]) -> Option<Bytes> {
    let mut copy = room(bytes.len())?;
    copy.extend_from_slice(bytes);
    Some(Bytes::from(copy))
}

/// A piece of this size comes from the system, and goes back to it, for glibc's malloc as it begins.
const MAPPED: usize = 1 << 20;

/// Has the allocator keep what is freed for what comes next, up to [`MAPPED`] twice. The bodies of one turn of the loop are
/// read, sent and freed together; to give their memory back each time, and to have it anew, a page at a time, takes as long
/// as to read them.
///
/// glibc adapts to the largest piece that it has given back to the system (`M_MMAP_THRESHOLD` in mallopt(3)): with the first
/// large body it would come to the same.
pub fn keep_freed() {
    #[cfg(target_env = "gnu")]
    drop(std::hint::black_box(room(MAPPED)));
}

/// Less than this the allocator may keep for what comes next.
const WORTH: usize = 1 << 20;

/// So many bytes were freed, in pieces that the allocator keeps: the system gets them back.
pub fn give_back(bytes: usize) {
    #[cfg(target_env = "gnu")]
    if bytes >= WORTH {
        // SAFETY: it may be called at any time.
        unsafe { libc::malloc_trim(0) };
    }
}
