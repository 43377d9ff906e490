//! The captures of a regular expression, `$1` and its like: kept while a value is evaluated, or copied.
//!
//! A `map` with a regular expression writes its own groups over those of the location, which the URI of the backend may
//! be made of.

use std::ptr;

use ngx::ffi::*;

use super::super::request::Request;
use super::super::{shim, text};

/// Of so many offsets none is that of a group: they tell where the whole match lies.
const WHOLE_MATCH: usize = 2;

/// Keeps the captures of a request until it is dropped. Until then they can be read as before, and a match writes to
/// memory of its own.
pub struct KeptCaptures {
    request: Request,
    count: usize,
    offsets: *mut i32,
    text: *mut u_char,
    /// `realloc_captures`: the offsets are another request's, too.
    shared: ngx_uint_t,
    /// What a match may write to; `None` if there is no memory. Only where groups are in use.
    copy: Option<*mut i32>,
}

impl KeptCaptures {
    /// Those that a request has now.
    pub fn of(request: Request) -> KeptCaptures {
        let r = request.get();
        let copy = has_groups(r).then(|| {
            // SAFETY: a live request, with its pool.
            unsafe { offsets(request, r.pool) }
        });
        let kept = KeptCaptures {
            request,
            count: r.ncaptures,
            offsets: r.captures,
            text: r.captures_data,
            // SAFETY: a live request.
            shared: unsafe { shim::rcs_get_realloc_captures(request.as_ptr()) },
            copy: copy.flatten(),
        };
        kept.rewind();
        kept
    }

    /// Whether there are groups that a value may name.
    pub fn has_groups(&self) -> bool {
        self.copy.is_some()
    }

    /// Shows the request its own captures again, after a match.
    pub fn rewind(&self) {
        // SAFETY: a live request, of which nothing else is held meanwhile.
        let r = unsafe { &mut *self.request.as_ptr() };
        r.captures_data = self.text;
        let Some(copy) = self.copy else {
            r.ncaptures = self.count.min(WHOLE_MATCH);
            if self.count > WHOLE_MATCH {
                // No memory for a copy. What is kept isn't to be written to.
                r.captures = ptr::null_mut();
            }
            return;
        };
        r.ncaptures = self.count;
        r.captures = copy;
        // SAFETY: both arrays hold as many offsets as nginx's longest match, and `count` of them are in use.
        unsafe {
            ptr::copy_nonoverlapping(self.offsets, copy, self.count);
            shim::rcs_set_realloc_captures(self.request.as_ptr(), 0);
        }
    }
}

impl Drop for KeptCaptures {
    fn drop(&mut self) {
        // SAFETY: as above.
        let r = unsafe { &mut *self.request.as_ptr() };
        (r.ncaptures, r.captures_data) = (self.count, self.text);
        // Where there were none, what a match has allocated serves the next one.
        if !self.offsets.is_null() {
            r.captures = self.offsets;
            // SAFETY: a live request.
            unsafe { shim::rcs_set_realloc_captures(self.request.as_ptr(), self.shared) };
        }
    }
}

/// Whether values may name groups of the last match.
fn has_groups(r: &ngx_http_request_t) -> bool {
    r.ncaptures > WHOLE_MATCH && !r.captures.is_null() && !r.captures_data.is_null()
}

/// Room for the offsets of any match of the configuration, as `ngx_http_regex_exec` allocates it, filled with zeros.
///
/// # Safety
///
/// `request` and `pool` are live.
unsafe fn offsets(request: Request, pool: *mut ngx_pool_t) -> Option<*mut i32> {
    // SAFETY: by contract. The room is at least as long as what the request has in use.
    unsafe {
        let conf = (*request.get().main_conf.add(ngx_http_core_module.ctx_index))
            .cast::<ngx_http_core_main_conf_t>();
        let length = (*conf).ncaptures.max(request.get().ncaptures);
        let room = ngx_pcalloc(pool, length.checked_mul(size_of::<i32>())?).cast::<i32>();
        (!room.is_null()).then_some(room)
    }
}

/// Gives `to` the groups that `from` has captured, `$1` and its like, in memory of its own.
///
/// Each group is copied by itself: of the text around them it isn't known how far it can be read.
///
/// # Safety
///
/// Both requests are live and of one configuration.
pub unsafe fn copy_captures(from: Request, to: *mut ngx_http_request_t) -> Option<()> {
    let r = from.get();
    if !has_groups(r) {
        return Some(());
    }
    // SAFETY: `captures` holds `ncaptures` offsets, each group's from the third on, into `captures_data`.
    unsafe {
        let pool = (*to).pool;
        let known = std::slice::from_raw_parts(r.captures, r.ncaptures);
        let room = offsets(from, pool)?;
        let copied = std::slice::from_raw_parts_mut(room, r.ncaptures);
        let mut packed = Vec::new();
        let groups = known.chunks_exact(2).zip(copied.chunks_exact_mut(2));
        for (group, place) in groups.skip(1) {
            let ([start, end], [first, last]) = (group, place) else {
                continue;
            };
            *first = i32::try_from(packed.len()).ok()?;
            // A group that has matched nothing has -1 twice.
            if let (Ok(start), Ok(end)) = (usize::try_from(*start), usize::try_from(*end))
                && start < end
            {
                let text = r.captures_data.add(start);
                packed.extend_from_slice(std::slice::from_raw_parts(text, end - start));
            }
            *last = i32::try_from(packed.len()).ok()?;
        }
        (*to).captures_data = text::copy(pool, &packed)?.data;
        (*to).captures = room;
        (*to).ncaptures = r.ncaptures;
    }
    Some(())
}

/// Gives `to` the groups that `from` has captured, as nginx does for a subrequest that is a clone: the next match of
/// either writes to memory of its own.
///
/// # Safety
///
/// Both requests are live and of one connection.
pub unsafe fn share_captures(from: *mut ngx_http_request_t, to: *mut ngx_http_request_t) {
    // SAFETY: by contract.
    unsafe {
        (*to).ncaptures = (*from).ncaptures;
        (*to).captures = (*from).captures;
        (*to).captures_data = (*from).captures_data;
        for request in [from, to] {
            shim::rcs_set_realloc_captures(request, 1);
        }
    }
}
