//! Rust values whose life is that of an nginx pool.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::slice;

use bytes::Bytes;
use ngx::ffi::{ngx_pnalloc, ngx_pool_cleanup_add, ngx_pool_t};

use super::guard::guard;

/// Moves a value into a pool and drops it when the pool is destroyed. `None` if there is no memory.
///
/// # Safety
///
/// `pool` is a live pool. The pointer is good until the pool's cleanups run.
pub unsafe fn keep<T: 'static>(pool: *mut ngx_pool_t, value: T) -> Option<NonNull<T>> {
    // SAFETY: the pool is live, and gives memory of that size; the handler gets the pointer to it, once, and a
    // cleanup without a handler isn't run.
    unsafe {
        // nginx aligns to a word, which may be less than `T` asks for.
        let size = size_of::<T>() + align_of::<T>() - 1;
        let cleanup = ngx_pool_cleanup_add(pool, size).as_mut()?;
        let place = cleanup.data.cast::<u8>();
        let kept = NonNull::new(place.add(place.align_offset(align_of::<T>())).cast::<T>())?;
        cleanup.data = kept.as_ptr().cast();
        kept.write(value);
        cleanup.handler = Some(drop_kept::<T>);
        Some(kept)
    }
}

/// Copies bytes into a pool. `None` if there is no memory.
///
/// # Safety
///
/// `pool` is a live pool. The copy, and what shares it, is dropped before the pool's memory is freed: a cleanup of the pool
/// is soon enough.
pub unsafe fn copy(pool: *mut ngx_pool_t, bytes: &[u8]) -> Option<Bytes> {
    // SAFETY: the pool gives memory of that size, which is written before it is read and lives as long as the copy, by
    // contract.
    unsafe {
        let place = ngx_pnalloc(pool, bytes.len()).cast::<u8>();
        if place.is_null() {
            return None;
        }
        place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        Some(Bytes::from_static(slice::from_raw_parts(
            place,
            bytes.len(),
        )))
    }
}

/// The value of type `T` kept in the pool last for which `wanted` holds.
///
/// # Safety
///
/// `pool` is a live pool, and no type but `T` shares the code of its drop.
pub unsafe fn find<T: 'static>(
    pool: *mut ngx_pool_t,
    wanted: impl Fn(&T) -> bool,
) -> Option<NonNull<T>> {
    let ours: unsafe extern "C" fn(*mut c_void) = drop_kept::<T>;
    // SAFETY: cleanups form a list that ends with null; `data` beside our handler is ours.
    unsafe {
        let mut cleanup = (*pool).cleanup;
        while let Some(entry) = cleanup.as_ref() {
            if entry
                .handler
                .is_some_and(|handler| handler as usize == ours as usize)
                && let Some(kept) = NonNull::new(entry.data.cast::<T>())
                && wanted(kept.as_ref())
            {
                return Some(kept);
            }
            cleanup = entry.next;
        }
    }
    None
}

unsafe extern "C" fn drop_kept<T>(data: *mut c_void) {
    guard("pool cleanup", (), || {
        // SAFETY: `keep` has written a value there, and nginx calls a cleanup once.
        unsafe { data.cast::<T>().drop_in_place() };
    });
}
