//! What must hold of the ways of commands, and of what servers have acknowledged.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use cache_core::attempts::Access;

use super::config::Key;
use super::data::Place;
use super::invariants::Judge;
use super::routes::{NODE_TIMEOUT, SimRoute};
use super::servers::{Id, Request, band};
use super::serving::{Reply, Served};
use super::topology::Mode;
use super::world::World;

/// How long after the announcement of another master commands may go to the old one, in milliseconds.
const FOLLOWED: u64 = 1000;
/// What a round of asking for the map takes beside the second between rounds and the servers: chance, a timer.
const ROUND: u64 = 100 + 50 + 10;
/// How long a worker that has died keeps others from asking.
const LEASE: u64 = 2000;
/// How long a server must have been well to count as undisturbed.
const WELL: u64 = 2500;

/// A write.
#[derive(Clone, Copy)]
struct Write {
    expires: u64,
    /// When it was acknowledged.
    at: u64,
}

/// Writes that were acknowledged by a master that had the right to.
#[derive(Default)]
pub struct Acknowledged {
    /// For each place the names of writes.
    writes: HashMap<Place, BTreeMap<u64, Write>>,
    /// Writes above the first and up to the second name that a failover has lost.
    lost: Vec<(Place, u64, u64)>,
}

impl Acknowledged {
    /// A command has come back.
    pub fn wrote(&mut self, served: &Served, at: u64) {
        for (place, name, expires) in served.wrote.iter().filter(|_| served.rightful) {
            let is_lost =
                |(p, above, upto): &(Place, u64, u64)| p == place && above < name && name <= upto;
            if !self.lost.iter().any(is_lost) {
                self.writes.entry(*place).or_default().insert(
                    *name,
                    Write {
                        expires: *expires,
                        at,
                    },
                );
            }
        }
    }

    /// A failover has lost all of a place that came after a write.
    pub fn loses(&mut self, place: Place, above: u64, upto: u64) {
        self.lost.push((place, above, upto));
        if let Some(writes) = self.writes.get_mut(&place) {
            writes.retain(|name, _| *name <= above || *name > upto);
        }
    }

    /// Nothing that was written counts any more.
    pub fn forget(&mut self) {
        self.writes.clear();
    }

    /// The last acknowledged write.
    pub fn floor(&self, place: Place) -> u64 {
        let last = self.writes.get(&place).and_then(|w| w.last_key_value());
        last.map_or(0, |(name, _)| *name)
    }

    /// The last one up to that, and acknowledged by that time, which still counts; and when it expires.
    fn at_least(&self, place: Place, floor: u64, by: u64) -> Option<(u64, u64)> {
        let writes = self.writes.get(&place)?;
        let mut known = writes.range(..=floor).rev();
        let last = known.find(|(_, write)| write.at <= by);
        last.map(|(name, write)| (*name, write.expires))
    }
}

/// What each nginx was told, and when it asked.
#[derive(Default)]
pub struct Routing {
    /// When a machine was told that a band is a server's.
    told: HashMap<(usize, usize), (Id, u64)>,
    /// When a machine asked for the map last.
    asked: HashMap<usize, u64>,
    /// When the Sentinels named another master.
    announced: u64,
    /// Replies that were no results.
    pub met: BTreeSet<String>,
}

/// Whether a worker's map is right about a band, and nothing is wrong with its server or has been lately.
pub fn is_settled(world: &World, known: Option<Id>, band: usize) -> bool {
    let (servers, now) = (world.store.servers(), world.now());
    let owner = servers.truth.borrow().owners[band];
    known == Some(owner) && is_well(world, owner, band, now.saturating_sub(WELL))
}

fn is_well(world: &World, owner: Id, band: usize, since: u64) -> bool {
    let servers = world.store.servers();
    let all = servers.all.borrow();
    let calm = servers.changed.borrow()[band] < since;
    let (serves, alone) = (all[owner].serves(world.now()), all[owner].alone);
    let heard = all[owner].view.owners[band] == owner;
    drop(all);
    calm && serves && !alone && heard && !servers.moves(band)
}

/// A command is sent: not to a master that is none any more, for longer than it takes to learn of that.
pub fn is_sent(world: &Rc<World>, route: &SimRoute, (to, asking): (Id, bool), request: &Request) {
    let (servers, machine, now) = (world.store.servers(), route.worker.machine, world.now());
    let band = band(request.places[0].0);
    let (owner, changed) = (
        servers.truth.borrow().owners[band],
        servers.changed.borrow()[band],
    );
    let judge = world.judge();
    if to == owner || asking || judge.frozen.contains(&route.worker.pid) || servers.moves(band) {
        return;
    }
    let writes = request.access == Access::Write;
    match world.config.topology.mode {
        Mode::One => {}
        Mode::Sentinel => {
            // A worker that comes to a machine where nobody does anything knows what was known before.
            let unwatched = world.machines[machine].nginx.unwatched.get();
            let nginx = &world.machines[machine].nginx;
            if !writes && nginx.replicas.borrow().contains(&to) {
                let since = nginx.listed.get().max(unwatched);
                judge.check(now <= since + FOLLOWED || !world.faulty.get(), || {
                    let late = now - since;
                    format!("a lookup goes to replica {to}, which was listed {late} ms ago")
                });
                return;
            }
            let since = judge.routing.announced.max(unwatched);
            judge.check(now <= since + FOLLOWED, || {
                let late = now - since;
                format!(
                    "a command goes to the demoted master {to}, {late} ms after the announcement"
                )
            });
        }
        Mode::Cluster => {
            let Some((told, at)) = judge.routing.told.get(&(machine, band)) else {
                return;
            };
            if !writes || *told != owner {
                return;
            }
            let since = (*at).max(changed + world.config.topology.gossip);
            let faults = &world.config.faults;
            let calm = faults.kills.is_empty() && faults.freezes.is_empty();
            let servers = world.config.topology.servers() as u64 * NODE_TIMEOUT;
            let round = ROUND + servers + if calm { 0 } else { LEASE };
            judge.check(now <= since + FOLLOWED + round, || {
                let late = now - since;
                format!("a write goes to the demoted master {to}, {late} ms after machine {machine} was told")
            });
        }
    }
}

impl Judge {
    /// A command has ended without a result.
    pub fn meets<T>(&mut self, reply: &Reply<T>) {
        let what = match reply {
            Reply::Refused => "refused",
            Reply::Lost => "lost",
            Reply::Silence => "silence",
            Reply::Error(words) => words.split(' ').next().unwrap_or_default(),
            Reply::Done(..) => return,
        };
        self.routing.met.insert(what.to_owned());
    }

    /// A machine is told that a band is a server's.
    pub fn is_told_of(&mut self, machine: usize, band: usize, owner: Option<Id>) {
        let Some(owner) = owner else { return };
        let known = self.routing.told.get(&(machine, band));
        if known.is_none_or(|(known, _)| *known != owner) {
            self.routing.told.insert((machine, band), (owner, self.now));
        }
    }

    /// A machine begins to ask for the map.
    pub fn asks_for_map(&mut self, machine: usize) {
        let last = self.routing.asked.insert(machine, self.now);
        self.check(last.is_none_or(|last| self.now >= last + 1000), || {
            format!("machine {machine} asks for the map twice within a second")
        });
    }

    /// The Sentinels name another master.
    pub fn sentinels_announce(&mut self) {
        self.routing.announced = self.now;
    }

    /// A lookup has come back: it isn't older than what was acknowledged before it began.
    pub fn data_is_current(
        &self,
        world: &World,
        (place, floor, begun): (Place, u64, u64),
        served: &Served,
    ) {
        let plan = &world.config.topology;
        let follows = served.replica && plan.read_from_replica;
        let by = if served.rightful {
            begun
        } else if follows {
            // As old as its lag allows, if it has followed for that long. Within a millisecond chance decides the order.
            let by = begun.saturating_sub(plan.lag + 1);
            match served.linked {
                Some(since) if since <= by => by,
                _ => return,
            }
        } else if served.replica && plan.mode == Mode::Cluster {
            begun
        } else {
            // A server that hasn't heard yet that it lost the slot.
            return;
        };
        let Some((floor, expires)) = self.data.at_least(place, floor, by) else {
            return;
        };
        let current = match served.seen {
            Some(seen) => seen >= floor,
            None => expires <= self.now,
        };
        self.check(current, || {
            let (key, by, seen) = (place.0, served.by, served.seen);
            let place = place.1;
            format!(
                "a lookup of key {key} (place {place}) that began at {} gets {seen:?} of server {by}, older than {floor}",
                begun - super::world::START
            )
        });
    }

    /// A lookup has ended whose server is well: the troubles of others haven't delayed it.
    pub fn is_undisturbed(&self, world: &World, key: Key, begun: u64, frozen: bool) {
        let servers = world.store.servers();
        let owner = servers.owner(key);
        let since = begun.saturating_sub(WELL);
        if frozen || !is_well(world, owner, band(key), since) {
            return;
        }
        let (_, most) = world.config.store_delay;
        // To a replica first, if it has nothing or can't serve.
        if world.config.topology.read_from_replica {
            return;
        }
        let took = self.now - begun;
        self.check(took <= 2 * most, || {
            format!("a lookup of key {key} takes {took} ms, though its server is well")
        });
    }
}
