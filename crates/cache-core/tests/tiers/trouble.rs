//! What happens to keys, servers, connections and workers.

use cache_core::cluster::slot_of;

use crate::config::{Ability, Broken, Mode};
use crate::server::{Conn, Id};
use crate::worker::{Input, Step};
use crate::world::{Happening, World};

/// What happens.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// The module, or somebody else, writes a key.
    Write(String, bool),
    /// A key has less time left.
    Shorten(String),
    Delete(String),
    FlushAll,
    Swap,
    /// The first machine may track no more.
    Lose,
    Request(usize, String),
    /// A connection of a feed breaks, or does so at one end only, or brings nothing for a while.
    Cut(u64),
    HalfOpen(u64),
    Stall(u64, u64),
    Stop(usize, u64),
    Kill(usize),
    /// All workers of a machine are to leave, and others come.
    Reload(usize),
    Freeze(Id, u64),
    Crash(Id, u64),
    Recover(Id),
    /// A machine takes a server for down, for so long; rightly or not.
    Down(usize, Id, u64),
    /// A client of a machine invalidates a key.
    Post(usize, String),
    /// The replica becomes master. The other learns of it later.
    Failover,
    Demote(Id),
    Announce(usize, Id),
    /// A slot moves to a server, with or without its keys, and with or without a new epoch. Nothing is pushed.
    Move(String, Id, bool, bool),
}

impl World {
    pub fn trouble(&mut self, trouble: Trouble) {
        if !matches!(trouble, Trouble::Request(..)) {
            self.note(|| format!("{trouble:?}"));
        }
        match trouble {
            Trouble::Write(key, ours) => self.write(&key, ours),
            Trouble::Shorten(key) => {
                let server = self.owner(&key);
                if let Some((value, expires)) = self.servers[server].get(&key, self.now) {
                    let expires = expires.min(self.now + self.rng.range(1, 3000));
                    self.modify(server, &key, Some((value, expires)));
                }
            }
            Trouble::Delete(key) => self.modify(self.owner(&key), &key, None),
            Trouble::FlushAll => self.flush(self.master),
            Trouble::Swap => self.servers[self.master].swap(self.now),
            Trouble::Lose => {
                self.config.lost = self.now;
                let mut conns: Vec<Conn> = self.wires.keys().copied().collect();
                conns.sort_unstable();
                conns.retain(|conn| self.workers[self.wires[conn].worker].machine == 0);
                conns.into_iter().for_each(|conn| self.cut(conn));
            }
            Trouble::Request(machine, key) => self.tell_any(machine, Input::Request(key)),
            Trouble::Post(machine, key) => self.tell_any(machine, Input::Post(key)),
            Trouble::Down(machine, server, millis) => {
                let until = self.now + millis;
                self.machines[machine].down.insert(server, until);
            }
            Trouble::Cut(chance) => self.on_wire(chance, World::cut),
            Trouble::HalfOpen(chance) => self.on_wire(chance, |world, conn| {
                world.wires.get_mut(&conn).unwrap().is_half_open = true;
            }),
            Trouble::Stall(chance, millis) => self.on_wire(chance, |world, conn| {
                let until = world.now + millis;
                world.wires.get_mut(&conn).unwrap().stall(until);
            }),
            Trouble::Stop(worker, millis) => self.workers[worker].stopped = self.now + millis,
            Trouble::Kill(worker) => self.kill(worker),
            Trouble::Reload(machine) => self.reload(machine),
            Trouble::Freeze(server, millis) => self.servers[server].frozen = self.now + millis,
            Trouble::Crash(server, millis) => {
                self.servers[server].up = false;
                self.cut_all(server);
                self.after(millis, Happening::Trouble(Trouble::Recover(server)));
            }
            Trouble::Recover(server) => self.servers[server].up = true,
            Trouble::Failover => self.failover(),
            Trouble::Demote(server) => self.demote(server),
            Trouble::Announce(machine, master) => self.tell_of_master(machine, master),
            Trouble::Move(key, to, with_keys, with_epoch) => {
                self.move_slot(&key, to, with_keys);
                if with_epoch {
                    self.raise_epochs();
                }
            }
        }
    }

    /// A client comes to a machine.
    fn tell_any(&mut self, machine: usize, input: Input) {
        let workers = self.machines[machine].workers.clone();
        let alive = workers.into_iter().filter(|it| self.workers[*it].is_alive);
        let alive: Vec<usize> = alive.collect();
        let worker = self.rng.pick(&alive);
        self.tell(worker, input);
    }

    fn write(&mut self, key: &str, ours: bool) {
        self.value += 1;
        let life = self.rng.range(500, 60_000);
        let record = Some((self.value, self.now + life));
        let server = self.owner(key);
        if !self.servers[server].serves(self.now) {
            return;
        }
        match ours {
            true => self.change_by_us(server, key, record),
            false => self.change(server, key, record),
        }
    }

    /// By somebody else, unless nobody else is there.
    fn modify(&mut self, server: Id, key: &str, record: Option<(u64, u64)>) {
        if !self.servers[server].serves(self.now) {
            return;
        }
        match self.config.own_changes {
            true => self.change_by_us(server, key, record),
            false => self.change(server, key, record),
        }
    }

    fn on_wire(&mut self, chance: u64, act: impl FnOnce(&mut World, Conn)) {
        let mut conns: Vec<Conn> = self.wires.keys().copied().collect();
        conns.sort_unstable();
        if !conns.is_empty() {
            act(self, conns[chance as usize % conns.len()]);
        }
    }

    fn cut_all(&mut self, server: Id) {
        let conns: Vec<Conn> = self.servers[server].tellings.keys().copied().collect();
        conns.into_iter().for_each(|conn| self.cut(conn));
    }

    /// Its process vanishes, and the master of its machine starts another.
    fn kill(&mut self, worker: usize) {
        if !std::mem::replace(&mut self.workers[worker].is_alive, false) {
            return;
        }
        let mut conns: Vec<Conn> = self.wires.keys().copied().collect();
        conns.retain(|conn| self.wires[conn].worker == worker);
        conns.into_iter().for_each(|conn| self.close(conn));
        let machine = self.workers[worker].machine;
        self.start_worker(machine);
    }

    /// The old workers go on as long as they have something to do: the one that watches for a while, for those who take over.
    fn reload(&mut self, machine: usize) {
        for worker in self.machines[machine].workers.clone() {
            let stays = match self.rng.chance(50) {
                true => self.rng.range(0, 3000),
                false => 1 << 40,
            };
            let faulty = self.config.was_faulty;
            let it = &mut self.workers[worker];
            it.is_leaving = true;
            it.leaves = self.now + if faulty { stays } else { 3000 };
            let yields = faulty && self.rng.chance(25);
            if yields && it.held.is_some() {
                it.todo.push_back(Step::GiveUp);
            }
        }
        for _ in 0..self.config.workers {
            self.start_worker(machine);
        }
    }

    fn failover(&mut self) {
        let (old, new) = (self.master, 1 - self.master);
        if self.config.mode != Mode::Sentinel || !self.servers[new].serves(self.now) {
            return;
        }
        self.master = new;
        self.servers[new].is_master = true;
        // What the old one has sent and this one hasn't heard is lost.
        self.servers[new].link += 1;
        self.servers[old].link += 1;
        for machine in 0..self.machines.len() {
            let when = self.rng.range(0, 1000);
            let trouble = Trouble::Announce(machine, new);
            self.after(when, Happening::Trouble(trouble));
        }
        let when = self.rng.range(0, 10_000);
        self.after(when, Happening::Trouble(Trouble::Demote(old)));
    }

    /// A master learns that it is none, and gets all data of the other.
    fn demote(&mut self, server: Id) {
        if server == self.master {
            return;
        }
        self.servers[server].is_master = false;
        self.servers[server].link += 1;
        self.flush(server);
        for key in self.servers[self.master].keys() {
            if let Some(record) = self.servers[self.master].get(&key, self.now) {
                self.servers[server].set(&key, Some(record), self.now);
            }
        }
    }

    /// A slot moves. Its old master deletes what it has, and no push tells of that.
    fn move_slot(&mut self, key: &str, to: Id, with_keys: bool) {
        let slot = slot_of(key.as_bytes()).number();
        let from = self.owner(key);
        if from == to {
            return;
        }
        let record = self.servers[from].get(key, self.now).filter(|_| with_keys);
        self.servers[from].set(key, None, self.now);
        self.servers[to].set(key, record, self.now);
        for (server, owns) in [(from, false), (to, true)] {
            self.servers[server].moved.insert(slot, owns);
        }
        for (of, server, _, end) in &mut self.owned {
            if (*of, *server, *end) == (slot, from, u64::MAX) {
                *end = self.now;
            }
        }
        self.owned.push((slot, to, self.now, u64::MAX));
    }

    fn raise_epochs(&mut self) {
        self.servers.iter_mut().for_each(|server| server.epoch += 1);
    }

    /// Notes who has which keys at the beginning.
    pub fn settle(&mut self) {
        for nth in 0..self.config.keys {
            let key = format!("key{nth}");
            let slot = slot_of(key.as_bytes()).number();
            let owner = self.owner(&key);
            self.owned.push((slot, owner, 0, u64::MAX));
        }
        if self.config.ability != Ability::Push && self.config.is(Broken::NoCanary) {
            self.config.own_changes = false;
        }
    }
}
