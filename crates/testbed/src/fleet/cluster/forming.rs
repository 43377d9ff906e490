//! How a cluster comes to be, grows and shrinks.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

use redis::RedisResult;

use super::{ClusterOptions, RedisCluster, SLOTS};
use crate::fleet::login::TlsFiles;
use crate::fleet::net::Net;
use crate::fleet::server::{Plan, Server};
use crate::ports::Port;
use crate::wait::{PATIENCE, wait_for};

/// A certificate that the bed makes is for so many nodes.
const NODES: usize = 12;

impl RedisCluster {
    /// Starts it. Redis itself takes 2 s until a node that has started serves writes.
    #[track_caller]
    pub(super) fn form(options: ClusterOptions) -> RedisCluster {
        let mut cluster = RedisCluster {
            net: Net::default(),
            options,
            tls: None,
            moved: Mutex::default(),
        };
        cluster.tls = match &cluster.options.tls {
            Some(Some(files)) => Some(files.clone()),
            Some(None) => Some(TlsFiles::make(&cluster.certified())),
            None => None,
        };
        let masters = cluster.options.masters;
        let count = masters + cluster.options.replicas;
        let nodes: Vec<_> = (0..count).map(|_| cluster.new_node()).collect();
        nodes.iter().for_each(|node| node.spawn());
        nodes.iter().for_each(|node| node.wait_until_up());
        for (number, slots) in shares(masters).enumerate() {
            let _: () = nodes[number].command(&[
                "CLUSTER",
                "ADDSLOTSRANGE",
                &slots.start().to_string(),
                &slots.end().to_string(),
            ]);
        }
        for (number, node) in nodes.iter().enumerate() {
            let epoch = (number + 1).to_string();
            let _: () = node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]);
        }
        for (number, node) in nodes.iter().enumerate() {
            // Each meets each: faster than hearsay.
            nodes[number + 1..]
                .iter()
                .for_each(|other| meet(node, other));
        }
        cluster.wait_until_acquainted();
        for number in masters..count {
            cluster.replicate(number, number % masters);
        }
        cluster.wait_until_agreed();
        cluster
    }

    /// Names and addresses of the certificate that the bed makes.
    fn certified(&self) -> Vec<String> {
        let mut names = vec!["DNS:localhost".to_owned(), "IP:127.0.0.1".to_owned()];
        for number in 0..NODES {
            names.push(format!("IP:{}", Net::ip(number)));
            names.extend(self.name(number).map(|name| format!("DNS:{name}")));
        }
        names
    }

    /// A node that doesn't run yet, and belongs to no cluster.
    fn new_node(&self) -> Arc<Server> {
        let (number, bus) = (self.len(), Port::take());
        let bus_port = bus.number();
        let acl = self.options.acl.as_ref().zip(self.options.login.as_ref());
        let server = Server::new(Plan {
            ip: self.net.next_ip(),
            tls: self.tls.is_some(),
            further: vec![bus],
            sentinel: false,
            login: self.options.login.clone(),
            acl: acl.map(|(lines, login)| format!("{}{lines}\n", login.acl_line())),
        });
        server.configure(&self.lines(&server, bus_port, number));
        self.net.add(server)
    }

    fn lines(&self, server: &Server, bus: u16, number: usize) -> Vec<String> {
        let timeout = self.options.node_timeout.as_millis();
        let mut lines = vec![
            "cluster-enabled yes".to_owned(),
            "cluster-config-file nodes.conf".to_owned(),
            format!("cluster-port {bus}"),
            format!("cluster-node-timeout {timeout}"),
            format!("cluster-announce-ip {}", server.ip()),
            format!("cluster-announce-port {}", server.clear_address().port()),
            format!("cluster-announce-bus-port {bus}"),
            // A test says itself who is whose replica; and a replica always stands for election.
            "cluster-allow-replica-migration no".to_owned(),
            "cluster-replica-validity-factor 0".to_owned(),
        ];
        lines.extend(replication_lines());
        if let Some(tls) = &self.tls {
            lines.extend(tls.lines());
            lines.push("tls-cluster yes".to_owned());
            lines.push(format!(
                "cluster-announce-tls-port {}",
                server.address().port()
            ));
        }
        if let Some(name) = self.name(number) {
            lines.push(format!("cluster-announce-hostname {name}"));
            lines.push("cluster-preferred-endpoint-type hostname".to_owned());
        }
        lines.extend(
            self.options
                .login
                .iter()
                .flat_map(|login| login.for_masters()),
        );
        lines.extend(self.options.lines.iter().cloned());
        lines
    }

    /// Starts a further node, a master without slots, and waits until all know it. Gives its number.
    #[track_caller]
    pub fn add_node(&self) -> usize {
        let (number, others) = (self.len(), self.net.servers());
        let node = self.new_node();
        node.run();
        others
            .iter()
            .filter(|other| other.is_well())
            .for_each(|other| meet(&node, other));
        self.wait_until_acquainted();
        number
    }

    /// Makes node `number`, which has no slots, a replica of `master`, and waits until it has its data.
    #[track_caller]
    pub fn add_replica(&self, number: usize, master: usize) {
        self.replicate(number, master);
        self.wait_until_agreed();
    }

    #[track_caller]
    fn replicate(&self, number: usize, master: usize) {
        let _: () = self
            .node(number)
            .command(&["CLUSTER", "REPLICATE", &self.id(master)]);
    }

    /// Lets all others forget node `number`, which has no slots or is dead, and ends it.
    #[track_caller]
    pub fn remove_node(&self, number: usize) {
        let ip = self.node(number).ip().to_string();
        for other in self.well().filter(|&other| other != number) {
            let view = self.view(other).unwrap_or_default();
            let known = view.into_iter().find(|node| node.ip == ip);
            if let Some(known) = known {
                let _: () = self.node(other).command(&["CLUSTER", "FORGET", &known.id]);
            }
        }
        self.node(number).stop();
    }

    /// CLUSTER RESET of node `number`: it leaves the cluster, and what it has is gone. The others still know it.
    #[track_caller]
    pub fn reset(&self, number: usize, hard: bool) {
        let node = self.node(number);
        // Refused by a master that has keys; a replica can't be flushed.
        let _: RedisResult<()> = node.try_command(&["FLUSHALL"]);
        let how = if hard { "HARD" } else { "SOFT" };
        let _: () = node.command(&["CLUSTER", "RESET", how]);
    }

    /// The nodes that are well.
    pub(super) fn well(&self) -> impl Iterator<Item = usize> {
        let servers = self.net.servers().into_iter().enumerate();
        servers.filter_map(|(number, server)| server.is_well().then_some(number))
    }

    /// Waits until all nodes that are well know each other.
    #[track_caller]
    fn wait_until_acquainted(&self) {
        let ips: Vec<_> = self
            .well()
            .map(|number| self.node(number).ip().to_string())
            .collect();
        wait_for("nodes that know each other", PATIENCE, || {
            self.well().all(|number| {
                let view = self.view(number).unwrap_or_default();
                ips.iter().all(|ip| {
                    let mut known = view.iter();
                    known.any(|node| node.ip == *ip && node.linked && !node.is("handshake"))
                })
            })
        });
    }
}

/// What a server that has a replica, or is one, has in any fleet.
pub(in crate::fleet) fn replication_lines() -> Vec<String> {
    let lines = [
        "save \"\"",
        "appendonly no",
        "repl-diskless-sync yes",
        "repl-diskless-sync-delay 0",
        "repl-diskless-load on-empty-db",
    ];
    lines.map(str::to_owned).to_vec()
}

fn meet(node: &Server, other: &Server) {
    let (address, bus) = (other.address(), &other.doors()[other.doors().len() - 1]);
    let _: () = node.command(&[
        "CLUSTER",
        "MEET",
        &address.ip().to_string(),
        &address.port().to_string(),
        &bus.address().port().to_string(),
    ]);
}

/// The slots in so many equal shares.
fn shares(count: usize) -> impl Iterator<Item = RangeInclusive<u16>> {
    let count = u16::try_from(count).expect("a few masters").max(1);
    let at = move |nth: u16| u32::from(SLOTS) * u32::from(nth) / u32::from(count);
    let at = move |nth| u16::try_from(at(nth)).unwrap_or(SLOTS);
    (0..count).map(move |nth| at(nth)..=at(nth + 1) - 1)
}
