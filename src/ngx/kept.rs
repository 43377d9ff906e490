//! What an evaluation must leave as it was: the captures of the location's regular expression, and the values that
//! variables have so far.
//!
//! A `map` with a regular expression writes its own groups over `$1`, which the URI of the backend may be made of. And it
//! keeps its value, though what it was made of may change before nginx itself would ask for it.

use std::ptr;

use ngx::ffi::*;

use super::request::{OK, Request};
use super::{shim, text};

/// Of so many offsets none is that of a group: they tell where the whole match lies.
const WHOLE_MATCH: usize = 2;

/// Keeps the captures of a request until it is dropped. Until then they can be read as before, and a match writes to
/// memory of its own.
pub struct Captures {
    request: Request,
    count: usize,
    offsets: *mut i32,
    text: *mut u_char,
    /// `realloc_captures`: the offsets are another request's, too.
    shared: ngx_uint_t,
    /// What a match may write to; `None` if there is no memory. Only where groups are in use.
    copy: Option<*mut i32>,
}

impl Captures {
    /// Keeps those of a request.
    pub fn keep(request: Request) -> Captures {
        let r = request.get();
        let copy = has_groups(r).then(|| {
            // SAFETY: a live request, with its pool.
            unsafe { offsets(request, r.pool) }
        });
        let kept = Captures {
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

impl Drop for Captures {
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

/// Keeps the values of a request's variables, and its captures, until it is dropped. What is made in between is forgotten
/// then.
pub struct Variables {
    request: Request,
    values: Vec<ngx_http_variable_value_t>,
    captures: Captures,
}

impl Variables {
    /// Keeps those of a request.
    pub fn keep(request: Request) -> Variables {
        // SAFETY: a request has a place for each variable of its configuration.
        let values = unsafe {
            let known = (*request.indexed_variables()).nelts;
            std::slice::from_raw_parts(request.get().variables, known).to_vec()
        };
        Variables {
            request,
            values,
            captures: Captures::keep(request),
        }
    }

    /// Forgets those whose name `also` tells, and those that nginx would make again of what the request is now, as `map`
    /// and `geo` do. Those that were given once (by `set`, by a match, by another module) stay.
    pub fn forget_made(&self, also: impl Fn(&[u8]) -> bool) {
        // SAFETY: a live request; each variable has a place.
        unsafe {
            let variables = (*self.request.indexed_variables()).as_slice::<ngx_http_variable_t>();
            let mut forgotten = Vec::new();
            for (index, (variable, value)) in variables.iter().zip(&self.values).enumerate() {
                if also(text::bytes(&variable.name)) || is_made(self.request, variable, value) {
                    forgotten.push(index);
                }
                self.captures.rewind();
            }
            // To find that out more of them may have been made.
            self.restore();
            for index in forgotten {
                ptr::write_bytes(self.request.get().variables.add(index), 0, 1);
            }
        }
    }

    fn restore(&self) {
        let to = self.request.get().variables;
        // SAFETY: the request is live, and its variables are as many as before.
        unsafe {
            let variables = (*self.request.indexed_variables()).as_slice::<ngx_http_variable_t>();
            for (index, (variable, value)) in variables.iter().zip(&self.values).enumerate() {
                // One made anew would be another.
                if text::bytes(&variable.name) != b"request_id" {
                    ptr::copy_nonoverlapping(value, to.add(index), 1);
                }
            }
        }
    }
}

impl Drop for Variables {
    fn drop(&mut self) {
        self.restore();
    }
}

/// Whether a value is what the variable's handler would make again, as of a `map`. Those of `set` and of modules that do
/// likewise have one only for want of a value; it complains in the log. They are known by their data.
unsafe fn is_made(
    r: Request,
    variable: &ngx_http_variable_t,
    value: &ngx_http_variable_value_t,
) -> bool {
    let is_set =
        variable.flags & NGX_HTTP_VAR_WEAK as ngx_uint_t != 0 || variable.data == variable.index;
    if is_set || !is_given(variable, value) {
        return false;
    }
    let Some(handler) = variable.get_handler else {
        return false;
    };
    // SAFETY: nginx calls it so; values are as long as they say.
    unsafe {
        let mut again: ngx_http_variable_value_t = std::mem::zeroed();
        handler(r.as_ptr(), &mut again, variable.data) == OK && same(&again, value)
    }
}

/// Whether a variable has a value that may have been given to it, rather than read off the request.
fn is_given(variable: &ngx_http_variable_t, value: &ngx_http_variable_value_t) -> bool {
    variable.flags & NGX_HTTP_VAR_CHANGEABLE as ngx_uint_t != 0
        && (value.valid() != 0 || value.not_found() != 0)
}

/// # Safety
///
/// Each value, if valid, points to as many bytes as it says.
unsafe fn same(one: &ngx_http_variable_value_t, other: &ngx_http_variable_value_t) -> bool {
    let bytes = |value: &ngx_http_variable_value_t| {
        (value.valid() != 0).then(|| {
            let text = ngx_str_t {
                len: value.len() as usize,
                data: value.data,
            };
            // SAFETY: by contract.
            unsafe { text::bytes(&text) }
        })
    };
    bytes(one) == bytes(other)
}
