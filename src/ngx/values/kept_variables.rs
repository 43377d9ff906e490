//! The values that a request's variables have so far, kept while others are made.
//!
//! A `map` keeps its value, though what it was made of may change before nginx itself would ask for it.

use std::ptr;

use cache_core::complex_value::names_variable;
use ngx::ffi::*;

use super::super::request::{OK, Request};
use super::super::{shim, text};
use super::captures::KeptCaptures;

/// Keeps the values of a request's variables, and its captures, until it is dropped. What is made in between is
/// forgotten then.
pub struct KeptVariables {
    request: Request,
    values: Vec<ngx_http_variable_value_t>,
    captures: KeptCaptures,
}

impl KeptVariables {
    /// Those that a request has now.
    pub fn of(request: Request) -> KeptVariables {
        // SAFETY: a request has a place for each variable of its configuration.
        let values = unsafe {
            let known = (*request.indexed_variables()).nelts;
            std::slice::from_raw_parts(request.get().variables, known).to_vec()
        };
        KeptVariables {
            request,
            values,
            captures: KeptCaptures::of(request),
        }
    }

    /// Forgets those whose name `also` tells, and those that nginx would make again of what the request is now, as
    /// `map` and `geo` do. Those that were given once (by `set`, by a match, by another module) stay.
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

    /// Forgets those that nginx would make again, and hides those that another request for the same URI may have otherwise, so that it
    /// shows which of them are asked for: gives their indexes. `is_other`: tells some by name.
    pub(super) fn hide(&self, is_other: impl Fn(&[u8]) -> bool) -> Vec<usize> {
        // SAFETY: a live request; each variable has a place.
        unsafe {
            let variables = (*self.request.indexed_variables()).as_slice::<ngx_http_variable_t>();
            let (mut hidden, mut forgotten) = (Vec::new(), Vec::new());
            for (index, (variable, value)) in variables.iter().zip(&self.values).enumerate() {
                if is_set(variable) || is_other(text::bytes(&variable.name)) {
                    hidden.push(index);
                } else if is_given(variable, value) {
                    if !is_found(self.request, variable, value) {
                        forgotten.push(index);
                    } else if !is_of_target(self.request, value) {
                        hidden.push(index);
                    }
                }
                self.captures.rewind();
            }
            // To find that out more of them may have been made.
            self.restore();
            for index in forgotten.iter().chain(&hidden) {
                ptr::write_bytes(self.request.get().variables.add(*index), 0, 1);
            }
            hidden
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

impl Drop for KeptVariables {
    fn drop(&mut self) {
        self.restore();
    }
}

impl Request {
    /// Whether its URI is still the one that the client has sent: no rewrite has changed it.
    pub fn has_uri_as_sent(self) -> bool {
        // SAFETY: a live request.
        unsafe { shim::rcs_get_valid_unparsed_uri(self.as_ptr()) != 0 }
    }

    /// Whether the groups of its last match, such as `$1`, are parts of its URI.
    pub fn has_captures_of_uri(self) -> bool {
        let r = self.get();
        r.captures_data == r.uri.data
    }

    /// Whether a value with `$variables` names one that `set`, or a module that does likewise, gives its value.
    pub fn names_written_variable(self, template: &[u8]) -> bool {
        // SAFETY: the variables of the request's configuration.
        let variables = unsafe { (*self.indexed_variables()).as_slice::<ngx_http_variable_t>() };
        variables.iter().any(|variable| {
            // SAFETY: names live as long as the configuration.
            let name = unsafe { text::bytes(&variable.name) };
            let may_change = variable.flags & NGX_HTTP_VAR_CHANGEABLE as ngx_uint_t != 0;
            may_change && is_set(variable) && names_variable(template, name)
        })
    }
}

/// Whether `set`, or a module that does likewise, gives a variable its value: such a variable is known by its data.
fn is_set(variable: &ngx_http_variable_t) -> bool {
    variable.flags & NGX_HTTP_VAR_WEAK as ngx_uint_t != 0 || variable.data == variable.index
}

/// Whether a value is what the variable's handler would make again, as of a `map`. Those of `set` and of modules that
/// do likewise have one only for want of a value; it complains in the log.
unsafe fn is_made(
    r: Request,
    variable: &ngx_http_variable_t,
    value: &ngx_http_variable_value_t,
) -> bool {
    if is_set(variable) || !is_given(variable, value) {
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

/// Whether a variable has a value that its handler knows nothing of, as that of a match's named group.
///
/// # Safety
///
/// As nginx calls handlers.
unsafe fn is_found(
    r: Request,
    variable: &ngx_http_variable_t,
    value: &ngx_http_variable_value_t,
) -> bool {
    let Some(handler) = variable.get_handler else {
        return true;
    };
    // SAFETY: nginx calls it so.
    unsafe {
        let mut again: ngx_http_variable_value_t = std::mem::zeroed();
        let code = handler(r.as_ptr(), &mut again, variable.data);
        value.valid() != 0 && (code != OK || again.valid() == 0)
    }
}

/// Whether a value is a part of the request's URI, or of its host: what the pattern of a location or of a server's name has found
/// there.
fn is_of_target(r: Request, value: &ngx_http_variable_value_t) -> bool {
    let r = r.get();
    let end = (value.data as usize).saturating_add(value.len() as usize);
    [r.uri, r.headers_in.server].iter().any(|text| {
        let begin = text.data as usize;
        begin <= value.data as usize && end <= begin.saturating_add(text.len)
    })
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
