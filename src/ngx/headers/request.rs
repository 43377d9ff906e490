//! The header of a request: its lines, by name.

use cache_core::coding::Accepted;
use cache_core::request_directives::RequestDirectives;
use ngx::ffi::{NGX_HTTP_VERSION_11, ngx_uint_t};

use super::super::request::Request;
use super::super::text;
use super::list::lines;

/// What a request asks of a cache (RFC 9111 5.2.1, 5.4).
pub fn directives(r: Request) -> RequestDirectives {
    RequestDirectives::parse(values(r, b"Cache-Control"), values(r, b"Pragma"))
}

/// Which codings the client of a request accepts (RFC 9110 12.5.3). A subrequest is a part of a page: it has no coding of its own.
pub fn accepted(r: Request) -> Accepted {
    if r.is_subrequest() || r.get().http_version < NGX_HTTP_VERSION_11 as ngx_uint_t {
        return Accepted::IDENTITY;
    }
    Accepted::parse(values(r, b"Accept-Encoding"))
}

/// The values of the lines of this name that a request has.
fn values(r: Request, name: &'static [u8]) -> impl Iterator<Item = &'static [u8]> {
    // SAFETY: the list is initialised with the request, whose strings live as long as it.
    unsafe {
        lines(&r.get().headers_in.headers)
            .filter(move |line| text::bytes(&line.key).eq_ignore_ascii_case(name))
            .map(|line| text::bytes(&line.value))
    }
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
