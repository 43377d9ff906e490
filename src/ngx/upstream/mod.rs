//! The upstream of a request (`ngx_http_upstream_t`): what it said, what its location says of it, and its end.

pub mod captured;
mod left;
pub mod variables;

pub use left::{Left, came_by_accel_redirect, note_left};

use bytes::Bytes;
use cache_core::freshness::OriginDates;
use cache_core::headers::Headers;
use cache_core::ignore::Ignore;
use ngx::ffi::*;

use super::headers::lines;
use super::request::Request;
use super::{shim, text};

/// The request's upstream, if one was asked. It may have ended.
fn of(r: Request) -> Option<&'static ngx_http_upstream_t> {
    // SAFETY: null or in the pool of the live request.
    unsafe { r.get().upstream.as_ref() }
}

/// Whether the header that the request sends is its upstream's, or that of nginx's own cache in front of it. nginx
/// takes an upstream's cleanup away when it is done with it: what is sent then comes from elsewhere.
pub fn is_answering(r: Request) -> bool {
    // SAFETY: live request.
    of(r).is_some_and(|u| !u.cleanup.is_null() || unsafe { shim::rcs_is_cached(r.as_ptr()) } != 0)
}

/// The status of the response to a request that runs the backend itself. `None` if its upstream gave none, whatever
/// nginx sends in its place.
pub fn backend_status(r: Request) -> Option<u16> {
    let status = match of(r) {
        Some(upstream) => upstream.headers_in.status_n,
        None => r.get().headers_out.status,
    };
    u16::try_from(status).ok().filter(|status| *status > 0)
}

/// The lines of the header that the request's upstream sent, all of them.
pub fn said(r: Request) -> Headers {
    of(r).map(lines_of).unwrap_or_default()
}

/// Fields of it that the location was told not to heed (`proxy_ignore_headers` and its like).
pub fn ignored(r: Request) -> Ignore {
    of(r).map(ignored_of).unwrap_or_default()
}

/// What X-Accel-Limit-Rate has made of the request's pace: bytes per second, 0 for no limit.
pub fn limit_rate(r: Request) -> Option<u64> {
    let said = of(r).is_some_and(|u| !u.headers_in.x_accel_limit_rate.is_null());
    // SAFETY: live request.
    let set = unsafe { shim::rcs_get_limit_rate_set(r.as_ptr()) } != 0;
    (said && set).then(|| r.get().limit_rate as u64)
}

/// What X-Accel-Charset has made of the response's charset.
pub fn charset(r: Request) -> Option<Bytes> {
    // SAFETY: null or a string of the live request.
    let name = unsafe { r.get().headers_out.override_charset.as_ref() }?;
    // SAFETY: likewise.
    let name = unsafe { text::bytes(name) };
    (!name.is_empty()).then(|| Bytes::copy_from_slice(name))
}

/// Whether the location was told not to heed X-Accel-Buffering.
pub fn ignores_buffering(r: Request) -> bool {
    of(r).is_some_and(|u| mask(u) & NGX_HTTP_UPSTREAM_IGN_XA_BUFFERING as ngx_uint_t != 0)
}

fn lines_of(upstream: &ngx_http_upstream_t) -> Headers {
    let list = &upstream.headers_in.headers;
    if list.nalloc == 0 {
        return Headers::new();
    }
    let mut headers = Headers::new();
    // SAFETY: nalloc is set when the list is initialised; its strings live as long as the request.
    unsafe {
        for line in lines(list) {
            headers.push(
                Bytes::copy_from_slice(text::bytes(&line.key)),
                Bytes::copy_from_slice(text::bytes(&line.value)),
            );
        }
    }
    headers
}

fn mask(upstream: &ngx_http_upstream_t) -> ngx_uint_t {
    // SAFETY: the configuration of the upstream's location, or a copy in the request's pool.
    unsafe { upstream.conf.as_ref() }.map_or(0, |conf| conf.ignore_headers)
}

fn ignored_of(upstream: &ngx_http_upstream_t) -> Ignore {
    let mask = mask(upstream);
    let has = |bit: u32| mask & bit as ngx_uint_t != 0;
    Ignore {
        cache_control: has(NGX_HTTP_UPSTREAM_IGN_CACHE_CONTROL),
        expires: has(NGX_HTTP_UPSTREAM_IGN_EXPIRES),
        set_cookie: has(NGX_HTTP_UPSTREAM_IGN_SET_COOKIE),
        vary: has(NGX_HTTP_UPSTREAM_IGN_VARY),
        accel_expires: has(NGX_HTTP_UPSTREAM_IGN_XA_EXPIRES),
        ..Ignore::NONE
    }
}

/// Dates that nginx may hide from its clients.
pub fn dates(said: &Headers) -> OriginDates {
    let first = |name: &str| said.get(name).map(Bytes::copy_from_slice);
    OriginDates {
        date: first("Date"),
        // Among what was said.
        expires: None,
        accel_expires: first("X-Accel-Expires"),
    }
}

impl Request {
    /// Whether it has an upstream that is still at work. nginx takes the cleanup away when that ends.
    pub fn asks_upstream(self) -> bool {
        // SAFETY: live request; upstream is null or lives as long as it.
        let upstream = unsafe { self.get().upstream.as_ref() };
        upstream.is_some_and(|upstream| !upstream.cleanup.is_null())
    }

    /// Ends its upstream, if it has one that is still at work; true if so. The request itself goes on.
    pub fn end_upstream(self) -> bool {
        // SAFETY: live request; upstream is null or lives as long as it. nginx empties the place of the cleanup when
        // the upstream has ended. The reference that is added here is the one which the upstream gives back.
        unsafe {
            let Some(upstream) = self.get().upstream.as_ref() else {
                return false;
            };
            let Some(cleanup) = upstream.cleanup.as_ref().copied().flatten() else {
                return false;
            };
            let main = self.main().as_ptr();
            shim::rcs_set_count(main, shim::rcs_get_count(main) + 1);
            cleanup(self.as_ptr().cast());
        }
        true
    }
}
