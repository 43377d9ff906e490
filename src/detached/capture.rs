//! Gives the response of a detached request to its sink instead of a client. The header is captured at one of two
//! places among nginx's filters, the body behind the postpone filter, in the page's order. A subrequest of the
//! backend's location goes through nginx's filters as everywhere, to whoever it is for.

use std::ptr;

use bytes::Bytes;
use cache_core::flow::Ending;
use ngx::ffi::*;
use ngx::ngx_log_error;

use super::hook::{Header, Hook, hook};
use super::purpose::FilterPosition;
use crate::ngx::request::{AGAIN, Code, ERROR, OK, Request};
use crate::ngx::upstream::captured;
use crate::ngx::{filter, hints, memory, shim};

/// The largest piece that is kept as one.
const PIECE: usize = 64 * 1024;
/// `NGX_HTTP_WRITE_BUFFERED`: tells nginx that there is more to send, as its own write filter does.
const BUFFERED: u32 = 0x10;

/// How many bytes are taken that nobody wants. Often they are the rest, and a backend that can send it keeps its
/// connection.
const WASTE: u64 = 256 * 1024;

/// The header of a response to a detached request. `None` if it goes on to the next filter.
pub fn header(r: Request, position: FilterPosition) -> Option<Code> {
    let hook = hook(r)?;
    if hook.subrequest.get() != r.as_ptr() {
        return None;
    }
    if position == FilterPosition::First {
        let length = u64::try_from(r.get().headers_out.content_length_n).ok();
        hook.promised.set(length);
    }
    (hook.purpose.position() == position).then(|| take_header(hook, r))
}

/// A 103 (Early Hints) to a detached request. `None` if it is a client's. What comes to a part of a page is for nobody.
pub fn hint(r: Request) -> Option<Code> {
    let hook = hook(r)?;
    if hook.subrequest.get() == r.as_ptr() && hook.header.get().is_none() {
        hook.sink.hint(r, hints::of(r));
    }
    Some(OK)
}

/// The header of a response to a detached request that has gone through all filters: nobody gets it.
pub fn output_header(r: Request) -> Option<Code> {
    hook(r)?;
    set_header_sent(r);
    Some(OK)
}

/// nginx asks this bit whether it may still send an error instead.
fn set_header_sent(r: Request) {
    // SAFETY: live request.
    unsafe { shim::rcs_set_header_sent(r.as_ptr(), 1) };
}

fn take_header(hook: &Hook, r: Request) -> Code {
    set_header_sent(r);
    if hook.header.get().is_some() {
        return OK;
    }
    let mut captured = captured::capture(r, hook.left.take());
    if r.body_may_change() {
        captured.content_length = None;
    }
    hook.header.set(Some(Header {
        status: captured.status,
        content_length: captured.content_length,
    }));
    hook.sink.header(r, captured, hook.checked.get());
    OK
}

/// Buffers of a response to a detached request. `None` if they go on to the next filter.
///
/// # Safety
///
/// `input` is a chain as nginx gives body filters.
pub unsafe fn body(r: Request, input: *mut ngx_chain_t, position: FilterPosition) -> Option<Code> {
    let hook = hook(r)?;
    if hook.subrequest.get() != r.as_ptr() {
        return None;
    }
    if position == FilterPosition::First {
        // SAFETY: by contract.
        unsafe { note(hook, input) };
    }
    // SAFETY: by contract.
    (hook.purpose.position() == position).then(|| unsafe { filter::postpone(r, input) })
}

/// What the backend's location gives, before anybody changes it: by this it is known whether it is whole.
unsafe fn note(hook: &Hook, mut link: *mut ngx_chain_t) {
    // SAFETY: by the caller, a chain of live buffers.
    unsafe {
        while let Some(current) = link.as_ref() {
            hook.given
                .set(hook.given.get() + shim::rcs_buf_size(current.buf));
            if shim::rcs_buf_is_last(current.buf) != 0 {
                hook.last_seen.set(true);
            }
            link = current.next;
        }
    }
}

/// Buffers that have gone through all filters, in the order of the page. `None` if they are a client's.
///
/// # Safety
///
/// `input` is a chain as nginx gives body filters.
pub unsafe fn output_body(r: Request, input: *mut ngx_chain_t) -> Option<Code> {
    let hook = hook(r)?;
    // SAFETY: by contract; links that wait are copies in the request's pool.
    Some(unsafe { take(hook, r, input) })
}

/// Takes what was waiting, now that more may be taken. True if nothing is left.
///
/// # Safety
///
/// `main` is the main request that `hook` belongs to.
pub(super) unsafe fn drain(hook: &Hook, main: Request) -> Result<bool, ()> {
    if hook.waiting.get().is_null() {
        return Ok(true);
    }
    // SAFETY: by contract.
    match unsafe { take(hook, main, ptr::null_mut()) } {
        ERROR => Err(()),
        code => Ok(code == OK),
    }
}

/// Takes what was waiting and what has come, until the sink says that it is enough for now.
unsafe fn take(hook: &Hook, r: Request, input: *mut ngx_chain_t) -> Code {
    // SAFETY: chains of live buffers; links that stay are copied into the request's pool.
    unsafe {
        let mut waiting = hook.waiting.get();
        if !input.is_null() && ngx_chain_add_copy(r.pool(), &mut waiting, input) != OK {
            return ERROR;
        }
        while let Some(link) = waiting.as_ref() {
            // Before it is taken: a buffer that is given back makes nginx read on.
            if hook.sink.is_blocked() || is_wasted(hook) {
                break;
            }
            if memory::is_short() {
                // What is captured is what there is to give back.
                hook.sink.cease_capture(Ending::NoRoom);
            }
            match piece(link.buf, r) {
                Ok(Some(piece)) => {
                    hook.taken.set(hook.taken.get() + piece.len() as u64);
                    if hook.sink.is_unwanted() {
                        hook.wasted.set(hook.wasted.get() + piece.len() as u64);
                    }
                    hook.sink.push(piece);
                }
                Ok(None) => {}
                Err(Unread::NoMemory) if hook.sink.cease_capture(Ending::NoRoom) => {}
                Err(_) => return ERROR,
            }
            if is_empty(link.buf) {
                if (*link.buf).flush() != 0 && shim::rcs_buf_is_last(link.buf) == 0 {
                    hook.sink.flush();
                }
                let done = waiting;
                waiting = link.next;
                // ngx_free_chain
                (*done).next = (*r.pool()).chain;
                (*r.pool()).chain = done;
            }
        }
        hook.waiting.set(waiting);
        let c = r.connection();
        let buffered = (*c).buffered();
        if waiting.is_null() {
            if buffered & BUFFERED != 0 {
                (*c).set_buffered(buffered & !BUFFERED);
                // Only what was set here: limit_req delays a request by the same bit.
                (*(*c).write).set_delayed(0);
            }
            OK
        } else {
            // Not `ready = 0`: nginx would arm send_timeout for a client that doesn't exist.
            (*c).set_buffered(buffered | BUFFERED);
            (*(*c).write).set_delayed(1);
            AGAIN
        }
    }
}

/// Whether enough was taken for nobody. The request is about to be broken off, but in the same turn of the loop a file
/// would be read to its end.
fn is_wasted(hook: &Hook) -> bool {
    hook.wasted.get() >= WASTE && hook.sink.is_unwanted()
}

unsafe fn is_empty(buffer: *const ngx_buf_t) -> bool {
    // SAFETY: a live buffer.
    unsafe {
        (*buffer).pos == (*buffer).last
            && ((*buffer).in_file() == 0 || (*buffer).file_pos == (*buffer).file_last)
    }
}

/// Why there is no piece.
pub(super) enum Unread {
    NoMemory,
    File,
}

/// The next piece of a buffer, and the buffer shorter by it. `None` if it has none.
///
/// # Safety
///
/// `buffer` is a live buffer of the request, or a copy of one.
pub(super) unsafe fn piece(buffer: *mut ngx_buf_t, r: Request) -> Result<Option<Bytes>, Unread> {
    // SAFETY: a live buffer; memory before the file, as nginx's own copy filter prefers it.
    unsafe {
        let b = &mut *buffer;
        if shim::rcs_buf_in_memory(b) != 0 {
            let length = (b.last as usize - b.pos as usize).min(PIECE);
            let bytes = memory::copy(std::slice::from_raw_parts(b.pos, length));
            let bytes = bytes.ok_or(Unread::NoMemory)?;
            b.pos = b.pos.add(length);
            if b.pos == b.last {
                b.file_pos = b.file_last;
            }
            return Ok((length > 0).then_some(bytes));
        }
        if b.in_file() == 0 {
            b.pos = b.last;
            return Ok(None);
        }
        let length = usize::try_from(b.file_last - b.file_pos)
            .unwrap_or(0)
            .min(PIECE);
        if length == 0 {
            return Ok(None);
        }
        read(b, length, r).map(Some)
    }
}

/// Reads from the buffer's file. With directio offset, length and memory are aligned for it.
unsafe fn read(b: &mut ngx_buf_t, length: usize, r: Request) -> Result<Bytes, Unread> {
    const ALIGNMENT: usize = 4096;
    // SAFETY: the file of a live buffer is open; the memory is as long as what is read into it.
    unsafe {
        let file = &*b.file;
        let skip = if file.directio() != 0 {
            usize::try_from(b.file_pos).unwrap_or(0) % ALIGNMENT
        } else {
            0
        };
        let wanted = (skip + length).next_multiple_of(ALIGNMENT);
        let mut memory = memory::room(wanted + ALIGNMENT).ok_or(Unread::NoMemory)?;
        memory.resize(wanted + ALIGNMENT, 0);
        let shift = memory.as_ptr().align_offset(ALIGNMENT);
        let target = memory.as_mut_ptr().add(shift);
        let size = if skip > 0 || file.directio() != 0 {
            wanted
        } else {
            length
        };
        let n = libc::pread(file.fd, target.cast(), size, b.file_pos - skip as off_t);
        let got = usize::try_from(n)
            .unwrap_or(0)
            .saturating_sub(skip)
            .min(length);
        if got == 0 {
            ngx_log_error!(
                NGX_LOG_CRIT,
                r.log(),
                "redis_cache: read of a response's file failed"
            );
            return Err(Unread::File);
        }
        b.file_pos += got as off_t;
        Ok(Bytes::from(memory).slice(shift + skip..shift + skip + got))
    }
}
