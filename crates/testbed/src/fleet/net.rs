//! The servers of a fleet, and the ways between them and to them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::server::Server;
use crate::backend::Gate;
use crate::proxy::{Peers, Proxy, Rule, Way};

/// Who is parted from a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Those that aren't servers of the fleet: the module.
    Clients,
    /// The other servers of the fleet.
    Servers,
    /// Both.
    Everybody,
}

/// The servers and their doors.
#[derive(Debug, Default)]
pub struct Net {
    servers: Mutex<Vec<Arc<Server>>>,
    gates: Mutex<Vec<Gate>>,
}

impl Net {
    /// The address that the next server gets.
    pub(super) fn next_ip(&self) -> IpAddr {
        Net::ip(self.lock().len())
    }

    /// The address of server `number`: 127.0.1.1 for 0.
    pub(super) fn ip(number: usize) -> IpAddr {
        let last = u8::try_from(number + 1).expect("at most 254 servers");
        IpAddr::V4(Ipv4Addr::new(127, 0, 1, last))
    }

    pub(super) fn add(&self, server: Server) -> Arc<Server> {
        let server = Arc::new(server);
        self.lock().push(Arc::clone(&server));
        server
    }

    /// All servers, in the order in which they were added, those that don't run among them.
    #[must_use]
    pub fn servers(&self) -> Vec<Arc<Server>> {
        self.lock().clone()
    }

    /// Server `number`.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    #[track_caller]
    pub fn server(&self, number: usize) -> Arc<Server> {
        Arc::clone(&self.lock()[number])
    }

    /// Whose connections `side` has.
    #[must_use]
    pub fn peers(&self, side: Side) -> Peers {
        let servers = self.lock().iter().map(|server| server.ip()).collect();
        match side {
            Side::Clients => Peers::NotFrom(servers),
            Side::Servers => Peers::From(servers),
            Side::Everybody => Peers::All,
        }
    }

    /// The connections between server `number` and `side` end, and so do new ones, until [`Net::heal`].
    pub fn refuse(&self, number: usize, side: Side) {
        self.part(number, side, |door, peers| door.refuse_for(peers));
    }

    /// The connections between server `number` and `side` end, once.
    pub fn cut(&self, number: usize, side: Side) {
        self.part(number, side, |door, peers| door.cut_for(peers));
    }

    /// No byte passes between server `number` and `side`, until [`Net::heal`]: then those that were sent arrive.
    /// Connections stay, and are made.
    pub fn silence(&self, number: usize, side: Side) {
        let gate = Gate::new();
        self.gates.lock().unwrap().push(gate.clone());
        self.rule(number, side, &Rule::hold(&gate));
    }

    /// Server `number` is gone for clients, until [`Net::heal`]: what they send on connections isn't answered, and new
    /// connections are neither made nor refused. The other servers keep the connections that they have.
    pub fn vanish(&self, number: usize) {
        self.silence(number, Side::Clients);
        let server = self.server(number);
        server
            .client_doors()
            .iter()
            .for_each(Proxy::swallow_connects);
    }

    /// Each piece of bytes between server `number` and `side` takes so much longer, until [`Net::heal`].
    pub fn delay(&self, number: usize, side: Side, time: Duration) {
        self.rule(number, side, &Rule::delay(time));
    }

    /// A rule for what passes between server `number` and `side`, both ways, until [`Net::heal`].
    pub fn rule(&self, number: usize, side: Side, rule: &Rule) {
        self.part(number, side, |door, peers| {
            door.set_for(peers, Way::Commands, rule.clone());
            door.set_for(peers, Way::Replies, rule.clone());
        });
    }

    /// What `master` sends to `replica`, its stream of writes, takes so much longer, until [`Net::heal`].
    pub fn lag(&self, master: usize, replica: usize, time: Duration) {
        self.stream(master, replica, &Rule::delay(time));
    }

    /// What `master` sends to `replica` waits until [`Net::heal`]: the replica's data stand still.
    pub fn hold_replica(&self, master: usize, replica: usize) {
        let gate = Gate::new();
        self.gates.lock().unwrap().push(gate.clone());
        self.stream(master, replica, &Rule::hold(&gate));
    }

    fn stream(&self, master: usize, replica: usize, rule: &Rule) {
        let peers = Peers::From(vec![self.server(replica).ip()]);
        for door in self.server(master).client_doors() {
            door.set_for(&peers, Way::Replies, rule.clone());
        }
    }

    /// Everything passes again, everywhere.
    pub fn heal(&self) {
        for server in self.servers() {
            server.doors().iter().for_each(Proxy::heal);
        }
        // Those whose rule was to hold: no new bytes can come to a gate any more.
        for gate in self.gates.lock().unwrap().drain(..) {
            gate.open();
        }
    }

    /// Does it at all doors between a server and a side: at its own, and at those where it comes as a client.
    fn part(&self, number: usize, side: Side, treat: impl Fn(&Proxy, &Peers)) {
        let server = self.server(number);
        let peers = self.peers(side);
        server.doors().iter().for_each(|door| treat(door, &peers));
        if side == Side::Clients {
            return;
        }
        let itself = Peers::From(vec![server.ip()]);
        for other in self.servers() {
            if !Arc::ptr_eq(&other, &server) {
                other.doors().iter().for_each(|door| treat(door, &itself));
            }
        }
    }

    /// How many connections clients have to server `number`, the bed's own not counted.
    #[must_use]
    pub fn clients_of(&self, number: usize) -> usize {
        self.server(number).open(&self.peers(Side::Clients))
    }

    /// The most connections that clients ever had to server `number` at once, the bed's own not counted.
    #[must_use]
    pub fn most_clients_of(&self, number: usize) -> usize {
        self.server(number).most_open(&self.peers(Side::Clients))
    }

    /// Counts anew what [`Net::most_clients_of`] says.
    pub fn forget_most_clients(&self) {
        for server in self.servers() {
            server.doors().iter().for_each(Proxy::forget_most_open);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Server>>> {
        self.servers.lock().unwrap()
    }
}
