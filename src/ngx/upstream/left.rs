//! Upstreams that a request has left: their response led elsewhere, or they gave none.

use cache_core::freshness::OriginDates;
use cache_core::headers::Headers;
use cache_core::ignore::Ignore;
use cache_core::policy::ResponseView;
use cache_core::use_stale::Failure;
use ngx::ffi::*;

use super::super::request::Request;
use super::{dates, ignored_of, is_answering, lines_of, mask, of};

/// An upstream that was asked but hasn't the last word: its response led elsewhere, or it gave none.
pub struct Left {
    /// Tells it from others of the request.
    upstream: *const ngx_http_upstream_t,
    /// X-Accel-Redirect led on from it.
    pub accel_redirect: bool,
    /// Whether it gave a response.
    pub answered: bool,
    /// The status of its response, or what nginx says in want of one.
    pub status: u16,
    said: Headers,
    dates: OriginDates,
    ignored: Ignore,
}

impl Left {
    fn of(upstream: &'static ngx_http_upstream_t) -> Left {
        let said = lines_of(upstream);
        let status = upstream.headers_in.status_n;
        // SAFETY: null or one of the request's states, whose memory stays when their array moves.
        let state = unsafe { upstream.state.as_ref() }.map_or(0, |state| state.status);
        // Where an attempt fails nginx puts its own status in place of the one that it has read.
        let answered = status != 0 && state == status;
        let status = match (answered, state) {
            (true, _) => status,
            (false, 0) => NGX_HTTP_BAD_GATEWAY as ngx_uint_t,
            (false, state) => state,
        };
        Left {
            upstream,
            accel_redirect: leads_on(upstream),
            answered,
            status: u16::try_from(status).unwrap_or(0),
            dates: dates(&said),
            ignored: ignored_of(upstream),
            said,
        }
    }

    /// The failure that it is, if it is one.
    pub fn failure(&self) -> Option<Failure> {
        if self.accel_redirect {
            return None;
        }
        Failure::of(self.status, !self.answered)
    }

    /// Its response as what might be stored.
    pub fn view(&self) -> ResponseView<'_> {
        ResponseView {
            status: self.status,
            headers: &self.said,
            dates: &self.dates,
            ignored: self.ignored,
            content_length: None,
            accel_redirect: self.accel_redirect,
            unbuffered: false,
            delay: 0,
        }
    }
}

/// Whether X-Accel-Redirect leads on from this upstream.
fn leads_on(upstream: &ngx_http_upstream_t) -> bool {
    let heeds = mask(upstream) & NGX_HTTP_UPSTREAM_IGN_XA_REDIRECT as ngx_uint_t == 0;
    heeds && !upstream.headers_in.x_accel_redirect.is_null()
}

/// Whether X-Accel-Redirect has led the request to its location, where nothing was asked yet.
pub fn came_by_accel_redirect(r: Request) -> bool {
    !is_answering(r) && of(r).is_some_and(leads_on)
}

/// Notes the request's upstream if it is left: to be called whenever the request has found another location, and when
/// it sends a header.
pub fn note_left(r: Request, left: &mut Vec<Left>) {
    if let Some(upstream) = of(r)
        && !is_answering(r)
        && left
            .last()
            .is_none_or(|last| !std::ptr::eq(last.upstream, upstream))
    {
        left.push(Left::of(upstream));
    }
}
