//! Which connection takes a command, and when another is opened.

use std::rc::{Rc, Weak};

use cache_core::breaker::{Access, Pass};
use ngx::ffi::NGX_LOG_INFO;
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use super::Node;
use super::breaker::Allowed;
use crate::ngx::event::now_msec;
use crate::ngx::shutdown;
use crate::store::redis::connection::{Connection, ConnectionOwner, State};
use crate::store::redis::error::StoreError;

/// A connection with less than this ahead of a new command is as good as an idle one: about 0.1 ms
/// of a fast network. While there is such a connection the first of them takes the command, because
/// a system call that carries many commands is cheaper than many that carry one.
const QUIET: usize = 128 << 10;

/// If a further connection can't be opened, no other is tried for so many milliseconds.
const PATIENCE: u64 = 1000;

impl Node {
    /// The connection for a new command: the first that is quiet, else the one with the least ahead
    /// of the command. If none is quiet another is opened, for later commands: until a connection is
    /// established the others serve.
    ///
    /// What is known to be large goes to connections of its own, if there may be two: nobody else waits behind it, nor
    /// loses its connection with it.
    pub(super) fn choose(
        self: &Rc<Self>,
        access: Access,
        large: bool,
    ) -> Result<Rc<Connection>, StoreError> {
        if self.is_refusing() {
            return Err(StoreError::Unavailable);
        }
        self.choose_for_question(access, large)
    }

    /// The same for a command that a server carries out whose cluster is down.
    pub(super) fn choose_for_question(
        self: &Rc<Self>,
        access: Access,
        large: bool,
    ) -> Result<Rc<Connection>, StoreError> {
        if shutdown::has_timed_out() {
            return Err(StoreError::Leaving);
        }
        let pass = match self.breaker.may(access) {
            Allowed::Command(pass) => pass,
            Allowed::Probe(probe) => {
                self.begin_probe(probe);
                return Err(StoreError::Unavailable);
            }
            Allowed::Nothing => return Err(StoreError::Unavailable),
        };
        // Another worker may have found it up again.
        self.health.forget();
        let chosen = self.admit().and_then(|()| self.connection(large));
        if pass != Pass::Go {
            match &chosen {
                Ok(_) => self.write_probe.set(Some(pass)),
                Err(_) => self.breaker.unused(pass),
            }
        }
        chosen
    }

    pub(super) fn connection(self: &Rc<Self>, large: bool) -> Result<Rc<Connection>, StoreError> {
        let (best, grow) = self.survey(large);
        if let Some(connection) = best {
            if grow {
                self.grow();
            }
            return Ok(connection);
        }
        match self.open() {
            Ok(connection) => {
                connection.set_for_large(large && self.config.connections > 1);
                Ok(connection)
            }
            Err(reason) if self.serves() => {
                self.cannot_grow(&reason);
                self.connection(large)
            }
            Err(reason) => {
                self.trip(&StoreError::Unavailable, &reason);
                Err(StoreError::Unavailable)
            }
        }
    }

    /// Whether one command more may wait for a reply.
    pub(super) fn admit(&self) -> Result<(), StoreError> {
        let connections = self.connections.borrow();
        let waiting =
            connections.iter().map(|c| c.owed()).sum::<usize>() + self.large.borrow().len();
        if self.health.admits(waiting, self.config.queue) {
            Ok(())
        } else {
            Err(StoreError::Crowded)
        }
    }

    /// Whether a connection is established.
    pub(super) fn serves(&self) -> bool {
        let connections = self.connections.borrow();
        connections.iter().any(|c| c.serves())
    }

    /// The best connection there is, and whether another would help. `None` if a new one is to be had.
    pub(super) fn survey(&self, large: bool) -> (Option<Rc<Connection>>, bool) {
        let connections = self.connections.borrow();
        let average = self.average.get();
        // Beside its own kind a command finds connections that do nothing, and if no more may be opened, any.
        let fits = |c: &Rc<Connection>| {
            c.is_for_large() == large
                || (!large && !c.is_owing() && c.state() == State::Established)
        };
        // Nearly always the first is.
        let is_quiet = |c: &&Rc<Connection>| c.serves() && fits(c) && c.load(average) < QUIET;
        if let Some(quiet) = connections.iter().find(is_quiet) {
            return (Some(Rc::clone(quiet)), false);
        }
        let current = connections.iter().filter(|c| !c.is_retiring());
        let count = current.clone().count();
        let room =
            count < self.config.connections && (count == 0 || now_msec() >= self.patience.get());
        let any = !room && !current.clone().any(fits);
        let mut best: Option<(&Rc<Connection>, usize)> = None;
        let own = current.filter(|c| any || fits(c));
        for connection in own.clone().filter(|c| c.state() == State::Established) {
            let load = connection.load(average);
            if load < QUIET {
                return (Some(Rc::clone(connection)), false);
            }
            if best.is_none_or(|(_, least)| load < least) {
                best = Some((connection, load));
            }
        }
        let opening = own.clone().find(|c| c.state() != State::Established);
        let grow = opening.is_none() && best.is_some() && !large && room;
        (
            best.map(|(connection, _)| connection)
                .or(opening)
                .map(Rc::clone),
            grow,
        )
    }

    pub(super) fn open(self: &Rc<Self>) -> Result<Rc<Connection>, String> {
        let owner: Weak<dyn ConnectionOwner> = Rc::<Node>::downgrade(self);
        let connection = Connection::new(&self.config, self.tls.clone(), owner);
        self.dial(&connection)?;
        self.connections.borrow_mut().push(Rc::clone(&connection));
        Ok(connection)
    }

    pub(super) fn grow(self: &Rc<Self>) {
        if let Err(reason) = self.open() {
            self.cannot_grow(&reason);
        }
    }

    pub(super) fn cannot_grow(&self, reason: &str) {
        self.patience.set(now_msec().saturating_add(PATIENCE));
        let (name, server) = (&self.config.shown, &self.server.text);
        ngx_log_error!(
            NGX_LOG_INFO,
            ngx_cycle_log().as_ptr(),
            "redis store \"{name}\" ({server}): no further connection: {reason}"
        );
    }
}
