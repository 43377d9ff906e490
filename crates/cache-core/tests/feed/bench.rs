//! A feed at a time of its own, and a server that says what the test wants, in bytes.

use std::collections::VecDeque;

use bytes::BytesMut;
use cache_core::feed::{Effect, Event, Feed, Level, Settings, Source};
use cache_core::resp::{Decoder, Received, Reply};

pub const CONNECT_TIMEOUT: u64 = 400;
pub const READ_TIMEOUT: u64 = 200;
pub const MAP: &[u8] = b"%1\r\n$5\r\nproto\r\n:3\r\n";
pub const SUBSCRIBED: &[u8] = b">3\r\n$9\r\nsubscribe\r\n$4\r\nchan\r\n:1\r\n";

pub struct Bench {
    pub feed: Feed,
    pub now: u64,
    /// Until when the machine is to publish its changes. That isn't among the effects.
    pub told: u64,
    /// EXISTS is answered by this before anything else. `None`: by the test itself.
    pub exists: Option<i64>,
    /// Names of commands that are owed a reply, the oldest first.
    owed: VecDeque<String>,
}

pub fn settings() -> Settings {
    Settings {
        prefix: b"p:".to_vec(),
        channel: b"chan".to_vec(),
        slots: None,
        connect_timeout: CONNECT_TIMEOUT,
        read_timeout: READ_TIMEOUT,
    }
}

impl Bench {
    pub fn new(settings: Settings) -> Self {
        Self {
            feed: Feed::new(settings, 7),
            now: 1000,
            told: 0,
            exists: Some(1),
            owed: VecDeque::new(),
        }
    }

    pub fn on(&mut self, event: Event<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.feed.handle(self.now, event, &mut effects);
        assert!(
            self.feed.wakes_at() > self.now,
            "it would wake at once, for ever"
        );
        for effect in &effects {
            match effect {
                Effect::Tell { until } => self.told = *until,
                Effect::Close => self.owed.clear(),
                // A push tells of success.
                Effect::Send(words) if words[0] == "SUBSCRIBE" => {}
                Effect::Send(words) => {
                    let name = String::from_utf8_lossy(&words[0]);
                    self.owed.push_back(name.into_owned());
                }
                _ => {}
            }
        }
        effects.retain(|effect| !matches!(effect, Effect::Tell { .. }));
        effects
    }

    /// A reply comes, behind the one to EXISTS if that is owed before.
    fn replied(&mut self, reply: &Reply) -> Vec<Effect> {
        let mut effects = Vec::new();
        let next = |owed: &VecDeque<String>| owed.front().is_some_and(|name| name == "EXISTS");
        while let (true, Some(exists)) = (next(&self.owed), self.exists) {
            self.owed.pop_front();
            effects.extend(self.on(Event::Reply(&Reply::Integer(exists))));
        }
        self.owed.pop_front();
        effects.extend(self.on(Event::Reply(reply)));
        effects
    }

    /// What the server sends, in one piece.
    pub fn gets(&mut self, bytes: &[u8]) -> Vec<Effect> {
        let mut decoder = Decoder::default();
        let mut buffer = BytesMut::from(bytes);
        let mut effects = Vec::new();
        while let Some(received) = decoder.receive(&mut buffer).unwrap() {
            effects.extend(match &received {
                Received::Reply(reply) => self.replied(reply),
                Received::Push(push) => self.on(Event::Push(push)),
            });
        }
        assert!(buffer.is_empty(), "a part of a reply");
        effects
    }

    /// Lets it wake as often as it wants until a time.
    pub fn sleep_until(&mut self, time: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        while self.feed.wakes_at() <= time {
            self.now = self.feed.wakes_at();
            effects.extend(self.on(Event::Tick));
        }
        self.now = time;
        effects
    }

    pub fn sleep(&mut self, millis: u64) -> Vec<Effect> {
        self.sleep_until(self.now + millis)
    }

    /// Up to the canary, whose key is given back.
    pub fn greet(&mut self) -> String {
        self.on(Event::Tick);
        self.on(Event::Connected);
        self.gets(MAP);
        self.gets(b"+OK\r\n");
        let sent = commands(&self.gets(SUBSCRIBED));
        canary(&sent[0])
    }

    /// Up to the first PING.
    pub fn go_live(&mut self) -> Vec<Effect> {
        let canary = self.greet();
        self.gets(b"+OK\r\n");
        let effects = self.gets(&invalidation(&[&canary]));
        assert_eq!(self.feed.source(), Source::Tracking);
        effects
    }

    /// Up to the first lease.
    pub fn go_leased(&mut self) {
        self.go_live();
        assert_eq!(leases(&self.gets(b"+PONG\r\n")), [self.now + 3000]);
    }
}

/// The key of a canary that is sent by this command.
pub fn canary(command: &str) -> String {
    let key = command.strip_prefix("SET ").unwrap();
    let key = key.strip_suffix("  PX 120000").unwrap();
    assert!(key.starts_with("p:redis_cache:canary:"), "{key}");
    key.to_owned()
}

/// An invalidation of these keys.
pub fn invalidation(keys: &[&str]) -> Vec<u8> {
    let mut bytes = format!(">2\r\n$10\r\ninvalidate\r\n*{}\r\n", keys.len()).into_bytes();
    for key in keys {
        bytes.extend(format!("${}\r\n{key}\r\n", key.len()).into_bytes());
    }
    bytes
}

/// The commands among the effects, but for EXISTS.
pub fn commands(effects: &[Effect]) -> Vec<String> {
    let mut commands = all_commands(effects);
    commands.retain(|command| !command.starts_with("EXISTS "));
    commands
}

/// The commands among the effects.
pub fn all_commands(effects: &[Effect]) -> Vec<String> {
    let commands = effects.iter().filter_map(|effect| match effect {
        Effect::Send(words) => Some(words),
        _ => None,
    });
    commands
        .map(|words| {
            let words: Vec<_> = words.iter().map(|w| String::from_utf8_lossy(w)).collect();
            words.join(" ")
        })
        .collect()
}

/// The ends of the leases among the effects.
pub fn leases(effects: &[Effect]) -> Vec<u64> {
    let leases = effects.iter().filter_map(|effect| match effect {
        Effect::Lease { until } => Some(*until),
        _ => None,
    });
    leases.collect()
}

/// The lines among the effects.
pub fn lines(effects: &[Effect]) -> Vec<(Level, String)> {
    let lines = effects.iter().filter_map(|effect| match effect {
        Effect::Say(level, text) => Some((*level, text.clone())),
        _ => None,
    });
    lines.collect()
}
