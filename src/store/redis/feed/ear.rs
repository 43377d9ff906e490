//! A server that is listened to: what the feed of cache-core wants done is carried out.

use std::cell::{Cell, OnceCell, RefCell};
use std::ops::RangeInclusive;
use std::rc::{Rc, Weak};

use cache_core::cluster::Slot;
use cache_core::feed::{Effect, Event, Feed, Known, Level, Settings, Shadow};
use cache_core::resp::{Limits, Received};
use ngx::ffi::{NGX_LOG_INFO, NGX_LOG_NOTICE, NGX_LOG_WARN};
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;
use tier::Node;

use super::Right;
use super::changes::{Changes, Heard};
use crate::ngx::event::{Timer, exact_msec};
use crate::ngx::random;
use crate::store::background;
use crate::store::redis::config::{Server, StoreConfig};
use crate::store::redis::line::Line;
use crate::store::redis::topology::{MasterServer, Topology};

/// The longest time between two looks at a feed, in milliseconds.
const LOOK: u64 = 200;

/// How often the name of a server is looked up, in milliseconds.
const NAME: u64 = 1000;

/// How many addresses of a server are tried, one after the other, before a feed begins anew.
const ADDRESSES: u64 = 8;

/// One that listens to a server.
pub struct Ear {
    topology: Rc<Topology>,
    right: Rc<Right>,
    /// The store and the server, for the log.
    shown: String,
    server: Server,
    /// What the tier calls the server at the address that it was reached at last, and its node there.
    name: Cell<u64>,
    node: Cell<Node>,
    /// The tier has no place for it, and the log says so.
    is_homeless: Cell<bool>,
    feed: RefCell<Feed>,
    /// While another worker's ears are those that count.
    shadow: RefCell<Option<Shadow>>,
    /// What it has told, for the tier.
    changes: Rc<Changes>,
    line: Rc<Line>,
    /// Where canaries are published if the line takes no such command: that of a subscription in RESP2.
    publisher: Rc<Line>,
    /// How much of the worker's memory a reply may take.
    limits: Limits,
    /// Counts connections: what comes of an earlier one isn't told.
    connection: Cell<u64>,
    /// When its name was looked up last, in milliseconds.
    looked_up: Cell<u64>,
    timer: OnceCell<Timer>,
}

impl Ear {
    /// Begins to listen to a server.
    pub fn begin(
        config: &Rc<StoreConfig>,
        topology: &Rc<Topology>,
        master: MasterServer,
        right: &Rc<Right>,
    ) -> Rc<Ear> {
        let MasterServer { server, slots } = master;
        let prefix = right.memory.config().prefix.clone();
        let settings = Settings {
            channel: right.memory.channel().to_vec(),
            prefix,
            slots,
            connect_timeout: config.connect_timeout.saturating_mul(ADDRESSES),
            read_timeout: config.read_timeout,
        };
        // In a Cluster it asks for the slot map.
        let limits = match settings.slots {
            Some(_) => Limits {
                bulk: Limits::FEED.bulk,
                ..Limits::SLOTS
            },
            None => Limits::FEED,
        };
        let is_sole = settings.slots.is_none();
        let seed = random::between(1, u64::from(u32::MAX));
        let index = right.memory.records().index();
        let addresses = config.in_order(server.addresses.clone());
        let name = server.heard_as(addresses.first());
        let ear = Rc::new(Ear {
            topology: Rc::clone(topology),
            right: Rc::clone(right),
            shown: format!("\"{}\" ({})", config.shown, server.text),
            name: Cell::new(name),
            node: Cell::new(index.node_at(name, exact_msec())),
            is_homeless: Cell::new(false),
            feed: RefCell::new(Feed::new(settings, seed)),
            shadow: RefCell::default(),
            changes: Changes::new(right, is_sole),
            line: Line::new(config, &server),
            publisher: Line::new(config, &server),
            limits,
            server,
            looked_up: Cell::new(0),
            connection: Cell::new(0),
            timer: OnceCell::new(),
        });
        let own: Weak<Ear> = Rc::downgrade(&ear);
        ear.line.on_open(move |address| {
            if let Some(own) = own.upgrade() {
                let name = own.server.heard_as(Some(address));
                let former = own.name.replace(name);
                let node = own.node.get();
                let index = own.right.memory.records().index();
                if former != name && own.right.is_held() && index.is_node_of(node, former) {
                    // It has no lease since its connection was lost, and nobody is to carry on with what it gave.
                    index.raise_epoch(node);
                }
                own.tell(Event::Connected);
            }
        });
        let timer = Timer::of(Rc::downgrade(&ear), |ear| {
            ear.tell(Event::Tick);
            ear.follow_name();
        });
        timer.arm(0);
        let _ = ear.timer.set(timer);
        ear
    }

    /// The server has these slots by now.
    pub fn set_slots(&self, slots: Option<Vec<RangeInclusive<Slot>>>) {
        if let Some(slots) = slots {
            self.feed.borrow_mut().set_slots(slots);
        }
    }

    /// Listens beside another worker. To be called before anything has come.
    pub fn begin_shadow(&self) {
        self.shadow.replace(Some(Shadow::default()));
    }

    /// This worker listens for all from now on.
    pub fn end_shadow(&self) {
        self.shadow.take();
    }

    /// The server's node. It has another one after a time without a lease, if many servers have come since.
    fn node(&self) -> Node {
        let index = self.right.memory.records().index();
        let node = index.node_at(self.name.get(), exact_msec());
        if self.node.replace(node) != node && self.right.is_held() && node != Node::NONE {
            // Nothing of before counts there.
            index.raise_epoch(node);
        }
        if self.is_homeless.replace(node == Node::NONE) != (node == Node::NONE) {
            self.say_homeless(node == Node::NONE);
        }
        node
    }

    /// Says that the tier has no place for the server, or has one again.
    fn say_homeless(&self, is_homeless: bool) {
        if is_homeless {
            self.say(
                Level::Warn,
                "its memory isn't used: it knows 512 servers that were heard within the last minute, and has no place for another",
            );
        } else {
            self.say(Level::Notice, "its memory has a place for it again");
        }
    }

    /// Whether it misses nothing when it listens for all from now on.
    pub fn is_covered(&self) -> bool {
        let (index, node) = (self.right.memory.records().index(), self.node());
        let known = Known {
            epoch: index.epoch(node),
            leased_until: index.leased_until(node),
        };
        let shadow = self.shadow.borrow();
        shadow.as_ref().is_some_and(|it| it.is_covered(known))
    }

    /// Whether an effect is to be carried out.
    fn is_for_now(&self, effect: &Effect) -> bool {
        let index = self.right.memory.records().index();
        let mut shadow = self.shadow.borrow_mut();
        shadow
            .as_mut()
            .is_none_or(|it| it.take(exact_msec(), effect, index.epoch(self.node())))
    }

    /// Listens no more: the server isn't one that has keys, or another worker may listen from now on.
    pub fn leave(self: &Rc<Self>) {
        let mut effects = Vec::new();
        self.feed.borrow_mut().leave(&mut effects);
        self.carry_out(effects);
        self.close();
    }

    /// Listens no more, and says nothing: another worker does.
    pub fn close(&self) {
        if let Some(timer) = self.timer.get() {
            timer.disarm();
        }
        self.changes.forget();
        self.hang_up();
    }

    fn hang_up(&self) {
        self.connection.set(self.connection.get() + 1);
        self.line.close();
        self.publisher.close();
    }

    /// Has the feed begin anew where the name of the server leads to another one by now: workers follow it, too.
    fn follow_name(self: &Rc<Self>) {
        let now = exact_msec();
        if now < self.looked_up.get().saturating_add(NAME) {
            return;
        }
        self.looked_up.set(now);
        let own = Rc::downgrade(self);
        let number = self.connection.get();
        self.line.look_up(move || {
            if let Some(own) = own.upgrade()
                && own.connection.get() == number
            {
                own.tell(Event::Closed);
            }
        });
    }

    fn tell(self: &Rc<Self>, event: Event<'_>) {
        let mut effects = Vec::new();
        let now = exact_msec();
        let wakes_at = {
            let mut feed = self.feed.borrow_mut();
            feed.handle(now, event, &mut effects);
            feed.wakes_at()
        };
        self.carry_out(effects);
        if let Some(timer) = self.timer.get() {
            timer.arm(wakes_at.saturating_sub(now).clamp(1, LOOK));
        }
    }

    fn carry_out(self: &Rc<Self>, effects: Vec<Effect>) {
        for effect in effects {
            if !self.is_for_now(&effect) {
                continue;
            }
            match effect {
                Effect::Connect => self.connect(),
                Effect::Close => self.hang_up(),
                Effect::Send(words) => {
                    let words: Vec<&[u8]> = words.iter().map(|word| word.as_ref()).collect();
                    self.line.say(&words);
                }
                Effect::Refresh => self.topology.doubt(),
                Effect::Publish { channel, message } => self.publish(&channel, &message),
                Effect::Tell { until } => self.right.memory.tell_until(until),
                Effect::Say(level, text) => self.say(level, &text),
                effect => {
                    let (node, name) = (self.node(), self.name.get());
                    self.changes.take(Heard { node, name }, effect);
                }
            }
        }
        self.changes.go_on();
    }

    fn connect(self: &Rc<Self>) {
        let own = Rc::downgrade(self);
        let number = self.connection.get() + 1;
        self.connection.set(number);
        let heard = move |received: Option<Received>| {
            let Some(own) = own.upgrade() else { return };
            if own.connection.get() != number {
                return;
            }
            match &received {
                Some(Received::Reply(reply)) => own.tell(Event::Reply(reply)),
                Some(Received::Push(push)) => own.tell(Event::Push(push)),
                None => own.closed(),
            }
        };
        if self.line.feed(self.limits, heard).is_err() {
            self.closed();
        }
    }

    fn publish(self: &Rc<Self>, channel: &[u8], message: &[u8]) {
        let words: [&[u8]; 3] = [b"PUBLISH", channel, message];
        // Without a reply the canary is late.
        let Ok(waiting) = self.publisher.ask(&words, Limits::GREETING) else {
            return;
        };
        let own = Rc::downgrade(self);
        let number = self.connection.get();
        background::spawn(async move {
            let reply = waiting.await;
            if let (Ok(reply), Some(own)) = (reply, own.upgrade())
                && own.connection.get() == number
            {
                own.tell(Event::Published(&reply));
            }
        });
    }

    /// The connection has ended. Its end may come in the middle of what the feed has asked for.
    fn closed(self: &Rc<Self>) {
        let own = Rc::clone(self);
        let number = self.connection.get();
        background::spawn(async move {
            if own.connection.get() == number {
                own.tell(Event::Closed);
            }
        });
    }

    fn say(&self, level: Level, text: &str) {
        let level = match level {
            Level::Info => NGX_LOG_INFO,
            Level::Notice => NGX_LOG_NOTICE,
            Level::Warn => NGX_LOG_WARN,
        };
        let store = &self.shown;
        ngx_log_error!(
            level,
            ngx_cycle_log().as_ptr(),
            "redis store {store}: {text}"
        );
    }
}
