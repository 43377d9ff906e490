//! A line to one server to ask it questions: a Sentinel, or a server that may be a master. It has no breaker, and holds no
//! records.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use bytes::Bytes;
use cache_core::resp::{Limits, Reply};

use super::call::{Waiting, call};
use super::config::{Server, SocketAddress, StoreConfig};
use super::connection::end::End;
use super::connection::{Connection, ConnectionOwner, State};
use super::error::StoreError;
use super::protocol::pending::Replied;
use crate::ngx::shutdown;

/// A server that is asked. It is connected to when there is a question, and stays so.
pub struct Line {
    config: Rc<StoreConfig>,
    addresses: Vec<SocketAddress>,
    connection: RefCell<Option<Rc<Connection>>>,
}

impl Line {
    /// A line that isn't open.
    pub fn new(config: &Rc<StoreConfig>, server: &Server) -> Rc<Line> {
        Rc::new(Line {
            config: Rc::clone(config),
            addresses: server.addresses.clone(),
            connection: RefCell::default(),
        })
    }

    /// Asks. The reply is given as it is, errors too.
    ///
    /// # Errors
    ///
    /// The server can't be reached.
    pub fn ask(
        self: &Rc<Self>,
        question: &[&[u8]],
        limits: Limits,
    ) -> Result<Waiting<Reply>, StoreError> {
        let connection = self.open()?;
        let (promise, waiting) = call();
        connection.ask(question, limits, promise);
        Ok(waiting)
    }

    /// Subscribes to a channel: from now on the line is for what comes by that, and for [`Line::ping`]. `heard` gets
    /// each reply, and nothing once the line has ended.
    ///
    /// # Errors
    ///
    /// The server can't be reached.
    pub fn subscribe(
        self: &Rc<Self>,
        channel: &[u8],
        limits: Limits,
        heard: impl Fn(Option<Reply>) + 'static,
    ) -> Result<(), StoreError> {
        self.open()?.subscribe(channel, limits, Box::new(heard));
        Ok(())
    }

    /// Sends PING on a line that is subscribed. What comes of it is heard.
    pub fn ping(&self) {
        if let Some(connection) = self.connection.borrow().as_ref() {
            connection.ping();
        }
    }

    /// Closes it.
    pub fn close(&self) {
        let connection = self.connection.take();
        if let Some(connection) = connection {
            connection.end(End::Unwanted);
        }
    }

    fn open(self: &Rc<Self>) -> Result<Rc<Connection>, StoreError> {
        if shutdown::has_timed_out() {
            return Err(StoreError::Leaving);
        }
        if let Some(connection) = self.connection.borrow().as_ref() {
            return Ok(Rc::clone(connection));
        }
        let owner: Weak<dyn ConnectionOwner> = Rc::<Line>::downgrade(self);
        let connection = Connection::open(&self.config, &self.addresses, owner)
            .map_err(|_| StoreError::Unavailable)?;
        self.connection.replace(Some(Rc::clone(&connection)));
        Ok(connection)
    }
}

impl ConnectionOwner for Line {
    fn established(self: Rc<Self>, _: &SocketAddress) {}

    fn replied(&self, _: Replied) {}

    fn learn(&self, _: &Bytes, _: usize) {}

    fn expire(&self, _: u64) {}

    fn ended(self: Rc<Self>, ended: &Connection, _: State, _: &End) -> bool {
        let mut connection = self.connection.borrow_mut();
        let is_current = connection
            .as_ref()
            .is_some_and(|known| std::ptr::eq(Rc::as_ptr(known), ended));
        if is_current {
            *connection = None;
        }
        false
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.close();
    }
}
