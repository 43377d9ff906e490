//! A master, its replicas and the Sentinels that watch them, all real, and what can happen to them.

mod forming;
mod options;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use redis::{FromRedisValue, RedisResult};

use super::login::TlsFiles;
use super::net::Net;
use super::server::Server;
use crate::wait::{PATIENCE, eventually, wait_for};

pub use options::SentinelOptions;

/// They run. Servers have numbers: 0 is the master of the start, then come the replicas, then the Sentinels.
#[derive(Debug)]
pub struct Sentinels {
    net: Net,
    options: SentinelOptions,
    tls: Option<TlsFiles>,
}

impl Sentinels {
    /// One master, two replicas, three Sentinels.
    #[must_use]
    #[track_caller]
    pub fn start() -> Sentinels {
        SentinelOptions::default().start()
    }

    /// Some that are described further.
    #[must_use]
    pub fn options() -> SentinelOptions {
        SentinelOptions::default()
    }

    /// All servers and the ways to them.
    #[must_use]
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// Server `number`.
    #[must_use]
    #[track_caller]
    pub fn server(&self, number: usize) -> Arc<Server> {
        self.net.server(number)
    }

    /// The numbers of master and replicas.
    #[must_use]
    pub fn data(&self) -> Range<usize> {
        0..self.options.replicas + 1
    }

    /// The numbers of the Sentinels.
    #[must_use]
    pub fn sentinels(&self) -> Range<usize> {
        let first = self.data().end;
        first..first + self.options.sentinels
    }

    /// The name of the master.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.options.master
    }

    /// The files of their TLS, if they have that.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsFiles> {
        self.tls.as_ref()
    }

    /// The lines of a store block: the mode and each Sentinel as a server, and TLS where there is some.
    #[must_use]
    pub fn directives(&self) -> String {
        let mut text = format!("mode sentinel {};\n", self.name());
        for number in self.sentinels() {
            let _ = writeln!(text, "server {};", self.server(number).address());
        }
        if let Some(tls) = &self.tls {
            let _ = writeln!(
                text,
                "tls on;\ntls_trusted_certificate {};",
                tls.authority.display()
            );
        }
        text
    }

    /// The address that one Sentinel gives for the master; `None` if it can't be asked.
    #[must_use]
    pub fn address_by(&self, sentinel: usize) -> Option<SocketAddr> {
        let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name()];
        let address: RedisResult<(String, u16)> = self.server(sentinel).try_command(&words);
        let (ip, port) = address.ok()?;
        Some(SocketAddr::new(ip.parse().ok()?, port))
    }

    /// The master by the word of more than half of all Sentinels, those that can't be asked counted too.
    #[must_use]
    pub fn master(&self) -> Option<usize> {
        let mut votes = BTreeMap::new();
        for address in self
            .sentinels()
            .filter_map(|number| self.address_by(number))
        {
            *votes.entry(address).or_insert(0) += 1;
        }
        let (address, _) = votes
            .into_iter()
            .find(|(_, count)| *count > self.options.sentinels / 2)?;
        self.data()
            .find(|number| self.server(*number).address() == address)
    }

    /// The master by the word of most, once that server itself says so and takes writes. Waits for it.
    ///
    /// # Panics
    ///
    /// If there is none within 30 s.
    #[must_use]
    #[track_caller]
    pub fn wait_for_master(&self) -> usize {
        let found = eventually(PATIENCE, || {
            self.master()
                .filter(|number| self.server(*number).is_master())
        });
        found.expect("a master")
    }

    /// The replicas that are well, by their own word.
    #[must_use]
    pub fn replicas(&self) -> Vec<usize> {
        let data = self.data();
        data.filter(|&number| {
            let server = self.server(number);
            server.is_well() && server.info("replication", "role") == "slave"
        })
        .collect()
    }

    /// Waits until all that run agree: each Sentinel knows master, replicas and the other Sentinels, the replicas have
    /// the master's data, and a failover could begin.
    #[track_caller]
    pub fn wait_until_well(&self) {
        wait_for("Sentinels that agree", PATIENCE, || self.are_well());
    }

    fn are_well(&self) -> bool {
        let Some(master) = self
            .master()
            .filter(|number| self.server(*number).is_master())
        else {
            return false;
        };
        let address = self.server(master).address();
        let well = |number: &usize| self.server(*number).is_well();
        let replicas: Vec<_> = self
            .data()
            .filter(|number| *number != master && well(number))
            .collect();
        let follow = replicas.iter().all(|&number| {
            let server = self.server(number);
            server.info("replication", "master_link_status") == "up"
                && server.info("replication", "master_port") == address.port().to_string()
        });
        let mut watching = self.sentinels().filter(well);
        let count = watching.clone().count();
        follow
            && watching.all(|number| {
                self.address_by(number) == Some(address)
                    && self.known_by(number, "REPLICAS", "slave") == replicas.len()
                    && self.known_by(number, "SENTINELS", "sentinel") + 1 == count
            })
    }

    /// How many SENTINEL `what` gives whose flags are `flag` alone: those that are well. `master_down` is what a Sentinel
    /// said of a master, perhaps of the one before: Valkey 9 doesn't take it back after a failover.
    fn known_by(&self, sentinel: usize, what: &str, flag: &str) -> usize {
        let words = ["SENTINEL", what, self.name()];
        let known: RedisResult<Vec<BTreeMap<String, String>>> =
            self.server(sentinel).try_command(&words);
        let known = known.unwrap_or_default();
        // A replica that no INFO has come from yet has no state of its link.
        let well = |one: &&BTreeMap<String, String>| {
            let flags = one.get("flags").into_iter().flat_map(|all| all.split(','));
            flags.filter(|known| *known != "master_down").eq([flag])
                && one
                    .get("master-link-status")
                    .is_none_or(|status| status == "ok")
        };
        known.iter().filter(well).count()
    }

    /// SENTINEL FAILOVER: another server becomes the master although the old one is well. Gives its number, and how long
    /// it took until most Sentinels and itself said so.
    ///
    /// # Panics
    ///
    /// If no failover happens.
    #[track_caller]
    pub fn failover(&self) -> (usize, Duration) {
        let old = self.wait_for_master();
        let words = ["SENTINEL", "FAILOVER", self.name()];
        // For a moment after a failover there is no replica that is good enough.
        wait_for("a Sentinel that takes the order", PATIENCE, || {
            let mut well = self.sentinels();
            let first = well.find(|number| self.server(*number).is_well());
            let order = |number| self.server(number).try_command::<()>(&words);
            first.is_some_and(|number| order(number).is_ok())
        });
        self.wait_for_another(old)
    }

    /// Kills the master (SIGKILL) and waits until there is another one. Gives its number and how long that took.
    ///
    /// # Panics
    ///
    /// If no failover happens.
    #[track_caller]
    pub fn kill_master(&self) -> (usize, Duration) {
        let old = self.wait_for_master();
        self.server(old).kill();
        self.wait_for_another(old)
    }

    /// Freezes the master (SIGSTOP) and waits until there is another one, as [`Sentinels::kill_master`] does.
    #[track_caller]
    pub fn freeze_master(&self) -> (usize, Duration) {
        let old = self.wait_for_master();
        self.server(old).freeze();
        self.wait_for_another(old)
    }

    /// Waits until the master isn't `old` any more. Gives the new one and how long that took.
    ///
    /// # Panics
    ///
    /// If no failover happens.
    #[track_caller]
    pub fn wait_for_another(&self, old: usize) -> (usize, Duration) {
        let mut found = None;
        let took = wait_for("another master", PATIENCE, || {
            let master = self.master().filter(|number| *number != old);
            found = master.filter(|number| self.server(*number).is_master());
            found.is_some()
        });
        (found.unwrap_or_default(), took)
    }

    /// Starts a server again after its end, and waits until all agree.
    #[track_caller]
    pub fn restart(&self, number: usize) {
        self.server(number).run();
        if self.sentinels().contains(&number) {
            self.hurry(number);
        }
        self.wait_until_well();
    }

    /// SENTINEL RESET at one Sentinel: it forgets replicas and other Sentinels, and learns of them anew.
    #[track_caller]
    pub fn reset(&self, sentinel: usize) {
        let _: usize = self
            .server(sentinel)
            .command(&["SENTINEL", "RESET", self.name()]);
    }

    /// Runs one command at the master.
    #[track_caller]
    pub fn command<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.server(self.wait_for_master()).command(words)
    }
}
