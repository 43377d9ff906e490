//! What servers a simulated store is made of, and what happens to them.

use super::rng::Rng;
use super::world::START;

/// How the servers of a store belong together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// One server that nothing happens to but what `Faults` says.
    #[default]
    One,
    /// A master and its replicas, with Sentinels that announce the master.
    Sentinel,
    /// Masters with slots, and their replicas.
    Cluster,
}

/// What happens to servers. Masters are counted among those of the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A server dies, and comes back after so many milliseconds.
    Kill(usize, u64),
    /// The same for the n-th master.
    KillMaster(usize, u64),
    /// The n-th master does nothing for so many milliseconds.
    Freeze(usize, u64),
    /// The n-th master hands over to a replica.
    Failover(usize),
    /// The n-th master is cut off from all but its clients, for so many milliseconds.
    CutOff(usize, u64),
    /// Slots of a band move to the n-th master.
    Move(usize, usize),
    /// A server without slots joins.
    Add,
    /// The n-th master gives all its slots to others and leaves.
    Remove(usize),
}

/// A rule that is broken on purpose, to see that it is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A lookup asks for another key.
    OtherKey,
    /// Lookups go to replicas although only masters may serve them.
    Replicas,
    /// Nobody learns of another master.
    OldMaster,
    /// Nobody learns of other replicas.
    OldReplicas,
    /// A worker forgets what it was told by MOVED, and maps aren't taken over.
    OldMap,
    /// Commands wait while the map is asked for.
    Wait,
    /// Each wish is a round.
    Storm,
    /// Whatever has no reply is sent again.
    Repeat,
    /// A command waits for its reply for as long as it takes.
    Patience,
    /// The store grants a lease that another machine has.
    GrantsHeld,
    /// A machine fills although another has the lease.
    FillsHeld,
    /// Leases are extended too late.
    ExtendsLate,
    /// Of a fill whose answer couldn't be stored it is told that it was.
    TellsStored,
    /// That answers aren't storable is remembered for too long.
    RemembersLong,
    /// A failure that one sender has met is held against all.
    BlamesAll,
    /// Fills from before a purge or an invalidation are joined.
    JoinsOld,
    /// A waiter is told again and again that it may join such a fill.
    Spins,
    /// A record says that it knows of the purges at the end of its fill.
    LateNumber,
    /// A confirmed record does.
    LateConfirmation,
    /// Nobody reads the log for what others purge.
    NeverAsks,
    /// A record is judged by what its worker has read already.
    ReadsNotOn,
    /// A purge is acknowledged before its machine knows of it.
    AcknowledgesEarly,
}

/// The servers.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    pub mode: Mode,
    pub masters: usize,
    /// Replicas of each master.
    pub replicas: usize,
    /// Servers that join later.
    pub spare: usize,
    /// Most milliseconds that a replica lags behind.
    pub lag: u64,
    /// Most milliseconds until a server hears of a change.
    pub gossip: u64,
    /// Replicas serve lookups, too.
    pub read_from_replica: bool,
    /// Percentage of commands whose connection is lost.
    pub lost: u64,
    /// When, and what happens.
    pub troubles: Vec<(u64, Trouble)>,
    pub broken: Option<Broken>,
}

impl Topology {
    pub fn servers(&self) -> usize {
        self.masters * (1 + self.replicas) + self.spare
    }

    /// Servers, and troubles within `span` milliseconds.
    pub fn random(rng: &mut Rng, mode: Mode, span: u64) -> Topology {
        let cluster = mode == Mode::Cluster;
        let masters = if cluster { rng.range(2, 4) as usize } else { 1 };
        let replicas = if cluster {
            rng.range(0, 2)
        } else {
            rng.range(1, 2)
        };
        let count = rng.range(0, 8);
        let mut troubles: Vec<(u64, Trouble)> = (0..count)
            .map(|_| {
                let when = START + rng.range(200, span);
                (when, trouble(rng, cluster))
            })
            .collect();
        troubles.sort_by_key(|(when, _)| *when);
        Topology {
            mode,
            masters,
            replicas: replicas as usize,
            spare: if cluster { 2 } else { 0 },
            lag: rng.pick(&[0, 5, 50, 300]),
            gossip: rng.pick(&[0, 20, 300]),
            read_from_replica: rng.chance(30),
            lost: if rng.chance(40) { rng.range(1, 5) } else { 0 },
            troubles,
            broken: None,
        }
    }
}

fn trouble(rng: &mut Rng, cluster: bool) -> Trouble {
    let which = rng.range(0, 7) as usize;
    let away = rng.range(100, 4000);
    match rng.range(0, if cluster { 9 } else { 4 }) {
        0 => Trouble::Kill(which, away),
        1 => Trouble::KillMaster(which, away),
        2 => Trouble::Freeze(which, away),
        3 => Trouble::Failover(which),
        4 => Trouble::CutOff(which, away),
        5 => Trouble::Add,
        6 => Trouble::Remove(which),
        _ => Trouble::Move(rng.range(0, 15) as usize, which),
    }
}
