//! Makes the header of a record, or of a fill, that of a response.

use cache_core::headers::Headers;

use super::super::request::Request;
use super::super::shim;
use super::known::{Known, content_type, register};
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
    let ranges = status == 200 && content_length.is_some();
    let length = content_length.and_then(|n| i64::try_from(n).ok());
    // SAFETY: live request.
    unsafe {
        r.change(|r| {
            r.headers_out.status = usize::from(status);
            r.headers_out.content_length_n = length.unwrap_or(-1);
        });
    }
    if ranges {
        // SAFETY: live request.
        unsafe { shim::rcs_set_allow_ranges(r.as_ptr(), 1) };
    }
    for header in headers.iter() {
        let (name, value) = (header.name.as_ref(), header.value.as_ref());
        let known = Known::of(name);
        match known {
            Some(Known::ContentType) => content_type(r, to_nginx(r, value)?, value),
            // nginx writes both itself.
            Some(Known::ContentLength) => {}
            Some(Known::AcceptRanges) if ranges => {}
            _ => {
                let line = add(r, to_nginx(r, name)?, to_nginx(r, value)?)?;
                if let Some(known) = known
                    && (known != Known::Location || own_location || !value.starts_with(b"/"))
                {
                    register(r, known, value, line)?;
                }
            }
        }
    }
    Ok(())
}
