//! nginx's chains of filters: what comes behind a filter of ours.
//!
//! Each filter keeps what was first in the chain before it. nginx builds the same chains again at each reload in the
//! same process, so the latest counts.

use std::cell::Cell;

use ngx::ffi::*;

use super::request::{Code, ERROR, OK, Request};

/// A header filter, as nginx calls it.
pub type HeaderFilter = unsafe extern "C" fn(*mut ngx_http_request_t) -> ngx_int_t;
/// A body filter, as nginx calls it.
pub type BodyFilter = unsafe extern "C" fn(*mut ngx_http_request_t, *mut ngx_chain_t) -> ngx_int_t;

/// The filters behind a pair of ours.
pub struct Next {
    header: Cell<ngx_http_output_header_filter_pt>,
    body: Cell<ngx_http_output_body_filter_pt>,
}

// SAFETY: nginx runs postconfigurations and requests in one thread, and only the former write.
unsafe impl Sync for Next {}

/// What comes behind our first filters, which see a response before all others.
pub static BEHIND_FIRST: Next = Next::new();

/// nginx's postpone filter, which puts the parts of a page in order.
pub static POSTPONE_FILTER: Next = Next::new();

impl Next {
    /// Of filters that nginx doesn't know yet.
    pub const fn new() -> Next {
        Next {
            header: Cell::new(None),
            body: Cell::new(None),
        }
    }

    /// Puts a header filter in front of the others.
    ///
    /// # Safety
    ///
    /// Only while nginx runs postconfigurations.
    pub unsafe fn put_header(&self, filter: HeaderFilter) -> Code {
        // SAFETY: by contract nobody else is running.
        unsafe {
            self.header.set(ngx_http_top_header_filter);
            ngx_http_top_header_filter = Some(filter);
        }
        OK
    }

    /// Puts a header filter and a body filter in front of the others.
    ///
    /// # Safety
    ///
    /// Only while nginx runs postconfigurations.
    pub unsafe fn put(&self, header: HeaderFilter, body: BodyFilter) -> Code {
        // SAFETY: by contract nobody else is running.
        unsafe {
            self.learn();
            ngx_http_top_body_filter = Some(body);
            self.put_header(header)
        }
    }

    /// Learns what is first now, without a filter in front of it.
    ///
    /// # Safety
    ///
    /// Only while nginx runs postconfigurations.
    pub unsafe fn learn(&self) {
        // SAFETY: by contract nobody else is running.
        unsafe {
            self.header.set(ngx_http_top_header_filter);
            self.body.set(ngx_http_top_body_filter);
        }
    }

    /// What the header filters make of a response.
    ///
    /// # Safety
    ///
    /// In a header filter, or where one has held the response back.
    pub unsafe fn header(&self, r: *mut ngx_http_request_t) -> Code {
        // SAFETY: by contract.
        self.header.get().map_or(ERROR, |next| unsafe { next(r) })
    }

    /// What the body filters make of a part of a response.
    ///
    /// # Safety
    ///
    /// `chain` is one as nginx gives body filters, and the header has gone before.
    pub unsafe fn body(&self, r: *mut ngx_http_request_t, chain: *mut ngx_chain_t) -> Code {
        // SAFETY: by contract.
        self.body
            .get()
            .map_or(ERROR, |next| unsafe { next(r, chain) })
    }
}

/// Gives a part of a fill's response its place in the page, past all filters on the way.
///
/// # Safety
///
/// `input` is a chain as nginx gives body filters.
pub unsafe fn postpone(r: Request, input: *mut ngx_chain_t) -> Code {
    // SAFETY: by contract.
    unsafe { POSTPONE_FILTER.body(r.as_ptr(), input) }
}
