//! A request as it would be, had its client left fields of its header away.

use std::ptr;

use cache_core::credentials::Credential;
use ngx::ffi::*;

use super::headers::lines;
use super::kept::Variables;
use super::request::Request;
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
    /// Put back by being dropped.
    variables: Variables,
    lines: Vec<(*mut ngx_table_elt_t, ngx_uint_t)>,
    headers: ngx_http_headers_in_t,
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
        for (line, hash) in kept.lines {
            // SAFETY: the request is live, and so are its lines.
            unsafe { (*line).hash = hash };
        }
        r.headers_in = kept.headers;
    }
}

unsafe fn hide(request: Request, fields: &[Credential]) -> Kept {
    // SAFETY: by the caller live; each line stays where it is.
    unsafe {
        let r = request.get_mut();
        let kept = Kept {
            variables: Variables::keep(request),
            lines: lines(&r.headers_in.headers)
                .filter(|line| {
                    let name = text::bytes(&line.key);
                    let hides = |field: &Credential| name.eq_ignore_ascii_case(field.field());
                    fields.iter().any(hides)
                })
                .map(|line| (ptr::from_ref(line).cast_mut(), line.hash))
                .collect(),
            headers: ptr::read(&r.headers_in),
        };
        kept.variables
            .forget_made(|name| fields.iter().any(|field| field.makes(name)));
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
