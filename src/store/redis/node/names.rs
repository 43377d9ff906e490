//! The name of a server: its addresses are looked up again when their time is up and after failed connects, and the
//! connections follow them.
//!
//! A connection that is opened while a lookup is under way waits for the answer, at most connect_timeout: it takes
//! commands, but has no socket yet. The same holds for one that waits for a place: sockets to former addresses count
//! until they are closed.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use ngx::ffi::{NGX_LOG_ERR, NGX_LOG_INFO, NGX_LOG_NOTICE};
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use super::Node;
use crate::ngx::event::{Posted, Timer, now_msec};
use crate::ngx::resolver::{self, Asked, Outcome, Question};
use crate::store::redis::config::{HostName, Server, SocketAddress, StoreConfig};
use crate::store::redis::connection::end::End;
use crate::store::redis::connection::{Connection, State};
use crate::store::redis::error::StoreError;

/// Milliseconds between two lookups at least, also where a connect fails or the answer's time is shorter.
const LEAST: u64 = 1000;

/// A lookup that failed is made again after this long, in milliseconds,
const FIRST: u64 = 500;

/// and then at most this long after the one before.
const CAP: u64 = 8000;

/// The name of one server in this worker.
pub struct Names {
    host: HostName,
    /// Store and server, as the log has them.
    store: String,
    /// The lookup under way.
    question: RefCell<Option<Question>>,
    /// When it began, or the last one.
    asked: Cell<u64>,
    /// Not before this time is the name looked up again.
    due: Cell<u64>,
    /// How long the next failure waits.
    back_off: Cell<u64>,
    /// Why the last lookup failed, which the log has.
    fault: RefCell<Option<String>>,
    /// The next lookup while there are connections.
    watch: OnceCell<Timer>,
    /// The end of a connection's wait for its address or its place.
    patience: OnceCell<Timer>,
    follow: OnceCell<Posted>,
}

impl Names {
    /// The name of a server. `None` if the server is known by its address.
    pub fn of(config: &StoreConfig, server: &Server) -> Option<Names> {
        Some(Names {
            host: server.name.clone()?,
            store: format!("\"{}\" ({})", config.shown, server.text),
            question: RefCell::default(),
            asked: Cell::new(0),
            due: Cell::new(0),
            back_off: Cell::new(FIRST),
            fault: RefCell::default(),
            watch: OnceCell::new(),
            patience: OnceCell::new(),
            follow: OnceCell::new(),
        })
    }

    /// For how many milliseconds a new connection waits for the lookup under way. Zero if there is none, or if it has
    /// lasted too long already.
    fn left(&self, connect_timeout: u64) -> u64 {
        if self.question.borrow().is_none() {
            return 0;
        }
        let end = self.asked.get().saturating_add(connect_timeout);
        end.saturating_sub(now_msec())
    }

    /// Why there is no address.
    fn unknown(&self) -> String {
        let host = &self.host.host;
        match &*self.fault.borrow() {
            Some(fault) => format!("{host} could not be resolved ({fault})"),
            None if self.question.borrow().is_some() => {
                format!("{host} isn't resolved yet")
            }
            None => {
                format!("the address of {host} isn't known, and the http block has no \"resolver\"")
            }
        }
    }

    fn failed(&self, fault: String, knows: bool) {
        let delay = self.back_off.get();
        self.back_off.set(delay.saturating_mul(2).min(CAP));
        self.due.set(now_msec().saturating_add(delay));
        let (store, host) = (&self.store, &self.host.host);
        let so = if knows {
            "the addresses known so far stay in use"
        } else {
            "no address of it is known"
        };
        match self.fault.replace(Some(fault.clone())) {
            None => {
                ngx_log_error!(
                    NGX_LOG_ERR,
                    ngx_cycle_log().as_ptr(),
                    "redis store {store}: {host} could not be resolved ({fault}); {so}; it is tried again; check the \
                     name and the \"resolver\" of the http block"
                );
            }
            Some(before) if before != fault => {
                ngx_log_error!(
                    NGX_LOG_INFO,
                    ngx_cycle_log().as_ptr(),
                    "redis store {store}: {host} could still not be resolved ({fault})"
                );
            }
            Some(_) => {}
        }
    }

    /// An answer that holds for so many seconds.
    fn succeeded(&self, valid: u64) {
        self.back_off.set(FIRST);
        // nginx gives it to the end of the second.
        let time = valid.saturating_add(1).saturating_mul(1000).max(LEAST);
        self.due.set(now_msec().saturating_add(time));
        if self.fault.take().is_some() {
            let (store, host) = (&self.store, &self.host.host);
            ngx_log_error!(
                NGX_LOG_NOTICE,
                ngx_cycle_log().as_ptr(),
                "redis store {store}: {host} is resolved again"
            );
        }
    }
}

impl Names {
    /// The connections follow the addresses, later in this turn of the loop, if the name has been looked up.
    pub fn follow_later(&self) {
        if let Some(follow) = self.follow.get() {
            follow.post();
        }
    }
}

impl Node {
    /// Lets a new connection begin to connect, now or as soon as it has an address and a place.
    ///
    /// # Errors
    ///
    /// Why the server can't be reached.
    pub(super) fn dial(self: &Rc<Self>, connection: &Rc<Connection>) -> Result<(), String> {
        self.look_up();
        if self.must_wait() {
            return Ok(());
        }
        let addresses = self.addresses.borrow().clone();
        match &self.names {
            Some(names) if addresses.is_empty() => Err(names.unknown()),
            _ => connection.dial(&addresses),
        }
    }

    /// Whether a connection can't begin yet. If so, its patience has an end.
    fn must_wait(self: &Rc<Self>) -> bool {
        let Some(names) = &self.names else {
            return false;
        };
        let limit = self.config.connect_timeout;
        let (left, full) = (names.left(limit), self.is_full());
        if left == 0 && !full {
            return false;
        }
        // Cancelable: who waits for a reply keeps the worker.
        let timer = names
            .patience
            .get_or_init(|| Timer::of(Rc::downgrade(self), impatient));
        if !timer.is_armed() {
            timer.arm(if left > 0 { left } else { limit });
        }
        true
    }

    /// Whether there are as many sockets as may be.
    fn is_full(&self) -> bool {
        let connections = self.connections.borrow();
        let sockets = connections.iter().filter(|c| !c.is_undialled()).count();
        sockets >= self.config.connections
    }

    /// Looks the name up, if its time has come and no lookup is under way.
    fn look_up(self: &Rc<Self>) {
        let Some(names) = &self.names else { return };
        if names.question.borrow().is_some() || now_msec() < names.due.get() {
            return;
        }
        names.asked.set(now_msec());
        let node = Rc::downgrade(self);
        let asked = resolver::ask(&names.host.host, names.host.port, move |outcome| {
            if let Some(node) = node.upgrade() {
                node.learn(outcome);
                node.follow();
            }
        });
        match asked {
            // The addresses of the start are all there is.
            None => names.due.set(now_msec().saturating_add(CAP)),
            Some(Asked::Waiting(question)) => {
                names.question.replace(Some(question));
            }
            Some(Asked::Answered(outcome)) => {
                self.learn(outcome);
                names.follow_later();
            }
        }
    }

    /// A lookup is over.
    fn learn(self: &Rc<Self>, outcome: Outcome) {
        let Some(names) = &self.names else { return };
        names.question.take();
        match outcome {
            Ok(answer) => {
                names.succeeded(answer.valid);
                let told = answer.addresses.into_iter().map(SocketAddress::of);
                let mut addresses = self.config.in_order(told.collect());
                let mut known = self.addresses.borrow_mut();
                let served = known.first();
                if let Some(place) = addresses.iter().position(|a| Some(a) == served) {
                    addresses.swap(0, place);
                }
                *known = addresses;
            }
            Err(fault) => {
                let knows = !self.addresses.borrow().is_empty();
                names.failed(fault.to_string(), knows);
            }
        }
        names.follow.get_or_init(|| {
            let node = Rc::downgrade(self);
            Posted::new(move || {
                if let Some(node) = node.upgrade() {
                    node.follow();
                }
            })
        });
        // Cancelable: a worker that shuts down waits for no name.
        let watch = names
            .watch
            .get_or_init(|| Timer::of(Rc::downgrade(self), look_again));
        watch.arm(names.due.get().saturating_sub(now_msec()));
    }

    /// Connections to former addresses take no more commands, and those that wait begin, if they may.
    fn follow(self: &Rc<Self>) {
        let connections = self.connections.borrow().clone();
        let addresses = self.addresses.borrow().clone();
        let mut moved = false;
        for connection in connections {
            let known = connection.is_to(&addresses);
            match connection.state() {
                State::Established if !known && !connection.is_retiring() => {
                    moved = true;
                    connection.retire();
                }
                State::Connecting if connection.is_undialled() => self.dial_waiting(&connection),
                State::Connecting if !known => dial_or_end(&connection, &addresses),
                _ => {}
            }
        }
        // Not before: what the connections to the former address reply came from there.
        self.name_anew();
        let left = !self.connections.borrow().iter().all(|c| c.is_retiring());
        if self.breaker.is_down() {
            super::trouble::probe(self);
        } else if moved
            && !left
            && let Err(reason) = self.open()
        {
            self.trip(&StoreError::Unavailable, &reason);
        }
    }

    fn dial_waiting(self: &Rc<Self>, connection: &Rc<Connection>) {
        if self.must_wait() {
            return;
        }
        let addresses = self.addresses.borrow().clone();
        match &self.names {
            Some(names) if addresses.is_empty() => {
                connection.end(End::Down(StoreError::Unavailable, names.unknown()));
            }
            _ => dial_or_end(connection, &addresses),
        }
    }

    /// A connection has ended: another may wait for its place.
    pub(super) fn freed(&self) {
        if let Some(names) = &self.names
            && self.connections.borrow().iter().any(|c| c.is_undialled())
        {
            names.follow_later();
        }
    }

    /// The server can't be reached: its name may have got another address.
    pub(super) fn suspect(&self) {
        if let Some(names) = &self.names
            && names.fault.borrow().is_none()
        {
            let soon = names.asked.get().saturating_add(LEAST);
            names.due.set(names.due.get().min(soon));
        }
    }
}

fn dial_or_end(connection: &Connection, addresses: &[SocketAddress]) {
    if let Err(reason) = connection.dial(addresses) {
        connection.end(End::Down(StoreError::Unavailable, reason));
    }
}

/// The time of the addresses is up. If nobody uses them, the next connection looks the name up.
fn look_again(node: &Rc<Node>) {
    if !node.connections.borrow().is_empty() {
        node.look_up();
    }
}

/// Connections have waited long enough: they begin with the addresses that are known, in the places of those that have
/// moved.
fn impatient(node: &Rc<Node>) {
    let waiting = |node: &Node| {
        let connections = node.connections.borrow();
        connections.iter().any(|c| c.is_undialled())
    };
    if waiting(node) && node.is_full() {
        let connections = node.connections.borrow().clone();
        for connection in connections.iter().filter(|c| c.is_retiring()) {
            connection.end(End::Moved);
        }
    }
    if waiting(node) {
        node.follow();
    }
}
