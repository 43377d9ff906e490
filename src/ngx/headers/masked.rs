//! A request as it would be, had its client left fields of its header away.

use std::mem::offset_of;
use std::ptr;

use bytes::Bytes;
use cache_core::credentials::Credential;
use ngx::ffi::*;

use super::super::request::Request;
use super::super::text;
use super::super::values::KeptVariables;
use super::list::lines;

/// Hides fields of a request, and what was made of them, until it is dropped. Nobody else sees the request in between:
/// nginx isn't returned to.
///
/// Of the variables those are forgotten that nginx would make again: those of the field itself, and what `map`, `geo`
/// and the like have made. Those that the request was given once (by `set`, by a match, by another module) stay.
pub struct MaskedRequest {
    request: Request,
    kept: Option<Kept>,
}

/// What the request had before.
struct Kept {
    /// Put back by being dropped.
    variables: KeptVariables,
    lines: Vec<(*mut ngx_table_elt_t, ngx_uint_t)>,
    headers: ngx_http_headers_in_t,
}

impl MaskedRequest {
    /// Hides these fields. Without any nothing changes.
    pub fn new(
        request: Request,
        (credentials, others): (&[Credential], &[Bytes]),
    ) -> MaskedRequest {
        let kept = (!credentials.is_empty() || !others.is_empty()).then(|| {
            // SAFETY: a live request, which is put back by `drop`.
            unsafe { hide(request, credentials, others) }
        });
        MaskedRequest { request, kept }
    }
}

impl Drop for MaskedRequest {
    fn drop(&mut self) {
        let Some(kept) = self.kept.take() else { return };
        for (line, hash) in kept.lines {
            // SAFETY: the request is live, and so are its lines.
            unsafe { (*line).hash = hash };
        }
        // SAFETY: likewise.
        unsafe { self.request.change(|r| r.headers_in = kept.headers) };
    }
}

unsafe fn hide(request: Request, fields: &[Credential], others: &[Bytes]) -> Kept {
    // SAFETY: by the caller live; each line stays where it is.
    unsafe {
        let r = request.as_ptr();
        let kept = Kept {
            variables: KeptVariables::of(request),
            lines: lines(&(*r).headers_in.headers)
                .filter(|line| {
                    let name = text::bytes(&line.key);
                    let hides = |field: &Credential| name.eq_ignore_ascii_case(field.field());
                    fields.iter().any(hides)
                        || others.iter().any(|field| name.eq_ignore_ascii_case(field))
                })
                .map(|line| (ptr::from_ref(line).cast_mut(), line.hash))
                .collect(),
            headers: ptr::read(&(*r).headers_in),
        };
        kept.variables.forget_made(|name| {
            fields.iter().any(|field| field.makes(name))
                || others.iter().any(|field| is_of(name, field))
        });
        for (line, _) in &kept.lines {
            (**line).hash = 0;
            forget_line(*line, &mut (*r).headers_in);
        }
        for field in fields {
            forget(*field, &mut (*r).headers_in);
        }
        kept
    }
}

/// Whether a variable is `$http_name` of a field, which is in lower case.
fn is_of(variable: &[u8], field: &[u8]) -> bool {
    let spelt = |byte: &u8| if *byte == b'-' { b'_' } else { *byte };
    variable
        .strip_prefix(b"http_")
        .is_some_and(|name| field.iter().map(spelt).eq(name.iter().copied()))
}

/// nginx finds the lines of fields that it knows by pointers, one for each field, which it has in a structure.
///
/// # Safety
///
/// `line` is one of this header.
unsafe fn forget_line(line: *mut ngx_table_elt_t, headers: &mut ngx_http_headers_in_t) {
    #[cfg(not(ngx_linked_headers))]
    {
        // SAFETY: by contract.
        let name = unsafe { text::bytes(&(*line).key) };
        if name.eq_ignore_ascii_case(b"x-forwarded-for") {
            headers.x_forwarded_for.nelts = 0;
        }
    }
    const POINTER: usize = size_of::<*mut ngx_table_elt_t>();
    // The list of all lines stays: it begins with a pointer to the first of them.
    let list = offset_of!(ngx_http_headers_in_t, headers) / POINTER;
    let behind = list + size_of::<ngx_list_t>() / POINTER;
    let words = size_of::<ngx_http_headers_in_t>() / POINTER;
    let start = ptr::from_mut(headers).cast::<*mut ngx_table_elt_t>();
    for index in (0..list).chain(behind..words) {
        // SAFETY: the structure is as long as that, aligned for pointers and filled by nginx from zeroed memory; only what
        // is this pointer is written.
        unsafe {
            let place = start.add(index);
            if *place == line {
                *place = ptr::null_mut();
            }
        }
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
