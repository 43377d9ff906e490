//! How slots move between servers, key by key, and how servers join and leave.

use std::rc::Rc;

use super::config::Key;
use super::happening::{announce, bands_of, has_changed, is_busy, keys_in};
use super::servers::Id;
use super::serving::changed;
use super::world::World;

/// The slots of a band move to another master, key by key.
pub fn moves(world: &Rc<World>, band: usize, to: Id) {
    let servers = world.store.servers();
    let from = servers.truth.borrow().owners[band];
    let away = |id: Id| {
        let all = servers.all.borrow();
        !all[id].serves(world.now()) || all[id].deaf || !all[id].up
    };
    if from == to || servers.moves(band) || away(from) || away(to) {
        return;
    }
    {
        let mut all = servers.all.borrow_mut();
        all[from].migrating[band] = Some(to);
        all[to].importing[band] = Some(from);
    }
    has_changed(world, &[band]);
    let mut steps = keys_in(world, band).into_iter();
    let next = steps.next();
    step(world, band, (from, to), next);
}

/// Moves what is left of a key, one place at a time, and ends.
fn step(world: &Rc<World>, band: usize, (from, to): (Id, Id), key: Option<Key>) {
    let delay = world.between((1, 60));
    world.after(delay, move |world| {
        let servers = world.store.servers();
        let place = key.and_then(|key| {
            let places = servers.all.borrow()[from].data.places();
            places.into_iter().find(|(k, _)| *k == key)
        });
        if let Some((key, slot)) = place {
            {
                let mut all = servers.all.borrow_mut();
                let (stored, text) = all[from].data.take((key, slot));
                // What has expired is gone.
                if let Some(stored) = stored.filter(|stored| stored.expires > world.now()) {
                    all[to].data.put((key, slot), stored);
                    if slot == 0 {
                        all[to].data.put_variants(key, text);
                    }
                }
            }
            changed(world, from, key);
            changed(world, to, key);
            step(world, band, (from, to), Some(key));
            return;
        }
        {
            let mut all = servers.all.borrow_mut();
            all[from].migrating[band] = None;
            all[to].importing[band] = None;
            servers.truth.borrow_mut().owners[band] = to;
        }
        world.note(|| format!("band {band} is server {to}'s now, no more {from}'s"));
        has_changed(world, &[band]);
        announce(world, &[from, to]);
    });
}

/// A server without slots joins, and gets some.
pub fn joins(world: &Rc<World>) {
    let servers = world.store.servers();
    let spare = servers
        .truth
        .borrow()
        .member
        .iter()
        .position(|member| !member);
    let never = |id: &Id| servers.all.borrow()[*id].data.places().is_empty();
    let Some(id) = spare.filter(never) else {
        return;
    };
    servers.all.borrow_mut()[id].up = true;
    servers.truth.borrow_mut().member[id] = true;
    announce(world, &[id]);
    for band in [0, 3, 7, 12] {
        moves(world, band, id);
    }
}

/// A master gives its slots to others, and leaves with its replicas.
pub fn leaves(world: &Rc<World>, id: Id) {
    let servers = world.store.servers();
    let others: Vec<Id> = servers.masters().into_iter().filter(|m| *m != id).collect();
    if others.is_empty() || is_busy(world, id) {
        return;
    }
    for (n, band) in bands_of(world, id).into_iter().enumerate() {
        moves(world, band, others[n % others.len()]);
    }
    world.after(3000, move |world| {
        let servers = world.store.servers();
        if !bands_of(world, id).is_empty() || is_busy(world, id) {
            return;
        }
        world.note(|| format!("server {id} leaves"));
        {
            let mut truth = servers.truth.borrow_mut();
            for other in 0..truth.member.len() {
                if other == id || truth.master_of[other] == Some(id) {
                    truth.member[other] = false;
                }
            }
        }
        announce(world, &[]);
        let member = servers.truth.borrow().member.clone();
        let mut all = servers.all.borrow_mut();
        for (other, server) in all.iter_mut().enumerate() {
            server.up &= member[other];
        }
    });
}
