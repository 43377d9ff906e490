//! `redis_cache_admin`: a location for operators and programs.
//!
//! - `.../`: figures as a page
//! - `.../status`: the same in JSON
//! - `.../metrics`: the same for Prometheus
//! - `POST .../purge`: purges in JSON
//!
//! These are answered as by any content handler of nginx: by its filters, with its access rules before.

use cache_core::report::PAGE_POLICY;
use ngx::ffi::*;

use crate::conf::{LocConf, MainConf};
use crate::ngx::headers;
use crate::ngx::output::send_text;
use crate::ngx::request::{Code, DECLINED, DONE, Request};

mod purges;
mod report;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Page,
    Status,
    Metrics,
    Purge,
}

impl Asked {
    /// By the last part of the path.
    fn of(path: &[u8]) -> Option<Asked> {
        let name = path.rsplit(|&b| b == b'/').next()?;
        Some(match name {
            b"" => Asked::Page,
            b"status" => Asked::Status,
            b"metrics" => Asked::Metrics,
            b"purge" => Asked::Purge,
            _ => return None,
        })
    }
}

/// Answers a request in such a location; gives what the phase handler returns. `body_read` is called when the request's body
/// is there, and runs the handler again.
pub fn enter(
    r: Request,
    conf: &LocConf,
    main: &MainConf,
    body_read: unsafe extern "C" fn(*mut ngx_http_request_t),
) -> Code {
    let Some(asked) = Asked::of(r.uri()) else {
        return NGX_HTTP_NOT_FOUND as Code;
    };
    if asked == Asked::Purge {
        if r.is_subrequest() {
            return DECLINED;
        }
        return purges::enter(r, conf, main, body_read);
    }
    if !r.is_get_or_head() {
        // Without memory for the line the code tells enough.
        let _ = headers::push_kept(r, b"Allow", b"GET, HEAD");
        return NGX_HTTP_NOT_ALLOWED as Code;
    }
    // nginx's rules have let it in, if there are some.
    if !conf.has_access_rules {
        return NGX_HTTP_FORBIDDEN as Code;
    }
    let code = send(r, main, asked);
    r.finalize_in_phase(code);
    DONE
}

fn send(r: Request, main: &MainConf, asked: Asked) -> Code {
    let (content_type, text) = report::of(r, main, asked);
    let fields: [(&'static [u8], &'static [u8]); 4] = [
        (b"Cache-Control", b"no-store"),
        (b"Content-Security-Policy", PAGE_POLICY.as_bytes()),
        (b"X-Content-Type-Options", b"nosniff"),
        (b"Referrer-Policy", b"no-referrer"),
    ];
    // Of these, only a page needs more than the first.
    let count = if asked == Asked::Page { 4 } else { 1 };
    for (name, value) in fields.into_iter().take(count) {
        if headers::push_kept(r, name, value).is_err() {
            return NGX_HTTP_INTERNAL_SERVER_ERROR as Code;
        }
    }
    if asked == Asked::Page {
        // Not in the content type: nginx's gzip and others look for the bare type.
        headers::charset(r, b"utf-8");
    }
    send_text(r, NGX_HTTP_OK, content_type.as_bytes(), &text)
}
