//! What a fill's backend sends goes to the fill's stream instead of a client. Its header is captured at one of two
//! places among nginx's filters, its body behind the postpone filter, in the page's order. A subrequest of the backend's
//! location goes through nginx's filters as everywhere, to whoever it is for.

use std::ptr;
use std::rc::Rc;

use bytes::Bytes;
use cache_core::credentials::Credential;
use cache_core::flow::{Ending, Finding};
use cache_core::headers::Headers;
use cache_core::http_date;
use cache_core::policy::{RequestView, storable_behind, withheld};
use cache_core::renewal;
use cache_core::status::Reason;
use cache_core::vary::Variant;
use ngx::ffi::*;
use ngx::ngx_log_error;

use super::clock;
use super::stream::ResponseHead;
use crate::detached::{Hook, Purpose, hook};
use crate::fill::credentials;
use crate::ngx::captured::{self, Captured};
use crate::ngx::event::now_sec;
use crate::ngx::request::{AGAIN, Code, ERROR, OK, Request};
use crate::ngx::{filter, memory, shim};
use crate::store::variants;

/// The largest piece that is kept as one.
const PIECE: usize = 64 * 1024;
/// `NGX_HTTP_WRITE_BUFFERED`: tells nginx that there is more to send, as its own write filter does.
const BUFFERED: u32 = 0x10;

/// Where a filter of ours is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum FilterPosition {
    /// In front of all others.
    First,
    /// Behind those of other makers.
    Lower,
}

/// The header of a response in a fill. `None` if it goes on to the next filter.
pub fn header(r: Request, place: FilterPosition) -> Option<Code> {
    let hook = hook(r)?;
    if hook.subrequest.get() != r.as_ptr() {
        return None;
    }
    if place == FilterPosition::First {
        let length = u64::try_from(r.get().headers_out.content_length_n).ok();
        hook.promised.set(length);
    }
    (hook.purpose.place() == place).then(|| take_header(hook, r))
}

/// The header of a response in a fill that has gone through all filters: nobody gets it.
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
    if hook.stream.has_head() {
        return OK;
    }
    let mut captured = captured::capture(r, hook.left.take());
    if r.body_may_change() {
        captured.content_length = None;
    }
    let now = now_sec();
    clock::check(r, &hook.purpose, &captured, now);
    let found = finding(hook, r, &captured, now);
    let (finding, variant) = vary(&hook.purpose, r, &captured, found);
    let date = captured.dates.date.as_deref();
    let date = date.and_then(|date| http_date::parse(date, now));
    let withheld = match (&finding, &hook.purpose) {
        (Finding::Storable(plan), Purpose::Fill(question)) => {
            let rules = question.rules.ignoring(captured.unsent.ignored);
            withheld(&captured.said, plan, &rules)
        }
        _ => Vec::new(),
    };
    hook.stream.set_head(ResponseHead {
        status: captured.status,
        headers: captured.headers,
        content_length: captured.content_length,
        date: date.unwrap_or(now),
        connection: captured.connection,
        own_location: captured.own_location,
        withheld,
        unsent: captured.unsent,
        upstream: captured.upstream,
        generated: captured.generated,
        backend_status: captured.backend_status,
        asked: hook.purpose.asks_for_confirmation(),
        finding,
        variant,
    });
    OK
}

/// What becomes of an answer. One to a message isn't for the cache.
fn finding(hook: &Hook, r: Request, captured: &Captured, now: u64) -> Finding {
    let Purpose::Fill(question) = &hook.purpose else {
        return Finding::NotStorable(Reason::Bypass);
    };
    // A record would be given to those whom the rules keep out.
    if hook.checked.get() {
        return Finding::NotStorable(Reason::AccessRules);
    }
    let view = RequestView {
        no_store: question.view.no_store || question.no_store.holds(r),
        ..question.view
    };
    if let Some(held) = &question.held {
        match captured.failure() {
            Some(failure) if held.on_failure.allows(failure) => return Finding::Failed(failure),
            // What must be validated isn't replaced by nginx's own page, whatever statuses are stored.
            Some(_) if captured.generated && held.record.terms.never_stale => {
                return Finding::NotStorable(Reason::BackendFailed);
            }
            _ => {}
        }
        if captured.status == 304
            && captured.left.is_empty()
            && question.validators.is_some()
            && let Some(renewed) = renewal::renew(
                &held.record,
                &captured.confirmation(),
                &view,
                &question.rules,
                now,
            )
        {
            return Finding::Confirmed(Rc::new(renewed));
        }
    }
    let asked = &question.asked;
    let less = !asked.left_out.is_empty();
    let (before, answer) = (captured.before(), captured.view());
    match storable_behind(&view, before, &answer, &question.rules, now) {
        // It may be what is told to those who don't say enough.
        Ok(_)
            if less
                && question
                    .held
                    .as_ref()
                    .is_some_and(|held| held.record.status != captured.status) =>
        {
            Finding::NotStorable(Reason::WithoutHeader)
        }
        Ok(plan) => Finding::Storable(plan),
        Err(reason) if !reason.is_of_request() && less => {
            Finding::NotStorable(Reason::WithoutHeader)
        }
        // What lies with the request alone says nothing of the cookie.
        Err(reason)
            if !reason.is_of_request() && asked.credentials.contains(&Credential::Cookie) =>
        {
            credentials::wants_cookie(question.key);
            Finding::NotStorable(Reason::WithoutCookie)
        }
        Err(reason) => Finding::NotStorable(reason),
    }
}

/// Which variant an answer is, if it varies: that of the request which asked for it (RFC 9111 4.1).
fn vary(
    purpose: &Purpose,
    r: Request,
    captured: &Captured,
    finding: Finding,
) -> (Finding, Option<Variant>) {
    let Purpose::Fill(question) = purpose else {
        return (finding, None);
    };
    let rules = &*question.rules.ignoring(captured.unsent.ignored);
    let variant = |headers: &Headers| variants::of_answer(headers, rules, r.main());
    match finding {
        Finding::Confirmed(renewed) => {
            let variant = variant(&renewed.record.said());
            let renewed = Rc::unwrap_or_clone(renewed);
            let renewed = variants::renewed(renewed, variant.as_ref(), rules);
            (Finding::Confirmed(Rc::new(renewed)), variant)
        }
        other => (other, variant(&captured.said)),
    }
}

/// Buffers of a response in a fill. `None` if they go on to the next filter.
///
/// # Safety
///
/// `input` is a chain as nginx gives body filters.
pub unsafe fn body(r: Request, input: *mut ngx_chain_t, place: FilterPosition) -> Option<Code> {
    let hook = hook(r)?;
    if hook.subrequest.get() != r.as_ptr() {
        return None;
    }
    if place == FilterPosition::First {
        // SAFETY: by contract.
        unsafe { note(hook, input) };
    }
    // SAFETY: by contract.
    (hook.purpose.place() == place).then(|| unsafe { filter::postpone(r, input) })
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
    // SAFETY: by contract; held links are copies in the request's pool.
    Some(unsafe { take(hook, r, input) })
}

/// Takes what was held, now that more may be. True if nothing is left.
///
/// # Safety
///
/// `main` is the main request of the fill that `hook` belongs to.
pub unsafe fn drain(hook: &Hook, main: Request) -> Result<bool, ()> {
    if hook.held.get().is_null() {
        return Ok(true);
    }
    // SAFETY: by contract.
    match unsafe { take(hook, main, ptr::null_mut()) } {
        ERROR => Err(()),
        code => Ok(code == OK),
    }
}

/// Takes what was held and what has come, until the stream says that it is enough for now.
unsafe fn take(hook: &Hook, r: Request, input: *mut ngx_chain_t) -> Code {
    // SAFETY: chains of live buffers; links that stay are copied into the request's pool.
    unsafe {
        let mut held = hook.held.get();
        if !input.is_null() && ngx_chain_add_copy(r.pool(), &mut held, input) != OK {
            return ERROR;
        }
        while let Some(link) = held.as_ref() {
            // Before it is taken: a buffer that is given back makes nginx read on.
            if hook.stream.is_blocked() {
                break;
            }
            if memory::is_short() {
                // What is captured is what there is to give back.
                hook.stream.cease_capture(Ending::NoRoom);
            }
            match piece(link.buf, r) {
                Ok(Some(piece)) => hook.stream.push(piece),
                Ok(None) => {}
                Err(Unread::NoMemory) if hook.stream.cease_capture(Ending::NoRoom) => {}
                Err(_) => return ERROR,
            }
            if is_empty(link.buf) {
                if (*link.buf).flush() != 0 && shim::rcs_buf_is_last(link.buf) == 0 {
                    hook.stream.flush();
                }
                let done = held;
                held = link.next;
                // ngx_free_chain
                (*done).next = (*r.pool()).chain;
                (*r.pool()).chain = done;
            }
        }
        hook.held.set(held);
        let c = r.connection();
        let buffered = (*c).buffered();
        if held.is_null() {
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

unsafe fn is_empty(buffer: *const ngx_buf_t) -> bool {
    // SAFETY: a live buffer.
    unsafe {
        (*buffer).pos == (*buffer).last
            && ((*buffer).in_file() == 0 || (*buffer).file_pos == (*buffer).file_last)
    }
}

/// Why there is no piece.
enum Unread {
    NoMemory,
    File,
}

/// The next piece of a buffer, and the buffer shorter by it. `None` if it has none.
unsafe fn piece(buffer: *mut ngx_buf_t, r: Request) -> Result<Option<Bytes>, Unread> {
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
