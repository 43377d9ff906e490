//! Masters that change, and the wait until all nodes agree.

use std::time::Duration;

use redis::{RedisResult, Value};

use super::{RedisCluster, SLOTS};
use crate::wait::{PATIENCE, wait_for};

/// How a replica takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failover {
    /// With the master's help: nothing is lost; the master holds back writes meanwhile.
    Coordinated,
    /// Without asking the master, by a vote of the other masters.
    Force,
    /// Without asking anybody.
    Takeover,
}

impl RedisCluster {
    /// CLUSTER FAILOVER at `replica`; waits until it is the master. Gives how long that took.
    #[track_caller]
    pub fn failover(&self, replica: usize, how: Failover) -> Duration {
        self.begin_failover(replica, how);
        self.wait_for_master(replica)
    }

    /// CLUSTER FAILOVER at `replica`, without waiting for anything.
    #[track_caller]
    pub fn begin_failover(&self, replica: usize, how: Failover) {
        let mut words = vec!["CLUSTER", "FAILOVER"];
        words.extend(match how {
            Failover::Coordinated => None,
            Failover::Force => Some("FORCE"),
            Failover::Takeover => Some("TAKEOVER"),
        });
        let _: () = self.node(replica).command(&words);
    }

    /// Waits until node `number` says that it is a master with slots. Gives how long that took.
    #[track_caller]
    pub fn wait_for_master(&self, number: usize) -> Duration {
        wait_for(&format!("node {number} as a master"), PATIENCE, || {
            self.masters().contains(&number)
        })
    }

    /// Kills the master `number` (SIGKILL) and waits until a replica of it has taken over. Gives the replica's number and
    /// how long that took.
    ///
    /// # Panics
    ///
    /// If it has no replica that is well, or none takes over.
    #[track_caller]
    pub fn kill_master(&self, number: usize) -> (usize, Duration) {
        let replicas = self.replicas_of(number);
        assert!(!replicas.is_empty(), "node {number} has no replica");
        self.node(number).kill();
        self.wait_for_one_of(&replicas)
    }

    /// Freezes the master `number` (SIGSTOP) and waits until a replica of it has taken over, as
    /// [`RedisCluster::kill_master`] does.
    #[track_caller]
    pub fn freeze_master(&self, number: usize) -> (usize, Duration) {
        let replicas = self.replicas_of(number);
        assert!(!replicas.is_empty(), "node {number} has no replica");
        self.node(number).freeze();
        self.wait_for_one_of(&replicas)
    }

    #[track_caller]
    fn wait_for_one_of(&self, replicas: &[usize]) -> (usize, Duration) {
        let mut found = None;
        let took = wait_for("a replica that takes over", PATIENCE, || {
            let masters = self.masters();
            found = replicas
                .iter()
                .copied()
                .find(|number| masters.contains(number));
            found.is_some()
        });
        (found.unwrap_or_default(), took)
    }

    /// Whether all nodes that are well agree who has which slot, say that all is well, and replicas are linked.
    #[must_use]
    pub fn is_agreed(&self) -> bool {
        let mut first = None;
        self.well().all(|number| {
            let node = self.node(number);
            let info: RedisResult<String> = node.try_command(&["CLUSTER", "INFO"]);
            let Some(view) = self.view(number).filter(|_| info.is_ok()) else {
                return false;
            };
            let mut map: Vec<_> = view
                .iter()
                .filter(|known| !known.slots.is_empty())
                .map(|known| (known.id.clone(), known.slots.clone()))
                .collect();
            map.sort_by(|one, other| one.0.cmp(&other.0));
            let served = view.iter().flat_map(|known| &known.slots);
            let served: usize = served.map(ExactSizeIterator::len).sum();
            let itself = view.iter().find(|known| known.is("myself"));
            let is_replica = itself.is_some_and(|known| known.master.is_some());
            info.unwrap_or_default().contains("cluster_state:ok")
                && served == usize::from(SLOTS)
                && *first.get_or_insert_with(|| map.clone()) == map
                && (!is_replica || node.info("replication", "master_link_status") == "up")
        })
    }

    /// Waits until [`RedisCluster::is_agreed`]. Gives how long that took.
    #[track_caller]
    pub fn wait_until_agreed(&self) -> Duration {
        self.wait_and_remind("nodes that agree", || self.is_agreed())
    }

    /// Waits until CLUSTER SLOTS of each node that is well names all that are well. A replica isn't named before it has
    /// received something, and its offset has gone round; so something is written at each master.
    #[track_caller]
    pub fn wait_until_replicas_are_named(&self) {
        for master in self.masters() {
            let key = self.key_at(master, "named");
            let _: () = self.node(master).command(&["SET", &key, ""]);
            let _: i64 = self.node(master).command(&["DEL", &key]);
        }
        let ports: Vec<_> = self
            .well()
            .map(|number| self.node(number).address().port())
            .collect();
        wait_for("slot maps with all replicas", PATIENCE, || {
            self.well().all(|number| {
                let map: RedisResult<Value> = self.node(number).try_command(&["CLUSTER", "SLOTS"]);
                let map = map.map(|map| format!("{map:?}")).unwrap_or_default();
                ports
                    .iter()
                    .all(|port| map.contains(&format!("int({port})")))
            })
        });
    }

    /// Starts node `number` again after its end, with its identity and without its data, and waits until all agree.
    #[track_caller]
    pub fn restart(&self, number: usize) {
        self.node(number).run();
        self.wait_until_agreed();
    }
}
