//! Slots that move from node to node, in steps between which a test can stand.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use redis::RedisResult;

use super::RedisCluster;
use crate::fleet::login::Login;
use crate::wait::{Ending, PATIENCE, eventually};

/// How many keys go at once where nothing is said.
const BATCH: usize = 50;

/// How often nodes are reminded of who has a slot.
const REMIND: Duration = Duration::from_secs(1);

/// One slot on its way. Nothing has happened before [`SlotMove::open`]; what was done stays where this is dropped.
#[derive(Debug)]
pub struct SlotMove<'a> {
    cluster: &'a RedisCluster,
    slot: u16,
    from: usize,
    to: usize,
    ids: (String, String),
}

/// What [`RedisCluster::while_moving`] did.
#[derive(Debug)]
pub struct Moved<T> {
    /// What the function gave that ran meanwhile.
    pub result: T,
    /// How many slots were moved, both ways together.
    pub slots: usize,
}

impl RedisCluster {
    /// A slot that is to move to node `to` from the one that has it.
    #[track_caller]
    pub fn moving(&self, slot: u16, to: usize) -> SlotMove<'_> {
        let from = self.master_of(slot);
        self.wait_until_settled(slot, to);
        SlotMove {
            cluster: self,
            slot,
            from,
            to,
            ids: (self.id(from), self.id(to)),
        }
    }

    /// Waits until every node that is well knows who has `slot`, and the config epoch of every master; and, if the epoch of
    /// node `to` is to rise with this move, who has all other slots.
    ///
    /// A move before that may end with a slot that no node has: a node that has missed that a slot has left `to` tells the
    /// slot's new owner that `to` has it, by the new epoch, which counts more.
    #[track_caller]
    fn wait_until_settled(&self, slot: u16, to: usize) {
        self.wait_and_remind("earlier moves of slots to be known", || {
            let mut masters = self.selves();
            masters.retain(|(_, node)| node.is("master"));
            let latest = masters.iter().max_by_key(|(_, node)| node.epoch);
            let rises = latest.is_none_or(|(number, _)| *number != to);
            self.well().all(|number| {
                let view = self.view(number).unwrap_or_default();
                masters.iter().all(|(_, node)| {
                    let mut known = view.iter().filter(|known| known.id == node.id);
                    known.any(|known| {
                        known.epoch == node.epoch
                            && known.has(slot) == node.has(slot)
                            && (!rises || known.slots == node.slots)
                    })
                })
            })
        });
    }

    /// Waits for `condition`. Reminds the nodes of the owners of moved slots meanwhile, once a second: a node that was
    /// told of an old owner by a late message believes no owner with a lower config epoch, and nobody tells it again. The
    /// owner itself may be the one that was told so.
    #[track_caller]
    pub(super) fn wait_and_remind(
        &self,
        what: &str,
        mut condition: impl FnMut() -> bool,
    ) -> Duration {
        let begun = Instant::now();
        let met = self.eventually_reminded(|| condition().then_some(()));
        assert!(met.is_some(), "waited in vain for {what}");
        begun.elapsed()
    }

    /// What `find` finds within [`PATIENCE`]. Reminds the nodes meanwhile.
    pub(super) fn eventually_reminded<T>(&self, mut find: impl FnMut() -> Option<T>) -> Option<T> {
        let mut reminded = Instant::now();
        eventually(PATIENCE, || {
            if reminded.elapsed() > REMIND {
                self.remind();
                reminded = Instant::now();
            }
            find()
        })
    }

    /// SETSLOT NODE for moved slots at masters that know another owner.
    fn remind(&self) {
        let masters = self.masters();
        let moved = self.moved.lock().expect("moved slots").clone();
        let owners = moved.iter().filter(|(_, to)| masters.contains(to));
        let owners: Vec<_> = owners.map(|(slot, to)| (*slot, self.id(*to))).collect();
        for &number in &masters {
            let view = self.view(number).unwrap_or_default();
            for (slot, id) in &owners {
                if !view.iter().any(|known| known.id == *id && known.has(*slot)) {
                    let slot = slot.to_string();
                    // A node that has keys of the slot refuses, and this can be too late.
                    let words = ["CLUSTER", "SETSLOT", &slot, "NODE", id];
                    let _: RedisResult<()> = self.node(number).try_command(&words);
                }
            }
        }
    }

    /// Moves slots with their keys to node `to`, one after the other. Those that it has already stay.
    #[track_caller]
    pub fn move_slots(&self, slots: RangeInclusive<u16>, to: usize) {
        for slot in slots {
            let moving = self.moving(slot, to);
            if moving.from != to {
                moving.all();
            }
        }
    }

    /// Runs `run`, and meanwhile moves `slots` from node to node: to `to`, back to `from`, and so on. They are at `from`
    /// afterwards.
    ///
    /// # Panics
    ///
    /// If a step fails, or `run` panics.
    #[track_caller]
    pub fn while_moving<T>(
        &self,
        slots: RangeInclusive<u16>,
        (from, to): (usize, usize),
        run: impl FnOnce() -> T,
    ) -> Moved<T> {
        let (over, moved) = (AtomicBool::new(false), AtomicUsize::new(0));
        let result = thread::scope(|scope| {
            let _ending = Ending::raises(&over);
            scope.spawn(|| {
                for direction in [to, from].into_iter().cycle() {
                    for slot in slots.clone() {
                        if over.load(Ordering::SeqCst) {
                            return;
                        }
                        self.move_slots(slot..=slot, direction);
                        moved.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
            run()
        });
        self.move_slots(slots, from);
        Moved {
            result,
            slots: moved.load(Ordering::SeqCst),
        }
    }
}

impl SlotMove<'_> {
    /// The node that has the slot before.
    #[must_use]
    pub fn from(&self) -> usize {
        self.from
    }

    /// All steps.
    #[track_caller]
    pub fn all(&self) {
        self.open();
        while self.keys(BATCH) > 0 {}
        self.close();
    }

    /// SETSLOT IMPORTING and MIGRATING: from now on the old node answers ASK for keys that it doesn't have.
    #[track_caller]
    pub fn open(&self) {
        self.setslot(self.to, &["IMPORTING", &self.ids.0]);
        self.setslot(self.from, &["MIGRATING", &self.ids.1]);
    }

    /// Moves up to `count` keys; gives how many.
    ///
    /// # Panics
    ///
    /// If that fails.
    #[track_caller]
    pub fn keys(&self, count: usize) -> usize {
        let (node, count) = (self.cluster.node(self.from), count.to_string());
        let slot = self.slot.to_string();
        let keys: Vec<Vec<u8>> = node
            .query(|connection| {
                let mut command = redis::cmd("CLUSTER");
                command
                    .arg(&["GETKEYSINSLOT", &slot, &count])
                    .query(connection)
            })
            .expect("the keys of a slot");
        self.migrate(&keys);
        keys.len()
    }

    /// Moves these keys.
    ///
    /// # Panics
    ///
    /// If that fails.
    #[track_caller]
    pub fn migrate(&self, keys: &[Vec<u8>]) {
        if keys.is_empty() {
            return;
        }
        let target = self.cluster.node(self.to).direct_announced();
        let mut command = redis::cmd("MIGRATE");
        command.arg(target.ip().to_string()).arg(target.port());
        command.arg(&["", "0", "5000", "REPLACE"]);
        match &self.cluster.options.login {
            Some(Login {
                user: Some(user),
                password,
            }) => drop(command.arg(&["AUTH2", user, password])),
            Some(login) => drop(command.arg(&["AUTH", &login.password])),
            None => {}
        }
        command.arg("KEYS").arg(keys);
        let node = self.cluster.node(self.from);
        // A target that has just come back, or is too busy to hear the others, says CLUSTERDOWN for a while.
        let mut last: RedisResult<String> = Ok(String::new());
        let done = eventually(PATIENCE, || {
            last = node.query(|connection| command.query(connection));
            last.is_ok().then_some(())
        });
        assert!(done.is_some(), "MIGRATE of slot {}: {last:?}", self.slot);
    }

    /// SETSLOT NODE on the new node, on the old one, then on all other masters.
    #[track_caller]
    pub fn close(&self) {
        let moved = self.cluster.moved.lock();
        moved.expect("moved slots").insert(self.slot, self.to);
        self.close_at(self.to);
        self.close_at(self.from);
        let others = self.cluster.masters().into_iter();
        for other in others.filter(|other| ![self.to, self.from].contains(other)) {
            self.close_at(other);
        }
    }

    /// SETSLOT NODE on one node alone.
    #[track_caller]
    pub fn close_at(&self, number: usize) {
        self.setslot(number, &["NODE", &self.ids.1]);
    }

    /// SETSLOT STABLE on both: the slot stays where it is. Keys that have moved must be moved back before.
    #[track_caller]
    pub fn give_up(&self) {
        self.setslot(self.to, &["STABLE"]);
        self.setslot(self.from, &["STABLE"]);
    }

    #[track_caller]
    fn setslot(&self, number: usize, words: &[&str]) {
        let slot = self.slot.to_string();
        let mut all = vec!["CLUSTER", "SETSLOT", &slot];
        all.extend_from_slice(words);
        // A node that hasn't yet heard of the other, or of an earlier move, refuses.
        let node = self.cluster.node(number);
        let mut result: RedisResult<()> = Ok(());
        let done = eventually(PATIENCE, || {
            result = node.try_command(&all);
            result.is_ok().then_some(())
        });
        assert!(done.is_some(), "{all:?} at node {number}: {result:?}");
    }
}
