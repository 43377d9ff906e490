//! How an nginx learns who has which slots: one of its workers asks for all.

use std::rc::Rc;

use bytes::Bytes;
use cache_core::cluster::{Ended, Judged, Round, SlotMap, order};
use cache_core::resp::Reply as Resp;

use super::routes::{NODE_TIMEOUT, SimRoute};
use super::servers::{BANDS, Id, address, bounds, server_at};
use super::topology::{Broken, Mode};
use super::wait::Later;
use super::worker::Worker;
use super::world::World;

/// How often the Sentinels are asked in good times, in milliseconds, and how long a worker does that alone.
const WATCH: u64 = 300;
const WATCHES: u64 = 400;

/// A worker has met something that its map doesn't say.
pub fn wish(world: &Rc<World>, worker: &Rc<Worker>, hint: u64) {
    let nginx = &world.machines[worker.machine].nginx;
    if world.config.topology.mode == Mode::Sentinel {
        look(world, worker.machine);
        return;
    }
    let at = nginx
        .refresh
        .wish(world.now(), hint, world.between((0, 1000)));
    arm(world, worker, at);
}

fn arm(world: &Rc<World>, worker: &Rc<Worker>, at: u64) {
    let worker = Rc::clone(worker);
    world.at(at, move |world| {
        let route = SimRoute {
            world: Rc::clone(world),
            worker: Rc::clone(&worker),
        };
        worker.spawn(async move {
            round(&route).await;
            None
        });
    });
}

async fn round(route: &SimRoute) {
    let (world, nginx, machine) = (&route.world, route.nginx(), route.worker.machine);
    let who = u32::try_from(route.worker.pid).unwrap();
    let storm = world.config.topology.broken == Some(Broken::Storm);
    let chance = world.between((0, 100_000));
    let begun = nginx.refresh.begin(who, world.now(), chance);
    if storm {
        world.judge().asks_for_map(machine);
        return;
    }
    let mut round = match begun {
        Ok(round) => round,
        // A wish that has to wait: another timer will find it fulfilled, or not.
        Err(at) if at < world.now() + 10_000 => return arm(world, &route.worker, at),
        Err(_) => return,
    };
    world.judge().asks_for_map(machine);
    nginx.asking.set(true);
    let ended = ask(route, &mut round).await;
    nginx.asking.set(false);
    world.note(|| format!("machine {machine} has asked for the map: {ended:?}"));
    let chance = world.between((0, 100_000));
    nginx.refresh.end(round, world.now(), ended, chance);
    let due = nginx.refresh.due();
    if due < world.now() + 10_000 {
        arm(world, &route.worker, due);
    }
}

/// Asks one server after the other, until one has a map that counts.
async fn ask(route: &SimRoute, round: &mut Round) -> Ended {
    let (world, nginx) = (&route.world, route.nginx());
    let known = SlotMap::decode(&nginx.shared.borrow()).ok();
    let configured: Vec<_> = (0..world.config.topology.masters).map(address).collect();
    let chance = |below: usize| world.rng().range(0, below as u64 - 1) as usize;
    let order = order(known.as_ref(), &configured, round.hint, chance);
    let mut ended = Ended::Failed;
    for asked in order {
        let Some(kept) = nginx.refresh.renew(*round, world.now()) else {
            return Ended::Failed;
        };
        *round = kept;
        let reply = slots(world, server_at(&asked).unwrap()).await;
        let Some(Ok(offered)) = reply.map(|reply| SlotMap::from_reply(&reply, &asked)) else {
            continue;
        };
        let mut acceptance = nginx.acceptance.borrow_mut();
        match acceptance.judge(known.as_ref(), &offered, &asked) {
            Judged::Same => return Ended::Known,
            Judged::Taken => {
                let write = || publish(route, &offered);
                let Some(kept) = nginx.refresh.share(*round, world.now(), write) else {
                    return Ended::Failed;
                };
                *round = kept;
                return Ended::Known;
            }
            Judged::Unconfirmed => ended = Ended::Unconfirmed,
            Judged::Foreign => world.judge().fails("a map of another cluster"),
        }
    }
    ended
}

fn publish(route: &SimRoute, map: &SlotMap) {
    let (world, nginx) = (&route.world, route.nginx());
    if world.config.topology.broken == Some(Broken::OldMap) && nginx.version.get() > 0 {
        return;
    }
    nginx.shared.replace(map.encode().unwrap());
    nginx.version.set(nginx.version.get() + 1);
    let owner = |band: usize| {
        let slot = cache_core::cluster::Slot::new(bounds(band).0 as u16).unwrap();
        let index = map.master(slot)?;
        server_at(&map.nodes()[index].address)
    };
    for band in 0..BANDS {
        let machine = route.worker.machine;
        world.judge().is_told_of(machine, band, owner(band));
    }
}

/// CLUSTER SLOTS of a server: what it knows. `None` if it doesn't reply.
async fn slots(world: &Rc<World>, id: Id) -> Option<Resp> {
    let later: Rc<Later<Option<Resp>>> = Later::new();
    let (there, back) = (
        world.between(world.config.store_delay),
        world.between(world.config.store_delay),
    );
    let silence = Rc::clone(&later);
    world.after(NODE_TIMEOUT, move |_| silence.set(None));
    let reply = Rc::clone(&later);
    world.after(there, move |world| {
        let all = world.store.servers().all.borrow();
        if all[id].frozen > world.now() {
            return;
        }
        let said = all[id].up.then(|| says(world, id));
        world.after(back, move |_| reply.set(said));
    });
    later.get().await
}

/// The reply of a server to CLUSTER SLOTS. It doesn't know its own host.
fn says(world: &World, id: Id) -> Resp {
    let all = world.store.servers().all.borrow();
    let view = &all[id].view;
    let number = |n: usize| Resp::Integer(n as i64);
    let text = |text: &str| Resp::Bulk(Some(Bytes::copy_from_slice(text.as_bytes())));
    let node = |node: Id| {
        let host = (node != id).then(|| Bytes::from(address(node).host().to_owned()));
        let parts = [Resp::Bulk(host), number(6379), text(&format!("{node:040}"))];
        Resp::Array(Some(parts.to_vec()))
    };
    if !view.member[id] {
        return Resp::Array(Some(Vec::new()));
    }
    let ranges = (0..BANDS).map(|band| {
        let (first, last) = bounds(band);
        let owner = view.owners[band];
        let mut parts = vec![number(first), number(last), node(owner)];
        let replicas = (0..view.member.len()).filter(|n| view.master_of[*n] == Some(owner));
        parts.extend(replicas.map(node));
        Resp::Array(Some(parts))
    });
    Resp::Array(Some(ranges.collect()))
}

/// The truth has changed: Sentinels say so to those who listen.
pub fn announced(world: &Rc<World>) {
    if world.config.topology.mode != Mode::Sentinel {
        return;
    }
    world.judge().sentinels_announce();
    for machine in 0..world.machines.len() {
        // A hint may be lost.
        if world.rng().chance(60) {
            let delay = world.between((0, 5));
            world.after(delay, move |world| look(world, machine));
        }
    }
}

/// A machine asks the Sentinels who the master is.
fn look(world: &Rc<World>, machine: usize) {
    if world.config.topology.broken == Some(Broken::OldMaster) {
        return;
    }
    let (there, back) = (world.between((0, 3)), world.between((0, 3)));
    world.after(there, move |world| {
        let servers = world.store.servers();
        let master = servers.masters()[0];
        let (asked, replicas) = (world.now(), servers.replicas(master, world.now()));
        world.after(back, move |world| {
            let nginx = &world.machines[machine].nginx;
            nginx.master.set(master);
            let old = world.config.topology.broken == Some(Broken::OldReplicas);
            if !old || nginx.listed.get() == 0 {
                nginx.replicas.replace(replicas);
                nginx.listed.set(asked);
            }
        });
    });
}

/// Each nginx asks once for how things are.
pub fn wake(world: &Rc<World>) {
    for machine in 0..world.machines.len() {
        wish(world, &world.worker(machine, 0), 0);
    }
}

/// The watch of each machine: one worker asks the Sentinels now and then, by a lease. It ends with the troubles.
pub fn watch(world: &Rc<World>, until: u64) {
    match world.config.topology.mode {
        Mode::One => {}
        Mode::Sentinel => (0..world.machines.len()).for_each(|machine| turn(world, machine, until)),
        Mode::Cluster => wake(world),
    }
}

fn turn(world: &Rc<World>, machine: usize, until: u64) {
    let now = world.now();
    let workers = world.machines[machine].workers.borrow().clone();
    let able = |worker: &&Rc<Worker>| worker.frozen_until(now).is_none();
    let nginx = &world.machines[machine].nginx;
    let lease = &nginx.watcher;
    if workers.iter().find(able).is_none() {
        nginx.unwatched.set(now);
    }
    for worker in workers.iter().filter(able) {
        let who = u32::try_from(worker.pid).unwrap();
        let ours = lease.holder(now).is_some_and(|(holder, _)| holder == who);
        if ours || lease.take(who, now, WATCHES).is_some() {
            look(world, machine);
            break;
        }
    }
    if now < until {
        world.after(WATCH, move |world| turn(world, machine, until));
    }
}
