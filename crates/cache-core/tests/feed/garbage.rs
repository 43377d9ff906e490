//! Whatever a server says, the feed neither panics nor grows, and leases nothing without a proof.

use bytes::{Bytes, BytesMut};
use cache_core::cluster::Slot;
use cache_core::feed::{Effect, Event, Feed, MESSAGES_VALID, Settings, Source};
use cache_core::resp::{Decoder, Push, Received, Reply};
use proptest::prelude::*;

use crate::bench::settings;

/// What may come, or happen.
#[derive(Clone, Debug)]
enum Step {
    Connected,
    Closed,
    Said(Vec<u8>),
    /// The oldest command is answered as a good server would.
    Agreed,
    /// The canary is pushed.
    Proved,
    Slept(u64),
    Published(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let texts: &[&[u8]] = &[
        b"+OK\r\n",
        b"+PONG\r\n",
        b":1\r\n",
        b":0\r\n",
        b"_\r\n",
        b"%1\r\n+a\r\n+b\r\n",
        b"-ERR no\r\n",
        b"-OOM no\r\n",
        b"-MOVED 1 a:1\r\n",
        b"-READONLY no\r\n",
        b"-BUSY no\r\n",
        b"*3\r\n+message\r\n+chan\r\n$1\r\na\r\n",
        b"*3\r\n+subscribe\r\n+chan\r\n:1\r\n",
        b">3\r\n+subscribe\r\n+chan\r\n:1\r\n",
        b">3\r\n+message\r\n+chan\r\n$1\r\na\r\n",
        b">3\r\n+unsubscribe\r\n+chan\r\n:1\r\n",
        b">2\r\n+invalidate\r\n_\r\n",
        b">2\r\n+invalidate\r\n*1\r\n$1\r\na\r\n",
        b">2\r\n+invalidate\r\n:3\r\n",
        b"$63\r\ncluster_state:ok\r\ncluster_current_epoch:7\r\ncluster_my_epoch:3\r\n\r\n",
    ];
    let said = prop::sample::select(texts.to_vec()).prop_map(|text| Step::Said(text.to_vec()));
    let step = prop_oneof![
        2 => Just(Step::Connected),
        1 => Just(Step::Closed),
        6 => said,
        12 => Just(Step::Agreed),
        4 => Just(Step::Proved),
        4 => (0_u64..5000).prop_map(Step::Slept),
        1 => any::<bool>().prop_map(Step::Published),
    ];
    prop::collection::vec(step, 0..120)
}

/// The world around a feed, as far as it tells what may be right.
struct World {
    feed: Feed,
    now: u64,
    /// Commands that are owed a reply.
    sent: Vec<Vec<Bytes>>,
    /// Its key, and whether it is published.
    canary: Option<(Bytes, bool)>,
    /// When PINGs of this connection were sent.
    pings: Vec<u64>,
    /// The epoch was raised since the server was told what to do.
    raised: bool,
    open: bool,
}

impl World {
    fn on(&mut self, event: Event<'_>) {
        let mut effects = Vec::new();
        self.feed.handle(self.now, event, &mut effects);
        assert!(self.feed.wakes_at() > self.now);
        assert!(effects.len() < 16, "{effects:?}");
        for effect in effects {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Connect => assert!(!std::mem::replace(&mut self.open, true)),
            Effect::Close => {
                assert!(std::mem::take(&mut self.open));
                self.sent.clear();
                self.pings.clear();
                self.canary = None;
            }
            Effect::Send(words) => {
                assert!(self.open);
                match words[0].as_ref() {
                    b"PING" => self.pings.push(self.now),
                    b"SET" => self.canary = Some((words[1].clone(), false)),
                    b"PUBLISH" => self.canary = Some((words[2].clone(), true)),
                    b"HELLO" | b"CLIENT" => self.raised = false,
                    _ => {}
                }
                self.sent.push(words);
                assert!(self.sent.len() <= 20, "{:?}", self.sent);
            }
            Effect::Publish { message, .. } => self.canary = Some((message, true)),
            Effect::RaiseEpoch => self.raised = true,
            Effect::Lease { until } => {
                assert_ne!(self.feed.source(), Source::Nothing);
                assert!(self.raised, "a lease of an old epoch");
                let lease = match self.feed.source() {
                    Source::Messages => MESSAGES_VALID,
                    _ => 3000,
                };
                assert!(self.pings.contains(&(until - lease)), "not from a PING");
                // With messages each is of an epoch of its own.
                self.raised = self.feed.source() != Source::Messages;
            }
            // The next lease is of another epoch.
            Effect::Revoke if self.feed.source() == Source::Nothing => self.raised = false,
            Effect::Revoke
            | Effect::Tell { .. }
            | Effect::Invalidate(_)
            | Effect::RaiseAll
            | Effect::Refresh
            | Effect::Say(..) => {}
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        let mut buffer = BytesMut::from(bytes);
        match Decoder::default().receive(&mut buffer) {
            Ok(Some(Received::Reply(reply))) => {
                if !self.sent.is_empty() {
                    self.sent.remove(0);
                }
                self.on(Event::Reply(&reply));
            }
            Ok(Some(Received::Push(push))) => self.on(Event::Push(&push)),
            other => panic!("{other:?}"),
        }
    }

    fn agree(&mut self) {
        let Some(words) = self.sent.first().cloned() else {
            return;
        };
        match words[0].as_ref() {
            b"HELLO" => self.hear(b"%1\r\n+proto\r\n:3\r\n"),
            b"CLUSTER" if words[1] == "SLOTS" => {
                self.hear(b"*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n+a\r\n:1\r\n+me\r\n")
            }
            b"CLUSTER" => self.hear(
                b"$63\r\ncluster_state:ok\r\ncluster_current_epoch:6\r\ncluster_my_epoch:3\r\n\r\n",
            ),
            b"SUBSCRIBE" => {
                self.sent.remove(0);
                self.hear(b">3\r\n+subscribe\r\n+chan\r\n:1\r\n");
            }
            b"PUBLISH" | b"EXISTS" => self.hear(b":1\r\n"),
            b"PING" => self.hear(b"+PONG\r\n"),
            _ => self.hear(b"+OK\r\n"),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Connected => self.on(Event::Connected),
            Step::Closed => self.on(Event::Closed),
            Step::Said(bytes) => self.hear(&bytes),
            Step::Agreed => self.agree(),
            Step::Proved => {
                let Some((key, is_published)) = self.canary.clone() else {
                    return;
                };
                let text = |text: &'static str| Reply::Status(Bytes::from_static(text.as_bytes()));
                let key = Reply::Bulk(Some(key));
                let push = match is_published {
                    true => vec![text("message"), text("chan"), key],
                    false => vec![text("invalidate"), Reply::Array(Some(vec![key]))],
                };
                self.on(Event::Push(&Push(push)));
            }
            Step::Slept(millis) => {
                let end = self.now + millis;
                while self.feed.wakes_at() <= end {
                    self.now = self.feed.wakes_at();
                    self.on(Event::Tick);
                }
                self.now = end;
            }
            Step::Published(true) => self.on(Event::Published(&Reply::Integer(1))),
            Step::Published(false) => {
                let refused = Reply::Error(Bytes::from_static(b"NOPERM no"));
                self.on(Event::Published(&refused));
            }
        }
    }
}

proptest! {
    #[test]
    fn a_feed_holds_its_rules(steps in steps(), seed in any::<u64>(), is_cluster in any::<bool>()) {
        let slot = |number| Slot::new(number).unwrap();
        let settings = Settings {
            slots: is_cluster.then(|| vec![slot(0)..=slot(16383)]),
            ..settings()
        };
        let mut world = World {
            feed: Feed::new(settings, seed),
            now: 1000,
            sent: Vec::new(),
            canary: None,
            pings: Vec::new(),
            raised: false,
            open: false,
        };
        world.on(Event::Tick);
        for step in steps {
            world.step(step);
        }
        // A good server gets it going, whatever was before.
        world.step(Step::Slept(40_000));
        for _ in 0..40 {
            world.step(Step::Slept(150));
            world.step(Step::Connected);
            world.step(Step::Agreed);
            world.step(Step::Proved);
        }
        prop_assert_ne!(world.feed.source(), Source::Nothing);
    }
}
