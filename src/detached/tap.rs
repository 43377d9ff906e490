//! Gives a sink the body of the response to a client's own request, too, as it comes to the module's first filter. The client
//! gets all of it: nothing is taken.

use std::cell::Cell;
use std::rc::Rc;

use cache_core::flow::Ending;
use ngx::ffi::*;

use super::capture::piece;
use super::sink::Sink;
use crate::ngx::request::Request;
use crate::ngx::{memory, shim};

/// The body of one response, on its way to a client.
pub struct Tap {
    sink: Rc<dyn Sink>,
    /// How long its header says that it is.
    promised: Option<u64>,
    /// How much of it has come.
    given: Cell<u64>,
}

impl Tap {
    /// For a response whose header is here. `promised`: how long it says that the body is, in bytes.
    pub fn new(sink: Rc<dyn Sink>, promised: Option<u64>) -> Tap {
        Tap {
            sink,
            promised,
            given: Cell::new(0),
        }
    }

    /// A part of the body is on its way.
    ///
    /// # Safety
    ///
    /// `link` is a chain as nginx gives body filters.
    pub unsafe fn body(&self, r: Request, mut link: *mut ngx_chain_t) {
        // SAFETY: by contract, a chain of live buffers.
        unsafe {
            while let Some(current) = link.as_ref() {
                self.given
                    .set(self.given.get() + shim::rcs_buf_size(current.buf));
                self.copy(r, current.buf);
                if shim::rcs_buf_is_last(current.buf) != 0 {
                    let is_whole = self
                        .promised
                        .is_none_or(|length| length == self.given.get());
                    self.end(is_whole);
                }
                link = current.next;
            }
        }
    }

    /// No more comes. Unless it has ended before, it is whole only if as much has come as was promised.
    pub fn finish(&self) {
        self.end(self.promised == Some(self.given.get()));
    }

    /// It isn't the response any more.
    pub fn cut(&self) {
        self.end(false);
    }

    fn end(&self, is_whole: bool) {
        self.sink
            .end(if is_whole { Ending::Whole } else { Ending::Cut });
    }

    /// Copies what a buffer has, as long as that is wanted.
    unsafe fn copy(&self, r: Request, buffer: *const ngx_buf_t) {
        // SAFETY: by the caller, a live buffer. What is read of it moves the beginning of the copy alone.
        unsafe {
            let mut rest = *buffer;
            while !self.sink.has_ended() && !self.sink.is_unwanted() {
                if memory::is_short() {
                    self.sink.cease_capture(Ending::NoRoom);
                    return;
                }
                match piece(&mut rest, r) {
                    Ok(Some(piece)) => self.sink.push(piece),
                    Ok(None) => return,
                    Err(_) => {
                        self.sink.cease_capture(Ending::NoRoom);
                        return;
                    }
                }
            }
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.cut();
    }
}
