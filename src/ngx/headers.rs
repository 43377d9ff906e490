//! Header lines: those that nginx holds, and those that we give it.

use std::cell::Cell;
use std::ptr;

use cache_core::headers::Headers;
use cache_core::http_date;
use cache_core::request_directives::RequestDirectives;
use ngx::ffi::*;

use super::request::Request;
use super::text;

/// There was no memory for a header line.
#[derive(Debug)]
pub struct NoMemory;

/// The lines of a list that count: a line with hash 0 was deleted.
///
/// # Safety
///
/// `list` is an initialised list of `ngx_table_elt_t` that isn't changed while it is read.
pub unsafe fn lines(list: &ngx_list_t) -> impl Iterator<Item = &ngx_table_elt_t> {
    let mut part: *const ngx_list_part_t = &list.part;
    let mut index = 0;
    std::iter::from_fn(move || {
        loop {
            // SAFETY: parts form a list that ends with null, each with `nelts` elements.
            let current = unsafe { part.as_ref()? };
            if index >= current.nelts {
                part = current.next;
                index = 0;
                continue;
            }
            // SAFETY: index is below nelts.
            let line = unsafe { &*current.elts.cast::<ngx_table_elt_t>().add(index) };
            index += 1;
            if line.hash != 0 {
                return Some(line);
            }
        }
    })
}

/// What a request asks of a cache (RFC 9111 5.2.1, 5.4).
pub fn directives(r: Request) -> RequestDirectives {
    let values = |name: &'static [u8]| {
        // SAFETY: the list is initialised with the request, whose strings live as long as it.
        unsafe {
            lines(&r.get().headers_in.headers)
                .filter(move |line| text::bytes(&line.key).eq_ignore_ascii_case(name))
                .map(|line| text::bytes(&line.value))
        }
    };
    RequestDirectives::parse(values(b"Cache-Control"), values(b"Pragma"))
}

/// Calls `take` with the value of each line of this name, in lower case, that a request has.
pub fn of_request(r: Request, name: &[u8], take: &mut dyn FnMut(&[u8])) {
    // SAFETY: the list is initialised with the request; its strings live as long as it does.
    unsafe {
        for line in lines(&r.get().headers_in.headers) {
            if text::bytes(&line.key).eq_ignore_ascii_case(name) {
                take(text::bytes(&line.value));
            }
        }
    }
}

/// Calls `take` with the name, in lower case, and the value of each line that a request has.
pub fn each_of_request(r: Request, take: &mut dyn FnMut(&[u8], &[u8])) {
    // SAFETY: the list is initialised with the request; its strings live as long as it does.
    unsafe {
        for line in lines(&r.get().headers_in.headers) {
            let name = text::bytes(&line.key).to_ascii_lowercase();
            take(&name, text::bytes(&line.value));
        }
    }
}

/// Whether a request has a line of this name, in lower case.
pub fn has(r: Request, name: &[u8]) -> bool {
    let mut found = false;
    of_request(r, name, &mut |_| found = true);
    found
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

fn add(r: Request, key: ngx_str_t, value: ngx_str_t) -> Result<*mut ngx_table_elt_t, NoMemory> {
    // SAFETY: the list is initialised with the request, and gives memory for a line or null.
    unsafe {
        let line =
            ngx_list_push(&raw mut (*r.as_ptr()).headers_out.headers).cast::<ngx_table_elt_t>();
        if line.is_null() {
            return Err(NoMemory);
        }
        ptr::write_bytes(line, 0, 1);
        (*line).hash = 1;
        (*line).key = key;
        (*line).value = value;
        Ok(line)
    }
}

/// Where the texts of a header are while the response is sent: with the request.
pub type Place<'a> = fn(Request, &'a [u8]) -> Result<ngx_str_t, NoMemory>;

/// In a copy.
pub fn copied(r: Request, text: &[u8]) -> Result<ngx_str_t, NoMemory> {
    // SAFETY: the request's pool is live.
    unsafe { text::copy(r.pool(), text) }.ok_or(NoMemory)
}

/// Where they are: they outlive the request.
pub fn kept(_: Request, text: &'static [u8]) -> Result<ngx_str_t, NoMemory> {
    Ok(text::borrowed(text))
}

thread_local! {
    /// The last date that was printed, and how. Those who share a record share it.
    static PRINTED: Cell<(u64, [u8; 29])> = Cell::new((0, http_date::print(0)));
    /// The last date that was parsed, and what it is.
    static PARSED: Cell<([u8; 29], libc::time_t)> = const { Cell::new(([0; 29], -1)) };
}

/// Gives the response this Date, in unix seconds, in place of nginx's own.
pub fn date(r: Request, date: u64) -> Result<(), NoMemory> {
    let (mut known, mut printed) = PRINTED.get();
    if known != date {
        (known, printed) = (date, http_date::print(date));
        PRINTED.set((known, printed));
    }
    let line = push_known(r, b"Date", &printed)?;
    // SAFETY: live request.
    unsafe { r.change(|r| r.headers_out.date = line) };
    Ok(())
}

/// nginx's `ngx_parse_http_time`
fn parse_time(value: &[u8]) -> libc::time_t {
    // SAFETY: the value is a readable string of that length.
    let parse = || unsafe { ngx_parse_http_time(value.as_ptr().cast_mut(), value.len()) };
    let Ok(value) = <[u8; 29]>::try_from(value) else {
        return parse();
    };
    let (known, time) = PARSED.get();
    if known == value {
        return time;
    }
    let time = parse();
    PARSED.set((value, time));
    time
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

/// Makes `headers` the header of the response to `r`, as nginx's upstream module would: special
/// lines are known to the filters, and gzip, ranges and conditional requests work from there. A
/// Location is nginx's to complete, for this client, if it is an `own_location`.
pub fn apply<'a>(
    r: Request,
    status: u16,
    headers: &'a Headers,
    place: Place<'a>,
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
        unsafe { super::shim::rcs_set_allow_ranges(r.as_ptr(), 1) };
    }
    for header in headers.iter() {
        let (name, value) = (header.name.as_ref(), header.value.as_ref());
        let known = Known::of(name);
        match known {
            Some(Known::ContentType) => content_type(r, place(r, value)?, value),
            // nginx writes both itself.
            Some(Known::ContentLength) => {}
            Some(Known::AcceptRanges) if ranges => {}
            _ => {
                let line = add(r, place(r, name)?, place(r, value)?)?;
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

/// Fields of a response that nginx's filters look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
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
    fn of(name: &[u8]) -> Option<Known> {
        // As long as the longest name that is known here.
        let mut buffer = [0; 16];
        buffer.get_mut(..name.len())?.copy_from_slice(name);
        buffer.make_ascii_lowercase();
        let known = KNOWN
            .iter()
            .find(|(word, _)| *word == u128::from_ne_bytes(buffer));
        known.map(|(_, known)| *known)
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

/// As ngx_http_upstream_copy_content_type does: the charset apart, so that filters can tell the
/// type. `value` is what `text` has.
fn content_type(r: Request, text: ngx_str_t, value: &[u8]) {
    // SAFETY: live request, of whose header nothing else is held meanwhile.
    let out = unsafe { &mut (*r.as_ptr()).headers_out };
    out.content_type = text;
    out.content_type_len = text.len;
    out.content_type_lowcase = ptr::null_mut();
    let Some(semicolon) = value.iter().position(|byte| *byte == b';') else {
        return;
    };
    let parameters = value.get(semicolon + 1..).unwrap_or_default();
    let mut at = semicolon + 1;
    for parameter in parameters.split(|byte| *byte == b';') {
        let trimmed = parameter.trim_ascii();
        if let Some(charset) = strip_prefix_no_case(trimmed, b"charset=") {
            let start = at + parameter.len() - parameter.trim_ascii_start().len() + 8;
            let quotes = usize::from(charset.first() == Some(&b'"'));
            // SAFETY: the charset lies within the text.
            let data = unsafe { text.data.add(start + quotes) };
            out.charset = ngx_str_t {
                len: charset.len().saturating_sub(2 * quotes),
                data,
            };
            out.content_type_len = value
                .get(..semicolon)
                .map_or(0, |t| t.trim_ascii_end().len());
            break;
        }
        at += parameter.len() + 1;
    }
}

fn strip_prefix_no_case<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, tail) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(tail)
}

/// Tells nginx about a line that its filters look for.
fn register(
    r: Request,
    known: Known,
    value: &[u8],
    line: *mut ngx_table_elt_t,
) -> Result<(), NoMemory> {
    // SAFETY: live request, of whose header nothing else is held meanwhile.
    let out = unsafe { &mut (*r.as_ptr()).headers_out };
    match known {
        Known::LastModified => {
            out.last_modified = line;
            out.last_modified_time = parse_time(value);
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
