//! An nginx request: its memory, its connection and the module's context. Each other file adds methods of one subject.

mod body;
mod client;
mod code;
mod configuration;
mod phases;
mod response;
mod target;

use std::ffi::c_void;
use std::ptr::NonNull;

use ngx::ffi::*;

pub use body::NoBody;
pub use code::{AGAIN, Code, DECLINED, DONE, ERROR, OK, is_refused};
pub use configuration::LocationId;

use super::module;

/// A request that nginx has given us and hasn't freed.
///
/// Whoever keeps one beyond the call that brought it must give it up in a cleanup of the request:
/// the tasks of the executor do so by being cancelled there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request(NonNull<ngx_http_request_t>);

impl Request {
    /// # Safety
    ///
    /// `r` is null or a live request, and stays so for as long as the value is used.
    pub unsafe fn new(r: *mut ngx_http_request_t) -> Option<Request> {
        NonNull::new(r).map(Request)
    }

    /// The pointer that nginx's functions take.
    pub fn as_ptr(self) -> *mut ngx_http_request_t {
        self.0.as_ptr()
    }

    pub(crate) fn get<'a>(self) -> &'a ngx_http_request_t {
        // SAFETY: live by the contract of `new`; nginx and we run on one thread.
        unsafe { &*self.0.as_ptr() }
    }

    /// Writes fields of the request.
    ///
    /// # Safety
    ///
    /// Nobody holds a reference into what is written, and `change` reaches the request by its argument alone: it
    /// neither uses another [`Request`] nor calls nginx.
    pub(in crate::ngx) unsafe fn change<T>(
        self,
        change: impl FnOnce(&mut ngx_http_request_t) -> T,
    ) -> T {
        // SAFETY: live by the contract of `new`; the reference ends with the call.
        change(unsafe { &mut *self.0.as_ptr() })
    }

    /// The client's request if this is a subrequest of it, else itself.
    pub fn main(self) -> Request {
        NonNull::new(self.get().main).map_or(self, Request)
    }

    /// Whether nginx made it for the sake of another one.
    pub fn is_subrequest(self) -> bool {
        self.get().main != self.as_ptr()
    }

    /// Its memory.
    pub fn pool(self) -> *mut ngx_pool_t {
        self.get().pool
    }

    /// Its connection.
    pub fn connection(self) -> *mut ngx_connection_t {
        self.get().connection
    }

    /// Where its log lines go.
    pub fn log(self) -> *mut ngx_log_t {
        // SAFETY: a live request has a connection with a log.
        unsafe { (*self.connection()).log }
    }

    /// What the module has attached to the request.
    pub fn context<T>(self) -> Option<NonNull<T>> {
        // SAFETY: ctx has a place for every http module.
        NonNull::new(unsafe { *self.get().ctx.add(module::index()) }.cast())
    }

    /// Attaches a context.
    pub fn set_context<T>(self, context: NonNull<T>) {
        // SAFETY: ctx has a place for every http module.
        unsafe { *self.get().ctx.add(module::index()) = context.as_ptr().cast::<c_void>() }
    }
}
