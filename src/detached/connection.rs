//! The connection of a detached request: nginx's own structure, without a socket.

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};

use ngx::ffi::*;

use crate::ngx::request::Request;
use crate::ngx::{shutdown, text};

/// The length of nginx's small pools.
const POOL_SIZE: usize = 1024;

/// Nothing is ever sent. A detached request's connection is known by this function's address, so the function must
/// exist once only.
#[inline(never)]
unsafe extern "C" fn send_chain(
    _: *mut ngx_connection_t,
    _: *mut ngx_chain_t,
    _: off_t,
) -> *mut ngx_chain_t {
    ptr::null_mut()
}

/// Whether a connection is that of a detached request.
pub fn is_detached(c: *mut ngx_connection_t) -> bool {
    // SAFETY: a request's connection is live as long as it is.
    let send = unsafe { (*c).send_chain };
    let ours: unsafe extern "C" fn(
        *mut ngx_connection_t,
        *mut ngx_chain_t,
        off_t,
    ) -> *mut ngx_chain_t = send_chain;
    send.is_some_and(|function| function as usize == ours as usize)
}

unsafe extern "C" fn recv(_: *mut ngx_connection_t, _: *mut u_char, _: usize) -> isize {
    NGX_AGAIN as isize
}

unsafe extern "C" fn recv_chain(_: *mut ngx_connection_t, _: *mut ngx_chain_t, _: off_t) -> isize {
    NGX_AGAIN as isize
}

unsafe extern "C" fn send(_: *mut ngx_connection_t, _: *mut u_char, size: usize) -> isize {
    isize::try_from(size).unwrap_or(0)
}

/// As `ngx_http_request_handler`, which nginx keeps to itself.
unsafe extern "C" fn event(event: *mut ngx_event_t) {
    crate::ngx::guard::guard("fill event", (), || {
        // SAFETY: nginx and we call with an event of such a connection, whose data is its
        // active request.
        unsafe {
            let c = (*event).data.cast::<ngx_connection_t>();
            let r = (*c).data.cast::<ngx_http_request_t>();
            if (*event).delayed() != 0 && (*event).timedout() != 0 {
                (*event).set_delayed(0);
                (*event).set_timedout(0);
            }
            // nginx closes what is left when worker_shutdown_timeout has passed.
            if (*c).close() != 0 {
                shutdown::time_out();
                ngx_http_finalize_request(r, NGX_ERROR as isize);
            } else if (*event).write() != 0
                && let Some(handler) = (*r).write_event_handler
            {
                handler(r);
            }
            ngx_http_run_posted_requests(c);
        }
    });
}

/// Whether there are connections for the request and its backend. With one alone the backend would have
/// none, while the client's own request, which needs no other, could still be served.
unsafe fn two_are_free() -> bool {
    // SAFETY: there is a cycle while a worker runs; reusable connections are given up on demand.
    let (free, reusable) = unsafe {
        (
            (*ngx_cycle).free_connection_n,
            (*ngx_cycle).reusable_connections_n,
        )
    };
    // Without a master process a reload leaves connections that the earlier cycle has counted: taken off the new
    // one's count, they bring it below zero.
    free.saturating_add(reusable.cast_signed().max(0).cast_unsigned()) >= 2
}

/// A connection without a socket for a copy of `client`. `None` if there is none free, or no time
/// left for what would run on it.
///
/// # Safety
///
/// `client` is live.
pub(super) unsafe fn create(client: Request) -> Option<*mut ngx_connection_t> {
    // SAFETY: what is copied belongs to the live client request; what is made is freed with the
    // pool by ngx_http_close_connection.
    unsafe {
        let from = &mut *client.connection();
        if shutdown::has_timed_out() || !two_are_free() {
            return None;
        }
        let mut nothing = ngx_str_t {
            len: 0,
            data: ptr::null_mut(),
        };
        if !is_detached(from) {
            // Resolves a wildcard address while there is a socket to ask.
            ngx_connection_local_sockaddr(from, &mut nothing, 0);
        }

        let c = ngx_get_connection(0, from.log).as_mut()?;
        // Closing a shared connection touches neither the event system nor the descriptor.
        c.set_shared(1);
        let pool = ngx_create_pool(POOL_SIZE, from.log);
        let log = if pool.is_null() {
            None
        } else {
            log(c, from, pool)
        };
        let filled = log.and_then(|log| {
            c.log = log;
            (*pool).log = log;
            addresses(c, from, pool)
        });
        let Some(hc) = filled.and_then(|()| http_connection(client, pool)) else {
            if !pool.is_null() {
                ngx_destroy_pool(pool);
            }
            c.pool = ptr::null_mut();
            ngx_close_connection(c);
            return None;
        };
        c.pool = pool;
        c.data = hc.cast();
        c.type_ = from.type_;
        c.listening = from.listening;
        c.number = from.number;
        c.start_time = ngx_current_msec;
        c.recv = Some(recv);
        c.send = Some(send);
        c.recv_chain = Some(recv_chain);
        c.send_chain = Some(send_chain);
        c.set_log_error(from.log_error());
        // NGX_TCP_NODELAY_DISABLED, NGX_TCP_NOPUSH_DISABLED: nothing may touch the descriptor
        c.set_tcp_nodelay(2);
        c.set_tcp_nopush(2);
        for (event, ready) in [(c.read, 0), (c.write, 1)] {
            (*event).log = c.log;
            (*event).handler = Some(self::event);
            (*event).set_active(1);
            (*event).set_ready(ready);
        }
        // What remains of the connection when the request ends is closed at once.
        (*c.read).set_eof(1);
        count_active();
        Some(c)
    }
}

thread_local! {
    /// nginx's counter of active connections in shared memory, if it was compiled with stub_status. It is looked up at
    /// run time, because a module may be loaded into a binary with or without it.
    static ACTIVE: Option<&'static AtomicUsize> =
        // SAFETY: the symbol, where it exists, is a pointer to a counter; nginx sets it up before workers run, and
        // leaves it where it is.
        unsafe {
            libc::dlsym(libc::RTLD_DEFAULT, c"ngx_stat_active".as_ptr())
                .cast::<*mut AtomicUsize>()
                .as_ref()
                .and_then(|counter| counter.as_ref())
        };
}

/// ngx_http_close_connection counts down: count up before.
fn count_active() {
    ACTIVE.with(|active| {
        if let Some(active) = active {
            active.fetch_add(1, Ordering::Relaxed);
        }
    });
}

/// Zeroed memory for one of nginx's structures.
///
/// # Safety
///
/// The pool is live.
pub(super) unsafe fn alloc<T>(pool: *mut ngx_pool_t) -> Option<NonNull<T>> {
    // SAFETY: by contract; zeroed memory is a valid value of nginx's structures.
    NonNull::new(unsafe { ngx_pcalloc(pool, size_of::<T>()) }.cast())
}

unsafe fn log(
    c: *mut ngx_connection_t,
    from: &ngx_connection_t,
    pool: *mut ngx_pool_t,
) -> Option<*mut ngx_log_t> {
    // SAFETY: both allocations are written whole before use.
    unsafe {
        let context = alloc::<ngx_http_log_ctx_t>(pool)?.as_ptr();
        (*context).connection = c;
        let log = alloc::<ngx_log_t>(pool)?.as_ptr();
        log.write(ptr::read(from.log));
        (*log).data = context.cast();
        (*log).connection = from.number;
        (*log).action = c"filling the cache".as_ptr().cast_mut().cast();
        Some(log)
    }
}

unsafe fn sockaddr(
    pool: *mut ngx_pool_t,
    from: *mut sockaddr,
    length: socklen_t,
) -> Option<*mut sockaddr> {
    if from.is_null() || length == 0 {
        return Some(ptr::null_mut());
    }
    // SAFETY: an address of that length.
    unsafe {
        let copy = ngx_pcalloc(pool, length as usize).cast::<u8>();
        if copy.is_null() {
            return None;
        }
        ptr::copy_nonoverlapping(from.cast::<u8>(), copy, length as usize);
        Some(copy.cast())
    }
}

unsafe fn addresses(
    c: *mut ngx_connection_t,
    from: &ngx_connection_t,
    pool: *mut ngx_pool_t,
) -> Option<()> {
    // SAFETY: addresses of the client's live connection.
    unsafe {
        let c = &mut *c;
        c.sockaddr = sockaddr(pool, from.sockaddr, from.socklen)?;
        c.socklen = from.socklen;
        c.addr_text = text::copy(pool, text::bytes(&from.addr_text))?;
        c.local_sockaddr = sockaddr(pool, from.local_sockaddr, from.local_socklen)?;
        c.local_socklen = from.local_socklen;
        c.buffer = ngx_create_temp_buf(pool, 1);
        if c.buffer.is_null() {
            return None;
        }
        if let Some(proxied) = from.proxy_protocol.as_ref() {
            let copy = alloc::<ngx_proxy_protocol_t>(pool)?.as_ptr();
            (*copy).src_addr = text::copy(pool, text::bytes(&proxied.src_addr))?;
            (*copy).dst_addr = text::copy(pool, text::bytes(&proxied.dst_addr))?;
            (*copy).src_port = proxied.src_port;
            (*copy).dst_port = proxied.dst_port;
            c.proxy_protocol = copy;
        }
        Some(())
    }
}

unsafe fn http_connection(
    client: Request,
    pool: *mut ngx_pool_t,
) -> Option<*mut ngx_http_connection_t> {
    // SAFETY: the server's configuration outlives its requests.
    unsafe {
        let r = client.get();
        let server =
            (*r.srv_conf.add(ngx_http_core_module.ctx_index)).cast::<ngx_http_core_srv_conf_t>();
        let hc = alloc::<ngx_http_connection_t>(pool)?.as_ptr();
        // Subrequests have none of their own.
        (*hc).addr_conf = (*client.main().get().http_connection).addr_conf;
        (*hc).conf_ctx = (*server).ctx;
        Some(hc)
    }
}
