//! A masked request: some fields of its header are hidden, as if its client hadn't sent them.

use std::mem::offset_of;
use std::ptr;

use bytes::Bytes;
use cache_core::credentials::Credential;
use ngx::ffi::*;

use super::super::request::Request;
use super::super::text;
use super::super::values::KeptVariables;
use super::list::lines;

/// Hides fields of a request, and the variables that were made of them, until it is dropped. Only its owner sees the
/// request masked: control doesn't return to nginx in between.
///
/// nginx makes some variables again without the fields: `$http_name` of each field, and those of `map`, `geo` and the
/// like. Variables that were given to the request once (by `set`, by a match, by another module) keep their values.
pub struct MaskedRequest {
    request: Request,
    unmasked: Option<Unmasked>,
}

/// What the request had before it was masked.
struct Unmasked {
    /// Puts the values back when it is dropped.
    variables: KeptVariables,
    /// The lines that are hidden, with their hashes: nginx passes over a line with hash 0.
    lines: Vec<(*mut ngx_table_elt_t, ngx_uint_t)>,
    headers: ngx_http_headers_in_t,
}

impl MaskedRequest {
    /// Hides credentials and other fields, whose names are in lower case. Without any nothing changes.
    pub fn new(
        request: Request,
        (credentials, others): (&[Credential], &[Bytes]),
    ) -> MaskedRequest {
        let unmasked = (!credentials.is_empty() || !others.is_empty()).then(|| {
            // SAFETY: a live request, which is put back by `drop`.
            unsafe { hide(request, credentials, others) }
        });
        MaskedRequest { request, unmasked }
    }
}

impl Drop for MaskedRequest {
    fn drop(&mut self) {
        let Some(unmasked) = self.unmasked.take() else {
            return;
        };
        for (line, hash) in unmasked.lines {
            // SAFETY: the request is live, and so are its lines.
            unsafe { (*line).hash = hash };
        }
        // SAFETY: likewise.
        unsafe { self.request.change(|r| r.headers_in = unmasked.headers) };
    }
}

/// Hides fields and gives back what was there.
///
/// # Safety
///
/// `request` is live.
unsafe fn hide(request: Request, credentials: &[Credential], others: &[Bytes]) -> Unmasked {
    // SAFETY: by contract; each line stays where it is.
    unsafe {
        let r = request.as_ptr();
        let unmasked = Unmasked {
            variables: KeptVariables::of(request),
            lines: lines(&(*r).headers_in.headers)
                .filter(|line| {
                    let name = text::bytes(&line.key);
                    let hides = |field: &Credential| name.eq_ignore_ascii_case(field.field());
                    credentials.iter().any(hides)
                        || others.iter().any(|field| name.eq_ignore_ascii_case(field))
                })
                .map(|line| (ptr::from_ref(line).cast_mut(), line.hash))
                .collect(),
            headers: ptr::read(&(*r).headers_in),
        };
        unmasked.variables.forget_made(|name| {
            credentials.iter().any(|field| field.makes(name))
                || others.iter().any(|field| is_variable_of(name, field))
        });
        for (line, _) in &unmasked.lines {
            (**line).hash = 0;
            forget_line(*line, &mut (*r).headers_in);
        }
        for credential in credentials {
            forget_credential(*credential, &mut (*r).headers_in);
        }
        unmasked
    }
}

/// Whether a variable is `$http_name` of a field, which is in lower case.
fn is_variable_of(variable: &[u8], field: &[u8]) -> bool {
    let spelt = |byte: &u8| if *byte == b'-' { b'_' } else { *byte };
    variable
        .strip_prefix(b"http_")
        .is_some_and(|name| field.iter().map(spelt).eq(name.iter().copied()))
}

/// Takes a line away from `headers_in`, where nginx has a pointer for each field that it knows.
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
        // SAFETY: the structure is as long as that, aligned for pointers and filled by nginx from zeroed memory; only
        // what is this pointer is written.
        unsafe {
            let place = start.add(index);
            if *place == line {
                *place = ptr::null_mut();
            }
        }
    }
}

/// Takes away what nginx knows of a credential beside its lines.
fn forget_credential(field: Credential, headers: &mut ngx_http_headers_in_t) {
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
