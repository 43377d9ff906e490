//! One connection to a server, on nginx's event loop.
//!
//! Events go to its owner; timers are those of nginx's own read and write events.

mod tls;
mod transfer;

use std::cell::{Cell, RefCell, UnsafeCell};
use std::io;
use std::mem::{self, MaybeUninit};
use std::ptr;
use std::rc::{Rc, Weak};

use ngx::ffi::{
    NGX_AGAIN, NGX_LOG_ALERT, NGX_LOG_DEBUG_FIRST, NGX_OK, ngx_close_connection, ngx_connection_t,
    ngx_cycle, ngx_destroy_pool, ngx_event_connect_peer, ngx_event_get_peer, ngx_event_t,
    ngx_int_t, ngx_log_t, ngx_peer_connection_t, ngx_set_errno, ngx_str_t, ngx_tcp_nodelay,
};

use self::tls::Phase;
pub use transfer::{PIECES, Received};

use super::event::{arm, disarm};
use super::guard::guard;
use super::shim;
use super::tls::{Client, Said, Session, listen};

/// What happened on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Bytes, or the end, can be read.
    Readable,
    /// There is room for bytes again, or the connection has been established, or refused.
    Writable,
    /// The timer armed by [`Peer::arm_read`] has expired.
    ReadTimer,
    /// The timer armed by [`Peer::arm_write`] has expired.
    WriteTimer,
    /// The worker shuts down, and worker_shutdown_timeout has passed.
    Closing,
}

/// What a connection belongs to.
pub trait Owner {
    /// Called from nginx's loop, never from within a method of [`Peer`].
    fn on_event(&self, event: Event);
}

/// A connection to a server: not yet open, open, or closed.
pub struct Peer(Rc<Inner>);

struct Inner {
    /// Null unless open.
    connection: Cell<*mut ngx_connection_t>,
    /// The cycle's log, without the lines that nginx would write for each failed attempt. nginx
    /// holds its address while the connection is open.
    log: UnsafeCell<ngx_log_t>,
    /// Where the lines of an encrypted connection's log go after they were read.
    next_log: UnsafeCell<ngx_log_t>,
    owner: Weak<dyn Owner>,
    /// How to encrypt it. `None`: it isn't encrypted.
    tls: Option<Rc<Client>>,
    phase: Cell<Phase>,
    /// Why connecting failed, until the owner has heard it.
    failure: RefCell<Option<io::Error>>,
    /// What OpenSSL said last.
    said: RefCell<Option<Said>>,
    /// A session that the server has given within the handshake.
    session: RefCell<Option<Session>>,
}

impl Peer {
    /// A connection that isn't open, and whose events go to `owner`. It is encrypted if `tls` says how.
    pub fn new(owner: Weak<dyn Owner>, tls: Option<Rc<Client>>) -> Peer {
        Peer(Rc::new(Inner {
            connection: Cell::new(ptr::null_mut()),
            log: UnsafeCell::new(quiet_log()),
            next_log: UnsafeCell::new(quiet_log()),
            owner,
            tls,
            phase: Cell::default(),
            failure: RefCell::default(),
            said: RefCell::default(),
            session: RefCell::default(),
        }))
    }

    /// Begins to connect to the address `sockaddr`, which the debug log calls `name`. Gives back
    /// whether it is established already, with its handshake; else [`Event::Writable`] follows, and
    /// then [`Peer::outcome`] tells how it went.
    ///
    /// # Errors
    ///
    /// The server can't be reached, or this worker has no connection left.
    pub fn connect(&self, sockaddr: &[u8], name: &str) -> io::Result<bool> {
        self.close();
        // Aligned, which the bytes of the configuration needn't be.
        let mut address = MaybeUninit::<libc::sockaddr_storage>::zeroed();
        if sockaddr.len() > size_of_val(&address) || sockaddr.len() < size_of::<libc::sa_family_t>()
        {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        let mut name = ngx_str_t {
            len: name.len(),
            data: name.as_ptr().cast_mut(),
        };
        // SAFETY: `address` has room for the bytes. A zeroed ngx_peer_connection_t is what nginx
        // starts from; all that it points to outlives the call, and the log outlives the connection.
        // errno is this thread's.
        let (rc, connection, error) = unsafe {
            ptr::copy_nonoverlapping(
                sockaddr.as_ptr(),
                address.as_mut_ptr().cast(),
                sockaddr.len(),
            );
            self.0.set_log();
            let mut peer: ngx_peer_connection_t = mem::zeroed();
            peer.sockaddr = address.as_mut_ptr().cast();
            peer.socklen = libc::socklen_t::try_from(sockaddr.len()).unwrap_or_default();
            peer.name = &raw mut name;
            peer.get = Some(ngx_event_get_peer);
            peer.log = self.0.log.get();
            ngx_set_errno(0);
            let rc = ngx_event_connect_peer(&raw mut peer);
            (rc, peer.connection, io::Error::last_os_error())
        };
        if connection.is_null() || (rc != ok() && rc != again()) {
            return Err(match error.raw_os_error() {
                None | Some(0) => io::Error::other("no free connection in this worker"),
                Some(_) => error,
            });
        }
        self.adopt(connection);
        self.set_idle(true);
        if self.0.tls.is_none() {
            return Ok(rc == ok());
        }
        self.0.phase.set(Phase::Socket);
        if rc != ok() || !self.0.advance(Event::Writable) {
            return Ok(false);
        }
        self.outcome().map(|()| true)
    }

    /// Takes over the connection that nginx has made.
    fn adopt(&self, connection: *mut ngx_connection_t) {
        self.0.connection.set(connection);
        // SAFETY: nginx has just given us this connection with its two events; `data` is read by
        // our handlers only, while the connection is open, and closing it comes before freeing
        // what `data` points to.
        unsafe {
            (*connection).data = Rc::as_ptr(&self.0).cast_mut().cast();
            (*(*connection).read).handler = Some(read_event);
            (*(*connection).write).handler = Some(write_event);
            // Fails only on sockets that are gone, which reading will tell.
            ngx_tcp_nodelay(connection);
        }
    }

    /// How connecting went, with the handshake.
    ///
    /// # Errors
    ///
    /// The reason why it failed.
    pub fn outcome(&self) -> io::Result<()> {
        let connection = self.open()?;
        if let Some(failure) = self.0.failure.take() {
            return Err(failure);
        }
        if self.0.tls.is_some() {
            // The handshake has asked already. A reset that came since is told by reading, behind what came before it.
            return Ok(());
        }
        // SAFETY: the connection is open.
        unsafe { socket_error(connection) }
    }

    /// Whether it goes through TLS.
    pub fn is_encrypted(&self) -> bool {
        self.0.tls.is_some()
    }

    /// Whether a handshake is under way.
    pub fn is_in_handshake(&self) -> bool {
        self.0.phase.get() == Phase::Handshake
    }

    /// [`Event::ReadTimer`] in `ms` milliseconds; an earlier deadline is forgotten.
    pub fn arm_read(&self, ms: u64) {
        if let Ok(connection) = self.open() {
            // SAFETY: the connection is open; closing it disarms both timers.
            unsafe { arm((*connection).read, ms) };
        }
    }

    /// Whether a read timer is armed.
    pub fn is_read_armed(&self) -> bool {
        // SAFETY: the connection is open.
        self.open()
            .is_ok_and(|connection| unsafe { (*(*connection).read).timer_set() != 0 })
    }

    /// [`Event::WriteTimer`] in `ms` milliseconds; an earlier deadline is forgotten.
    pub fn arm_write(&self, ms: u64) {
        if let Ok(connection) = self.open() {
            // SAFETY: the connection is open; closing it disarms both timers.
            unsafe { arm((*connection).write, ms) };
        }
    }

    /// No [`Event::WriteTimer`].
    pub fn disarm_write(&self) {
        if let Ok(connection) = self.open() {
            // SAFETY: the connection is open.
            unsafe { disarm((*connection).write) };
        }
    }

    /// Whether nobody waits for anything on this connection, as at its beginning. A worker that shuts
    /// down doesn't wait for an idle one's timers.
    pub fn set_idle(&self, idle: bool) {
        if let Ok(connection) = self.open() {
            // SAFETY: the connection is open.
            unsafe {
                (*(*connection).read).set_cancelable(u32::from(idle));
                (*(*connection).write).set_cancelable(u32::from(idle));
                // A worker that exits complains about open sockets, and one that has shut down for
                // too long closes them; those of its channels are left alone. Ours end with the
                // process, unless somebody waits.
                (*(*connection).read).set_channel(u32::from(idle));
            }
        }
    }

    /// Closes the connection, with its timers. No event follows.
    pub fn close(&self) {
        let connection = self.0.connection.replace(ptr::null_mut());
        if !connection.is_null() {
            // SAFETY: it was open, and from here on nobody refers to it. nginx's loop copes with a
            // handler that closes its own connection. Only an encrypted one has a pool, and that of its own.
            unsafe {
                let pool = (*connection).pool;
                if shim::rcs_tls_is_begun(connection) != 0 {
                    shim::rcs_tls_end(connection);
                }
                ngx_close_connection(connection);
                if !pool.is_null() {
                    ngx_destroy_pool(pool);
                }
            }
        }
        self.0.phase.set(Phase::Open);
        self.0.failure.take();
        self.0.said.take();
        self.0.session.take();
    }

    /// The open connection.
    fn open(&self) -> io::Result<*mut ngx_connection_t> {
        let connection = self.0.connection.get();
        if connection.is_null() {
            Err(not_open())
        } else {
            Ok(connection)
        }
    }
}

impl Inner {
    /// Prepares the log of the next connection.
    fn set_log(&self) {
        // SAFETY: no connection is open, so nobody uses the logs. They and `said` stay where they are while one is: the
        // peer closes it before they go.
        unsafe {
            self.log.get().write(quiet_log());
            self.next_log.get().write(quiet_log());
            if self.tls.is_some()
                && let Some(log) = self.log.get().as_mut()
            {
                listen(log, &self.said, self.next_log.get());
            }
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.close();
    }
}

/// What the system says of a connection's socket.
///
/// # Safety
///
/// The connection is open.
unsafe fn socket_error(connection: *mut ngx_connection_t) -> io::Result<()> {
    let mut error: libc::c_int = 0;
    let mut length = libc::socklen_t::try_from(size_of_val(&error)).unwrap_or_default();
    // SAFETY: the connection is open; both pointers are to variables of the right size.
    let rc = unsafe {
        let (to, length) = ((&raw mut error).cast(), &raw mut length);
        libc::getsockopt(
            (*connection).fd,
            libc::SOL_SOCKET,
            libc::SO_ERROR,
            to,
            length,
        )
    };
    match (rc, error) {
        (0, 0) => Ok(()),
        (0, error) => Err(io::Error::from_raw_os_error(error)),
        _ => Err(io::Error::last_os_error()),
    }
}

fn not_open() -> io::Error {
    io::Error::from(io::ErrorKind::NotConnected)
}

const fn ok() -> ngx_int_t {
    NGX_OK as ngx_int_t
}

const fn again() -> ngx_int_t {
    NGX_AGAIN as ngx_int_t
}

/// The cycle's log as it is now, restricted to alerts unless it is a debug log: a server that is
/// down is logged once by whoever owns the connection, not at each attempt.
fn quiet_log() -> ngx_log_t {
    // SAFETY: ngx_cycle points to a cycle with a log from the first configuration on. nginx copies
    // logs in the same way, for each connection.
    let mut log = unsafe { ptr::read((*ngx_cycle).log) };
    if log.log_level < NGX_LOG_DEBUG_FIRST as usize {
        log.log_level = log.log_level.min(NGX_LOG_ALERT as usize);
    }
    log
}

unsafe extern "C" fn read_event(event: *mut ngx_event_t) {
    // SAFETY: nginx calls the handler of an event of an open connection.
    guard("read event of a store", (), || unsafe {
        dispatch(event, Event::Readable, Event::ReadTimer);
    });
}

unsafe extern "C" fn write_event(event: *mut ngx_event_t) {
    // SAFETY: as above.
    guard("write event of a store", (), || unsafe {
        dispatch(event, Event::Writable, Event::WriteTimer);
    });
}

/// # Safety
///
/// `event` belongs to an open connection of a [`Peer`].
unsafe fn dispatch(event: *mut ngx_event_t, ready: Event, expired: Event) {
    // SAFETY: an event's `data` is its connection, whose `data` is the Inner that `adopt` put there.
    // It exists as long as the connection is open; the count added here keeps it while the owner is
    // told, even if that drops the peer.
    let (inner, timed_out, closing) = unsafe {
        let connection: *mut ngx_connection_t = (*event).data.cast();
        let inner: *const Inner = (*connection).data.cast_const().cast();
        Rc::increment_strong_count(inner);
        let timed_out = (*event).timedout() != 0;
        (*event).set_timedout(0);
        (Rc::from_raw(inner), timed_out, (*connection).close() != 0)
    };
    let mut event = match (closing, timed_out) {
        (true, _) => Event::Closing,
        (false, true) => expired,
        (false, false) => ready,
    };
    if event == ready && inner.is_beginning() {
        if !inner.advance(ready) {
            return;
        }
        event = Event::Writable;
    }
    if let Some(owner) = inner.owner.upgrade() {
        owner.on_event(event);
    }
}
