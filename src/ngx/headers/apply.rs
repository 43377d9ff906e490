//! Makes the header of a record, or of a fill, that of a response.

use cache_core::headers::Headers;

use super::super::request::Request;
use super::super::shim;
use super::known::{Known, MediaType, register, set_content_type};
use super::response::{NoMemory, ToNginx, add};

/// Makes `headers` the header of the response to `r`, as nginx's upstream module would: special
/// lines are known to the filters, and gzip, ranges and conditional requests work from there. A
/// Location is nginx's to complete, for this client, if it is an `own_location`.
pub fn apply<'a>(
    r: Request,
    status: u16,
    headers: &'a Headers,
    to_nginx: ToNginx<'a>,
    content_length: Option<u64>,
    own_location: bool,
) -> Result<(), NoMemory> {
    set_out(r, status, content_length);
    for header in headers.iter() {
        let (name, value) = (header.name.as_ref(), header.value.as_ref());
        let known = Known::of(name);
        match known {
            Some(Known::ContentType) => {
                set_content_type(r, to_nginx(r, value)?, &MediaType::of(value));
            }
            _ if is_nginxs(known, status, content_length.is_some()) => {}
            _ => {
                let line = add(r, to_nginx(r, name)?, to_nginx(r, value)?)?;
                if let Some(known) = known.filter(|known| known.counts(value, own_location)) {
                    register(r, known, value, line)?;
                }
            }
        }
    }
    Ok(())
}

/// Whether a field of a response is one that nginx writes itself.
pub(super) fn is_nginxs(known: Option<Known>, status: u16, has_length: bool) -> bool {
    match known {
        Some(Known::ContentLength) => true,
        Some(Known::AcceptRanges) => allows_ranges(status, has_length),
        _ => false,
    }
}

fn allows_ranges(status: u16, has_length: bool) -> bool {
    status == 200 && has_length
}

/// Sets what a response has beside its lines.
pub(super) fn set_out(r: Request, status: u16, content_length: Option<u64>) {
    let length = content_length.and_then(|n| i64::try_from(n).ok());
    // SAFETY: live request.
    unsafe {
        r.change(|r| {
            r.headers_out.status = usize::from(status);
            r.headers_out.content_length_n = length.unwrap_or(-1);
        });
    }
    if allows_ranges(status, content_length.is_some()) {
        // SAFETY: live request.
        unsafe { shim::rcs_set_allow_ranges(r.as_ptr(), 1) };
    }
}
