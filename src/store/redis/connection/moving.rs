//! Where a connection leads: to which address it is dialled, and how it ends when the server's name leads elsewhere.

use super::end::End;
use super::{Connection, State};
use crate::store::redis::config::SocketAddress;

impl Connection {
    /// Begins to connect to the first of a server's addresses. The others are tried in turn where that fails.
    ///
    /// # Errors
    ///
    /// The reason why the server can't be reached at the last of them.
    pub fn dial(&self, addresses: &[SocketAddress]) -> Result<(), String> {
        self.addresses.replace(addresses.iter().cloned().collect());
        self.connect()
    }

    /// Whether it takes commands but hasn't begun to connect.
    pub fn is_undialled(&self) -> bool {
        self.state.get() == State::Connecting && self.addresses.borrow().is_empty()
    }

    /// Whether it leads to one of these addresses, or is on its way there.
    pub fn is_to(&self, addresses: &[SocketAddress]) -> bool {
        let own = self.addresses.borrow();
        own.front().is_some_and(|own| addresses.contains(own))
    }

    /// Takes no new commands, and ends when it owes nothing. It is established.
    pub fn retire(&self) {
        self.retiring.set(true);
        self.leave_if_done();
    }

    /// Whether it takes no new commands.
    pub fn is_retiring(&self) -> bool {
        self.retiring.get()
    }

    /// Whether it is established and takes new commands.
    pub fn serves(&self) -> bool {
        self.state.get() == State::Established && !self.retiring.get()
    }

    /// What the memory tier calls the server at the address where it is established.
    pub fn heard_as(&self) -> u64 {
        self.heard_as.get()
    }

    /// Ends it, if it retires and owes nothing.
    pub fn leave_if_done(&self) {
        if self.retiring.get() && self.owed.get() == 0 {
            self.end(End::Moved);
        }
    }
}
