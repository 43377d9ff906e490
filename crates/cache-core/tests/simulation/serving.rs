//! How a server carries out a command, and how its replicas follow.

use std::rc::Rc;

use cache_core::attempts::Access;
use cache_core::flow::Trouble;

use super::config::Key;
use super::data::{Data, Place};
use super::servers::{Id, Request, Servers, band};
use super::wait::Later;
use super::world::World;

/// What a command does to the data of a server.
pub type Act<T> = Rc<dyn Fn(&Rc<World>, &mut Data) -> Result<T, Trouble>>;

/// What comes back of a command.
pub enum Reply<T> {
    /// Nobody listens there.
    Refused,
    /// The connection has ended.
    Lost,
    /// Nothing has come for too long.
    Silence,
    /// An error, in the server's words.
    Error(String),
    /// It was carried out.
    Done(Result<T, Trouble>, Served),
}

/// What is known of a command that was carried out, for the judge.
#[derive(Clone, Debug)]
pub struct Served {
    pub by: Id,
    /// The server had the right to serve it.
    pub rightful: bool,
    /// By one that knows that it is a replica.
    pub replica: bool,
    /// Since when it follows the master that has the right to.
    pub linked: Option<u64>,
    /// The write from which the first place comes; it may have expired.
    pub seen: Option<u64>,
    /// The first place holds something.
    pub holds: bool,
    /// What was written: places, names of writes, when they expire.
    pub wrote: Vec<(Place, u64, u64)>,
}

/// A command on its way.
pub struct Sent<T> {
    pub to: Id,
    pub request: Request,
    pub asking: bool,
    pub act: Act<T>,
    pub back: u64,
    pub reply: Rc<Later<Reply<T>>>,
}

/// A command comes to its server.
pub fn arrives<T: 'static>(world: &Rc<World>, sent: Sent<T>) {
    let servers = world.store.servers();
    let now = world.now();
    let (up, frozen) = {
        let all = servers.all.borrow();
        (all[sent.to].up, all[sent.to].frozen)
    };
    if up && frozen > now {
        // It is carried out when nobody waits for it any more.
        world.at(frozen, move |world| arrives(world, sent));
        return;
    }
    let reply = if up {
        match servers.admits(sent.to, &sent.request, sent.asking, now) {
            Ok(()) => carry_out(world, servers, &sent),
            Err(words) => Reply::Error(words),
        }
    } else {
        Reply::Refused
    };
    let later = Rc::clone(&sent.reply);
    world.after(sent.back, move |_| later.set(reply));
}

fn carry_out<T>(world: &Rc<World>, servers: &Servers, sent: &Sent<T>) -> Reply<T> {
    let (id, now) = (sent.to, world.now());
    let key = sent.request.places[0].0;
    let rightful = servers.is_rightful(id, band(key));
    let replica = servers.all.borrow()[id].view.master_of[id].is_some();
    let linked = {
        let server = &servers.all.borrow()[id];
        let owner = servers.owner(key);
        // Link 0 was cut.
        let follows = server
            .link
            .is_some_and(|(source, link)| source == owner && link != 0);
        follows.then_some(server.linked)
    };
    // Taken out: the act may look at other servers.
    let mut data = std::mem::take(&mut servers.all.borrow_mut()[id].data);
    let before = sent.request.places.iter().map(|p| data.generation(*p));
    let before: Vec<_> = before.collect();
    let first = sent.request.places[0];
    let seen = data.generation(first);
    let result = (sent.act)(world, &mut data);
    let times = &sent.request.carried_out;
    times.set(times.get() + 1);
    let once = times.get() == 1 || sent.request.repeatable;
    world.judge().check(once, || {
        format!("a command for key {key} that may not be repeated is carried out again")
    });
    let mut wrote = Vec::new();
    for (place, before) in sent.request.places.iter().zip(before) {
        let after = data.generation(*place);
        if let Some((generation, expires)) = after.filter(|_| after != before) {
            wrote.push((*place, generation, expires));
        }
    }
    servers.all.borrow_mut()[id].data = data;
    if sent.request.access == Access::Write {
        changed(world, id, key);
    }
    if !rightful {
        servers.deceived.set(now);
    }
    Reply::Done(
        result,
        Served {
            by: id,
            rightful,
            replica,
            linked,
            seen: seen.map(|(generation, _)| generation),
            holds: seen.is_some_and(|(_, expires)| expires > now),
            wrote,
        },
    )
}

/// A server tells its replicas what a key is now.
pub fn changed(world: &Rc<World>, id: Id, key: Key) {
    let servers = world.store.servers();
    let mut all = servers.all.borrow_mut();
    let state = all[id].data.state(key);
    all[id].log.push((key, state));
    let upto = all[id].log.len();
    let links: Vec<(Id, u64)> = all
        .iter()
        .enumerate()
        .filter_map(|(other, server)| match server.link {
            Some((source, link)) if source == id => Some((other, link)),
            _ => None,
        })
        .collect();
    drop(all);
    for (replica, link) in links {
        let lag = if world.faulty.get() {
            world.between((0, world.config.topology.lag))
        } else {
            0
        };
        if lag == 0 {
            follow(world, replica, link, upto);
        } else {
            world.after(lag, move |world| follow(world, replica, link, upto));
        }
    }
}

/// A replica has got its master's log up to there.
pub fn follow(world: &Rc<World>, replica: Id, link: u64, upto: usize) {
    let servers = world.store.servers();
    let mut all = servers.all.borrow_mut();
    let source = match all[replica].link {
        Some((source, known)) if known == link => source,
        _ => return,
    };
    let frozen = all[replica].frozen;
    if frozen > world.now() {
        drop(all);
        world.at(frozen, move |world| follow(world, replica, link, upto));
        return;
    }
    let from = all[replica].applied.min(upto);
    // A master that is none any more has forgotten it.
    let entries = all[source].log.get(from..upto).unwrap_or_default().to_vec();
    for (key, state) in entries {
        all[replica].data.apply(key, state);
    }
    let known = all[replica].applied;
    all[replica].applied = known.max(upto);
}
