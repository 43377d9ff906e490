//! Several nginx with one store: what one of them invalidates is worthless on all.

mod fence;
mod lease;
mod trouble;

use testbed::{
    Bridge, Client, Nginx, PATIENCE, Port, Redis, RedisCluster, Request, Running, Site, Zone,
    wait_for,
};

/// Times for a machine that may be busy: that is no trouble of Redis.
const PATIENT: &str = "connect_timeout 5s; send_timeout 5s; read_timeout 5s;\n";

fn put(target: &str) -> Request {
    Request::new("PUT", target).body("new")
}

/// Machine A with the store and the backend, and machine B, which has the same.
struct Machines {
    a: Running,
    b: Nginx,
    cluster: Option<RedisCluster>,
    bridge: Option<Bridge>,
    _port: Port,
}

impl Machines {
    #[track_caller]
    fn start(site: &Site) -> Machines {
        Machines::with(site, site, Redis::start())
    }

    #[track_caller]
    fn with(site_a: &Site, site_b: &Site, redis: Redis) -> Machines {
        let a = site_a.start_with(redis);
        let port = Port::take();
        let conf = site_b.conf(port.address(), &a.redis, &a.backend);
        Machines {
            b: Nginx::start(&conf, port.address()),
            a,
            cluster: None,
            bridge: None,
            _port: port,
        }
    }

    /// With each kind of store.
    fn of_each_store() -> [(&'static str, Machines); 3] {
        let one = Machines::start(&Site::new().store(PATIENT));
        let cluster = RedisCluster::options().replicas(0).start();
        let site = Site::new().store(&format!("{}{PATIENT}", cluster.directives()));
        let many = Machines {
            cluster: Some(cluster),
            ..Machines::start(&site)
        };
        let redis = Redis::start();
        let bridge = Bridge::start(&redis.address());
        let site = Site::new()
            .location("redis_cache_pass /redis; redis_cache_pass_timeout 5s;")
            .locations(&bridge.locations());
        let behind = Machines {
            bridge: Some(bridge),
            ..Machines::with(&site, &site, redis)
        };
        [("standalone", one), ("cluster", many), ("location", behind)]
    }

    fn client_of_b(&self) -> Client {
        self.b.client()
    }

    /// What the store has under a key.
    fn stored(&self, key: &str) -> Option<Vec<u8>> {
        let record = match &self.cluster {
            Some(cluster) => cluster.get(key),
            None => self.a.redis.get(key),
        };
        record.map(|record| record.body)
    }

    /// How many connections hear of invalidations.
    fn listeners(&self) -> i64 {
        let count = |redis: &Redis| -> i64 {
            let told: (String, i64) =
                redis.command(&["PUBSUB", "NUMSUB", "redis_cache:invalidated"]);
            told.1
        };
        match &self.cluster {
            None => count(&self.a.redis),
            Some(cluster) => (0..cluster.len())
                .map(|number| {
                    let node = cluster.node(number);
                    let told: redis::RedisResult<(String, i64)> = node.query(|connection| {
                        redis::cmd("PUBSUB")
                            .arg("NUMSUB")
                            .arg("redis_cache:invalidated")
                            .query(connection)
                    });
                    told.map_or(0, |told| told.1)
                })
                .sum(),
        }
    }

    #[track_caller]
    fn wait_for_listeners(&self, count: i64) {
        wait_for("those who hear of invalidations", PATIENCE, || {
            self.listeners() >= count
        });
    }

    /// Waits until nobody holds a lock at B.
    #[track_caller]
    fn wait_until_b_is_free(&self) {
        wait_for("no lock at B", PATIENCE, || {
            let zone = self.b.workers().into_iter().find_map(Zone::of);
            zone.is_some_and(|zone| zone.locks == 0)
        });
    }

    /// Waits until B has said so of a fill.
    #[track_caller]
    fn wait_for_fill_of_b(&self, key: &str, what: &str) {
        let line = format!("fill of \"{key}\": {what}");
        let said = self.b.log().wait_for(Default::default(), &line, PATIENCE);
        assert!(said.is_some(), "{}", self.b.log().tail(20));
    }

    fn finish(self) {
        self.b.finish();
        self.a.nginx.finish();
    }
}
