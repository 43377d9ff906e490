//! The servers of a simulated store: who has which slots, who follows whom, what each of them knows of it, and what it
//! replies.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use cache_core::attempts::Access;
use cache_core::cluster::{Address, SLOTS, Slot, slot_of};

use super::config::Key;
use super::data::{Data, KeyState, Place};
use super::topology::{Mode, Topology};

/// Slots move in bands of so many equal parts.
pub const BANDS: usize = 16;
const PER_BAND: usize = SLOTS / BANDS;

/// A server, by its number.
pub type Id = usize;

/// Who has which slots, and who follows whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub epoch: u64,
    /// The master of each band.
    pub owners: [Id; BANDS],
    /// The master of each replica.
    pub master_of: Vec<Option<Id>>,
    /// Who belongs to it.
    pub member: Vec<bool>,
}

/// One server.
pub struct Server {
    pub data: Data,
    /// What it knows.
    pub view: View,
    pub up: bool,
    /// It does nothing until then.
    pub frozen: u64,
    /// It hears nothing of the others.
    pub deaf: bool,
    /// It knows that it is cut off from most of the others.
    pub alone: bool,
    /// It gets all data of its master.
    pub syncing: bool,
    /// Bands that leave it, and where to.
    pub migrating: [Option<Id>; BANDS],
    /// Bands that come to it, and where from.
    pub importing: [Option<Id>; BANDS],
    /// Changes, for its replicas.
    pub log: Vec<(Key, KeyState)>,
    /// Whom it follows, and which link this is.
    pub link: Option<(Id, u64)>,
    /// Since when it has all that its master had then.
    pub linked: u64,
    /// How much of its master's log it has.
    pub applied: usize,
}

/// What a command needs.
#[derive(Clone, Debug)]
pub struct Request {
    pub places: Vec<Place>,
    pub access: Access,
    pub repeatable: bool,
    /// READONLY was said on the connection: it is one to a replica, as far as the worker knows.
    pub readonly: bool,
    /// How often it was carried out.
    pub carried_out: Rc<Cell<u32>>,
}

/// All servers.
pub struct Servers {
    pub all: RefCell<Vec<Server>>,
    /// What is so, whoever knows it.
    pub truth: RefCell<View>,
    /// When the truth about a band changed last.
    pub changed: RefCell<[u64; BANDS]>,
    /// Numbers of links.
    pub links: Cell<u64>,
    /// When a server that didn't know better served a band that is another's.
    pub deceived: Cell<u64>,
    mode: Mode,
}

/// The Redis key of a cache key. Its slot is in a band of its own.
pub fn name(key: Key) -> String {
    let wanted = key * 3 % BANDS;
    (0..)
        .map(|n| format!("key{key}-{n}"))
        .find(|name| slot_of(name.as_bytes()).index() / PER_BAND == wanted)
        .unwrap_or_default()
}

pub fn slot(key: Key) -> Slot {
    slot_of(name(key).as_bytes())
}

pub fn band(key: Key) -> usize {
    key * 3 % BANDS
}

/// The band of a slot, and the first and the last slot of a band.
pub fn band_of(slot: Slot) -> usize {
    slot.index() / PER_BAND
}

pub fn bounds(band: usize) -> (usize, usize) {
    (band * PER_BAND, (band + 1) * PER_BAND - 1)
}

pub fn address(id: Id) -> Address {
    Address::new(format!("n{id}").as_bytes(), 6379).unwrap()
}

/// The server at an address.
pub fn server_at(address: &Address) -> Option<Id> {
    address.host().strip_prefix('n')?.parse().ok()
}

impl Servers {
    pub fn new(plan: &Topology) -> Servers {
        let count = plan.servers();
        let serving = plan.masters * (1 + plan.replicas);
        let mut owners = [0; BANDS];
        for (band, owner) in owners.iter_mut().enumerate() {
            *owner = band * plan.masters / BANDS;
        }
        let master_of = (0..count).map(|id| {
            let replica = (plan.masters..serving).contains(&id);
            replica.then(|| (id - plan.masters) % plan.masters)
        });
        let truth = View {
            epoch: 1,
            owners,
            master_of: master_of.collect(),
            member: (0..count).map(|id| id < serving).collect(),
        };
        let server = |id: Id| Server {
            data: Data::default(),
            view: truth.clone(),
            up: id < serving,
            frozen: 0,
            deaf: false,
            alone: false,
            syncing: false,
            migrating: [None; BANDS],
            importing: [None; BANDS],
            log: Vec::new(),
            link: truth.master_of[id].map(|master| (master, id as u64)),
            linked: 0,
            applied: 0,
        };
        Servers {
            all: RefCell::new((0..count).map(server).collect()),
            truth: RefCell::new(truth.clone()),
            changed: RefCell::new([0; BANDS]),
            links: Cell::new(count as u64),
            deceived: Cell::new(0),
            mode: plan.mode,
        }
    }

    /// The master of a key.
    pub fn owner(&self, key: Key) -> Id {
        self.truth.borrow().owners[band(key)]
    }

    /// The masters that have slots, in order.
    pub fn masters(&self) -> Vec<Id> {
        let mut masters = self.truth.borrow().owners.to_vec();
        masters.sort_unstable();
        masters.dedup();
        masters
    }

    /// The replicas of a master that are there and up to date, but for their lag.
    pub fn replicas(&self, master: Id, now: u64) -> Vec<Id> {
        let (truth, all) = (self.truth.borrow(), self.all.borrow());
        let good = |id: &Id| {
            let server = &all[*id];
            let linked = server.link.is_some_and(|(source, _)| source == master);
            truth.master_of[*id] == Some(master) && server.serves(now) && linked && !server.syncing
        };
        (0..all.len()).filter(good).collect()
    }

    /// Whether slots of a band are on their way.
    pub fn moves(&self, band: usize) -> bool {
        let all = self.all.borrow();
        all.iter().any(|server| server.migrating[band].is_some())
    }

    /// Whether a server has the right to serve a band.
    pub fn is_rightful(&self, id: Id, band: usize) -> bool {
        let owner = self.truth.borrow().owners[band];
        owner == id || self.all.borrow()[owner].migrating[band] == Some(id)
    }

    /// What a server says to a command before it carries it out: nothing, or an error.
    pub fn admits(&self, id: Id, request: &Request, asking: bool, now: u64) -> Result<(), String> {
        let all = self.all.borrow();
        let server = &all[id];
        let reads = request.access != Access::Write;
        let loading = || Err("LOADING Redis is loading the dataset in memory".to_owned());
        if self.mode == Mode::Sentinel {
            if server.view.master_of[id].is_some() && !reads {
                return Err("READONLY You can't write against a read only replica.".to_owned());
            }
            return if server.syncing { loading() } else { Ok(()) };
        }
        if server.alone {
            return Err("CLUSTERDOWN The cluster is down".to_owned());
        }
        if !server.view.member[id] {
            return Err("CLUSTERDOWN Hash slot not served".to_owned());
        }
        let key = request.places[0].0;
        let band = band(key);
        let owner = server.view.owners[band];
        let there = |to: Id| format!("{} {}", slot(key).number(), address(to));
        let has = |place: &Place| {
            let known = server.data.generation(*place);
            known.is_some_and(|(_, expires)| expires > now)
        };
        let known = request.places.iter().filter(|place| has(place)).count();
        let missing = request.places.len() - known;
        let try_again = "TRYAGAIN Multiple keys request during rehashing of slot";
        if owner == id {
            return match server.migrating[band] {
                Some(_) if missing > 0 && known > 0 => Err(try_again.to_owned()),
                Some(to) if missing > 0 => Err(format!("ASK {}", there(to))),
                _ => Ok(()),
            };
        }
        if asking && server.importing[band].is_some() {
            if request.places.len() > 1 && missing > 0 {
                return Err(try_again.to_owned());
            }
            return Ok(());
        }
        if server.view.master_of[id] == Some(owner) && reads && request.readonly {
            return if server.syncing { loading() } else { Ok(()) };
        }
        Err(format!("MOVED {}", there(owner)))
    }
}

impl Server {
    /// Whether it takes part in anything.
    pub fn serves(&self, now: u64) -> bool {
        self.up && self.frozen <= now
    }
}
