//! Fields of a response that nginx's filters look for, each in a place of its own.

use std::ptr;

use ngx::ffi::*;

use super::super::request::Request;
use super::dates::parse_time;
use super::response::NoMemory;

/// Fields of a response that nginx's filters look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    AcceptRanges,
    CacheControl,
    ContentEncoding,
    ContentLength,
    ContentRange,
    ContentType,
    Date,
    Etag,
    Expires,
    LastModified,
    Link,
    Location,
    Server,
    WwwAuthenticate,
}

impl Known {
    /// The field of this name, in any case.
    pub(super) fn of(name: &[u8]) -> Option<Known> {
        // As long as the longest name that is known here.
        let mut buffer = [0; 16];
        buffer.get_mut(..name.len())?.copy_from_slice(name);
        buffer.make_ascii_lowercase();
        let known = KNOWN
            .iter()
            .find(|(word, _)| *word == u128::from_ne_bytes(buffer));
        known.map(|(_, known)| *known)
    }

    /// Whether nginx is told about a line of this value. A Location is nginx's to complete, for each client, if it is an
    /// `own_location`; another path is sent as it stands.
    pub(super) fn counts(self, value: &[u8], own_location: bool) -> bool {
        self != Known::Location || own_location || !value.starts_with(b"/")
    }
}

/// Names in lower case, each as a number: a header line is looked up at once.
const KNOWN: [(u128, Known); 14] = [
    (word(b"accept-ranges"), Known::AcceptRanges),
    (word(b"cache-control"), Known::CacheControl),
    (word(b"content-encoding"), Known::ContentEncoding),
    (word(b"content-length"), Known::ContentLength),
    (word(b"content-range"), Known::ContentRange),
    (word(b"content-type"), Known::ContentType),
    (word(b"date"), Known::Date),
    (word(b"etag"), Known::Etag),
    (word(b"expires"), Known::Expires),
    (word(b"last-modified"), Known::LastModified),
    (word(b"link"), Known::Link),
    (word(b"location"), Known::Location),
    (word(b"server"), Known::Server),
    (word(b"www-authenticate"), Known::WwwAuthenticate),
];

const fn word(name: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    let (place, _) = bytes.split_at_mut(name.len());
    place.copy_from_slice(name);
    u128::from_ne_bytes(bytes)
}

/// What a Content-Type says, as far as filters look for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MediaType {
    /// Bytes of the type, without its parameters where one of them is the charset.
    length: usize,
    /// Where the charset begins, and its length.
    charset: Option<(usize, usize)>,
}

impl MediaType {
    /// As ngx_http_upstream_copy_content_type does: the charset apart, so that filters can tell the type.
    pub(super) fn of(value: &[u8]) -> MediaType {
        let whole = MediaType {
            length: value.len(),
            charset: None,
        };
        let Some(semicolon) = value.iter().position(|byte| *byte == b';') else {
            return whole;
        };
        let parameters = value.get(semicolon + 1..).unwrap_or_default();
        let mut at = semicolon + 1;
        for parameter in parameters.split(|byte| *byte == b';') {
            let trimmed = parameter.trim_ascii();
            if let Some(charset) = strip_prefix_no_case(trimmed, b"charset=") {
                let start = at + parameter.len() - parameter.trim_ascii_start().len() + 8;
                let quotes = usize::from(charset.first() == Some(&b'"'));
                let length = charset.len().saturating_sub(2 * quotes);
                return MediaType {
                    length: value
                        .get(..semicolon)
                        .map_or(0, |t| t.trim_ascii_end().len()),
                    charset: Some((start + quotes, length)),
                };
            }
            at += parameter.len() + 1;
        }
        whole
    }
}

/// Sets the type of a response's content: `text`, which says this. Of several lines the last one counts, all of it.
pub(super) fn set_content_type(r: Request, text: ngx_str_t, says: &MediaType) {
    // SAFETY: live request, of whose header nothing else is held meanwhile.
    let out = unsafe { &mut (*r.as_ptr()).headers_out };
    out.content_type = text;
    out.content_type_len = says.length;
    out.content_type_lowcase = ptr::null_mut();
    out.charset = match says.charset {
        Some((start, len)) => ngx_str_t {
            len,
            // SAFETY: the charset lies within the text.
            data: unsafe { text.data.add(start) },
        },
        None => ngx_str_t::default(),
    };
}

fn strip_prefix_no_case<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, tail) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(tail)
}

/// Tells nginx about a line that its filters look for.
pub(super) fn register(
    r: Request,
    known: Known,
    value: &[u8],
    line: *mut ngx_table_elt_t,
) -> Result<(), NoMemory> {
    let modified = match known {
        Known::LastModified => parse_time(value),
        _ => -1,
    };
    register_at(r, known, modified, line)
}

/// The same. `modified`: what nginx makes of a Last-Modified.
pub(super) fn register_at(
    r: Request,
    known: Known,
    modified: libc::time_t,
    line: *mut ngx_table_elt_t,
) -> Result<(), NoMemory> {
    // SAFETY: live request, of whose header nothing else is held meanwhile.
    let out = unsafe { &mut (*r.as_ptr()).headers_out };
    match known {
        Known::LastModified => {
            out.last_modified = line;
            out.last_modified_time = modified;
        }
        Known::Etag => out.etag = line,
        Known::ContentEncoding => out.content_encoding = line,
        Known::ContentRange => out.content_range = line,
        Known::AcceptRanges => out.accept_ranges = line,
        Known::Expires => out.expires = line,
        Known::Date => out.date = line,
        Known::Server => out.server = line,
        Known::WwwAuthenticate => out.www_authenticate = line,
        Known::Location => out.location = line,
        Known::CacheControl => several(r, Several::CacheControl, line)?,
        Known::Link => several(r, Several::Link, line)?,
        Known::ContentType | Known::ContentLength => {}
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Several {
    CacheControl,
    Link,
}

#[cfg(ngx_linked_headers)]
fn several(r: Request, which: Several, line: *mut ngx_table_elt_t) -> Result<(), NoMemory> {
    // SAFETY: live request, of whose header nothing else is held meanwhile.
    let out = unsafe { &mut (*r.as_ptr()).headers_out };
    let mut last: *mut *mut ngx_table_elt_t = match which {
        Several::CacheControl => &mut out.cache_control,
        Several::Link => &mut out.link,
    };
    // SAFETY: the lines of one name form a list that ends with null.
    unsafe {
        while let Some(entry) = (*last).as_mut() {
            last = &mut entry.next;
        }
        *last = line;
    }
    Ok(())
}

#[cfg(not(ngx_linked_headers))]
fn several(r: Request, which: Several, line: *mut ngx_table_elt_t) -> Result<(), NoMemory> {
    let pool = r.pool();
    // SAFETY: live request, of whose header nothing else is held meanwhile.
    let out = unsafe { &mut (*r.as_ptr()).headers_out };
    let array: *mut ngx_array_t = match which {
        Several::CacheControl => &mut out.cache_control,
        Several::Link => &mut out.link,
    };
    // SAFETY: the array is zeroed with the request or initialised; elements are pointers.
    unsafe {
        if (*array).elts.is_null() {
            let size = size_of::<*mut ngx_table_elt_t>();
            (*array).elts = ngx_palloc(pool, size);
            if (*array).elts.is_null() {
                return Err(NoMemory);
            }
            (*array).nelts = 0;
            (*array).size = size;
            (*array).nalloc = 1;
            (*array).pool = pool;
        }
        let place = ngx_array_push(array).cast::<*mut ngx_table_elt_t>();
        if place.is_null() {
            return Err(NoMemory);
        }
        place.write(line);
    }
    Ok(())
}
