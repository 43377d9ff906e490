//! A response's header as it reaches the first header filter, with what nginx has taken away before.

use bytes::Bytes;
use cache_core::headers::Headers;
use cache_core::policy::{OriginDates, ResponseView};
use cache_core::renewal::Confirmation;
use ngx::ffi::*;

use super::headers::lines;
use super::request::Request;
use super::text;

/// A response's header as the backend's location produced it.
pub struct Captured {
    /// Its status.
    pub status: u16,
    /// Its lines, Content-Type and Last-Modified among them, without Content-Length.
    pub headers: Headers,
    /// Its length, where it is known beforehand.
    pub content_length: Option<u64>,
    /// Whether nginx made it in want of an answer of the backend.
    pub generated: bool,
    /// Dates that nginx hides from its clients.
    pub dates: OriginDates,
    /// Fields that the backend's Connection header names (RFC 9110 7.6.1).
    pub connection: Vec<Bytes>,
    /// It came by X-Accel-Redirect.
    pub accel_redirect: bool,
    /// It is to reach its client as it comes (X-Accel-Buffering), unless the configuration ignores that.
    pub unbuffered: bool,
    /// Its Location is a path that nginx, not the backend, has made: by `proxy_redirect`, `return` or for a folder.
    pub own_location: bool,
    /// Whole seconds since it was asked for.
    pub delay: u32,
}

/// Reads the header of a response that reaches the first header filter.
pub fn capture(r: Request) -> Captured {
    let out = &r.get().headers_out;
    let mut headers = Headers::new();
    // SAFETY: strings of headers_out live as long as the request.
    let content_type = unsafe { text::bytes(&out.content_type) };
    if !content_type.is_empty() {
        headers.push("Content-Type", Bytes::copy_from_slice(content_type));
    }
    // SAFETY: the list is initialised with the request.
    for line in unsafe { lines(&out.headers) } {
        // SAFETY: as above.
        let (name, value) = unsafe { (text::bytes(&line.key), text::bytes(&line.value)) };
        if !name.eq_ignore_ascii_case(b"content-length") {
            headers.push(Bytes::copy_from_slice(name), Bytes::copy_from_slice(value));
        }
    }
    if out.last_modified_time != -1 && !headers.contains("Last-Modified") {
        headers.push("Last-Modified", http_time(out.last_modified_time));
    }
    let (dates, connection) = hidden(r);
    let unbuffered = unbuffered(r, &headers);
    Captured {
        status: u16::try_from(out.status).unwrap_or(0),
        headers,
        content_length: u64::try_from(out.content_length_n).ok(),
        generated: generated(r),
        dates,
        connection,
        accel_redirect: redirected(r),
        unbuffered,
        own_location: own_location(r),
        delay: delay(r),
    }
}

impl Captured {
    /// The answer as what may be stored.
    pub fn view(&self) -> ResponseView<'_> {
        ResponseView {
            status: self.status,
            headers: &self.headers,
            dates: &self.dates,
            content_length: self.content_length,
            accel_redirect: self.accel_redirect,
            unbuffered: self.unbuffered,
            delay: self.delay,
        }
    }

    /// The answer as a confirmation of a record.
    pub fn confirmation(&self) -> Confirmation<'_> {
        Confirmation {
            headers: &self.headers,
            dates: &self.dates,
            connection: &self.connection,
            delay: self.delay,
        }
    }
}

/// Whether an upstream was asked and the status isn't what it said: it said nothing that nginx could read.
fn generated(r: Request) -> bool {
    // SAFETY: upstream is null or lives as long as the request.
    unsafe { r.get().upstream.as_ref() }
        .is_some_and(|upstream| upstream.headers_in.status_n != r.get().headers_out.status)
}

/// Whole seconds since nginx began to ask for the answer: a subrequest is as old as its question.
fn delay(r: Request) -> u32 {
    let asked = r.get();
    let now = ngx_timeofday();
    let millis =
        |sec: time_t, msec: ngx_msec_t| sec * 1000 + i64::try_from(msec).unwrap_or_default();
    let passed = millis(now.sec, now.msec) - millis(asked.start_sec, asked.start_msec);
    u32::try_from(passed / 1000).unwrap_or(0)
}

/// What nginx takes away before the filters: Date, X-Accel-Expires, and what Connection names.
fn hidden(r: Request) -> (OriginDates, Vec<Bytes>) {
    let mut dates = OriginDates::default();
    let mut connection = Vec::new();
    // SAFETY: upstream is null or lives as long as the request.
    if let Some(upstream) = unsafe { r.get().upstream.as_ref() }
        && upstream.headers_in.headers.nalloc != 0
    {
        // SAFETY: nalloc is set when the list is initialised.
        for line in unsafe { lines(&upstream.headers_in.headers) } {
            // SAFETY: strings of the upstream live as long as the request.
            let (name, value) = unsafe { (text::bytes(&line.key), text::bytes(&line.value)) };
            if name.eq_ignore_ascii_case(b"date") {
                dates
                    .date
                    .get_or_insert_with(|| Bytes::copy_from_slice(value));
            } else if name.eq_ignore_ascii_case(b"x-accel-expires") {
                dates
                    .accel_expires
                    .get_or_insert_with(|| Bytes::copy_from_slice(value));
            } else if name.eq_ignore_ascii_case(b"connection") {
                let names = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
                connection.extend(names.filter(|n| !n.is_empty()).map(Bytes::copy_from_slice));
            }
        }
    }
    (dates, connection)
}

/// Whether X-Accel-Buffering says no. nginx takes the field away from an upstream's answer; a location of another kind
/// leaves it among the headers.
fn unbuffered(r: Request, headers: &Headers) -> bool {
    let says = |value: &[u8]| value.eq_ignore_ascii_case(b"no");
    // SAFETY: upstream is null or lives as long as the request, and its configuration with it.
    let Some(upstream) = (unsafe { r.get().upstream.as_ref() }) else {
        return headers.get("X-Accel-Buffering").is_some_and(says);
    };
    // SAFETY: as above; nalloc is set when the list is initialised, whose strings live as long as the request.
    unsafe {
        let ignored = upstream
            .conf
            .as_ref()
            .is_some_and(|conf| conf.ignore_headers & IGNORES_BUFFERING != 0);
        !ignored
            && upstream.headers_in.headers.nalloc != 0
            && lines(&upstream.headers_in.headers).any(|line| {
                text::bytes(&line.key).eq_ignore_ascii_case(b"x-accel-buffering")
                    && says(text::bytes(&line.value))
            })
    }
}

/// NGX_HTTP_UPSTREAM_IGN_XA_BUFFERING
const IGNORES_BUFFERING: ngx_uint_t = 0x80;

/// Whether an X-Accel-Redirect decided the answer. It may have led to another upstream, which has
/// replaced the first: nginx then leaves a state without a peer between the two
/// (ngx_http_upstream.c), and behind an error_page the state before it is an error.
fn redirected(r: Request) -> bool {
    // SAFETY: both are null or live as long as the request.
    let (upstream, states) =
        unsafe { (r.get().upstream.as_ref(), r.get().upstream_states.as_ref()) };
    if upstream.is_some_and(|u| !u.headers_in.x_accel_redirect.is_null()) {
        return true;
    }
    let Some(states) = states else { return false };
    // SAFETY: upstream_states is an array of this type.
    let states = unsafe { states.as_slice::<ngx_http_upstream_state_t>() };
    states.windows(2).any(|pair| {
        matches!(pair, [before, gap] if gap.peer.is_null() && (200..300).contains(&before.status))
    })
}

/// Whether nginx's header filter would make the Location absolute, if `absolute_redirect` is on. It does so with those
/// that headers_out knows; a path that the backend sent and nobody rewrote isn't among them.
fn own_location(r: Request) -> bool {
    // SAFETY: null or a line of the live request.
    unsafe {
        r.get()
            .headers_out
            .location
            .as_ref()
            .is_some_and(|line| text::bytes(&line.value).starts_with(b"/"))
    }
}

fn http_time(time: time_t) -> Bytes {
    let mut buffer = [0u8; 32];
    // SAFETY: ngx_http_time writes 29 bytes: "Mon, 28 Sep 1970 06:00:00 GMT".
    let end = unsafe { ngx_http_time(buffer.as_mut_ptr(), time) };
    let len = (end as usize).saturating_sub(buffer.as_ptr() as usize);
    Bytes::copy_from_slice(buffer.get(..len).unwrap_or_default())
}
