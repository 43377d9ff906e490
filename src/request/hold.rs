//! A response that waits until the store knows what it means: its header stays here, and behind it what comes of its
//! body, as in nginx's image filter. Its sender sees a client that takes nothing for a while.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::ptr;
use std::rc::Rc;

use ngx::ffi::*;

use crate::ngx::event::{Posted, sleep};
use crate::ngx::filter::BEHIND_FIRST;
use crate::ngx::guard::guard;
use crate::ngx::request::{AGAIN, Code, ERROR, OK, Request, is_refused};
use crate::ngx::{chain, headers, shim, shutdown};
use crate::request::context::Context;
use crate::request::state::State;
use crate::worker;

/// A response waits no longer than this, in milliseconds: a location as the store may have patient timeouts.
const LONGEST: u64 = 3000;

/// In `r->buffered`: there is more to send. nginx's own filters use the three bits below.
const BUFFERED: ngx_uint_t = 0x08;

thread_local! {
    /// How many responses of this worker wait.
    static WAITING: Cell<usize> = const { Cell::new(0) };
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    /// Nothing is held.
    #[default]
    Open,
    /// The store is asked.
    Waiting,
    /// What is held may go.
    Ready,
}

/// What is held of the response to one request.
#[derive(Default)]
pub struct Hold {
    stage: Cell<Stage>,
    chain: Cell<Option<ptr::NonNull<ngx_chain_t>>>,
    /// Whether the end of the body is held, too: its sender is done with it.
    whole: Cell<bool>,
    /// Whether an upstream sends it: that is done with it when it has ended, be it with less than the whole.
    by_upstream: Cell<bool>,
    /// Lives as long as the request, so that it may be posted as long as that.
    resume: RefCell<Option<Rc<Posted>>>,
}

impl Hold {
    fn set(&self, stage: Stage) {
        let (was, is) = (
            self.stage.replace(stage) != Stage::Open,
            stage != Stage::Open,
        );
        let waiting = WAITING.get();
        WAITING.set(match (was, is) {
            (false, true) => waiting + 1,
            (true, false) => waiting.saturating_sub(1),
            _ => waiting,
        });
    }

    fn chain(&self) -> *mut ngx_chain_t {
        self.chain
            .get()
            .map_or(ptr::null_mut(), ptr::NonNull::as_ptr)
    }
}

impl State for Hold {
    fn retire(&self, r: Request) {
        if self.stage.get() != Stage::Open {
            r.set_delayed(false);
        }
        self.set(Stage::Open);
    }

    fn abandon(&self, r: Request) {
        if self.stage.get() == Stage::Open {
            return;
        }
        self.retire(r);
        // SAFETY: links and buffers of the live request.
        unsafe {
            chain::consume(self.chain());
            let buffered = shim::rcs_get_buffered(r.as_ptr());
            shim::rcs_set_buffered(r.as_ptr(), buffered & !BUFFERED);
        }
        self.chain.set(None);
    }
}

/// Does `work`, whatever becomes of the client. If `worth_it`, the response, whose header is just about to go, waits
/// for its end. Returns what the header filter returns then.
pub fn until(
    r: Request,
    context: &'static Context,
    work: impl Future<Output = ()> + 'static,
    worth_it: bool,
) -> Option<Code> {
    let hold = if worth_it {
        context.state::<Hold>()
    } else {
        None
    };
    let Some(hold) = hold else {
        worker::spawn(async move {
            let _guard = shutdown::delay();
            work.await;
            None
        });
        return None;
    };
    let alive = context.alive(r);
    let resume = Rc::new(Posted::new(move || {
        if let Some(r) = alive.get() {
            go_on(r);
        }
    }));
    *hold.resume.borrow_mut() = Some(Rc::clone(&resume));
    hold.set(Stage::Waiting);
    hold.by_upstream.set(r.asks_upstream());
    let status = r.get().headers_out.status;
    // SAFETY: live request. nginx sets the first as late as in its last filter, where it would now be seen too late.
    unsafe {
        if r.is_head() || status == 204 || status == 304 {
            shim::rcs_set_header_only(r.as_ptr(), 1);
        }
        let buffered = shim::rcs_get_buffered(r.as_ptr());
        shim::rcs_set_buffered(r.as_ptr(), buffered | BUFFERED);
    }
    // As where limit_rate makes it wait: send_timeout doesn't count, since it isn't the client that is slow.
    r.set_delayed(true);
    worker::spawn(async move {
        let _guard = shutdown::delay();
        let (mut work, mut late) = (pin!(work), pin!(sleep(LONGEST)));
        let mut told = false;
        poll_fn(|cx| {
            let done = work.as_mut().poll(cx);
            if !told && (done.is_ready() || late.as_mut().poll(cx).is_ready()) {
                told = true;
                resume.post();
            }
            done
        })
        .await;
        None
    });
    Some(OK)
}

/// A header on its way, where one is held already: nginx has found something else to say, and that waits in its place.
pub fn header(context: &'static Context) -> Option<Code> {
    if WAITING.get() == 0 {
        return None;
    }
    let hold = context.find::<Hold>()?;
    if hold.stage.get() != Stage::Waiting {
        return None;
    }
    // SAFETY: links and buffers of the live request.
    unsafe { chain::consume(hold.chain()) };
    hold.chain.set(None);
    Some(OK)
}

/// A part of a body on its way. `None` if nothing is held.
///
/// # Safety
///
/// `input` is a chain as nginx gives body filters.
pub unsafe fn body(r: Request, input: *mut ngx_chain_t) -> Option<Code> {
    if WAITING.get() == 0 {
        return None;
    }
    let main = r.main();
    let hold = Context::of(main)?.find::<Hold>()?;
    match hold.stage.get() {
        Stage::Open => None,
        Stage::Waiting if r == main => {
            let mut chain = hold.chain();
            // SAFETY: by contract.
            if unsafe { chain::has_last(input) } {
                hold.whole.set(true);
            }
            // SAFETY: by contract; the links are copied into the request's pool.
            let added = unsafe { ngx_chain_add_copy(r.pool(), &mut chain, input) };
            hold.chain.set(ptr::NonNull::new(chain));
            Some(if added == OK { AGAIN } else { ERROR })
        }
        Stage::Ready if r == main => {
            // SAFETY: by contract.
            Some(unsafe { open(main, hold, input) })
        }
        // A subrequest's part must not come before the header: that waits no longer.
        Stage::Waiting | Stage::Ready => {
            // SAFETY: nothing is added.
            let code = unsafe { open(main, hold, ptr::null_mut()) };
            is_refused(code).then_some(ERROR)
        }
    }
}

/// Lets what is held go, and `input` behind it. What the header filters refuse is dropped.
///
/// # Safety
///
/// `input` is a chain as nginx gives body filters, or null.
unsafe fn open(r: Request, hold: &Hold, input: *mut ngx_chain_t) -> Code {
    hold.set(Stage::Open);
    r.set_delayed(false);
    let mut chain = hold.chain();
    hold.chain.set(None);
    // SAFETY: live request; links and buffers are those that nginx gave us.
    unsafe {
        let buffered = shim::rcs_get_buffered(r.as_ptr());
        shim::rcs_set_buffered(r.as_ptr(), buffered & !BUFFERED);
        if ngx_chain_add_copy(r.pool(), &mut chain, input) != OK {
            return ERROR;
        }
        let code = BEHIND_FIRST.header(r.as_ptr());
        if is_refused(code) || r.is_header_only() {
            chain::consume(chain);
            return code;
        }
        if chain.is_null() {
            return code;
        }
        BEHIND_FIRST.body(r.as_ptr(), chain)
    }
}

/// The wait is over: what is held goes, and the sender of the response is told that the client takes more.
fn go_on(r: Request) {
    guard("answer", (), || {
        let Some(hold) = Context::of(r).and_then(Context::find::<Hold>) else {
            return;
        };
        if hold.stage.get() != Stage::Waiting {
            return;
        }
        hold.set(Stage::Ready);
        // SAFETY: the request is live, as its context says; a null chain adds nothing.
        let code = unsafe { ngx_http_output_filter(r.as_ptr(), ptr::null_mut()) };
        if is_refused(code) {
            refuse(r, hold, code);
            return;
        }
        // SAFETY: as above; the handler may end the request, and it is not touched again.
        unsafe {
            let c = r.connection();
            if let Some(handler) = (*(*c).write).handler {
                handler((*c).write);
            }
        }
    });
}

/// nginx refuses what was held: a range that can't be had, or a client that is gone. Its own response takes the place
/// of the one that was held, if nobody sends that any more. An upstream is ended first: it would finalize the request
/// once more, and free it while it is being ended.
fn refuse(r: Request, hold: &Hold, code: Code) {
    let ended = r.end_upstream() || hold.whole.get() || hold.by_upstream.get();
    let answered = code > OK && ended && !r.is_header_sent();
    if answered && headers::leave_content_range(r).is_ok() {
        r.finalize(code);
    } else {
        r.finalize(ERROR);
    }
}
