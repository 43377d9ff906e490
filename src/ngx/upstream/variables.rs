//! nginx's `$upstream_*` variables of a request that has asked no upstream itself: a fill has, or a record tells what
//! one said. The request has an upstream in its place only while a variable is read.

use std::cell::{Cell, RefCell};
use std::mem;
use std::ptr;
use std::rc::Rc;

use bytes::Bytes;
use cache_core::headers::Headers;
use ngx::ffi::*;

use super::super::headers::lines;
use super::super::request::Request;
use super::super::text;

/// nginx's `upstream_states` of a request, which tell what asking its upstreams has cost, and the trailers that came.
#[derive(Default)]
pub struct UpstreamStates {
    states: Vec<(ngx_http_upstream_state_t, Option<Bytes>)>,
    trailers: Headers,
}

impl UpstreamStates {
    fn of(r: Request) -> UpstreamStates {
        let mut found = UpstreamStates::default();
        // SAFETY: both are null or live as long as the request; the array is of this type, and the lists that an
        // upstream has begun are initialised.
        unsafe {
            if let Some(states) = r.get().upstream_states.as_ref() {
                for state in states.as_slice::<ngx_http_upstream_state_t>() {
                    let peer = state.peer.as_ref();
                    let peer = peer.map(|name| Bytes::copy_from_slice(text::bytes(name)));
                    found.states.push((ptr::read(state), peer));
                }
            }
            if let Some(upstream) = r.get().upstream.as_ref()
                && upstream.headers_in.trailers.nalloc != 0
            {
                for line in lines(&upstream.headers_in.trailers) {
                    found.trailers.push(
                        Bytes::copy_from_slice(text::bytes(&line.key)),
                        Bytes::copy_from_slice(text::bytes(&line.value)),
                    );
                }
            }
        }
        found
    }
}

/// The states of the upstreams that a request asks, for readers that outlive it.
#[derive(Default)]
pub struct WatchedUpstreams {
    live: Cell<Option<Request>>,
    settled: RefCell<Option<Rc<UpstreamStates>>>,
}

impl WatchedUpstreams {
    /// Watches a request until [`WatchedUpstreams::settle`], which must come before it is freed.
    pub fn begin(&self, r: Request) {
        self.live.set(Some(r));
    }

    /// The request asks no upstream any more: its states are kept.
    pub fn settle(&self) {
        if let Some(r) = self.live.take() {
            *self.settled.borrow_mut() = Some(Rc::new(UpstreamStates::of(r)));
        }
    }

    /// The states as they are now. Trailers are there once they are settled, and live as long as this.
    fn states(&self) -> Rc<UpstreamStates> {
        if let Some(settled) = self.settled.borrow().as_ref() {
            return Rc::clone(settled);
        }
        let now = self.live.get().map(UpstreamStates::of).unwrap_or_default();
        Rc::new(UpstreamStates {
            trailers: Headers::new(),
            ..now
        })
    }
}

/// Reads a variable as if the request had asked an upstream that sent the header `said`. `watched` are the states that
/// asking it has left; they come behind those of the request itself.
///
/// # Safety
///
/// What `said` and `watched` hold lives as long as the request: the variable's value may point there.
pub unsafe fn read<T>(
    r: Request,
    said: &Headers,
    watched: Option<&WatchedUpstreams>,
    read: impl FnOnce() -> T,
) -> T {
    let others = watched.map(WatchedUpstreams::states).unwrap_or_default();
    // SAFETY: all that is zeroed here may be; the request has its own back before anything here is dropped.
    unsafe {
        let mut upstream: Box<ngx_http_upstream_t> = Box::new(mem::zeroed());
        let mut lines = table(said);
        let mut trailers = table(&others.trailers);
        let mut cookies = cookies(&mut lines);
        upstream.headers_in.headers.part = part(&mut lines);
        upstream.headers_in.trailers.part = part(&mut trailers);
        set_cookies(&mut upstream.headers_in, &mut cookies, r.pool());

        let mut peers: Vec<_> = others.states.iter().map(|(_, peer)| name(peer)).collect();
        let mut states = joined(r, &others, &mut peers);
        let mut array: ngx_array_t = mem::zeroed();
        array.elts = states.as_mut_ptr().cast();
        array.nelts = states.len();
        array.nalloc = states.len();
        array.size = size_of::<ngx_http_upstream_state_t>();
        array.pool = r.pool();

        let made = (&raw mut *upstream, &raw mut array);
        // What the request points to meanwhile outlives `read`.
        let exchange = |upstream| {
            r.change(|r| {
                let before = (r.upstream, r.upstream_states);
                (r.upstream, r.upstream_states) = upstream;
                before
            })
        };
        let before = exchange(made);
        let result = read();
        exchange(before);
        result
    }
}

/// The states of a request itself, then the others, each with its name among `peers`.
///
/// # Safety
///
/// The request is live, and the states are used no longer than it and `peers`.
unsafe fn joined(
    r: Request,
    others: &UpstreamStates,
    peers: &mut [ngx_str_t],
) -> Vec<ngx_http_upstream_state_t> {
    // SAFETY: null or an array of this type in the live request; a state of zeros is valid.
    unsafe {
        let own = r.get().upstream_states.as_ref();
        let mut states = own.map_or_else(Vec::new, |own| {
            own.as_slice::<ngx_http_upstream_state_t>()
                .iter()
                .map(|state| ptr::read(state))
                .collect()
        });
        if !states.is_empty() && !others.states.is_empty() {
            // As nginx parts what was asked before a redirect from what was asked behind it.
            states.push(mem::zeroed());
        }
        for ((state, peer), name) in others.states.iter().zip(peers) {
            let mut state = ptr::read(state);
            state.peer = match peer {
                Some(_) => name,
                None => ptr::null_mut(),
            };
            states.push(state);
        }
        states
    }
}

fn name(peer: &Option<Bytes>) -> ngx_str_t {
    let peer = peer.as_deref().unwrap_or_default();
    ngx_str_t {
        len: peer.len(),
        data: peer.as_ptr().cast_mut(),
    }
}

fn string(bytes: &Bytes) -> ngx_str_t {
    ngx_str_t {
        len: bytes.len(),
        data: bytes.as_ptr().cast_mut(),
    }
}

fn table(headers: &Headers) -> Vec<ngx_table_elt_t> {
    let line = |header: &cache_core::headers::Header| {
        // SAFETY: zeroed memory is a valid line.
        let mut line: ngx_table_elt_t = unsafe { mem::zeroed() };
        line.hash = 1;
        line.key = string(&header.name);
        line.value = string(&header.value);
        line
    };
    headers.iter().map(line).collect()
}

fn part(lines: &mut [ngx_table_elt_t]) -> ngx_list_part_t {
    ngx_list_part_t {
        elts: lines.as_mut_ptr().cast(),
        nelts: lines.len(),
        next: ptr::null_mut(),
    }
}

/// The Set-Cookie lines among `lines`.
fn cookies(lines: &mut [ngx_table_elt_t]) -> Vec<*mut ngx_table_elt_t> {
    lines
        .iter_mut()
        .filter(|line| {
            // SAFETY: it points to a name that lives.
            unsafe { text::bytes(&line.key) }.eq_ignore_ascii_case(b"set-cookie")
        })
        .map(ptr::from_mut)
        .collect()
}

#[cfg(ngx_linked_headers)]
unsafe fn set_cookies(
    headers: &mut ngx_http_upstream_headers_in_t,
    cookies: &mut [*mut ngx_table_elt_t],
    _: *mut ngx_pool_t,
) {
    let mut last: *mut *mut ngx_table_elt_t = &mut headers.set_cookie;
    for cookie in cookies {
        // SAFETY: each is one of the lines, which stay where they are.
        unsafe {
            *last = *cookie;
            last = &raw mut (**cookie).next;
        }
    }
}

#[cfg(not(ngx_linked_headers))]
unsafe fn set_cookies(
    headers: &mut ngx_http_upstream_headers_in_t,
    cookies: &mut [*mut ngx_table_elt_t],
    pool: *mut ngx_pool_t,
) {
    headers.cookies.elts = cookies.as_mut_ptr().cast();
    headers.cookies.nelts = cookies.len();
    headers.cookies.nalloc = cookies.len();
    headers.cookies.size = size_of::<*mut ngx_table_elt_t>();
    // nginx writes to its log.
    headers.cookies.pool = pool;
}
