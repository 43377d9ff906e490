//! What a server does: commands of feeds, lookups, changes, and whom it tells of them.
//!
//! A server tells of changes at the end of a turn of its loop, so that the reply to a PING may be sent before the invalidation
//! of what was changed in the same turn.

use bytes::Bytes;
use cache_core::cluster::slot_of;
use cache_core::resp::{Push, Reply};

use crate::config::{Ability, Broken, Mode, Story};
use crate::server::{Conn, Id, planned};
use crate::wire::Item;
use crate::worker::{Found, Input, Lookup};
use crate::world::{Happening, START, World};

pub const CHANNEL: &[u8] = b"redis_cache:";

fn text(text: &str) -> Reply {
    Reply::Bulk(Some(Bytes::copy_from_slice(text.as_bytes())))
}

fn error(text: &'static str) -> Reply {
    Reply::Error(Bytes::from_static(text.as_bytes()))
}

fn status(text: &'static str) -> Reply {
    Reply::Status(Bytes::from_static(text.as_bytes()))
}

impl World {
    /// Whether a server answers for a key, as it knows.
    pub fn answers_for(&self, server: Id, key: &str) -> bool {
        let slot = slot_of(key.as_bytes());
        let masters = self.servers.len();
        match self.config.mode {
            Mode::Sentinel => true,
            Mode::Cluster => self.servers[server].owns(slot, planned(slot, masters) == server),
        }
    }

    /// Who answers for a key.
    pub fn owner(&self, key: &str) -> Id {
        match self.config.mode {
            Mode::Sentinel => self.master,
            Mode::Cluster => (0..self.servers.len())
                .find(|server| self.answers_for(*server, key))
                .unwrap(),
        }
    }

    pub fn command(&mut self, conn: Conn, words: Vec<Bytes>) {
        let Some(server) = self.wires.get(&conn).map(|wire| wire.server) else {
            return;
        };
        let it = &self.servers[server];
        if it.up && it.frozen > self.now {
            let at = it.frozen;
            return self.at_in_order(at, Happening::Command(conn, words));
        }
        if !it.tellings.contains_key(&conn) {
            return;
        }
        let name = String::from_utf8_lossy(&words[0]).into_owned();
        if let Some(reply) = self.reply(server, conn, (&name, &words)) {
            self.send_down(conn, Item::Reply(reply));
        }
    }

    fn reply(&mut self, server: Id, conn: Conn, (name, words): (&str, &[Bytes])) -> Option<Reply> {
        let ability = self.ability(conn);
        let is_old = ability == Ability::Old;
        let telling = self.servers[server].tellings.get_mut(&conn)?;
        match name {
            "HELLO" if is_old => return Some(error("ERR unknown command `HELLO`")),
            "HELLO" => telling.resp3 = true,
            "CLIENT" if ability == Ability::Publish => return Some(error("ERR unknown command")),
            "CLIENT" => telling.tracks = ability == Ability::Push,
            "SUBSCRIBE" => {
                telling.subscribed = true;
                let said = vec![text("subscribe"), Reply::Bulk(Some(words[1].clone()))];
                self.push(server, conn, [said, vec![Reply::Integer(1)]].concat());
                return None;
            }
            "PUBLISH" => {
                let heard = self.publish(server, &words[2].clone());
                return Some(Reply::Integer(heard));
            }
            "EXISTS" => {
                let key = String::from_utf8_lossy(&words[1]).into_owned();
                let exists = self.servers[server].get(&key, self.now).is_some();
                let exists = exists || self.config.is(Broken::NoMark);
                return Some(Reply::Integer(i64::from(exists)));
            }
            "SET" => return Some(self.set_canary(server, &words[1].clone())),
            "PING" if is_old => {
                return Some(Reply::Array(Some(vec![text("pong"), text("")])));
            }
            "PING" => return Some(status("PONG")),
            _ if words[1] == "SLOTS" => return Some(self.map()),
            _ => return Some(self.view(server)),
        }
        Some(match name {
            "HELLO" => Reply::Map(vec![text("proto"), Reply::Integer(3)]),
            _ => status("OK"),
        })
    }

    /// How well the server tells this feed of changes.
    fn ability(&self, conn: Conn) -> Ability {
        let worker = self.wires[&conn].worker;
        let is_first = self.workers[worker].machine == 0;
        match self.config.story {
            Story::Loses if is_first && self.config.lost > 0 => Ability::Publish,
            _ => self.config.ability,
        }
    }

    fn set_canary(&mut self, server: Id, key: &Bytes) -> Reply {
        let key = String::from_utf8_lossy(key).into_owned();
        if !self.servers[server].is_master {
            return error("READONLY You can't write against a read only replica.");
        }
        if !self.answers_for(server, &key) {
            return error("MOVED 1 somewhere:6379");
        }
        self.change(server, &key, Some((0, self.now + 120_000)));
        status("OK")
    }

    fn view(&self, server: Id) -> Reply {
        let epoch = self.servers[server].epoch;
        text(&format!(
            "cluster_state:ok\r\ncluster_current_epoch:{epoch}\r\ncluster_my_epoch:{server}\r\n"
        ))
    }

    /// Who has the slots of the keys, as all know.
    fn map(&self) -> Reply {
        let knows = |key: &String| match self.config.is(Broken::OldMap) {
            true => planned(slot_of(key.as_bytes()), self.servers.len()),
            false => self.owner(key),
        };
        let number = |number: usize| Reply::Integer(number as i64);
        let ranges = (0..self.config.keys).map(|nth| {
            let key = format!("key{nth}");
            let slot = slot_of(key.as_bytes()).index();
            let owner = knows(&key);
            let node = vec![text("host"), number(6379), text(&owner.to_string())];
            Reply::Array(Some(vec![
                number(slot),
                number(slot),
                Reply::Array(Some(node)),
            ]))
        });
        Reply::Array(Some(ranges.collect()))
    }

    /// Says something that no command of this connection has asked for.
    fn push(&mut self, server: Id, conn: Conn, elements: Vec<Reply>) {
        let resp3 = self.servers[server].tellings[&conn].resp3;
        self.send_down(
            conn,
            match resp3 {
                true => Item::Push(Push(elements)),
                false => Item::Reply(Reply::Array(Some(elements))),
            },
        );
    }

    /// Tells all who are subscribed, at any node of a cluster. How many are, at this one.
    pub fn publish(&mut self, server: Id, message: &Bytes) -> i64 {
        let mut heard = 0;
        for id in 0..self.servers.len() {
            let tellings = self.servers[id].tellings.iter();
            let subscribed = tellings.filter(|(_, telling)| telling.subscribed);
            let conns: Vec<Conn> = subscribed.map(|(conn, _)| *conn).collect();
            if id != server && self.config.mode != Mode::Cluster {
                continue;
            }
            for conn in conns {
                let channel = Reply::Bulk(Some(Bytes::from_static(CHANNEL)));
                let message = Reply::Bulk(Some(message.clone()));
                self.push(id, conn, vec![text("message"), channel, message]);
                heard += i64::from(id == server);
            }
        }
        heard
    }

    /// A key is told of at the end of this turn.
    fn touched(&mut self, server: Id, key: &str) {
        let it = &mut self.servers[server];
        for telling in it.tellings.values_mut().filter(|telling| telling.tracks) {
            telling.keys.insert(key.to_owned());
        }
        if !std::mem::replace(&mut it.flushing, true) {
            self.after(0, Happening::Turned(server));
        }
    }

    pub fn turned(&mut self, server: Id) {
        self.servers[server].flushing = false;
        let tellings = self.servers[server].tellings.iter_mut();
        let news: Vec<_> = tellings
            .map(|(conn, telling)| (*conn, std::mem::take(&mut telling.keys)))
            .filter(|(_, keys)| !keys.is_empty())
            .collect();
        for (conn, keys) in news {
            let keys = keys.iter().map(|key| text(key)).collect();
            let elements = vec![text("invalidate"), Reply::Array(Some(keys))];
            self.push(server, conn, elements);
        }
    }

    /// A key changes, and whoever tracks is told.
    pub fn change(&mut self, server: Id, key: &str, record: Option<(u64, u64)>) {
        let had = self.servers[server].raw(key).is_some();
        self.servers[server].set(key, record, self.now);
        if let Some((value, expires)) = record {
            self.note(|| {
                format!(
                    "server {server}: {key} is {value} until {}",
                    expires - START
                )
            });
            let lazily = self.rng.range(0, 200);
            self.at(expires + lazily, Happening::Expired(server, key.to_owned()));
        }
        if had || record.is_some() {
            self.touched(server, key);
        }
        self.replicate(server, Some(key.to_owned()), record);
    }

    /// A change that the module makes on some machine: it tells of it first, as long as it is to.
    pub fn change_by_us(&mut self, server: Id, key: &str, record: Option<(u64, u64)>) {
        let machine = self.rng.range(0, self.machines.len() as u64 - 1) as usize;
        if self.machines[machine].telling > self.now {
            self.publish(server, &Bytes::copy_from_slice(key.as_bytes()));
        }
        self.change(server, key, record);
    }

    pub fn expired(&mut self, server: Id, key: &str) {
        let it = &mut self.servers[server];
        if it.is_master && it.raw(key).is_some_and(|(_, expires)| expires <= self.now) {
            self.change(server, key, None);
        }
    }

    pub fn flush(&mut self, server: Id) {
        self.note(|| format!("server {server} is flushed"));
        for key in self.servers[server].keys() {
            self.servers[server].set(&key, None, self.now);
        }
        let tellings = self.servers[server].tellings.iter();
        let tracking = tellings.filter(|(_, telling)| telling.tracks);
        let conns: Vec<Conn> = tracking.map(|(conn, _)| *conn).collect();
        for conn in conns {
            let elements = vec![text("invalidate"), Reply::Bulk(None)];
            self.push(server, conn, elements);
        }
        self.replicate(server, None, None);
    }

    fn replicate(&mut self, server: Id, key: Option<String>, record: Option<(u64, u64)>) {
        if self.config.mode == Mode::Sentinel && server == self.master {
            let replica = 1 - server;
            // The former master follows once it knows that it is none.
            if self.servers[replica].is_master {
                return;
            }
            let link = self.servers[replica].link;
            let lag = self.delay();
            let at = self.judge.in_order(self.now + lag);
            self.at_in_order(at, Happening::Applied(replica, link, key, record));
        }
    }

    pub fn looked_up(&mut self, lookup: Lookup) {
        let server = lookup.server;
        let it = &self.servers[server];
        if it.up && it.frozen > self.now {
            let at = it.frozen;
            return self.at(at, Happening::LookedUp(lookup));
        }
        let found = if !it.up {
            Found::Nobody
        } else if !self.answers_for(server, &lookup.key) {
            Found::Moved(self.owner(&lookup.key))
        } else {
            Found::Record(it.get(&lookup.key, self.now))
        };
        let back = self.delay();
        let worker = lookup.worker;
        self.after(back, Happening::Told(worker, Input::Found(lookup, found)));
    }
}
