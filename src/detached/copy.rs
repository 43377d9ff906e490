//! Copies a client's request so that it can outlive it.

use std::ptr::{self, NonNull};

use ngx::ffi::*;

use super::purpose::Purpose;
use crate::ngx::headers::MaskedRequest;
use crate::ngx::request::Request;
use crate::ngx::values::copy_captures;
use crate::ngx::{shim, shutdown, text};

mod body;
mod headers;
mod message;
mod variables;

pub use headers::{leaves_out, separate as separate_headers};

/// The length of nginx's small pools.
const POOL_SIZE: usize = 1024;

/// Nothing is ever sent: by this function the connection of a fill is known. Its address tells, so there must be one
/// of it alone.
#[inline(never)]
pub unsafe extern "C" fn send_chain(
    _: *mut ngx_connection_t,
    _: *mut ngx_chain_t,
    _: off_t,
) -> *mut ngx_chain_t {
    ptr::null_mut()
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
        // SAFETY: nginx and we call with an event of a fill's connection, whose data is its
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

/// Whether there are connections for a fill and its backend. With one alone the backend would have
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
pub unsafe fn connection(client: Request) -> Option<*mut ngx_connection_t> {
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
        if !super::is_fill(from) {
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

/// ngx_http_close_connection counts down where nginx has stub_status: count up before. The counter
/// is looked up at run time, because a module may be loaded into a binary with or without it.
unsafe fn count_active() {
    // SAFETY: the symbol, where it exists, is a pointer to a counter in shared memory.
    unsafe {
        let symbol = libc::dlsym(libc::RTLD_DEFAULT, c"ngx_stat_active".as_ptr());
        if let Some(counter) = symbol
            .cast::<*mut std::sync::atomic::AtomicUsize>()
            .as_ref()
            && let Some(counter) = counter.as_ref()
        {
            counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

unsafe fn alloc<T>(pool: *mut ngx_pool_t) -> Option<NonNull<T>> {
    // SAFETY: the pool is live; zeroed memory is a valid value of nginx's structures.
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

/// The main request of a fill, or of a message.
///
/// # Safety
///
/// `client` is live, `c` was made for it by [`connection`].
pub unsafe fn request(
    client: Request,
    c: *mut ngx_connection_t,
    purpose: &Purpose,
) -> Option<NonNull<ngx_http_request_t>> {
    // SAFETY: on failure the request is freed here and the connection by the caller.
    unsafe {
        let main = NonNull::new(ngx_http_create_request(c))?;
        (*c).data = main.as_ptr().cast();
        // It isn't a request of a client: the access log doesn't know it.
        shim::rcs_set_logged(main.as_ptr(), 1);
        shim::rcs_set_internal(main.as_ptr(), 1);
        // As if it had run post_action already, which is for the client's request to run.
        shim::rcs_set_post_action(main.as_ptr(), 1);
        shim::rcs_set_uri_changes(main.as_ptr(), 0);
        let filled = fields(client, main.as_ptr(), purpose.is_own());
        variables::force(client);
        // What is left out, and what is made of it, isn't seen by what follows.
        let _masked = MaskedRequest::new(client, purpose.left_out());
        // What the connection tells is no matter of the header.
        variables::force(client);
        let filled = filled
            .and_then(|()| headers::copy(client, main.as_ptr(), purpose))
            .and_then(|()| match purpose {
                Purpose::Fill(_) => body::copy(client, main.as_ptr()),
                Purpose::Message(message) => message::put(message, main.as_ptr()),
            })
            .and_then(|()| variables::copy(client, main.as_ptr()));
        if filled.is_none() {
            ngx_http_free_request(main.as_ptr(), 0);
            return None;
        }
        Some(main)
    }
}

unsafe fn fields(client: Request, main: *mut ngx_http_request_t, own: bool) -> Option<()> {
    // SAFETY: strings of the live client request; the copy's pool.
    unsafe {
        let (from, m) = (client.get(), &mut *main);
        let pool = m.pool;
        let copy = |from: &ngx_str_t| match from.data.is_null() {
            // nginx tells by this that there is none: a request that it has refused may lack any of these
            true => Some(*from),
            false => text::copy(pool, text::bytes(from)),
        };
        m.main_conf = from.main_conf;
        m.srv_conf = from.srv_conf;
        m.loc_conf = from.loc_conf;
        m.uri = copy(&from.uri)?;
        m.args = copy(&from.args)?;
        m.exten = copy(&from.exten)?;
        m.unparsed_uri = copy(&from.unparsed_uri)?;
        m.request_line = copy(&from.request_line)?;
        m.http_protocol = copy(&from.http_protocol)?;
        m.schema = copy(&from.schema)?;
        m.headers_in.server = copy(&from.headers_in.server)?;
        m.method = from.method;
        m.method_name = copy(&from.method_name)?;
        if client.is_head() {
            // The whole answer is stored, as proxy_cache_convert_head does.
            m.method = NGX_HTTP_GET as ngx_uint_t;
            m.method_name = text::borrowed(b"GET ");
            m.method_name.len = 3;
        }
        m.http_version = from.http_version;
        m.start_sec = from.start_sec;
        m.start_msec = from.start_msec;
        for (get, set) in [
            (
                shim::rcs_get_http_major as Get,
                shim::rcs_set_http_major as Set,
            ),
            (shim::rcs_get_http_minor, shim::rcs_set_http_minor),
            (
                shim::rcs_get_valid_unparsed_uri,
                shim::rcs_set_valid_unparsed_uri,
            ),
            (
                shim::rcs_get_add_uri_to_alias,
                shim::rcs_set_add_uri_to_alias,
            ),
            (shim::rcs_get_valid_location, shim::rcs_set_valid_location),
        ] {
            set(main, get(client.as_ptr()));
        }
        for (get, set) in [
            // counted once, for the client's request
            (
                shim::rcs_get_limit_req_status as Get,
                shim::rcs_set_limit_req_status as Set,
            ),
            (
                shim::rcs_get_limit_conn_status,
                shim::rcs_set_limit_conn_status,
            ),
        ] {
            set(main, get(client.main().as_ptr()));
        }
        shim::rcs_set_expect_tested(main, 1);
        shim::rcs_copy_port(main, client.main().as_ptr());
        if own {
            m.content_handler = from.content_handler;
            copy_captures(client, main)?;
        }
        Some(())
    }
}

type Get = unsafe extern "C" fn(*const ngx_http_request_t) -> ngx_uint_t;
type Set = unsafe extern "C" fn(*mut ngx_http_request_t, ngx_uint_t);
