//! Four machines of two workers with one store: while pages are changed and purged at random on any of them, each answer is
//! compared with what was acknowledged before its request came.

use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use testbed::{
    Answer, Backend, Client, Nginx, Port, Redis, RedisCluster, Request, Sentinels, Site, ms,
};

use crate::{request, site};

const MACHINES: usize = 4;
const GROUPS: usize = 3;
const PAGES: usize = 4;

/// How long each scene goes on, in milliseconds, unless the environment says more (`PURGE_SECONDS`).
const TIME: u64 = 2500;

/// What nginx's clock, which counts milliseconds, may take off.
const TICK: Duration = Duration::from_millis(5);

/// A change of a page, acknowledged at this time.
#[derive(Clone, Copy)]
struct Change {
    at: Instant,
    is_soft: bool,
    /// The machine that took the purge.
    by: usize,
}

/// A page: its version, and its changes. The change of number n makes versions up to n old.
#[derive(Default)]
struct Page {
    version: AtomicUsize,
    changes: Mutex<Vec<Change>>,
}

struct Scene {
    name: &'static str,
    machines: Vec<Nginx>,
    pages: Vec<Arc<Page>>,
    /// How long a purge may take to be known on other machines.
    bound: Duration,
    is_over: AtomicBool,
    /// For how long after a purge requests came that got an older answer, on other machines.
    late: Mutex<Vec<Duration>>,
    redis: Redis,
}

fn path(group: usize, page: usize) -> String {
    format!("/p/{group}/{page}")
}

/// Numbers without a pattern, always the same ones.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

impl Scene {
    /// Changes pages of one group and purges them, on any machine and in any way.
    fn write(&self, group: usize) -> usize {
        let mut random = Random(group as u64 + 1);
        let mut clients: Vec<Client> = self.machines.iter().map(Nginx::client).collect();
        let mut count = 0;
        while !self.is_over.load(SeqCst) {
            let (by, page, is_soft) = (
                random.below(MACHINES),
                random.below(PAGES),
                random.below(4) == 0,
            );
            let (purge, concerned) = match random.below(4) {
                0 => (vec![format!("PURGE {}", path(group, page))], page..page + 1),
                1 => (vec![format!("PURGE /p/{group}/*")], 0..PAGES),
                2 => (
                    vec!["PURGE /".into(), format!("xkey: page-{group}-{page}")],
                    page..page + 1,
                ),
                _ => (
                    vec!["PURGE /".into(), format!("xkey: group-{group}")],
                    0..PAGES,
                ),
            };
            let concerned: Vec<&Page> = concerned
                .map(|page| &*self.pages[group * PAGES + page])
                .collect();
            for page in &concerned {
                page.version.fetch_add(1, SeqCst);
            }
            let mut lines: Vec<&str> = purge.iter().map(String::as_str).collect();
            lines.insert(1, "Host: example.com");
            if is_soft {
                lines.push("Fastly-Soft-Purge: 1");
            }
            let answer = clients[by].ask(&request(&lines));
            assert_eq!(
                answer.status,
                200,
                "{}: {lines:?}: {}",
                self.name,
                answer.text()
            );
            let at = Instant::now();
            for page in &concerned {
                page.changes
                    .lock()
                    .unwrap()
                    .push(Change { at, is_soft, by });
            }
            count += 1;
            // Between two purges there is time for some hits.
            thread::sleep(ms(random.below(40) as u64));
        }
        count
    }

    /// Asks one machine for pages. Gives how many answers there were, and how many of them were hits.
    fn read(&self, reader: usize) -> (usize, usize) {
        let (machine, mut random) = (reader % MACHINES, Random(1000 + reader as u64));
        let mut client = self.machines[machine].client();
        let (mut count, mut hits) = (0, 0);
        while !self.is_over.load(SeqCst) {
            let place = random.below(GROUPS * PAGES);
            let target = path(place / PAGES, place % PAGES);
            let came = Instant::now();
            let answer = client.ask(&Request::get(&target).header("Host", "example.com"));
            assert_eq!(answer.status, 200, "{}: {target}", self.name);
            let version: usize = answer.text().parse().unwrap();
            let word = answer.word();
            count += 1;
            hits += usize::from(word == "HIT");
            self.judge(place, version, &word, (came, machine));
        }
        (count, hits)
    }

    #[track_caller]
    fn judge(&self, place: usize, version: usize, word: &str, (came, machine): (Instant, usize)) {
        let changes = self.pages[place].changes.lock().unwrap();
        let later = changes.iter().skip(version);
        for change in later.filter(|change| !(change.is_soft && word == "STALE")) {
            let Some(late) = came.checked_duration_since(change.at) else {
                break;
            };
            let is_own = change.by == machine;
            let bound = if is_own { Duration::ZERO } else { self.bound };
            assert!(
                late <= bound,
                "{}: {word} {place} in version {version} of {}, {late:?} after the purge (soft: {}) by {}",
                self.name,
                changes.len(),
                change.is_soft,
                if is_own {
                    "the same machine"
                } else {
                    "another machine"
                },
            );
            self.late.lock().unwrap().push(late);
        }
    }

    /// Goes on for a while. `trouble` happens again and again meanwhile.
    fn run(&self, trouble: impl Fn(&Scene) + Sync) {
        let seconds: Option<u64> = std::env::var("PURGE_SECONDS")
            .ok()
            .and_then(|text| text.parse().ok());
        let time = ms(seconds.map_or(TIME, |seconds| seconds * 1000));
        let over = Over(&self.is_over);
        thread::scope(|threads| {
            let writers: Vec<_> = (0..GROUPS)
                .map(|group| threads.spawn(move || self.write(group)))
                .collect();
            let readers: Vec<_> = (0..2 * MACHINES)
                .map(|reader| threads.spawn(move || self.read(reader)))
                .collect();
            let end = Instant::now() + time;
            while Instant::now() < end && !writers.iter().any(|writer| writer.is_finished()) {
                thread::sleep(ms(100));
                trouble(self);
            }
            drop(over);
            let purges: usize = writers.into_iter().map(|it| it.join().unwrap()).sum();
            let read: Vec<_> = readers.into_iter().map(|it| it.join().unwrap()).collect();
            let answers: usize = read.iter().map(|(count, _)| count).sum();
            let hits: usize = read.iter().map(|(_, hits)| hits).sum();
            assert!(
                purges > 10 && hits > 100,
                "{}: {purges} purges, {hits} hits",
                self.name
            );
            let mut late = self.late.lock().unwrap();
            late.sort();
            let quantile = |percent: usize| late.get(late.len() * percent / 100).copied();
            println!(
                "{}: {purges} purges, {answers} answers, {hits} hits; {} older than a purge by another machine: half of them by {:?}, 99 % by {:?}, longest {:?}",
                self.name,
                late.len(),
                quantile(50),
                quantile(99),
                late.last(),
            );
        });
    }
}

/// Ends the scene, also where a test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// The scene with a store of these lines. `servers`: what it consists of besides.
#[track_caller]
fn scene(
    name: &'static str,
    store: &str,
    servers: Box<dyn Any + Sync>,
    trouble: impl Fn(&Scene) + Sync,
) {
    let site: Site = site("varnish")
        .workers(2)
        .http("keepalive_requests 1000000;")
        .store(store)
        .location("redis_cache_lock_scope store; redis_cache_age 600s; redis_cache_stale 600s; redis_cache_lock_timeout 60s;");
    let (redis, backend) = (Redis::start(), Backend::start());
    let pages: Vec<Arc<Page>> = (0..GROUPS * PAGES).map(|_| Arc::default()).collect();
    for (place, page) in pages.iter().enumerate() {
        let (group, number) = (place / PAGES, place % PAGES);
        let tags = format!("group-{group} page-{group}-{number}");
        let page = Arc::clone(page);
        backend.script(&path(group, number), move |_, _| {
            let version = page.version.load(SeqCst);
            // Time for a purge to come in between.
            Answer::ok(version.to_string())
                .header("xkey", &tags)
                .delay(ms(5))
        });
    }
    let ports: Vec<Port> = (0..MACHINES).map(|_| Port::take()).collect();
    let start = |port: &Port| {
        let conf = site.conf(port.address(), &redis, &backend);
        Nginx::start(&conf, port.address())
    };
    let machines: Vec<Nginx> = ports.iter().map(start).collect();
    let bound = if store.contains("memory") { 3000 } else { 1000 };
    let scene = Scene {
        name,
        machines,
        pages,
        bound: ms(bound) + TICK,
        is_over: AtomicBool::new(false),
        late: Mutex::default(),
        redis,
    };
    scene.run(trouble);
    let Scene {
        machines, redis, ..
    } = scene;
    machines.into_iter().for_each(Nginx::finish);
    drop((redis, servers));
}

#[test]
fn one_redis() {
    scene("one Redis", "", Box::new(()), |_| {});
}

#[test]
fn one_redis_with_memory() {
    let memory = "memory 16m min_uses=1;";
    scene("one Redis, memory", memory, Box::new(()), |_| {});
}

/// Those who listen are cut off again and again.
#[test]
fn lines_that_are_cut() {
    let memory = "memory 16m min_uses=1;";
    for (name, store) in [("cut lines", ""), ("cut lines, memory", memory)] {
        scene(name, store, Box::new(()), |scene| {
            let words = ["CLIENT", "KILL", "TYPE", "pubsub"];
            let _: i64 = scene.redis.command(&words);
        });
    }
}

#[test]
fn a_cluster_with_memory() {
    let cluster = RedisCluster::options().replicas(0).start();
    let store = format!("{} memory 16m min_uses=1;", cluster.directives());
    scene("Cluster, memory", &store, Box::new(cluster), |_| {});
}

#[test]
fn sentinels() {
    let sentinels = Sentinels::start();
    let store = sentinels.directives();
    scene("Sentinel", &store, Box::new(sentinels), |_| {});
}
