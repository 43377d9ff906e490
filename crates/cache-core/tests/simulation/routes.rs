//! The way of a command from a worker to the servers of a store: the real attempts over simulated servers.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use cache_core::attempts::{Access, Command, Failure, Next, Route, attempt};
use cache_core::cluster::{Acceptance, Address, Refresh, Slot, SlotMap, Told};
use cache_core::flow::Trouble;
use cache_core::lease::Lease;

use super::servers::{Id, Request, address, band, band_of, server_at, slot};
use super::serving::{Act, Reply, Sent, arrives};
use super::store::TIMEOUT;
use super::topology::{Broken, Mode};
use super::wait::{Later, sleep};
use super::watching;
use super::worker::Worker;
use super::world::World;

/// What a worker waits for a server's reply, in milliseconds.
pub const NODE_TIMEOUT: u64 = 80;

/// What the workers of a machine know of the servers.
#[derive(Default)]
pub struct Nginx {
    /// When the map is asked for.
    pub refresh: Refresh,
    /// The map as bytes, and how often it has changed.
    pub shared: RefCell<Vec<u8>>,
    pub version: Cell<u64>,
    pub acceptance: RefCell<Acceptance>,
    /// A round is under way.
    pub asking: Cell<bool>,
    /// The master that the Sentinels have named.
    pub master: Cell<Id>,
    /// The replicas that they have listed, and when.
    pub replicas: RefCell<Vec<Id>>,
    pub listed: Cell<u64>,
    pub watcher: Lease,
    /// When no worker was there to watch.
    pub unwatched: Cell<u64>,
    /// What each worker has made of the map.
    locals: RefCell<HashMap<i32, Local>>,
}

/// A worker's own copy of the map.
struct Local {
    version: u64,
    map: Option<SlotMap>,
}

/// The servers as one worker sees them.
pub struct SimRoute {
    pub world: Rc<World>,
    pub worker: Rc<Worker>,
}

impl SimRoute {
    pub fn nginx(&self) -> &Nginx {
        &self.world.machines[self.worker.machine].nginx
    }

    /// Calls `f` with the worker's map, if it has one.
    fn with_map<T>(&self, f: impl FnOnce(&mut SlotMap) -> T) -> Option<T> {
        let (nginx, mut locals) = (self.nginx(), self.nginx().locals.borrow_mut());
        let local = locals.entry(self.worker.pid).or_insert(Local {
            version: 0,
            map: None,
        });
        if local.version != nginx.version.get() {
            local.version = nginx.version.get();
            local.map = SlotMap::decode(&nginx.shared.borrow()).ok();
        }
        local.map.as_mut().map(f)
    }

    /// The server that this worker takes for the master of a slot.
    pub fn master(&self, slot: Slot) -> Option<Id> {
        if self.world.config.topology.mode == Mode::Sentinel {
            return Some(self.nginx().master.get());
        }
        let master = self.with_map(|map| {
            let index = map.master(slot)?;
            server_at(&map.nodes()[index].address)
        });
        master.flatten()
    }

    fn replica(&self, slot: Slot) -> Option<Id> {
        let plan = &self.world.config.topology;
        if plan.mode == Mode::Sentinel {
            let replicas = self.nginx().replicas.borrow();
            if replicas.is_empty() {
                return self.master(slot);
            }
            return Some(self.world.rng().pick(&replicas));
        }
        let replica = self.with_map(|map| {
            let master = map.master(slot)?;
            let mut replicas: Vec<usize> = map.replicas(master).collect();
            replicas.push(master);
            let chosen = self.world.rng().pick(&replicas);
            server_at(&map.nodes()[chosen].address)
        });
        replica.flatten()
    }

    /// Whether this worker takes a server for a replica of a key's master.
    fn is_replica(&self, request: &Request, (to, asking): (Id, bool)) -> bool {
        let plan = &self.world.config.topology;
        let anybody = plan.read_from_replica || plan.broken == Some(Broken::Replicas);
        anybody && !asking && self.master(slot(request.places[0].0)) != Some(to)
    }

    fn wish(&self, hint: u64) {
        watching::wish(&self.world, &self.worker, hint);
    }
}

impl Route for SimRoute {
    type Node = Id;
    type Error = Trouble;

    fn node(&self, slot: Slot, access: Access) -> Result<Id, Trouble> {
        let plan = &self.world.config.topology;
        let anybody = plan.read_from_replica || plan.broken == Some(Broken::Replicas);
        let node = if access == Access::Read && anybody {
            self.replica(slot)
        } else {
            self.master(slot)
        };
        if node.is_none() {
            self.wish(0);
        }
        node.ok_or(Trouble::Unavailable)
    }

    fn at(&self, address: &Address, from: &Id) -> Result<Id, Trouble> {
        let address = address.clone().behind(&super::servers::address(*from));
        server_at(&address).ok_or(Trouble::Unavailable)
    }

    fn is_same(&self, one: &Id, other: &Id) -> bool {
        one == other
    }

    fn moved(&self, slot: Slot, to: &Address, from: &Id) {
        if self.world.config.topology.broken != Some(Broken::OldMap) {
            self.with_map(|map| map.follow(slot, to));
        }
        let (machine, band) = (self.worker.machine, band_of(slot));
        self.world.judge().is_told_of(machine, band, server_at(to));
        self.wish(address(*from).tag());
    }

    fn suspect(&self, _node: &Id) {
        self.wish(0);
    }

    fn dial_anew(&self, _node: &Id) {}

    async fn pause(&self, millis: u64) {
        sleep(&self.world, millis).await;
    }

    fn now(&self) -> u64 {
        self.world.now()
    }

    fn random(&self, low: u64, high: u64) -> u64 {
        self.world.between((low, high))
    }
}

/// Sends a command to whoever has its key, and follows what comes of it.
pub async fn command<T: 'static>(
    world: &Rc<World>,
    worker: &Rc<Worker>,
    request: Request,
    act: Act<T>,
) -> Result<T, Trouble> {
    let route = SimRoute {
        world: Rc::clone(world),
        worker: Rc::clone(worker),
    };
    let plan = &world.config.topology;
    let (begun, key) = (world.now(), request.places[0].0);
    let command = Command {
        slot: slot(key),
        access: request.access,
        repeatable: request.repeatable || plan.broken == Some(Broken::Repeat),
        deadline: begun + TIMEOUT,
    };
    let floor = world.judge().data.floor(request.places[0]);
    let settled = super::routing::is_settled(world, route.master(command.slot), band(key));
    if plan.broken == Some(Broken::Wait) {
        while route.nginx().asking.get() {
            sleep(world, 1).await;
        }
    }
    let troubled = Cell::new(false);
    let result = attempt(&route, command, async |to: &Id, asking| {
        let reply = send(&route, (*to, asking), &request, &act, command.deadline).await;
        if matches!(reply, Reply::Lost) {
            troubled.set(true);
        }
        judged(&route, &request, (*to, asking), (floor, begun), reply)
    })
    .await;
    let in_time = world.now() <= command.deadline;
    let judge = world.judge();
    let frozen = judge.frozen.contains(&worker.pid);
    judge.check(in_time || frozen, || {
        format!("a command for key {key} goes on past its deadline")
    });
    if settled && !troubled.get() && request.access != Access::Write {
        judge.is_undisturbed(world, key, begun, frozen);
    }
    drop(judge);
    result?
}

/// What a reply is to the attempts. The judge sees each.
fn judged<T>(
    route: &SimRoute,
    request: &Request,
    (to, asking): (Id, bool),
    (floor, begun): (u64, u64),
    reply: Reply<T>,
) -> Result<Result<T, Trouble>, Failure<Trouble>> {
    let (world, place) = (&route.world, request.places[0]);
    let plan = &world.config.topology;
    let replica = route.is_replica(request, (to, asking));
    let fails = |next: Next, unsure| {
        // Whatever is wrong with a replica, its master is asked.
        let next = if replica && plan.read_from_replica {
            next.at_replica()
        } else {
            next
        };
        fails(next, unsure)
    };
    let mut judge = world.judge();
    judge.meets(&reply);
    match reply {
        Reply::Error(words) => match Told::parse(words.as_bytes()) {
            Some(told) => fails(Next::from(told), false),
            None => panic!("the server says {words}"),
        },
        Reply::Refused => fails(Next::Refresh, false),
        Reply::Silence => fails(Next::Refresh, true),
        Reply::Lost => fails(Next::Again, true),
        Reply::Done(result, served) => {
            judge.data.wrote(&served, world.now());
            if request.access == Access::Write {
                return Ok(result);
            }
            // A replica that has nothing proves nothing while slots move.
            if plan.read_from_replica && replica && !served.holds {
                return fails(Next::Master, false);
            }
            judge.data_is_current(world, (place, floor, begun), &served);
            Ok(result)
        }
    }
}

fn fails<T>(next: Next, unsure: bool) -> Result<T, Failure<Trouble>> {
    Err(Failure {
        error: Trouble::Unavailable,
        next,
        unsure,
    })
}

/// Sends a command to a server, once.
async fn send<T: 'static>(
    route: &SimRoute,
    (to, asking): (Id, bool),
    request: &Request,
    act: &Act<T>,
    deadline: u64,
) -> Reply<T> {
    let world = &route.world;
    super::routing::is_sent(world, route, (to, asking), request);
    let reply = Later::new();
    let (there, back) = (
        world.between(world.config.store_delay),
        world.between(world.config.store_delay),
    );
    let lost = world.fault(world.config.topology.lost);
    // Before the command has come to the server, or after it was carried out.
    if lost && world.fault(50) {
        let reply = Rc::clone(&reply);
        world.after(there, move |_| reply.set(Reply::Lost));
    } else {
        let sent = Sent {
            to,
            request: Request {
                readonly: route.is_replica(request, (to, asking)),
                ..request.clone()
            },
            asking,
            act: Rc::clone(act),
            back,
            reply: if lost {
                Later::new()
            } else {
                Rc::clone(&reply)
            },
        };
        world.after(there, move |world| arrives(world, sent));
        if lost {
            let reply = Rc::clone(&reply);
            world.after(there + back, move |_| reply.set(Reply::Lost));
        }
    }
    let mut patience = NODE_TIMEOUT.min(deadline.saturating_sub(world.now()));
    if world.config.topology.broken == Some(Broken::Patience) {
        patience = 2 * TIMEOUT;
    }
    let silence = Rc::clone(&reply);
    world.after(patience, move |_| silence.set(Reply::Silence));
    reply.get().await
}
