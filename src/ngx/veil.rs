//! A request as it would be, had its client left fields of its header away.

use std::ptr;

use cache_core::credentials::Credential;
use ngx::ffi::*;

use super::headers::lines;
use super::request::{OK, Request};
use super::text;

/// Hides fields of a request, and what was made of them, until it is dropped. Nobody else sees the request in between:
/// nginx isn't returned to.
///
/// Of the variables those are forgotten that nginx would make again: those of the field itself, and what `map`, `geo`
/// and the like have made. Those that the request was given once (by `set`, by a match, by another module) stay.
pub struct Veil {
    request: Request,
    kept: Option<Kept>,
}

/// What the request had before.
struct Kept {
    variables: Vec<ngx_http_variable_value_t>,
    lines: Vec<(*mut ngx_table_elt_t, ngx_uint_t)>,
    headers: ngx_http_headers_in_t,
    captures: (usize, *mut i32, *mut u_char),
}

impl Veil {
    /// Hides these fields. Without any nothing changes.
    pub fn over(request: Request, fields: &[Credential]) -> Veil {
        let kept = (!fields.is_empty()).then(|| {
            // SAFETY: a live request, which is put back by `drop`.
            unsafe { hide(request, fields) }
        });
        Veil { request, kept }
    }
}

impl Drop for Veil {
    fn drop(&mut self) {
        let Some(kept) = self.kept.take() else { return };
        let r = self.request.get_mut();
        // SAFETY: the request is live, its variables are as many as before, and so are its lines.
        unsafe {
            ptr::copy_nonoverlapping(kept.variables.as_ptr(), r.variables, kept.variables.len());
            for (line, hash) in kept.lines {
                (*line).hash = hash;
            }
        }
        r.headers_in = kept.headers;
        (r.ncaptures, r.captures, r.captures_data) = kept.captures;
    }
}

unsafe fn hide(request: Request, fields: &[Credential]) -> Kept {
    // SAFETY: by the caller live; each variable has a place, each line stays where it is.
    unsafe {
        let variables = (*request.indexed_variables()).as_slice::<ngx_http_variable_t>();
        let r = request.get_mut();
        let kept = Kept {
            variables: std::slice::from_raw_parts(r.variables, variables.len()).to_vec(),
            lines: lines(&r.headers_in.headers)
                .filter(|line| {
                    let name = text::bytes(&line.key);
                    let hides = |field: &Credential| name.eq_ignore_ascii_case(field.field());
                    fields.iter().any(hides)
                })
                .map(|line| (ptr::from_ref(line).cast_mut(), line.hash))
                .collect(),
            headers: ptr::read(&r.headers_in),
            captures: (r.ncaptures, r.captures, r.captures_data),
        };
        // A match of what is made again would write over those of the location.
        (r.ncaptures, r.captures, r.captures_data) = (0, ptr::null_mut(), ptr::null_mut());
        let mut forgotten = Vec::new();
        for (index, (variable, value)) in variables.iter().zip(&kept.variables).enumerate() {
            let name = text::bytes(&variable.name);
            if fields.iter().any(|field| field.makes(name)) || is_made(request, variable, value) {
                forgotten.push(index);
            }
        }
        // To find that out more of them may have been made.
        ptr::copy_nonoverlapping(kept.variables.as_ptr(), r.variables, kept.variables.len());
        for index in forgotten {
            ptr::write_bytes(r.variables.add(index), 0, 1);
        }
        for (line, _) in &kept.lines {
            (**line).hash = 0;
        }
        for field in fields {
            forget(*field, &mut r.headers_in);
        }
        kept
    }
}

/// What nginx knows of a field beside its lines.
fn forget(field: Credential, headers: &mut ngx_http_headers_in_t) {
    let nothing = ngx_str_t {
        len: 0,
        data: ptr::null_mut(),
    };
    match field {
        #[cfg(ngx_linked_headers)]
        Credential::Cookie => headers.cookie = ptr::null_mut(),
        #[cfg(not(ngx_linked_headers))]
        Credential::Cookie => headers.cookies.nelts = 0,
        Credential::Authorization => {
            headers.authorization = ptr::null_mut();
            (headers.user, headers.passwd) = (nothing, nothing);
        }
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
