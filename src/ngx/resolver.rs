//! nginx's own resolver, as the http block configures it: names are looked up while the loop runs.
//!
//! No callback runs inside nginx's resolver, which walks through lists of questions while it answers them: answers are
//! given, and dropped questions cancelled, later in the same turn of the loop.

use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::{CStr, c_void};
use std::fmt;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::ptr;
use std::rc::Rc;

use ngx::ffi::*;

use super::event::{Posted, now_sec};
use super::guard::guard;
use super::shim;
use super::sockaddr;

/// nginx's default of `resolver_timeout`, in milliseconds.
const TIMEOUT: ngx_msec_t = 30_000;

/// What the resolver says of a name.
pub type Outcome = Result<Answer, Failure>;

/// The addresses of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// IPv4 and IPv6, in the resolver's order, which changes from answer to answer. There is one at least.
    pub addresses: Vec<SocketAddr>,
    /// For how many seconds from now the resolver gives the same answer.
    pub valid: u64,
}

/// Why a name has no addresses: nginx's number and its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(ngx_int_t, String);

impl Failure {
    fn of(state: ngx_int_t) -> Failure {
        // SAFETY: nginx gives static words for every number.
        let words = unsafe { CStr::from_ptr(ngx_resolver_strerror(state)) };
        Failure(state, words.to_string_lossy().into_owned())
    }

    fn no_memory() -> Failure {
        Failure(-1, String::from("no memory"))
    }

    fn gone() -> Failure {
        Failure(-1, String::from("the configuration has changed"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0, self.1)
    }
}

/// What comes of a question.
pub enum Asked {
    /// The resolver knew.
    Answered(Outcome),
    /// It asks its servers: the callback gets the outcome.
    Waiting(Question),
}

/// A question that is open. Dropping it cancels it: its callback doesn't run.
pub struct Question(Rc<Open>);

impl Drop for Question {
    fn drop(&mut self) {
        self.0.then.take();
        if self.0.outcome.borrow().is_none() {
            // It may be in a list that nginx walks through just now.
            sweep_later();
        }
    }
}

type Then = Box<dyn FnOnce(Outcome)>;

/// A question as nginx has it.
struct Open {
    /// nginx's part of it. Null once it is done.
    ctx: Cell<*mut ngx_resolver_ctx_t>,
    resolver: *mut ngx_resolver_t,
    /// The name. nginx writes it in lower case.
    name: RefCell<Vec<u8>>,
    port: u16,
    outcome: RefCell<Option<Outcome>>,
    /// Taken when it is called, or when nobody wants to know any more.
    then: Cell<Option<Then>>,
    /// The callback isn't to be called: whoever asks takes the outcome.
    asking: Cell<bool>,
}

impl Open {
    fn is_wanted(&self) -> bool {
        let then = self.then.take();
        let wanted = then.is_some();
        self.then.set(then);
        wanted
    }

    /// Gives nginx's part back. nginx doesn't call its handler afterwards.
    fn done(&self) {
        let ctx = self.ctx.replace(ptr::null_mut());
        if !ctx.is_null() {
            // SAFETY: it is nginx's own, and open: nobody has given it back before.
            unsafe { ngx_resolve_name_done(ctx) };
        }
    }
}

thread_local! {
    /// Those that nginx has, and those with an outcome that nobody has taken yet.
    static OPEN: RefCell<Vec<Rc<Open>>> = const { RefCell::new(Vec::new()) };
    /// Never dropped: at the worker's exit nginx has taken its memory away before.
    static SWEEP: OnceCell<ManuallyDrop<Posted>> = const { OnceCell::new() };
    /// The cycle whose end cancels what is open.
    static WATCHED: Cell<*mut ngx_cycle_t> = const { Cell::new(ptr::null_mut()) };
}

fn sweep_later() {
    SWEEP.with(|posted| {
        posted
            .get_or_init(|| ManuallyDrop::new(Posted::new(sweep)))
            .post();
    });
}

/// Gives outcomes to those who wait for them, and cancels what nobody waits for.
fn sweep() {
    loop {
        let next = OPEN.with_borrow_mut(|open| {
            let over = |o: &Rc<Open>| o.outcome.borrow().is_some() || !o.is_wanted();
            let place = open.iter().position(over)?;
            Some(open.swap_remove(place))
        });
        let Some(open) = next else { return };
        open.done();
        if let (Some(then), Some(outcome)) = (open.then.take(), open.outcome.take()) {
            then(outcome);
        }
    }
}

/// The http block's own part of nginx's core module, of the cycle that this worker runs. `None` without an http block.
///
/// # Safety
///
/// The configuration has been read, and outlives the use of what is returned.
unsafe fn core_conf() -> Option<*mut ngx_http_core_loc_conf_t> {
    // SAFETY: ngx_cycle points to a cycle from the first configuration on; each module has its place in it, and the
    // core module of http has its in the context.
    unsafe {
        let ctx = (*(*ngx_cycle).conf_ctx.add(ngx_http_module.index)).cast::<ngx_http_conf_ctx_t>();
        if ctx.is_null() {
            return None;
        }
        let conf = *(*ctx).loc_conf.add(ngx_http_core_module.ctx_index);
        Some(conf.cast())
    }
}

/// Asks the http block's resolver for the addresses of a host. `None` if there is no resolver.
///
/// The callback is called from nginx's loop, never from within this function. The name is given up after
/// `resolver_timeout`. A worker that shuts down doesn't wait for the answer.
pub fn ask(host: &str, port: u16, then: impl FnOnce(Outcome) + 'static) -> Option<Asked> {
    // SAFETY: workers run by a configuration that has been read. The resolver lives as long as its cycle, whose end
    // `watch_cycle` sees.
    let (ctx, resolver, timeout) = unsafe {
        let conf = core_conf()?;
        let resolver = (*conf).resolver;
        if resolver.is_null() {
            return None;
        }
        let ctx = ngx_resolve_start(resolver, ptr::null_mut());
        (ctx, resolver, (*conf).resolver_timeout)
    };
    // NGX_NO_RESOLVER: the resolver that nginx itself puts there has no name servers.
    if ctx.addr() == usize::MAX {
        return None;
    }
    if ctx.is_null() {
        return Some(Asked::Answered(Err(Failure::no_memory())));
    }
    let open = Rc::new(Open {
        ctx: Cell::new(ctx),
        resolver,
        name: RefCell::new(host.as_bytes().to_vec()),
        port,
        outcome: RefCell::default(),
        then: Cell::new(Some(Box::new(then))),
        asking: Cell::new(true),
    });
    // Before nginx is asked, which may answer at once.
    OPEN.with_borrow_mut(|all| all.push(Rc::clone(&open)));
    if !watch_cycle() {
        open.then.take();
        sweep_later();
        return Some(Asked::Answered(Err(Failure::no_memory())));
    }
    // SAFETY: `ctx` is new. The name lies in the heap of `open`, which OPEN holds until nginx is done with it.
    let rc = unsafe {
        let mut name = open.name.borrow_mut();
        (*ctx).name = ngx_str_t {
            len: name.len(),
            data: name.as_mut_ptr(),
        };
        drop(name);
        (*ctx).handler = Some(answered);
        (*ctx).data = Rc::as_ptr(&open).cast_mut().cast();
        (*ctx).timeout = match timeout {
            // NGX_CONF_UNSET_MSEC: nginx merges its default into servers alone.
            ngx_msec_t::MAX => TIMEOUT,
            timeout => timeout,
        };
        shim::rcs_set_resolver_cancelable(ctx);
        ngx_resolve_name(ctx)
    };
    if rc != NGX_OK as ngx_int_t {
        // nginx has freed it.
        open.ctx.set(ptr::null_mut());
        open.outcome.replace(Some(Err(Failure::no_memory())));
    }
    open.asking.set(false);
    let outcome = open.outcome.take();
    Some(match outcome {
        Some(outcome) => {
            OPEN.with_borrow_mut(|all| all.retain(|other| !Rc::ptr_eq(other, &open)));
            Asked::Answered(outcome)
        }
        None => Asked::Waiting(Question(open)),
    })
}

/// Called by nginx with an answer, or when the name is given up.
///
/// # Safety
///
/// `ctx` is that of a question in OPEN.
unsafe extern "C" fn answered(ctx: *mut ngx_resolver_ctx_t) {
    guard("answer of the resolver", (), || {
        // SAFETY: by contract: `data` is the question's address. OPEN holds it while nginx has the question, and the
        // count added here keeps it beyond.
        let open = unsafe {
            let open: *const Open = (*ctx).data.cast_const().cast();
            Rc::increment_strong_count(open);
            Rc::from_raw(open)
        };
        // SAFETY: nginx has filled the answer in, and keeps it until its handler returns.
        open.outcome
            .replace(Some(unsafe { outcome_of(ctx, open.port) }));
        open.done();
        if !open.asking.get() {
            sweep_later();
        }
    });
}

/// # Safety
///
/// nginx has just called the handler of `ctx`.
unsafe fn outcome_of(ctx: *mut ngx_resolver_ctx_t, port: u16) -> Outcome {
    // SAFETY: by contract.
    unsafe {
        let state = (*ctx).state;
        if state != NGX_OK as ngx_int_t {
            return Err(Failure::of(state));
        }
        let all: &[ngx_resolver_addr_t] = if (*ctx).addrs.is_null() {
            &[]
        } else {
            std::slice::from_raw_parts((*ctx).addrs, (*ctx).naddrs)
        };
        let addresses: Vec<SocketAddr> = all
            .iter()
            .filter_map(|a| sockaddr::ip(a.sockaddr, a.socklen))
            .map(|ip| SocketAddr::new(ip, port))
            .collect();
        if addresses.is_empty() {
            return Err(Failure::of(NGX_RESOLVE_NXDOMAIN as ngx_int_t));
        }
        let valid = u64::try_from((*ctx).valid).unwrap_or(0);
        Ok(Answer {
            addresses,
            valid: valid.saturating_sub(now_sec()),
        })
    }
}

/// Sees to it that the end of the cycle cancels what its resolver still has: nginx frees questions with the resolver.
/// False if there is no memory.
fn watch_cycle() -> bool {
    // SAFETY: ngx_cycle points to a cycle from the first configuration on.
    let cycle = unsafe { ngx_cycle };
    if WATCHED.get() == cycle {
        return true;
    }
    // SAFETY: the cycle's pool is alive. What is added last is called first: before the resolver goes.
    unsafe {
        let cleanup = ngx_pool_cleanup_add((*cycle).pool, 0);
        if cleanup.is_null() {
            return false;
        }
        (*cleanup).handler = Some(cycle_ends);
        (*cleanup).data = core_conf().map_or(ptr::null_mut(), |conf| (*conf).resolver.cast());
    }
    WATCHED.set(cycle);
    true
}

/// Called by nginx when it frees a cycle.
///
/// # Safety
///
/// `resolver` is the cycle's, or null. It hasn't been freed yet.
unsafe extern "C" fn cycle_ends(resolver: *mut c_void) {
    guard("end of a cycle", (), || {
        OPEN.with_borrow(|all| {
            let gone = |open: &&Rc<Open>| open.resolver.cast::<c_void>() == resolver;
            for open in all.iter().filter(gone) {
                open.done();
                open.outcome
                    .borrow_mut()
                    .get_or_insert_with(|| Err(Failure::gone()));
            }
        });
        // Without a master process the worker goes on.
        sweep_later();
        // Another cycle may be given the same memory.
        WATCHED.set(ptr::null_mut());
    });
}

/// Whether the http block that was read has a `resolver`.
///
/// # Safety
///
/// `cf` is the configuration that was read, within http, as postconfigurations see it.
pub unsafe fn is_configured(cf: *mut ngx_conf_t) -> bool {
    // SAFETY: by contract: the context is that of http, whose core module has its part.
    unsafe {
        let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let core = (*(*ctx).loc_conf.add(ngx_http_core_module.ctx_index))
            .cast::<ngx_http_core_loc_conf_t>();
        shim::rcs_has_name_servers((*core).resolver) != 0
    }
}

/// Whether names can be looked up at run time.
pub fn is_there() -> bool {
    // SAFETY: workers run by a configuration that has been read.
    unsafe { core_conf().is_some_and(|core| shim::rcs_has_name_servers((*core).resolver) != 0) }
}
