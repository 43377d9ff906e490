//! What happens to servers: they die, freeze, hand over, move slots, join and leave.

use std::rc::Rc;

use super::config::Key;
use super::resharding::{joins, leaves, moves};
use super::servers::{BANDS, Id, band};
use super::topology::{Mode, Trouble};
use super::world::World;

/// Milliseconds until the others take a silent master for dead, at least and at most.
const NODE_TIMEOUT: (u64, u64) = (300, 1500);

/// Has everything happen that is planned.
pub fn plan(world: &Rc<World>) {
    for (when, trouble) in world.config.topology.troubles.clone() {
        world.at(when, move |world| happens(world, trouble));
    }
}

fn happens(world: &Rc<World>, trouble: Trouble) {
    let servers = world.store.servers();
    let masters = servers.masters();
    let nth = |n: usize| masters[n % masters.len()];
    world.note(|| format!("{trouble:?}"));
    match trouble {
        Trouble::Kill(n, away) => dies(world, n % world.config.topology.servers(), away),
        Trouble::KillMaster(n, away) => dies(world, nth(n), away),
        Trouble::Freeze(n, away) => freezes(world, nth(n), away),
        Trouble::Failover(n) => hands_over(world, nth(n)),
        Trouble::CutOff(n, away) => is_cut_off(world, nth(n), away),
        Trouble::Move(band, n) => moves(world, band, nth(n)),
        Trouble::Add => joins(world),
        Trouble::Remove(n) => leaves(world, nth(n)),
    }
}

/// Whether anything is under way that this server has a part in.
pub fn is_busy(world: &World, id: Id) -> bool {
    let all = world.store.servers().all.borrow();
    let server = &all[id];
    let moving = |bands: &[Option<Id>; BANDS]| bands.iter().any(Option::is_some);
    let away = !server.serves(world.now()) || server.deaf;
    away || moving(&server.migrating) || moving(&server.importing)
}

/// The truth has changed. Others hear of it by and by; `at_once` are those who know.
pub fn announce(world: &Rc<World>, at_once: &[Id]) {
    let servers = world.store.servers();
    servers.truth.borrow_mut().epoch += 1;
    let count = servers.all.borrow().len();
    for id in 0..count {
        let delay = if at_once.contains(&id) {
            0
        } else {
            world.between((0, world.config.topology.gossip))
        };
        if delay == 0 {
            hears(world, id);
        } else {
            world.after(delay, move |world| hears(world, id));
        }
    }
    super::watching::announced(world);
}

/// A server hears how things are.
fn hears(world: &Rc<World>, id: Id) {
    let servers = world.store.servers();
    let frozen = servers.all.borrow()[id].frozen;
    if frozen > world.now() {
        let late = world.between((0, 100));
        world.at(frozen + late, move |world| hears(world, id));
        return;
    }
    let truth = servers.truth.borrow().clone();
    {
        let mut all = servers.all.borrow_mut();
        if !all[id].up || all[id].deaf {
            return;
        }
        all[id].view = truth.clone();
    }
    let master = truth.master_of[id];
    let source = servers.all.borrow()[id].link.map(|(source, _)| source);
    match master {
        Some(master) if source != Some(master) => follows(world, id, master),
        None => servers.all.borrow_mut()[id].link = None,
        _ => {}
    }
}

/// A replica gets all data of its master, and what it has itself is gone.
fn follows(world: &Rc<World>, id: Id, master: Id) {
    let servers = world.store.servers();
    let link = servers.links.get() + 1;
    servers.links.set(link);
    {
        let mut all = servers.all.borrow_mut();
        all[id].link = Some((master, link));
        all[id].syncing = true;
        all[id].log.clear();
        all[id].applied = usize::MAX;
    }
    let delay = if world.faulty.get() {
        world.between((5, 300))
    } else {
        1
    };
    world.after(delay, move |world| {
        let mut all = world.store.servers().all.borrow_mut();
        if all[id].link == Some((master, link)) && all[id].up {
            all[id].data = all[master].data.clone();
            all[id].applied = all[master].log.len();
            all[id].syncing = false;
            all[id].linked = world.now();
        }
    });
}

/// Records which bands have another owner now.
pub fn has_changed(world: &World, bands: &[usize]) {
    let mut changed = world.store.servers().changed.borrow_mut();
    for band in bands {
        changed[*band] = world.now();
    }
}

pub fn bands_of(world: &World, id: Id) -> Vec<usize> {
    let truth = world.store.servers().truth.borrow();
    (0..BANDS)
        .filter(|band| truth.owners[*band] == id)
        .collect()
}

pub fn keys_in(world: &World, band_wanted: usize) -> Vec<Key> {
    world
        .keys()
        .filter(|key| band(*key) == band_wanted)
        .collect()
}

/// A replica becomes the master of all that was another's. What it hasn't got is lost.
fn promote(world: &Rc<World>, old: Id, new: Id, at_once: &[Id]) {
    let servers = world.store.servers();
    let bands = bands_of(world, old);
    world.note(|| format!("server {new} takes the place of {old}"));
    for key in bands.iter().flat_map(|band| keys_in(world, *band)) {
        let all = servers.all.borrow();
        let mut places = all[old].data.places();
        places.extend(all[new].data.places());
        places.retain(|(k, _)| *k == key);
        for place in places {
            let kept = all[new].data.generation(place).map(|(g, _)| g);
            world
                .judge()
                .data
                .loses(place, kept.unwrap_or(0), world.store.last());
        }
    }
    {
        let mut truth = servers.truth.borrow_mut();
        for band in &bands {
            truth.owners[*band] = new;
        }
        for master in &mut truth.master_of {
            if *master == Some(old) {
                *master = Some(new);
            }
        }
        truth.master_of[new] = None;
        truth.master_of[old] = Some(new);
    }
    {
        let mut all = servers.all.borrow_mut();
        all[new].link = None;
        all[new].log.clear();
        all[new].syncing = false;
    }
    has_changed(world, &bands);
    announce(world, at_once);
}

/// A master is silent: after a while a replica takes its place, if there is one.
fn is_missed(world: &Rc<World>, id: Id, until: u64) {
    let delay = world.between(NODE_TIMEOUT);
    world.after(delay, move |world| {
        let servers = world.store.servers();
        let master = !bands_of(world, id).is_empty();
        let replica = servers.replicas(id, world.now()).first().copied();
        if master
            && world.now() < until
            && let Some(replica) = replica
        {
            let cluster = world.config.topology.mode == Mode::Cluster;
            if cluster {
                // It may not serve without the others.
                let mut all = servers.all.borrow_mut();
                all[id].alone = all[id].deaf;
            }
            promote(world, id, replica, &[replica]);
        }
    });
}

fn dies(world: &Rc<World>, id: Id, away: u64) {
    let servers = world.store.servers();
    let member = servers.truth.borrow().member[id];
    if !member || is_busy(world, id) {
        return;
    }
    servers.all.borrow_mut()[id].up = false;
    for band in bands_of(world, id) {
        has_changed(world, &[band]);
    }
    let until = world.now() + away;
    is_missed(world, id, until);
    world.at(until, move |world| comes_back(world, id));
}

/// Its memory is empty.
fn comes_back(world: &Rc<World>, id: Id) {
    let servers = world.store.servers();
    if servers.all.borrow()[id].up {
        return;
    }
    let lost = bands_of(world, id);
    for key in lost.iter().flat_map(|band| keys_in(world, *band)) {
        let places = servers.all.borrow()[id].data.places();
        for place in places.into_iter().filter(|(k, _)| *k == key) {
            world.judge().data.loses(place, 0, world.store.last());
        }
    }
    {
        let mut all = servers.all.borrow_mut();
        let server = &mut all[id];
        server.data = Default::default();
        server.up = true;
        server.link = None;
        server.log.clear();
    }
    has_changed(world, &lost);
    hears(world, id);
    // Its replicas have what it had, and forget it.
    let count = servers.all.borrow().len();
    for other in 0..count {
        if servers.truth.borrow().master_of[other] == Some(id) {
            follows(world, other, id);
        }
    }
}

fn freezes(world: &Rc<World>, id: Id, away: u64) {
    if is_busy(world, id) {
        return;
    }
    let until = world.now() + away;
    world.store.servers().all.borrow_mut()[id].frozen = until;
    has_changed(world, &bands_of(world, id));
    is_missed(world, id, until);
    world.at(until, move |world| {
        has_changed(world, &bands_of(world, id));
    });
}

fn hands_over(world: &Rc<World>, id: Id) {
    let servers = world.store.servers();
    let replica = servers.replicas(id, world.now()).first().copied();
    let Some(replica) = replica.filter(|_| !is_busy(world, id)) else {
        return;
    };
    // It waits for the replica to have all.
    let link = servers.all.borrow()[replica].link;
    let upto = servers.all.borrow()[id].log.len();
    if let Some((_, link)) = link {
        super::serving::follow(world, replica, link, upto);
    }
    promote(world, id, replica, &[id, replica]);
}

fn is_cut_off(world: &Rc<World>, id: Id, away: u64) {
    if is_busy(world, id) {
        return;
    }
    let servers = world.store.servers();
    {
        let mut all = servers.all.borrow_mut();
        all[id].deaf = true;
        // Its replicas hear nothing of it any more.
        for server in all.iter_mut() {
            if server.link.is_some_and(|(source, _)| source == id) {
                server.link = server.link.map(|(source, _)| (source, 0));
            }
        }
    }
    let until = world.now() + away;
    is_missed(world, id, until);
    world.at(until, move |world| {
        {
            let mut all = world.store.servers().all.borrow_mut();
            all[id].deaf = false;
            all[id].alone = false;
        }
        hears(world, id);
        let count = world.store.servers().all.borrow().len();
        for other in 0..count {
            let master = world.store.servers().truth.borrow().master_of[other];
            let link = world.store.servers().all.borrow()[other].link;
            if master == Some(id) && link.is_some_and(|(_, link)| link == 0) {
                follows(world, other, id);
            }
        }
    });
}

/// Nothing happens any more: all are there, and know how things are.
pub fn heal(world: &Rc<World>) {
    let servers = world.store.servers();
    let count = servers.all.borrow().len();
    for id in 0..count {
        if !servers.truth.borrow().member[id] {
            continue;
        }
        if !servers.all.borrow()[id].up {
            comes_back(world, id);
        }
        hears(world, id);
    }
}
