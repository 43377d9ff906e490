//! Hearing what other machines invalidate: the worker that listens on the store's channel marks in the zones what is told
//! there, so that nobody joins a fill from before.
//!
//! One worker of an nginx that fills does so. A message that is lost costs those who join such a fill meanwhile; the store
//! refuses its record all the same (see [`cache_core::fence`]).

use std::cell::{Cell, OnceCell, RefCell};
use std::mem::ManuallyDrop;
use std::rc::Rc;

use cache_core::fence::{self, CHANNEL};
use cache_core::lease::{Held, Lease};
use cache_core::resp::Reply;

use super::config::StoreConfig;
use super::protocol::purges;
use super::purges::Purges;
use super::subscription::{LOOK, Subscriber, Subscription};
use super::topology::Topology;
use crate::ngx::event::{Timer, exact_msec};
use crate::ngx::shutdown;
use crate::shm::process::pid;
use crate::shm::zone;

/// After so many milliseconds without a sign of life of the worker that listens another takes over.
const LEASE: u64 = 1000;

/// What is listened to: what is invalidated, and what is purged.
const CHANNELS: [&str; 2] = [CHANNEL, purges::CHANNEL];

/// Whether this is a message that tells of a purge.
fn tells_of_purge(elements: &[Reply]) -> bool {
    let is = |reply: &Reply, text: &[u8]| reply.text().is_some_and(|said| said == text);
    match elements {
        [kind, channel, _] => is(kind, b"message") && is(channel, purges::CHANNEL.as_bytes()),
        _ => false,
    }
}

thread_local! {
    /// The worker's parts, one for each store, kept apart from what each request copies of its store.
    // Never dropped: at the worker's exit nginx has taken its pools away before.
    static PARTS: ManuallyDrop<RefCell<Vec<Part>>> = ManuallyDrop::default();
}

/// Whose part it is, and the part.
type Part = (Rc<StoreConfig>, Rc<Hearing>);

/// Sees to it from now on that somebody of this nginx listens: a fill begins.
pub fn begin(config: &Rc<StoreConfig>, topology: &Rc<Topology>, purges: &Rc<Purges>) {
    PARTS.with(|parts| {
        let is_known = |part: &Part| Rc::ptr_eq(&part.0, config);
        if parts.borrow().iter().any(is_known) {
            return;
        }
        let hearing = Hearing::begin(config, topology, purges);
        parts.borrow_mut().push((Rc::clone(config), hearing));
    });
}

/// Gives it up, for this worker's exit or for a store that is no more.
pub fn leave(config: &Rc<StoreConfig>) {
    let parts = PARTS.with(|parts| parts.take());
    let (left, others): (Vec<Part>, Vec<Part>) = parts
        .into_iter()
        .partition(|(known, _)| Rc::ptr_eq(known, config));
    PARTS.with(|parts| parts.replace(others));
    for (_, hearing) in left {
        hearing.leave();
    }
}

/// A worker's part: it listens, or sees to it that another one does.
struct Hearing {
    subscription: Subscription,
    purges: Rc<Purges>,
    held: Cell<Option<Held>>,
    timer: OnceCell<Timer>,
}

impl Hearing {
    /// Begins, once what is going on is over: that may be in the middle of the first command.
    fn begin(
        config: &Rc<StoreConfig>,
        topology: &Rc<Topology>,
        purges: &Rc<Purges>,
    ) -> Rc<Hearing> {
        let hearing = Rc::new(Hearing {
            subscription: Subscription::new(config, topology),
            purges: Rc::clone(purges),
            held: Cell::new(None),
            timer: OnceCell::new(),
        });
        let timer = Timer::of(Rc::downgrade(&hearing), Hearing::look);
        timer.set_cancelable(true);
        timer.arm(0);
        let _ = hearing.timer.set(timer);
        hearing
    }

    fn leave(&self) {
        if let Some(timer) = self.timer.get() {
            timer.disarm();
        }
        Subscription::hang_up(self);
        if let (Some(lease), Some(held)) = (self.lease(), self.held.take()) {
            lease.release(held);
        }
    }

    /// `None`: the workers share nothing of the store, and each listens for itself.
    fn lease(&self) -> Option<&'static Lease> {
        let state = self.subscription.config().memory?.state()?;
        Some(&state.hearing)
    }

    /// Keeps the right to listen for all workers, or takes it if nobody has it. Whether this worker has it.
    fn has_right(&self) -> bool {
        let Some(lease) = self.lease() else {
            return true;
        };
        let now = exact_msec();
        let renewed = self
            .held
            .get()
            .and_then(|held| lease.renew(held, now, LEASE));
        let who = u32::try_from(pid()).unwrap_or_default();
        self.held
            .set(renewed.or_else(|| lease.take(who, now, LEASE)));
        self.held.get().is_some()
    }

    fn look(self: &Rc<Self>) {
        if shutdown::has_begun() {
            // It knows nothing of zones that a newer configuration has, and its clients join no fill from now on.
            return self.leave();
        }
        if self.has_right() {
            Subscription::follow(self);
        } else {
            Subscription::hang_up(&**self);
        }
        if let Some(timer) = self.timer.get() {
            timer.arm(LOOK);
        }
    }
}

impl Subscriber for Hearing {
    fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    fn channels(&self) -> Vec<String> {
        CHANNELS.map(str::to_owned).to_vec()
    }

    fn hear(&self, elements: &[Reply]) {
        if tells_of_purge(elements) {
            self.purges.heard();
        }
        if let Some(told) = fence::told(elements) {
            let store = self.subscription.config().name.as_bytes();
            zone::heard_in_all(store, &told.key, told.token.number());
        }
    }

    fn cut_off(&self) {}

    fn without(&self) -> (&'static str, String) {
        (
            "its invalidations by other machines aren't heard, and requests may wait for fills that began before one",
            format!(
                "\"+subscribe\" and the channels \"{CHANNEL}\" and \"{}\"",
                purges::CHANNEL
            ),
        )
    }
}
