//! A line to one server to ask it questions: a Sentinel, or a server that may be a master. It has no breaker, and holds no
//! records.

use std::cell::{OnceCell, RefCell};
use std::rc::{Rc, Weak};

use bytes::Bytes;
use cache_core::resp::{Limits, Received, Reply};

use super::call::{Waiting, call};
use super::config::{Server, SocketAddress, StoreConfig};
use super::connection::end::End;
use super::connection::{Connection, ConnectionOwner, State};
use super::error::StoreError;
use super::protocol::pending::Replied;
use crate::ngx::resolver::{self, Answer, Asked, Outcome, Question};
use crate::ngx::shutdown;
use crate::ngx::tls::Client;

/// A server that is asked. It is connected to when there is a question, and stays so.
pub struct Line {
    config: Rc<StoreConfig>,
    server: Server,
    /// How it is encrypted, and its session.
    tls: Option<Rc<Client>>,
    connection: RefCell<Option<Rc<Connection>>>,
    /// The address that agreed to the greeting last. It is tried first, as nodes do.
    served: RefCell<Option<SocketAddress>>,
    /// The lookup of its name that is under way.
    question: RefCell<Option<Question>>,
    /// Told when the server has agreed to the greeting.
    on_open: OnceCell<OnOpen>,
    /// The lookup of its name by [`Line::look_up`].
    watch: RefCell<Option<Question>>,
}

/// Told of the address of a new connection.
type OnOpen = Box<dyn Fn(&SocketAddress)>;

impl Line {
    /// A line that isn't open.
    pub fn new(config: &Rc<StoreConfig>, server: &Server) -> Rc<Line> {
        Rc::new(Line {
            config: Rc::clone(config),
            server: server.clone(),
            tls: config.tls.as_ref().map(|tls| Rc::new(tls.client(server))),
            connection: RefCell::default(),
            served: RefCell::default(),
            question: RefCell::default(),
            on_open: OnceCell::new(),
            watch: RefCell::default(),
        })
    }

    /// Has somebody told whenever the server has agreed to the greeting of a new connection.
    pub fn on_open(&self, told: impl Fn(&SocketAddress) + 'static) {
        // Set once, by whoever has made the line.
        let _ = self.on_open.set(Box::new(told));
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

    /// Subscribes to channels: from now on the line is for what comes by that, and for [`Line::say`]. `heard` gets
    /// each reply, and nothing once the line has ended.
    ///
    /// # Errors
    ///
    /// The server can't be reached.
    pub fn subscribe(
        self: &Rc<Self>,
        channels: &[&[u8]],
        limits: Limits,
        heard: impl Fn(Option<Received>) + 'static,
    ) -> Result<(), StoreError> {
        self.open()?.subscribe(channels, limits, Box::new(heard));
        Ok(())
    }

    /// Keeps the line for what comes on it, and for [`Line::say`]. `heard` gets each reply and each push, and nothing once
    /// the line has ended.
    ///
    /// # Errors
    ///
    /// The server can't be reached.
    pub fn feed(
        self: &Rc<Self>,
        limits: Limits,
        heard: impl Fn(Option<Received>) + 'static,
    ) -> Result<(), StoreError> {
        self.open()?.feed(limits, Box::new(heard));
        Ok(())
    }

    /// Sends a command on a line that is subscribed, or kept as a feed. What comes of it is heard.
    pub fn say(&self, words: &[&[u8]]) {
        if let Some(connection) = self.connection.borrow().as_ref() {
            connection.say(words);
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
        let connection = Connection::new(&self.config, self.tls.clone(), owner);
        self.dial(&connection)
            .map_err(|_| StoreError::Unavailable)?;
        self.connection.replace(Some(Rc::clone(&connection)));
        Ok(connection)
    }

    /// Begins to connect, by the name if it has one: now, or once that is looked up.
    fn dial(self: &Rc<Self>, connection: &Rc<Connection>) -> Result<(), String> {
        let known = || self.in_order(self.server.addresses.clone());
        let Some(name) = &self.server.name else {
            return connection.dial(&known());
        };
        let line = Rc::downgrade(self);
        let asked = resolver::ask(&name.host, name.port, move |outcome| {
            if let Some(line) = line.upgrade() {
                line.resolved(&outcome);
            }
        });
        match asked {
            Some(Asked::Answered(Ok(answer))) => {
                connection.dial(&self.in_order(to_sockets(&answer)))
            }
            Some(Asked::Waiting(question)) => {
                self.question.replace(Some(question));
                Ok(())
            }
            None | Some(Asked::Answered(Err(_))) => connection.dial(&known()),
        }
    }

    /// The order in which addresses are tried.
    fn in_order(&self, addresses: Vec<SocketAddress>) -> Vec<SocketAddress> {
        let mut addresses = self.config.in_order(addresses);
        let served = self.served.borrow();
        let place = addresses.iter().position(|it| Some(it) == served.as_ref());
        if let Some(place) = place {
            addresses.swap(0, place);
        }
        addresses
    }

    /// Looks its name up again, if it has one and is connected. `moved` is told if that is another address than its own by
    /// now. nginx keeps the answer until its time is up.
    pub fn look_up(self: &Rc<Self>, moved: impl Fn() + 'static) {
        let Some(name) = &self.server.name else {
            return;
        };
        let connection = self.connection.borrow().clone();
        let connection = connection.filter(|it| it.state() == State::Established);
        let Some(connection) = connection else { return };
        if self.watch.borrow().is_some() {
            return;
        }
        let has_moved = move |outcome: &Outcome| {
            let answer = outcome.as_ref().ok();
            answer.is_some_and(|answer| !connection.is_to(&to_sockets(answer)))
        };
        let line = Rc::downgrade(self);
        let moved = Rc::new(moved);
        let (later, told) = (has_moved.clone(), Rc::clone(&moved));
        let asked = resolver::ask(&name.host, name.port, move |outcome| {
            if let Some(line) = line.upgrade() {
                line.watch.take();
                if later(&outcome) {
                    told();
                }
            }
        });
        match asked {
            Some(Asked::Waiting(question)) => {
                self.watch.replace(Some(question));
            }
            Some(Asked::Answered(outcome)) if has_moved(&outcome) => moved(),
            None | Some(Asked::Answered(_)) => {}
        }
    }

    /// The lookup of the name is over. Without an answer the addresses of the configuration must do.
    fn resolved(&self, outcome: &Outcome) {
        self.question.take();
        let connection = self.connection.borrow().clone();
        let Some(connection) = connection.filter(|c| c.is_undialled()) else {
            return;
        };
        let dialled = match outcome {
            Ok(answer) => connection.dial(&self.in_order(to_sockets(answer))),
            Err(_) => connection.dial(&self.in_order(self.server.addresses.clone())),
        };
        if let Err(reason) = dialled {
            connection.end(End::Down(StoreError::Unavailable, reason));
        }
    }
}

impl ConnectionOwner for Line {
    fn established(self: Rc<Self>, address: &SocketAddress) {
        self.served.replace(Some(address.clone()));
        if let Some(told) = self.on_open.get() {
            told(address);
        }
    }

    fn heard_as(&self, address: &SocketAddress) -> u64 {
        self.server.heard_as(Some(address))
    }

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

fn to_sockets(answer: &Answer) -> Vec<SocketAddress> {
    let addresses = answer.addresses.iter();
    addresses.copied().map(SocketAddress::of).collect()
}

impl Drop for Line {
    fn drop(&mut self) {
        self.close();
    }
}
