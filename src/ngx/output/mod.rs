//! Sending a response body to a client without copying it: a few buffers that point into shared
//! pieces, each free again when the filters have passed it on.

mod body;
mod shared_body;

use std::ptr;

use bytes::Bytes;
use ngx::ffi::*;

pub use body::Body;
use shared_body::SharedBody;
pub use shared_body::is_large;

use super::request::{AGAIN, Code, ERROR, OK, Request};
use super::text;

/// Sends a whole response of this text, and throws the request's body away; gives what the request is to be finalized with.
pub fn send_text(r: Request, status: u32, content_type: &'static [u8], text: &[u8]) -> Code {
    // SAFETY: live request, whose header hasn't been sent. The text is copied into its pool; a value of zeroes but for its
    // text is that text.
    unsafe {
        let Some(text) = text::copy(r.pool(), text) else {
            return NGX_HTTP_INTERNAL_SERVER_ERROR as Code;
        };
        let mut value: ngx_http_complex_value_t = std::mem::zeroed();
        value.value = text;
        let mut content_type = text::borrowed(content_type);
        ngx_http_send_response(
            r.as_ptr(),
            status as ngx_uint_t,
            &mut content_type,
            &mut value,
        )
    }
}

/// How many pieces may be on their way to one client at once.
const IN_FLIGHT: usize = 4;

struct Slot {
    buffer: *mut ngx_buf_t,
    link: *mut ngx_chain_t,
    /// What the buffer points into.
    piece: Bytes,
}

/// The way of a body to its client.
pub struct Output {
    request: Request,
    /// Most responses need one.
    first: Option<Slot>,
    others: Vec<Slot>,
    /// A large whole body, while it is in memory.
    share: Option<SharedBody>,
}

impl Output {
    /// The body of `request`'s response. It must be dropped before the request's pool is.
    pub fn new(request: Request) -> Output {
        Output {
            request,
            first: None,
            others: Vec::new(),
            share: None,
        }
    }

    /// Gives a whole body to the filters: from memory, or from a file if too much waits there. Without a file it comes
    /// from memory nevertheless.
    pub fn send_whole(&mut self, body: Body) -> Code {
        if !is_large(body.len()) {
            return self.send_pieces(body);
        }
        match SharedBody::of(body) {
            Ok(share) => {
                let code = self.send_pieces(share.body().clone());
                self.share = Some(share);
                code
            }
            Err(body) => match shared_body::into_file(self.request, &body) {
                Some(file) => self.send_file(file, body.len()),
                None => self.send_pieces(body),
            },
        }
    }

    /// Gives all pieces of a body to the filters at once. Nothing was sent before.
    fn send_pieces(&mut self, body: Body) -> Code {
        let last = body.count() - 1;
        let mut next: Option<*mut *mut ngx_chain_t> = None;
        let mut first = ptr::null_mut();
        for (index, piece) in body.into_pieces().enumerate() {
            let Some(link) = self.fill_slot(piece, index == last) else {
                return ERROR;
            };
            // SAFETY: links live in the request's pool, and nobody else has them yet. None of them but the last is to
            // be sent before the others are there.
            unsafe {
                (*(*link).buf).set_recycled(0);
                match next {
                    Some(next) => *next = link,
                    None => first = link,
                }
                next = Some(&raw mut (*link).next);
            }
        }
        // SAFETY: a chain of buffers that were filled.
        unsafe { ngx_http_output_filter(self.request.as_ptr(), first) }
    }

    fn send_file(&mut self, file: *mut ngx_file_t, length: usize) -> Code {
        let Ok(length) = off_t::try_from(length) else {
            return ERROR;
        };
        // SAFETY: the pool is live; the file lives in it, too.
        unsafe {
            let Some(buffer) = ngx_pcalloc(self.request.pool(), size_of::<ngx_buf_t>())
                .cast::<ngx_buf_t>()
                .as_mut()
            else {
                return ERROR;
            };
            buffer.file = file;
            buffer.file_last = length;
            buffer.set_in_file(1);
            buffer.set_last_in_chain(1);
            buffer.set_last_buf(u32::from(!self.request.is_subrequest()));
            let mut link = ngx_chain_t {
                buf: buffer,
                next: ptr::null_mut(),
            };
            // The filters copy the links of what they keep.
            ngx_http_output_filter(self.request.as_ptr(), &mut link)
        }
    }

    /// Gives a piece to the filters, without waiting; `last` ends the response.
    pub fn send(&mut self, piece: Bytes, last: bool) -> Code {
        match self.fill_slot(piece, last) {
            // SAFETY: live request; the buffer was filled.
            Some(link) => unsafe { ngx_http_output_filter(self.request.as_ptr(), link) },
            None => ERROR,
        }
    }

    /// A buffer that points to a piece. `None` if there is no memory.
    fn fill_slot(&mut self, piece: Bytes, last: bool) -> Option<*mut ngx_chain_t> {
        let ends_response = last && !self.request.is_subrequest();
        let slot = self.free_slot()?;
        // SAFETY: the slot's buffer and link live in the request's pool; nobody else uses them
        // since the buffer is consumed.
        unsafe {
            ptr::write_bytes(slot.buffer, 0, 1);
            let buffer = &mut *slot.buffer;
            if piece.is_empty() {
                buffer.set_sync(1);
            } else {
                buffer.pos = piece.as_ptr().cast_mut();
                buffer.last = buffer.pos.add(piece.len());
                buffer.start = buffer.pos;
                buffer.end = buffer.last;
                buffer.set_memory(1);
                // As nginx marks the pieces of an upstream: it goes out without waiting for more, but
                // no filter is made to give up what it still wants to work on.
                buffer.set_recycled(u32::from(!last));
            }
            buffer.set_last_in_chain(u32::from(last));
            buffer.set_last_buf(u32::from(ends_response));
            (*slot.link).buf = slot.buffer;
            (*slot.link).next = ptr::null_mut();
        }
        slot.piece = piece;
        Some(slot.link)
    }

    /// Makes the filters send what they hold back for more.
    pub fn push_through(&mut self) -> Code {
        // SAFETY: live request.
        unsafe { ngx_http_send_special(self.request.as_ptr(), NGX_HTTP_FLUSH as ngx_uint_t) }
    }

    /// Lets the filters go on with what they hold.
    pub fn flush(&mut self) -> Code {
        // SAFETY: a null chain means just that.
        unsafe { ngx_http_output_filter(self.request.as_ptr(), ptr::null_mut()) }
    }

    /// Whether another piece may be sent now.
    pub fn has_room(&self) -> bool {
        self.others.len() + 1 < IN_FLIGHT || self.slots().any(Slot::is_free)
    }

    fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.first.iter().chain(&self.others)
    }

    fn free_slot(&mut self) -> Option<&mut Slot> {
        if self.first.is_none() {
            self.first = Some(Slot::new(self.request)?);
        } else if !self.slots().any(Slot::is_free) {
            self.others.push(Slot::new(self.request)?);
        }
        self.first
            .iter_mut()
            .chain(&mut self.others)
            .find(|slot| slot.is_free())
    }
}

impl Slot {
    /// A free place. `None` if there is no memory.
    fn new(request: Request) -> Option<Slot> {
        // SAFETY: the pool lives as long as the request; a zeroed buffer is an empty one.
        let (buffer, link) = unsafe {
            let pool = request.pool();
            let buffer = ngx_pcalloc(pool, size_of::<ngx_buf_t>()).cast::<ngx_buf_t>();
            (buffer, ngx_alloc_chain_link(pool))
        };
        let usable = !buffer.is_null() && !link.is_null();
        usable.then(|| Slot {
            buffer,
            link,
            piece: Bytes::new(),
        })
    }

    fn is_free(&self) -> bool {
        // SAFETY: the buffer lives in the request's pool. A consumed buffer has pos at last.
        unsafe { (*self.buffer).pos == (*self.buffer).last }
    }
}

/// Arranges for the request's write handler to be called when the client takes more, as
/// `ngx_http_writer` does. `AGAIN` if something is buffered, `OK` if nothing is, else `ERROR`.
pub fn await_writable(r: Request) -> Code {
    // SAFETY: live request and connection; the write event belongs to it.
    unsafe {
        let c = r.connection();
        let write = (*c).write;
        let buffered = (*c).buffered() != 0 || super::shim::rcs_get_buffered(r.as_ptr()) != 0;
        if !buffered {
            if (*write).timer_set() != 0 && (*write).delayed() == 0 {
                ngx_del_timer(write);
            }
            return OK;
        }
        let Some(conf) = r.core_loc_conf() else {
            return ERROR;
        };
        if (*write).delayed() == 0 {
            if (*write).ready() == 0 {
                ngx_add_timer(write, conf.send_timeout);
            } else if (*write).timer_set() != 0 {
                // A filter waits for more, not for the client: gzip does until the end.
                ngx_del_timer(write);
            }
        }
        if ngx_handle_write_event(write, conf.send_lowat) != OK {
            return ERROR;
        }
        AGAIN
    }
}
