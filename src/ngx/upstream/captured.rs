//! The header of a response as it reaches the first header filter, and the fields that nginx has hidden before.

use bytes::Bytes;
use cache_core::freshness::OriginDates;
use cache_core::headers::Headers;
use cache_core::phrase::Phrase;
use cache_core::policy::ResponseView;
use cache_core::record::{Unsent, is_for_nginx, strip_for_storage};
use cache_core::renewal::Confirmation;
use cache_core::use_stale::Failure;
use ngx::ffi::*;

use super::super::headers::lines;
use super::super::request::Request;
use super::super::text;
use super::{Left, note_left};

/// A response's header as the backend's location produced it.
pub struct Captured {
    /// Its status.
    pub status: u16,
    /// Its lines, Content-Type and Last-Modified among them, without Content-Length.
    pub headers: Headers,
    /// Its lines and those that nginx has kept back: they decide what becomes of the response.
    pub said: Headers,
    /// What counts for a record of the lines that nginx has kept back.
    pub unsent: Unsent,
    /// The header of the upstream that was asked last, as it came.
    pub upstream: Headers,
    /// Its length, where it is known beforehand.
    pub content_length: Option<u64>,
    /// Whether nginx made it because the backend gave no response.
    pub generated: bool,
    /// The status of the backend's own response, if it gave one.
    pub backend_status: Option<u16>,
    /// Upstreams that were asked before it, and left for it.
    pub left: Vec<Left>,
    /// Dates that nginx hides from its clients.
    pub dates: OriginDates,
    /// Fields that the backend's Connection header names (RFC 9110 7.6.1).
    pub connection: Vec<Bytes>,
    /// It is to reach its client as it comes (X-Accel-Buffering), unless the configuration ignores that.
    pub unbuffered: bool,
    /// Its Location is a path that nginx, not the backend, has made: by `proxy_redirect`, `return` or for a folder.
    pub own_location: bool,
    /// Whole seconds since it was asked for.
    pub delay: u32,
}

/// Reads the header of a response that reaches the first header filter. `left`: the upstreams that the request has
/// left on its way here.
pub fn capture(r: Request, mut left: Vec<Left>) -> Captured {
    note_left(r, &mut left);
    let out = &r.get().headers_out;
    let headers = sent(out);
    let upstream = super::said(r);
    let answering = super::is_answering(r);
    let own = if answering {
        upstream.clone()
    } else {
        Headers::new()
    };
    let connection = named_by_connection(&own);
    let hidden: Headers = own
        .iter()
        .filter(|line| !headers.contains(&line.name))
        .cloned()
        .collect();
    let status = u16::try_from(out.status).unwrap_or(0);
    let last = left.last();
    let said: Headers = headers.iter().chain(hidden.iter()).cloned().collect();
    Captured {
        status,
        unbuffered: !(answering && super::ignores_buffering(r))
            && said
                .get("X-Accel-Buffering")
                .is_some_and(|value| value.eq_ignore_ascii_case(b"no")),
        said,
        unsent: Unsent {
            hidden: storable_lines(&hidden, &connection),
            ignored: if answering {
                super::ignored(r)
            } else {
                Default::default()
            },
            limit_rate: super::limit_rate(r),
            charset: super::charset(r),
            // SAFETY: a string of headers_out lives as long as the request.
            phrase: Phrase::of(status, unsafe { text::bytes(&out.status_line) }),
        },
        content_length: u64::try_from(out.content_length_n).ok(),
        generated: !answering && status >= 500 && last.is_some_and(|left| !left.answered),
        backend_status: match last {
            Some(left) if !answering => left.answered.then_some(left.status),
            _ => Some(status),
        },
        left,
        dates: super::dates(&own),
        connection,
        own_location: own_location(r),
        delay: delay(r),
        headers,
        upstream,
    }
}

impl Captured {
    /// The response as what may be stored.
    pub fn view(&self) -> ResponseView<'_> {
        ResponseView {
            status: self.status,
            headers: &self.said,
            dates: &self.dates,
            ignored: self.unsent.ignored,
            content_length: self.content_length,
            accel_redirect: false,
            unbuffered: self.unbuffered,
            delay: self.delay,
        }
    }

    /// What the upstreams said that were left for it.
    pub fn before(&self) -> impl Iterator<Item = ResponseView<'_>> {
        self.left.iter().map(Left::view)
    }

    /// The response as a confirmation of a record.
    pub fn confirmation(&self) -> Confirmation<'_> {
        Confirmation {
            headers: &self.headers,
            unsent: &self.unsent,
            dates: &self.dates,
            connection: &self.connection,
            delay: self.delay,
        }
    }

    /// The first failure on the way to it: that of an upstream that was left, or its own.
    pub fn failure(&self) -> Option<Failure> {
        let left = self.left.iter().find_map(Left::failure);
        left.or_else(|| Failure::of(self.status, false))
    }
}

/// The lines that clients get.
fn sent(out: &ngx_http_headers_out_t) -> Headers {
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
    // nginx makes the line of the time for these statuses alone (ngx_http_header_filter_module.c).
    let tells_time = [NGX_HTTP_OK, NGX_HTTP_PARTIAL_CONTENT, NGX_HTTP_NOT_MODIFIED]
        .contains(&u32::try_from(out.status).unwrap_or_default());
    if tells_time && out.last_modified_time != -1 && !headers.contains("Last-Modified") {
        headers.push("Last-Modified", http_time(out.last_modified_time));
    }
    headers
}

/// Of the lines that nginx has kept back those that a record needs. A cookie that no client gets is nobody's, and
/// Content-Length and FastCGI's Status are said otherwise. Server and X-Accel-* are nginx's own to read.
fn storable_lines(hidden: &Headers, connection: &[Bytes]) -> Headers {
    const OTHERWISE: [&[u8]; 3] = [b"content-length", b"set-cookie", b"status"];
    strip_for_storage(hidden, connection)
        .into_iter()
        .filter(|line| !OTHERWISE.iter().any(|name| line.is(name)) && !is_for_nginx(&line.name))
        .collect()
}

fn named_by_connection(said: &Headers) -> Vec<Bytes> {
    said.get_all("Connection")
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|name| !name.is_empty())
        .map(Bytes::copy_from_slice)
        .collect()
}

/// The address of the backend's server that gave the response, as the log has it.
pub fn peer(r: Request) -> Option<&'static [u8]> {
    // SAFETY: null, or living as long as the request.
    unsafe {
        let upstream = r.get().upstream.as_ref()?;
        upstream.peer.name.as_ref().map(|name| text::bytes(name))
    }
}

/// Whole seconds since nginx began the request; a subrequest counts from its own beginning.
fn delay(r: Request) -> u32 {
    let request = r.get();
    let now = ngx_timeofday();
    let millis =
        |sec: time_t, msec: ngx_msec_t| sec * 1000 + i64::try_from(msec).unwrap_or_default();
    let passed = millis(now.sec, now.msec) - millis(request.start_sec, request.start_msec);
    u32::try_from(passed / 1000).unwrap_or(0)
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
