//! Servers, Sentinels and the network between them, in virtual time. Nothing in here waits.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use cache_core::sentinel::{Action, Event, Master, Proof, Role, Settings, Watcher};

/// Deterministic random numbers (xorshift64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// How something on the network answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Well,
    /// Connections are refused.
    Away,
    /// Neither replies nor errors come.
    Frozen,
}

pub struct Server {
    pub health: Health,
    pub is_master: bool,
    pub denies_role: bool,
    /// It is a replica that is well, with a link to its master.
    pub follows: bool,
}

pub struct Sentinel {
    pub health: Health,
    /// It takes part in nothing any more, and goes on to say what it said.
    pub stuck: bool,
    pub address: usize,
    pub epoch: u64,
    pub hides_epoch: bool,
    /// It lists the replicas that it finds healthy.
    pub lists: bool,
    pub healthy: Vec<usize>,
    /// Whether the watcher is subscribed here.
    pub subscribed: bool,
    /// The feed is open, and nothing comes.
    pub feed_frozen: bool,
}

/// What happens at a time.
#[derive(Clone, Debug)]
pub enum Happening {
    /// The watcher is told.
    Told(Event<usize>),
    /// A Sentinel is asked.
    AskedSentinel(usize),
    /// A server is asked what it is.
    AskedServer(usize, Proof),
    Subscribe(usize),
    Ping(usize),
    /// A server takes over in an epoch, and these Sentinels learn of it so many milliseconds later.
    Failover {
        to: usize,
        epoch: u64,
        promoted_after: u64,
    },
    Promoted(usize),
    Learnt {
        sentinel: usize,
        address: usize,
        epoch: u64,
    },
    Server(usize, Health),
    Demoted(usize),
    /// A server begins or ceases to be a healthy replica. Sentinels notice within a second.
    Follows(usize, bool),
    /// A Sentinel looks at the replicas.
    Noticed(usize),
    Sentinel(usize, Health),
    FreezeFeeds,
    Suspected(usize),
}

pub struct World {
    pub now: u64,
    pub random: Random,
    pub servers: Vec<Server>,
    pub sentinels: Vec<Sentinel>,
    pub watcher: Watcher<usize>,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: HashMap<u64, Happening>,
    serial: u64,
    /// Percentage of pushes that are lost.
    pub lost_pushes: u64,
    /// All that was announced, and when.
    pub announced: Vec<(u64, Master<usize>)>,
    /// What each Sentinel has answered last.
    told: HashMap<usize, (usize, u64, Vec<usize>)>,
    /// When a Sentinel first answered with each epoch, and the server it named.
    pub first_told: HashMap<u64, (u64, usize)>,
    /// When each server last became a master.
    pub promoted: HashMap<usize, u64>,
    pub asked: u64,
    pub verified: u64,
}

impl World {
    pub fn new(seed: u64, servers: usize, sentinels: usize) -> Self {
        let server = |nth| Server {
            health: Health::Well,
            is_master: nth == 0,
            denies_role: false,
            follows: nth != 0,
        };
        let sentinel = |_| Sentinel {
            health: Health::Well,
            stuck: false,
            address: 0,
            epoch: 1,
            hides_epoch: false,
            lists: true,
            healthy: (1..servers).collect(),
            subscribed: false,
            feed_frozen: false,
        };
        Self {
            now: 0,
            random: Random::new(seed),
            servers: (0..servers).map(server).collect(),
            sentinels: (0..sentinels).map(sentinel).collect(),
            watcher: Watcher::new(sentinels, Settings::default(), seed),
            queue: BinaryHeap::new(),
            happenings: HashMap::new(),
            serial: 0,
            lost_pushes: 0,
            announced: Vec::new(),
            told: HashMap::new(),
            first_told: HashMap::new(),
            promoted: HashMap::from([(0, 0)]),
            asked: 0,
            verified: 0,
        }
    }

    pub fn at(&mut self, time: u64, happening: Happening) {
        self.serial += 1;
        self.happenings.insert(self.serial, happening);
        self.queue.push(Reverse((time, self.serial)));
    }

    fn soon(&mut self, happening: Happening) {
        let delay = 1 + self.random.below(15);
        self.at(self.now + delay, happening);
    }

    /// Lets everything happen until a time.
    pub fn run(&mut self, until: u64) {
        loop {
            let next = self.queue.peek().map(|Reverse((time, _))| *time);
            let tick = self.watcher.wakes_at();
            let time = next.unwrap_or(u64::MAX).min(tick);
            if time > until {
                self.now = until;
                return;
            }
            self.now = self.now.max(time);
            if next == Some(time) {
                let Some(Reverse((_, serial))) = self.queue.pop() else {
                    return;
                };
                let happening = self.happenings.remove(&serial).unwrap();
                self.happen(happening);
            } else {
                self.tell(Event::Tick);
            }
        }
    }

    fn tell(&mut self, event: Event<usize>) {
        let says_master = match event {
            Event::Role {
                address,
                role: Role::Master,
            } => Some(address),
            _ => None,
        };
        if let Event::Answered {
            sentinel,
            address,
            epoch,
            replicas,
        } = &event
        {
            let (told, epoch) = ((self.now, *address), epoch.unwrap_or(0));
            self.first_told.entry(epoch).or_insert(told);
            let replicas = replicas.clone().unwrap_or_default();
            self.told.insert(*sentinel, (*address, epoch, replicas));
        }
        let mut actions = Vec::new();
        self.watcher.handle(self.now, event, &mut actions);
        assert!(self.watcher.wakes_at() > self.now);
        for action in actions {
            match action {
                Action::Ask { sentinel } => {
                    self.asked += 1;
                    self.soon(Happening::AskedSentinel(sentinel));
                }
                Action::Verify { address, proof } => {
                    self.verified += 1;
                    self.soon(Happening::AskedServer(address, proof));
                }
                Action::Subscribe { sentinel } => self.soon(Happening::Subscribe(sentinel)),
                Action::Ping { sentinel } => self.soon(Happening::Ping(sentinel)),
                Action::Unsubscribe { sentinel } => self.sentinels[sentinel].subscribed = false,
                Action::Announce(master) => {
                    assert_eq!(
                        says_master,
                        Some(master.address),
                        "it didn't say that it is a master"
                    );
                    let last = self.announced.last().map_or(0, |(_, last)| last.epoch);
                    assert!(master.epoch >= last, "epoch {} after {last}", master.epoch);
                    self.announced.push((self.now, master));
                }
                Action::Replicas(replicas) => self.check_replicas(&replicas),
            }
        }
    }

    /// Replicas that serve lookups are replicas of what is announced, by the last word of some Sentinel.
    fn check_replicas(&self, replicas: &[usize]) {
        let (master, epoch) = self.master().unwrap();
        for replica in replicas {
            assert_ne!(*replica, master, "the master is no replica");
            let said = self.told.values().any(|(address, of, listed)| {
                (*address, *of) == (master, epoch) && listed.contains(replica)
            });
            assert!(said, "nobody says that {replica} follows {master}");
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Told(event) => self.tell(event),
            Happening::AskedSentinel(sentinel) => self.sentinel_is_asked(sentinel),
            Happening::AskedServer(address, proof) => self.server_is_asked(address, proof),
            Happening::Subscribe(sentinel) => {
                let it = &mut self.sentinels[sentinel];
                match it.health {
                    Health::Well => {
                        it.subscribed = true;
                        it.feed_frozen = false;
                        self.soon(Happening::Told(Event::Subscribed { sentinel }));
                    }
                    Health::Away => self.soon(Happening::Told(Event::FeedLost { sentinel })),
                    Health::Frozen => {}
                }
            }
            Happening::Ping(sentinel) => {
                let it = &self.sentinels[sentinel];
                if it.subscribed && it.health == Health::Well && !it.feed_frozen {
                    self.soon(Happening::Told(Event::Pong { sentinel }));
                }
            }
            Happening::Failover {
                to,
                epoch,
                promoted_after,
            } => self.failover(to, epoch, promoted_after),
            Happening::Promoted(server) => {
                self.servers[server].is_master = true;
                self.servers[server].follows = false;
                self.promoted.insert(server, self.now);
            }
            Happening::Learnt {
                sentinel,
                address,
                epoch,
            } => self.learn(sentinel, address, epoch),
            Happening::Server(server, health) => self.servers[server].health = health,
            Happening::Demoted(server) => self.servers[server].is_master = false,
            Happening::Follows(server, follows) => {
                self.servers[server].follows = follows;
                self.notice_later(1000);
            }
            Happening::Noticed(sentinel) => self.notice(sentinel),
            Happening::Sentinel(sentinel, health) => {
                let it = &mut self.sentinels[sentinel];
                it.health = health;
                if health == Health::Away && std::mem::take(&mut it.subscribed) {
                    self.soon(Happening::Told(Event::FeedLost { sentinel }));
                }
            }
            Happening::FreezeFeeds => {
                self.sentinels
                    .iter_mut()
                    .for_each(|it| it.feed_frozen = true);
            }
            Happening::Suspected(address) => self.tell(Event::Suspect { address }),
        }
    }

    fn sentinel_is_asked(&mut self, sentinel: usize) {
        let it = &self.sentinels[sentinel];
        let event = match it.health {
            Health::Well => Event::Answered {
                sentinel,
                address: it.address,
                epoch: (!it.hides_epoch).then_some(it.epoch),
                replicas: it.lists.then(|| it.healthy.clone()),
            },
            Health::Away => Event::Failed { sentinel },
            Health::Frozen => return,
        };
        self.soon(Happening::Told(event));
    }

    fn server_is_asked(&mut self, address: usize, proof: Proof) {
        let it = &self.servers[address];
        let role = match it.is_master {
            _ if it.denies_role && proof == Proof::Role => Role::Denied,
            true => Role::Master,
            false => Role::Replica,
        };
        let event = match it.health {
            Health::Well => Event::Role { address, role },
            Health::Away => Event::Unreachable { address },
            Health::Frozen => return,
        };
        self.soon(Happening::Told(event));
    }

    /// One Sentinel leads the failover and knows of it first; the others hear of it within a second.
    fn failover(&mut self, to: usize, epoch: u64, promoted_after: u64) {
        let count = self.sentinels.len() as u64;
        let leader = self.random.below(count) as usize;
        for sentinel in 0..self.sentinels.len() {
            let after = if sentinel == leader {
                0
            } else {
                self.random.below(1000)
            };
            let learnt = Happening::Learnt {
                sentinel,
                address: to,
                epoch,
            };
            self.at(self.now + after, learnt);
        }
        self.at(self.now + promoted_after, Happening::Promoted(to));
    }

    fn learn(&mut self, sentinel: usize, address: usize, epoch: u64) {
        let lost = self.random.chance(self.lost_pushes);
        let it = &mut self.sentinels[sentinel];
        if it.stuck || it.epoch >= epoch {
            return;
        }
        it.address = address;
        it.epoch = epoch;
        // It doesn't know yet who follows that one.
        it.healthy.clear();
        if it.subscribed && !it.feed_frozen && it.health == Health::Well && !lost {
            self.soon(Happening::Told(Event::Switched { sentinel }));
        }
        let later = self.now + self.random.below(1500);
        self.at(later, Happening::Noticed(sentinel));
    }

    fn notice_later(&mut self, most: u64) {
        for sentinel in 0..self.sentinels.len() {
            let later = self.now + self.random.below(most);
            self.at(later, Happening::Noticed(sentinel));
        }
    }

    fn notice(&mut self, sentinel: usize) {
        let lost = self.random.chance(self.lost_pushes);
        let it = &mut self.sentinels[sentinel];
        let healthy = |server: &usize| *server != it.address && self.servers[*server].follows;
        let healthy: Vec<usize> = (0..self.servers.len()).filter(healthy).collect();
        if it.stuck || it.healthy == healthy {
            return;
        }
        it.healthy = healthy;
        if it.subscribed && !it.feed_frozen && it.health == Health::Well && !lost {
            self.soon(Happening::Told(Event::Changed { sentinel }));
        }
    }

    /// The replicas that serve lookups now, in order.
    pub fn replicas(&self) -> Vec<usize> {
        let mut replicas = self.watcher.replicas().to_vec();
        replicas.sort_unstable();
        replicas
    }

    /// What is announced now.
    pub fn master(&self) -> Option<(usize, u64)> {
        self.watcher
            .master()
            .map(|master| (master.address, master.epoch))
    }

    /// When this was announced.
    pub fn announced_at(&self, epoch: u64) -> Option<u64> {
        let found = self
            .announced
            .iter()
            .find(|(_, master)| master.epoch == epoch);
        found.map(|(time, _)| *time)
    }
}
