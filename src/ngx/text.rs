//! Strings: nginx's `ngx_str_t` as bytes, and bytes as `ngx_str_t`.

use ngx::ffi::{ngx_pnalloc, ngx_pool_t, ngx_str_t};

/// The bytes of an nginx string.
///
/// # Safety
///
/// `text` is null-data-and-empty or points to `len` readable bytes that stay as they are for `'a`.
pub unsafe fn bytes<'a>(text: &ngx_str_t) -> &'a [u8] {
    if text.data.is_null() || text.len == 0 {
        return &[];
    }
    // SAFETY: the caller promises `len` readable bytes.
    unsafe { std::slice::from_raw_parts(text.data, text.len) }
}

/// An nginx string that points to `text`, which must outlive it.
pub fn borrowed(text: &'static [u8]) -> ngx_str_t {
    ngx_str_t {
        len: text.len(),
        data: text.as_ptr().cast_mut(),
    }
}

/// Copies bytes into a pool, with a NUL behind them as nginx's parsers expect of header values.
/// `None` if there is no memory.
///
/// # Safety
///
/// `pool` is a live pool.
pub unsafe fn copy(pool: *mut ngx_pool_t, text: &[u8]) -> Option<ngx_str_t> {
    // SAFETY: the pool is live; the allocation has room for the text and the NUL.
    unsafe {
        let data = ngx_pnalloc(pool, text.len() + 1).cast::<u8>();
        if data.is_null() {
            return None;
        }
        std::ptr::copy_nonoverlapping(text.as_ptr(), data, text.len());
        data.add(text.len()).write(0);
        Some(ngx_str_t {
            len: text.len(),
            data,
        })
    }
}
