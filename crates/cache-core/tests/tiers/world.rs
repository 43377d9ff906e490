//! Virtual time and what happens in it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use bytes::Bytes;
use cache_core::resp::Reply;

use crate::config::{Config, Mode};
use crate::judge::Judge;
use crate::rng::Rng;
use crate::server::{Conn, Id, Server};
use crate::tier::Tier;
use crate::wire::{Item, Wire};
use crate::worker::{Input, Lookup, Worker};

/// When every world begins.
pub const START: u64 = 1_000_000;

/// What happens at a time.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A command of a feed comes to the server.
    Command(Conn, Vec<Bytes>),
    /// Something comes to the feed.
    Delivered(Conn, Item),
    /// A turn of the server's loop ends.
    Turned(Id),
    /// A lookup comes to a server.
    LookedUp(Lookup),
    /// A message is published on behalf of a feed, by another connection.
    Published(Conn, Bytes),
    /// Something comes to a worker.
    Told(usize, Input),
    /// A worker does a step.
    Step(usize),
    /// A worker's timer fires.
    Woken(usize),
    /// A replica applies a change of its master.
    Applied(Id, u64, Option<String>, Option<(u64, u64)>),
    /// A key is deleted because its time was over, if it still is.
    Expired(Id, String),
    /// Something that the story wants.
    Trouble(crate::trouble::Trouble),
}

pub struct Machine {
    pub tier: Tier,
    /// What is known of the servers: the master, or the master of each key.
    pub master: Id,
    /// Since when each was the master, as this machine knows.
    pub masters: Vec<(u64, Id)>,
    /// Until when servers are taken for down.
    pub down: HashMap<Id, u64>,
    pub workers: Vec<usize>,
    /// Until when it tells of its changes.
    pub telling: u64,
}

pub struct World {
    pub config: Config,
    pub now: u64,
    pub rng: Rng,
    pub servers: Vec<Server>,
    pub machines: Vec<Machine>,
    pub workers: Vec<Worker>,
    pub wires: HashMap<Conn, Wire>,
    pub judge: Judge,
    pub connections: Conn,
    pub value: u64,
    /// The master as it is.
    pub master: Id,
    /// Who has answered for a slot: the slot, the server, from, to.
    pub owned: Vec<(u16, Id, u64, u64)>,
    queue: BinaryHeap<Reverse<(u64, u64, u64)>>,
    happenings: HashMap<u64, Happening>,
    serial: u64,
}

impl World {
    pub fn new(config: Config) -> Self {
        let count = match config.mode {
            Mode::Sentinel => 2,
            Mode::Cluster => 3,
        };
        let is_master = |id| config.mode == Mode::Cluster || id == 0;
        let mut world = Self {
            now: START,
            rng: Rng::new(config.seed),
            servers: (0..count).map(|id| Server::new(is_master(id))).collect(),
            machines: Vec::new(),
            workers: Vec::new(),
            wires: HashMap::new(),
            judge: Judge::default(),
            connections: 0,
            value: 0,
            master: 0,
            owned: Vec::new(),
            queue: BinaryHeap::new(),
            happenings: HashMap::new(),
            serial: 0,
            config,
        };
        for machine in 0..world.config.machines {
            world.machines.push(Machine {
                tier: Tier::default(),
                master: 0,
                masters: vec![(0, 0)],
                down: HashMap::new(),
                workers: Vec::new(),
                telling: 0,
            });
            for _ in 0..world.config.workers {
                world.start_worker(machine);
            }
        }
        world
    }

    pub fn note(&self, text: impl FnOnce() -> String) {
        if self.config.trace {
            println!("{:>8} {}", self.now - START, text());
        }
    }

    pub fn at(&mut self, time: u64, happening: Happening) {
        self.serial += 1;
        let tie = self.rng.next();
        self.happenings.insert(self.serial, happening);
        let due = (time.max(self.now), tie, self.serial);
        self.queue.push(Reverse(due));
    }

    /// Like [`World::at`], behind what is to happen at that time already by this.
    pub fn at_in_order(&mut self, time: u64, happening: Happening) {
        self.serial += 1;
        self.happenings.insert(self.serial, happening);
        let due = (time.max(self.now), u64::MAX / 2, self.serial);
        self.queue.push(Reverse(due));
    }

    pub fn after(&mut self, delay: u64, happening: Happening) {
        self.at(self.now + delay, happening);
    }

    /// How long something takes on the network.
    pub fn delay(&mut self) -> u64 {
        let most = self.config.delay;
        let most = match self.rng.range(0, 99) {
            0..=2 if self.config.faulty => 3500,
            3..=12 if self.config.faulty => 300,
            _ => most,
        };
        self.rng.range(0, most)
    }

    /// Lets happen what is to happen up to a time.
    pub fn run(&mut self, until: u64) {
        while let Some(Reverse((time, _, serial))) = self.queue.peek().copied() {
            if time > until {
                break;
            }
            self.queue.pop();
            self.now = time;
            let happening = self.happenings.remove(&serial).unwrap();
            self.happen(happening);
        }
        self.now = until;
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Command(conn, words) => self.command(conn, words),
            Happening::Delivered(conn, item) => self.delivered(conn, item),
            Happening::Turned(server) => self.turned(server),
            Happening::LookedUp(lookup) => self.looked_up(lookup),
            Happening::Published(conn, message) => {
                if let Some(server) = self.wires.get(&conn).map(|wire| wire.server) {
                    self.publish(server, &message);
                    let reply = Item::Published(Reply::Integer(1));
                    self.after(1, Happening::Delivered(conn, reply));
                }
            }
            Happening::Told(worker, input) => self.tell(worker, input),
            Happening::Step(worker) => self.step(worker),
            Happening::Woken(worker) => self.woken(worker),
            Happening::Applied(server, link, key, record) => {
                if self.servers[server].link == link {
                    match key {
                        Some(key) => self.change(server, &key, record),
                        None => self.flush(server),
                    }
                }
            }
            Happening::Expired(server, key) => self.expired(server, &key),
            Happening::Trouble(trouble) => self.trouble(trouble),
        }
    }
}
