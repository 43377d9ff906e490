//! What follows a command that has failed: stop, again, at another node, later.
//!
//! ```text
//! node of the slot ─► send ─┬─ done ─────────────────────────────────────────────► result
//!                           ├─ MOVED ────► that node; the map is out of date (3 hops in a row)
//!                           ├─ ASK ──────► that node, with ASKING; the map stays as it is (3 in a row)
//!                           ├─ TRYAGAIN, or more in a row ─► 10 to 50 ms later, from the beginning
//!                           ├─ READONLY, refused, lost, silent ─► whoever has the slot now
//!                           ├─ a replica that can't serve ──────► the master
//!                           └─ else, too often, or too late ────► the error
//! ```
//!
//! [`attempt`] is that picture, written against [`Route`], so that the simulation runs the very code that nginx runs.
//! Where nothing fails it is one call of [`Route::node`] and one of `send`: no allocation, no clock.

use std::future::Future;

use crate::cluster::{Address, Redirect, Slot, Told};

/// How often a command is sent again because its connection was lost.
const AGAIN: u8 = 2;
/// How many times MOVED is followed in a row. For a moment after a slot has moved each of two nodes may say that the other has
/// it, until they have told each other.
const HOPS: u8 = 3;
/// How many times ASK is followed in a row.
const ASKS: u8 = 3;
/// How often somebody else is looked for in place of a node that can't serve.
const REFRESHES: u8 = 2;
/// How often a connection may end under a command, for a reason of its own, before the next attempt waits a millisecond.
/// A node that does so at once would keep the worker busy until the deadline.
const FREE: u8 = 8;
/// What TRYAGAIN, nodes that contradict each other, and a node that can't serve are waited for, in milliseconds, at least and
/// at most.
const PAUSE: (u64, u64) = (10, 50);

/// What a command needs of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// It reads. A replica may serve it, if the operator allows that.
    Read,
    /// It reads what the master knows: a replica has failed, or has nothing while slots move.
    ReadMaster,
    /// It writes.
    Write,
}

/// A command as the attempts see it.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// The slot of its keys. A store of one server ignores it.
    pub slot: Slot,
    /// What it does.
    pub access: Access,
    /// Whether it may be carried out twice.
    pub repeatable: bool,
    /// Nothing is sent or waited for from this time on, in milliseconds of [`Route::now`]. `send` ends by it, too.
    pub deadline: u64,
}

/// What follows a failed command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it would fare no better.
    Stop,
    /// A few times more: its connection has failed.
    Again,
    /// Once more: its connection was closed for a reason that has nothing to do with the command.
    AgainFree,
    /// At that node, and the slot is there from now on.
    Moved(Box<Redirect>),
    /// At that node, this time only.
    Ask(Box<Redirect>),
    /// The same a little later.
    Later,
    /// At whichever node has the slot now: this one is no master, wasn't reached, or didn't reply.
    Refresh,
    /// At the master: this replica can't serve, or has nothing, which is no proof while slots move
    /// (valkey-io/valkey#495).
    Master,
}

impl Next {
    /// The same where the node is a replica: the master may serve what it can't, whatever is wrong with it. Redirections
    /// count as they are, and so does a connection that was closed on purpose.
    #[must_use]
    pub fn at_replica(self) -> Self {
        match self {
            Self::Moved(_) | Self::Ask(_) | Self::Later | Self::AgainFree => self,
            Self::Stop | Self::Again | Self::Refresh | Self::Master => Self::Master,
        }
    }
}

impl From<Told> for Next {
    fn from(told: Told) -> Self {
        match told {
            Told::Moved(redirect) => Self::Moved(Box::new(redirect)),
            Told::Ask(redirect) => Self::Ask(Box::new(redirect)),
            Told::TryAgain => Self::Later,
            Told::ClusterDown | Told::ReadOnly => Self::Refresh,
            Told::MasterDown | Told::Loading => Self::Master,
            Told::UnknownEndpoint => Self::Stop,
        }
    }
}

/// How a command ended without a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure<E> {
    /// What the caller is told if nothing else is tried.
    pub error: E,
    /// What may be tried.
    pub next: Next,
    /// It may have been carried out: it was sent, and no reply says that it wasn't. Only what is
    /// [repeatable](Command::repeatable) is sent again then.
    pub unsure: bool,
}

/// A topology as the attempts see it: which node has which slot.
pub trait Route {
    /// A server, as it is used now.
    type Node;
    /// Why there is no node, or no result.
    type Error;

    /// The node for a command.
    ///
    /// # Errors
    ///
    /// There is none, or it is known to be down. The command isn't sent then.
    fn node(&self, slot: Slot, access: Access) -> Result<Self::Node, Self::Error>;

    /// The node to which `from` points. An address without a host is on the host of `from`.
    ///
    /// # Errors
    ///
    /// As for [`Route::node`].
    fn at(&self, address: &Address, from: &Self::Node) -> Result<Self::Node, Self::Error>;

    /// Whether these are one server.
    fn is_same(&self, one: &Self::Node, other: &Self::Node) -> bool;

    /// `from` says that `to` has the slot. The map is out of date: it is asked for once for the whole nginx.
    fn moved(&self, slot: Slot, to: &Address, from: &Self::Node);

    /// A node is no master, wasn't reached, or didn't reply. It is asked anew who has its slots.
    fn suspect(&self, node: &Self::Node);

    /// A node redirects to itself: another server has its address now. Later commands go over a new connection.
    fn dial_anew(&self, node: &Self::Node);

    /// Waits for so many milliseconds.
    fn pause(&self, millis: u64) -> impl Future<Output = ()>;

    /// The time, in milliseconds. It never goes back.
    fn now(&self) -> u64;

    /// A number by chance, from `low` to `high`, both included.
    fn random(&self, low: u64, high: u64) -> u64;
}

/// Sends a command to the node that has its slot, and follows what comes of it.
///
/// `send` sends it to a node, once; where its second argument is true, with ASKING before it on the same connection and
/// nothing between. It ends by the deadline.
///
/// # Errors
///
/// That of the last failure, or that there is no node.
pub async fn attempt<R: Route, T>(
    route: &R,
    command: Command,
    mut send: impl AsyncFnMut(&R::Node, bool) -> Result<T, Failure<R::Error>>,
) -> Result<T, R::Error> {
    let node = route.node(command.slot, command.access)?;
    match send(&node, false).await {
        Ok(done) => Ok(done),
        // Boxed to keep the future of a hit small: failures are rarer.
        Err(failure) => Box::pin(recover(route, command, node, failure, send)).await,
    }
}

/// The same after a first attempt at `node`, for a caller that makes it itself: so that the command is on its way before
/// the future is polled.
///
/// # Errors
///
/// As for [`attempt`].
pub async fn recover<R: Route, T>(
    route: &R,
    command: Command,
    node: R::Node,
    failure: Failure<R::Error>,
    mut send: impl AsyncFnMut(&R::Node, bool) -> Result<T, Failure<R::Error>>,
) -> Result<T, R::Error> {
    let mut attempts = Attempts::new(command);
    let (mut node, mut failure) = (node, failure);
    loop {
        let step = attempts.after(route, &node, failure)?;
        let asking = step.asking;
        node = match step.to {
            Some(node) => node,
            None => {
                route.pause(step.pause).await;
                route.node(command.slot, attempts.access)?
            }
        };
        failure = match send(&node, asking).await {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
    }
}

/// The next attempt.
struct Step<N> {
    /// The node; without one it is chosen after the pause.
    to: Option<N>,
    /// It is sent with ASKING.
    asking: bool,
    /// Milliseconds to wait before it.
    pause: u64,
}

/// What is left of what may be tried.
struct Attempts {
    slot: Slot,
    access: Access,
    repeatable: bool,
    deadline: u64,
    again: u8,
    free: u8,
    hops: u8,
    asks: u8,
    refreshes: u8,
}

impl Attempts {
    const fn new(command: Command) -> Self {
        Self {
            slot: command.slot,
            access: command.access,
            repeatable: command.repeatable,
            deadline: command.deadline,
            again: AGAIN,
            free: FREE,
            hops: HOPS,
            asks: ASKS,
            refreshes: REFRESHES,
        }
    }

    /// What follows this failure of `node`.
    fn after<R: Route>(
        &mut self,
        route: &R,
        node: &R::Node,
        failure: Failure<R::Error>,
    ) -> Result<Step<R::Node>, R::Error> {
        let error = failure.error;
        // What was learnt counts, even if this command isn't sent again.
        match &failure.next {
            Next::Moved(redirect) => route.moved(redirect.slot, &redirect.address, node),
            Next::Refresh => route.suspect(node),
            Next::Master if self.access != Access::Read => route.suspect(node),
            _ => {}
        }
        if (failure.unsure && !self.repeatable) || route.now() >= self.deadline {
            return Err(error);
        }
        match failure.next {
            Next::Stop => Err(error),
            Next::Again if take(&mut self.again) => self.owner(route),
            Next::AgainFree if take(&mut self.free) => self.owner(route),
            Next::AgainFree => self.pause(route, (1, 1), error),
            Next::Moved(redirect) if take(&mut self.hops) => {
                let there = match route.at(&redirect.address, node) {
                    Ok(there) => there,
                    // It can't be used yet.
                    Err(error) => return self.pause(route, PAUSE, error),
                };
                if route.is_same(&there, node) {
                    route.dial_anew(node);
                }
                Ok(Step::at(there, false))
            }
            Next::Ask(redirect) if take(&mut self.asks) => {
                Ok(Step::at(route.at(&redirect.address, node)?, true))
            }
            Next::Later => self.pause(route, PAUSE, error),
            Next::Moved(_) | Next::Ask(_) => {
                (self.hops, self.asks) = (HOPS, ASKS);
                self.pause(route, PAUSE, error)
            }
            Next::Master | Next::Refresh if take(&mut self.refreshes) => {
                self.replace(route, node, error)
            }
            Next::Again | Next::Master | Next::Refresh => Err(error),
        }
    }

    /// At whichever node has the slot.
    fn owner<R: Route>(&self, route: &R) -> Result<Step<R::Node>, R::Error> {
        Ok(Step::at(route.node(self.slot, self.access)?, false))
    }

    /// At another node than this one: a read goes to the master. If there is no other yet, a little later.
    fn replace<R: Route>(
        &mut self,
        route: &R,
        node: &R::Node,
        error: R::Error,
    ) -> Result<Step<R::Node>, R::Error> {
        if self.access == Access::Read {
            self.access = Access::ReadMaster;
        }
        let other = route.node(self.slot, self.access)?;
        if route.is_same(&other, node) {
            return self.pause(route, PAUSE, error);
        }
        Ok(Step::at(other, false))
    }

    /// After a pause, unless that is too late.
    fn pause<R: Route>(
        &self,
        route: &R,
        (low, high): (u64, u64),
        error: R::Error,
    ) -> Result<Step<R::Node>, R::Error> {
        let pause = route.random(low, high);
        if route.now().saturating_add(pause) >= self.deadline {
            return Err(error);
        }
        Ok(Step {
            to: None,
            asking: false,
            pause,
        })
    }
}

impl<N> Step<N> {
    const fn at(node: N, asking: bool) -> Self {
        Self {
            to: Some(node),
            asking,
            pause: 0,
        }
    }
}

/// One less is left. False if none was.
const fn take(left: &mut u8) -> bool {
    if *left == 0 {
        return false;
    }
    *left -= 1;
    true
}
