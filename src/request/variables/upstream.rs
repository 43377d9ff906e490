//! nginx's `$upstream_*` variables, which a request answered by a fill or a record has too. nginx's own handlers read
//! them; ours see to it that there is something to read.

use std::cell::{Cell, OnceCell};
use std::ffi::c_void;
use std::ptr;

use bytes::Bytes;
use cache_core::headers::Headers;
use cache_core::http_date;
use cache_core::outcome::Reason;
use cache_core::record::{Record, Unsent, without};
use ngx::ffi::*;

use crate::ngx::guard::guard;
use crate::ngx::request::{Code, ERROR, OK, Request};
use crate::ngx::{text, upstream};
use crate::request::cache_status::Forwarding;
use crate::request::context::Context;
use crate::request::respond::{Response, ResponseSource};
use crate::request::state::State;
use crate::store::memory::Entry;

type Handler = unsafe extern "C" fn(
    *mut ngx_http_request_t,
    *mut ngx_http_variable_value_t,
    usize,
) -> ngx_int_t;

/// The variables with a name of their own. Those that nginx is compiled without stay away.
const NAMED: [&[u8]; 9] = [
    b"upstream_cache_status",
    b"upstream_addr",
    b"upstream_status",
    b"upstream_connect_time",
    b"upstream_header_time",
    b"upstream_response_time",
    b"upstream_response_length",
    b"upstream_bytes_received",
    b"upstream_bytes_sent",
];

/// The place of the first in [`NAMED`].
const CACHE_STATUS: usize = 0;

/// Those that are known by how they begin.
const PREFIXES: [&[u8]; 3] = [b"upstream_http_", b"upstream_trailer_", b"upstream_cookie_"];

/// nginx's own handlers and what they are given. It adds the variables anew at each reload in the same process, so the
/// latest counts.
#[derive(Default)]
struct Own {
    named: [Option<(Handler, usize)>; NAMED.len()],
    prefixed: [Option<Handler>; PREFIXES.len()],
}

static mut OWN: Option<Own> = None;

fn own() -> Option<&'static Own> {
    // SAFETY: written only by `wrap`, before any request.
    unsafe { (&raw const OWN).as_ref()?.as_ref() }
}

/// Puts our handlers in front of nginx's.
///
/// # Safety
///
/// Only while nginx runs postconfigurations.
pub unsafe fn wrap(cf: *mut ngx_conf_t) {
    // SAFETY: by contract: the tables are those of nginx's core, which it turns into hashes after this.
    unsafe {
        let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let core = (*(*ctx).main_conf.add(ngx_http_core_module.ctx_index))
            .cast::<ngx_http_core_main_conf_t>();
        let mut own = Own::default();
        let keys = &mut (*(*core).variables_keys).keys;
        let known = std::slice::from_raw_parts_mut(keys.elts.cast::<ngx_hash_key_t>(), keys.nelts);
        for key in known {
            let place = NAMED.iter().position(|name| *name == text::bytes(&key.key));
            if let (Some(place), Some(variable)) =
                (place, key.value.cast::<ngx_http_variable_t>().as_mut())
                && let Some(handler) = variable.get_handler
                && let Some(kept) = own.named.get_mut(place)
            {
                *kept = Some((handler, variable.data));
                variable.get_handler = Some(named);
                variable.data = place;
            }
        }
        let prefixes = &mut (*core).prefix_variables;
        let known = std::slice::from_raw_parts_mut(
            prefixes.elts.cast::<ngx_http_variable_t>(),
            prefixes.nelts,
        );
        let ours: [Handler; PREFIXES.len()] = [prefixed::<0>, prefixed::<1>, prefixed::<2>];
        for variable in known {
            let place = PREFIXES
                .iter()
                .position(|name| *name == text::bytes(&variable.name));
            if let Some(place) = place
                && let Some(handler) = variable.get_handler
                && let (Some(kept), Some(ours)) = (own.prefixed.get_mut(place), ours.get(place))
            {
                *kept = Some(handler);
                variable.get_handler = Some(*ours);
            }
        }
        OWN = Some(own);
    }
}

unsafe extern "C" fn named(
    r: *mut ngx_http_request_t,
    value: *mut ngx_http_variable_value_t,
    place: usize,
) -> ngx_int_t {
    guard("variable", ERROR, || {
        let Some((handler, data)) = own().and_then(|own| own.named.get(place).copied().flatten())
        else {
            return ERROR;
        };
        // SAFETY: nginx calls with a live request and a place to write to.
        unsafe {
            if place == CACHE_STATUS
                && let Some(code) = cache_status(r, value)
            {
                return code;
            }
            read(r, || handler(r, value, data))
        }
    })
}

unsafe extern "C" fn prefixed<const PLACE: usize>(
    r: *mut ngx_http_request_t,
    value: *mut ngx_http_variable_value_t,
    name: usize,
) -> ngx_int_t {
    guard("variable", ERROR, || {
        let Some(handler) = own().and_then(|own| own.prefixed.get(PLACE).copied().flatten()) else {
            return ERROR;
        };
        // SAFETY: nginx calls with a live request, a place to write to and the variable's name.
        unsafe { read(r, || handler(r, value, name)) }
    })
}

/// What is known of the upstream whose response a client gets.
struct Upstream {
    /// The upstream that the request itself had asked before it came to the cache, or null.
    own: Cell<*mut ngx_http_upstream_t>,
    /// The header of the upstream's response, once it was asked for.
    header: OnceCell<Headers>,
}

impl Default for Upstream {
    fn default() -> Upstream {
        Upstream {
            own: Cell::new(ptr::null_mut()),
            header: OnceCell::new(),
        }
    }
}

impl State for Upstream {}

/// Notes the upstream that a request has asked before it came to the cache, if there is one. `None` if there is no
/// memory.
pub fn note_own(r: Request, context: &'static Context) -> Option<()> {
    let own = r.get().upstream;
    if !own.is_null() {
        context.state::<Upstream>()?.own.set(own);
    }
    Some(())
}

/// Reads one of the variables: of the fill whose response the request got, or of the record. A request that runs the
/// backend itself, or has asked an upstream since, has its own.
fn read_of(r: Request, context: &'static Context, handler: impl FnOnce() -> Code) -> Code {
    let before = context
        .find::<Upstream>()
        .map_or(ptr::null_mut(), |upstream| upstream.own.get());
    if context.is_passing() || r.get().upstream != before {
        return handler();
    }
    // A request that joins a fill asks nobody, as one that hits.
    let times = context
        .find::<Forwarding>()
        .filter(|forwarding| !forwarding.is_joined())
        .and_then(Forwarding::times);
    let header = header(context);
    if header.is_none() && times.is_none() {
        return handler();
    }
    let nothing = Headers::new();
    let watched = times.as_ref().map(|times| &times.upstreams);
    // SAFETY: the context keeps both, and lives as long as the request's memory.
    unsafe { upstream::variables::read(r, header.unwrap_or(&nothing), watched, handler) }
}

/// The header of the upstream whose response this is, as far as it is known.
fn header(context: &'static Context) -> Option<&'static Headers> {
    let source = Response::source(context)?;
    let upstream = context.state::<Upstream>()?;
    Some(upstream.header.get_or_init(|| match source {
        ResponseSource::Record(record, length) => header_of_record(record, length),
        ResponseSource::Memory(entry) => header_of_entry(entry),
        ResponseSource::Fill(head) if is_joined(context) => without(&head.upstream, &head.withheld),
        ResponseSource::Fill(head) => head.upstream.clone(),
    }))
}

fn is_joined(context: &'static Context) -> bool {
    context
        .find::<Forwarding>()
        .is_some_and(Forwarding::is_joined)
}

/// What is left of the header that a record came with.
fn header_of_record(record: &Record, length: u64) -> Headers {
    let meta = record.meta.as_deref();
    came_with(
        record.said().into_owned(),
        length,
        meta.and_then(|meta| meta.date),
        meta.map(|meta| &meta.unsent),
    )
}

/// The same of one of the memory tier.
fn header_of_entry(entry: &Entry) -> Headers {
    let Some(usable) = entry.usable() else {
        return Headers::new();
    };
    let unsent = usable.unsent.as_deref();
    let length = match &usable.coded {
        Some(form) => form.coded.length,
        None => entry.length() as u64,
    };
    came_with(usable.said(), length, usable.date, unsent)
}

fn came_with(
    mut header: Headers,
    length: u64,
    date: Option<u64>,
    unsent: Option<&Unsent>,
) -> Headers {
    if !header.contains("Content-Length") {
        header.push("Content-Length", length.to_string());
    }
    if let Some(date) = date {
        header.push("Date", Bytes::copy_from_slice(&http_date::print(date)));
    }
    if let Some(unsent) = unsent {
        if let Some(rate) = unsent.limit_rate {
            header.push("X-Accel-Limit-Rate", rate.to_string());
        }
        if let Some(charset) = &unsent.charset {
            header.push("X-Accel-Charset", charset.clone());
        }
    }
    header
}

/// # Safety
///
/// `r` is live.
unsafe fn read(r: *mut ngx_http_request_t, handler: impl FnOnce() -> Code) -> Code {
    // SAFETY: by contract.
    let request = unsafe { Request::new(r) };
    match request.and_then(|r| Some((r, Context::of(r)?))) {
        Some((r, context)) => read_of(r, context, handler),
        None => handler(),
    }
}

/// `$upstream_cache_status` of a request that the cache has a part in: what `proxy_cache` would say.
///
/// # Safety
///
/// `r` is live, and `value` may be written.
unsafe fn cache_status(
    r: *mut ngx_http_request_t,
    value: *mut ngx_http_variable_value_t,
) -> Option<Code> {
    // SAFETY: by contract; the word is a static text.
    unsafe {
        let context = Request::new(r).and_then(Context::of)?;
        // `proxy_cache` says nothing of a method that it doesn't know.
        if context.first_reason() == Some(Reason::MethodNotListed) {
            return None;
        }
        let word = context.status()?.as_str();
        let value = &mut *value;
        value.data = word.as_ptr().cast::<c_void>().cast_mut().cast();
        value.set_len(u32::try_from(word.len()).unwrap_or(0));
        value.set_valid(1);
        value.set_no_cacheable(0);
        value.set_not_found(0);
    }
    Some(OK)
}
