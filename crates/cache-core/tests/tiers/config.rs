//! What a simulated world is made of, and which rule is broken in it on purpose.

/// What servers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A master, and a replica that may take over.
    Sentinel,
    /// Three masters, between which slots move.
    Cluster,
}

/// How well servers can tell of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    /// They push.
    Push,
    /// They agree to push, and don't: a proxy is before them.
    Pretend,
    /// They don't know CLIENT TRACKING.
    Publish,
    /// They speak RESP2 alone.
    Old,
}

/// What else happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Story {
    /// Nothing.
    Usual,
    /// Databases are swapped.
    Swaps,
    /// All machines track. Late, when none tells of its changes any more, the first one loses the right to.
    Loses,
}

/// A rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A record is put into the tier whatever the generation of its key is by now.
    NoGeneration,
    /// The generation is looked at before the record can be found, and not afterwards.
    CheckBeforeLink,
    /// The generation and the epoch are noted when the reply comes.
    LateTicket,
    /// A record belongs to the server that was asked first.
    FirstServer,
    /// A lease counts from when the PONG came.
    LeaseFromPong,
    /// Where messages must do, a lease is as long as where the server pushes changes.
    LongMessages,
    /// The epoch is raised when the connection is there, and not again when the server tracks.
    EarlyEpoch,
    /// No epoch is raised on a new connection.
    NoEpoch,
    /// The feed is trusted without a canary.
    NoCanary,
    /// FLUSHALL isn't heard.
    NoFlush,
    /// Nobody looks whether the epoch of the Cluster has changed.
    NoView,
    /// Slots that move without a new epoch aren't seen.
    OldMap,
    /// Records are read from replicas.
    FromReplica,
    /// A worker that takes over without a gap doesn't wait until the other one has carried out what came before.
    EagerSeize,
    /// It takes a lease for enough that was given for a PING from before.
    OldLease,
    /// Nobody looks whether the database is still the same.
    NoMark,
    /// Nobody hears that another machine lives on messages.
    Unheeded,
    /// A master is changed without raising all epochs, and its feed goes on.
    OldMaster,
    /// While a server is down what is held needs no lease at all.
    HeldForEver,
    /// What is filled while a server is down is kept as long as it would be in the server.
    LongAlone,
    /// What is filled while a server is down counts as what comes from it: under any lease, and in any epoch.
    AloneStays,
    /// While a server is down this machine's own invalidations don't count.
    NoLocal,
}

impl Broken {
    /// Whether it is about what a machine does while a server is down.
    pub fn is_alone(self) -> bool {
        let alone = [
            Self::HeldForEver,
            Self::LongAlone,
            Self::AloneStays,
            Self::NoLocal,
        ];
        alone.contains(&self)
    }
}

#[derive(Clone, Debug)]
pub struct Config {
    pub seed: u64,
    pub mode: Mode,
    pub ability: Ability,
    pub story: Story,
    /// When the first machine has lost its right to track.
    pub lost: u64,
    pub machines: usize,
    pub workers: usize,
    pub keys: usize,
    /// Longest time that a message takes in good times, in milliseconds.
    pub delay: u64,
    /// Whether things go wrong now, and whether they ever did.
    pub faulty: bool,
    pub was_faulty: bool,
    /// How long it goes on, in milliseconds.
    pub span: u64,
    /// For how long the tier carries on alone while a server is down, in milliseconds.
    pub alone: u64,
    /// Only the module's own changes happen: messages miss the others for a while.
    pub own_changes: bool,
    pub broken: Option<Broken>,
    pub trace: bool,
}

impl Config {
    pub fn is(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }
}
