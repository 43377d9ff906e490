//! The header of a response: lines are added, and taken away.

use std::ptr;

use ngx::ffi::*;

use super::super::request::Request;
use super::super::text;

/// There was no memory for a header line.
#[derive(Debug)]
pub struct NoMemory;

/// How nginx gets the strings of a header: they must live as long as the request.
pub type ToNginx<'a> = fn(Request, &'a [u8]) -> Result<ngx_str_t, NoMemory>;

/// In a copy, in the request's pool.
pub fn copied(r: Request, text: &[u8]) -> Result<ngx_str_t, NoMemory> {
    // SAFETY: the request's pool is live.
    unsafe { text::copy(r.pool(), text) }.ok_or(NoMemory)
}

/// As they are: they outlive the request.
pub fn borrowed(_: Request, text: &'static [u8]) -> Result<ngx_str_t, NoMemory> {
    Ok(text::borrowed(text))
}

/// Adds a line to the response's header.
pub fn push(r: Request, name: &[u8], value: &[u8]) -> Result<*mut ngx_table_elt_t, NoMemory> {
    add(r, copied(r, name)?, copied(r, value)?)
}

/// The same of a name that is always there.
pub fn push_known(
    r: Request,
    name: &'static [u8],
    value: &[u8],
) -> Result<*mut ngx_table_elt_t, NoMemory> {
    add(r, text::borrowed(name), copied(r, value)?)
}

/// The same of texts that outlive the request.
pub fn push_kept(r: Request, name: &'static [u8], value: &'static [u8]) -> Result<(), NoMemory> {
    add(r, text::borrowed(name), text::borrowed(value)).map(|_| ())
}

/// Says in which characters the response's text is written: nginx adds that to the content type.
pub fn charset(r: Request, name: &'static [u8]) {
    // SAFETY: live request, whose header hasn't been sent.
    unsafe { (*r.as_ptr()).headers_out.charset = text::borrowed(name) };
}

pub(super) fn add(
    r: Request,
    key: ngx_str_t,
    value: ngx_str_t,
) -> Result<*mut ngx_table_elt_t, NoMemory> {
    // SAFETY: the list is initialised with the request, and gives memory for a line or null. Its last part has room for
    // `nalloc` lines, of which `nelts` are taken.
    unsafe {
        let list = &raw mut (*r.as_ptr()).headers_out.headers;
        let last = (*list).last;
        let taken = (*last).nelts;
        let line = if taken < (*list).nalloc {
            (*last).nelts = taken + 1;
            (*last).elts.cast::<ngx_table_elt_t>().add(taken)
        } else {
            ngx_list_push(list).cast::<ngx_table_elt_t>()
        };
        if line.is_null() {
            return Err(NoMemory);
        }
        line.write(ngx_table_elt_t {
            hash: 1,
            key,
            value,
            lowcase_key: ptr::null_mut(),
            #[cfg(ngx_linked_headers)]
            next: ptr::null_mut(),
        });
        Ok(line)
    }
}

/// Takes all lines of a name away.
pub fn remove(r: Request, name: &[u8]) {
    retain(r, |known| !known.eq_ignore_ascii_case(name));
}

/// Takes all lines away whose names aren't wanted.
pub fn retain(r: Request, wanted: impl Fn(&[u8]) -> bool) {
    // SAFETY: live request. Parts form a list that ends with null, each with `nelts` lines; a line with hash 0
    // isn't sent.
    unsafe {
        let mut part = &raw mut (*r.as_ptr()).headers_out.headers.part;
        while let Some(current) = part.as_mut() {
            let lines = current.elts.cast::<ngx_table_elt_t>();
            for index in 0..current.nelts {
                let line = &mut *lines.add(index);
                if line.hash != 0 && !wanted(text::bytes(&line.key)) {
                    line.hash = 0;
                }
            }
            part = current.next;
        }
    }
}

/// Takes the response's header away.
pub fn clean(r: Request) {
    // SAFETY: live request.
    unsafe { ngx_http_clean_header(r.as_ptr()) };
}

/// Takes the response's header away, all but the Content-Range of a 416 (RFC 9110 15.5.17): the rest
/// described what isn't sent.
pub fn leave_content_range(r: Request) -> Result<(), NoMemory> {
    // SAFETY: live request; the line is null or one of its header, and the value lives in its pool.
    unsafe {
        let line = r.get().headers_out.content_range.as_ref();
        let value = line.map(|line| text::bytes(&line.value));
        ngx_http_clean_header(r.as_ptr());
        if let Some(value) = value {
            let line = push(r, b"Content-Range", value)?;
            r.change(|r| r.headers_out.content_range = line);
        }
    }
    Ok(())
}
