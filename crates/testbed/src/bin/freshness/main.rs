//! `make freshness`: how long a memory tier serves what Redis has no more.
//!
//! `freshness SECONDS [calm|trouble] [SEED]`: four instances of nginx with a memory tier each before one Redis. Writers change, delete and
//! expire records at random, by Redis, by an invalidation through one of the instances, by FLUSHALL. Each answer has a
//! version, which is compared with what Redis had when its request came. No answer may be older than the lease of a tier
//! (3 s), whatever is frozen, cut or killed.

mod history;
#[path = "../soak/rng.rs"]
mod rng;
mod trouble;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use testbed::{Answer, Client, Record, Redis, Request, Running, Site, ms};

use history::{Answer as Judged, History};
use rng::Rng;

const INSTANCES: usize = 4;
const READERS: usize = 8;
const WRITERS: usize = 2;
const KEYS: usize = 64;

/// How old an answer may be: the lease of a tier, and what a busy machine takes to send it.
const LEASE: Duration = Duration::from_secs(3);

/// How long a record lives that expires.
const SHORT: Duration = Duration::from_millis(30);

/// What the backend says: nothing of it is stored.
const GONE: &str = "gone";

#[derive(Default)]
struct Counts {
    answers: AtomicUsize,
    memory: AtomicUsize,
    gone: AtomicUsize,
    old: AtomicUsize,
    failed: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

struct Scene {
    redis: Mutex<Redis>,
    addresses: Vec<SocketAddr>,
    histories: Vec<History>,
    /// Whoever empties Redis has it alone.
    whole: RwLock<()>,
    over: AtomicBool,
    /// No worker is killed.
    calm: bool,
    counts: Counts,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let seconds = words.first().and_then(|word| word.parse().ok());
    let calm = match words.get(1).map_or("calm", String::as_str) {
        "calm" => Some(true),
        "trouble" => Some(false),
        _ => None,
    };
    let seed = words.get(2).map_or(Some(1), |word| word.parse().ok());
    let (Some(seconds), Some(calm), Some(seed)) = (seconds, calm, seed) else {
        eprintln!("usage: freshness SECONDS [calm|trouble] [SEED]");
        return ExitCode::from(2);
    };
    println!("freshness, {seconds} s, seed {seed}");
    let redis = Redis::start();
    let sites: Vec<Mutex<Running>> = (0..INSTANCES)
        .map(|_| Mutex::new(instance(&redis)))
        .collect();
    let scene = Scene {
        addresses: sites
            .iter()
            .map(|site| site.lock().unwrap().address())
            .collect(),
        redis: Mutex::new(redis),
        histories: (0..KEYS).map(|_| History::default()).collect(),
        whole: RwLock::new(()),
        over: AtomicBool::new(false),
        calm,
        counts: Counts::default(),
    };
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut rng = Rng::new(seed);
    let troubles = thread::scope(|scope| {
        let scene = &scene;
        for number in 0..WRITERS {
            let rng = Rng::new(seed.wrapping_add(100 + number as u64));
            scope.spawn(move || write(scene, number, rng));
        }
        for number in 0..READERS {
            let rng = Rng::new(seed.wrapping_add(200 + number as u64));
            scope.spawn(move || read(scene, number % INSTANCES, rng));
        }
        let troubles = match calm {
            true => 0,
            false => trouble::make(&scene.redis, &sites, end, &mut rng),
        };
        thread::sleep(end.saturating_duration_since(Instant::now()));
        scene.over.store(true, Relaxed);
        troubles
    });
    report(&scene, troubles)
}

fn instance(redis: &Redis) -> Running {
    let site = Site::new()
        .spread()
        .http("keepalive_requests 1000000;")
        .store(&format!(
            "server {}; memory 16m min_uses=1 alone=off; fail_timeout 100ms;",
            redis.address()
        ))
        .location("redis_cache_invalidate on; redis_cache_stale 0; add_header X-Source $redis_cache_source always;")
        .start();
    site.backend
        .set_otherwise(Answer::ok(GONE).header("Cache-Control", "no-store"));
    site
}

fn key(number: usize) -> String {
    format!("/{number}")
}

/// Changes records, one after the other, each of its own.
fn write(scene: &Scene, number: usize, mut rng: Rng) {
    let mut clients: Vec<Option<Client>> = scene.addresses.iter().map(|_| None).collect();
    while !scene.over.load(Relaxed) {
        thread::sleep(ms(1 + rng.below(4)));
        if number == 0 && rng.below(2000) == 0 {
            let _alone = scene.whole.write().unwrap();
            if scene.command::<()>(&["FLUSHALL"]) {
                let at = Instant::now();
                scene
                    .histories
                    .iter()
                    .for_each(|history| history.changed(at));
            }
            continue;
        }
        let _one_of_many = scene.whole.read().unwrap();
        let place = usize::try_from(rng.below((KEYS / WRITERS) as u64)).unwrap() * WRITERS + number;
        let (history, key) = (&scene.histories[place], key(place));
        match rng.below(10) {
            0 => {
                if scene.command::<i64>(&["DEL", &key]) {
                    history.changed(Instant::now());
                }
            }
            1 => {
                let instance = usize::try_from(rng.below(INSTANCES as u64)).unwrap();
                if post(&mut clients[instance], scene.addresses[instance], &key) {
                    history.changed(Instant::now());
                }
            }
            _ => {
                let text = history.next().to_string();
                let written = scene
                    .connection(|connection| Record::lua_text(&text).write(connection, &key, 600));
                if !written {
                    continue;
                }
                history.changed(Instant::now());
                let millis = SHORT.as_millis().to_string();
                if rng.percent(10) && scene.command::<i64>(&["PEXPIRE", &key, &millis]) {
                    // What follows is later: it expires by itself.
                    thread::sleep(SHORT);
                    history.changed(Instant::now());
                }
            }
        }
    }
}

impl Scene {
    /// Whether Redis has taken it. One that is frozen takes nothing.
    fn connection(
        &self,
        run: impl FnOnce(&mut redis::Connection) -> redis::RedisResult<()>,
    ) -> bool {
        let mut connection = match self.redis.lock().unwrap().connect() {
            Ok(connection) => connection,
            Err(_) => return false,
        };
        run(&mut connection).is_ok()
    }

    fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> bool {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        self.connection(|connection| command.query::<T>(connection).map(drop))
    }
}

/// Whether an invalidation was answered.
fn post(client: &mut Option<Client>, address: SocketAddr, key: &str) -> bool {
    let answer = exchange(client, address, &Request::post(key, "x"));
    answer.is_ok_and(|answer| answer.status == 200)
}

fn exchange(
    client: &mut Option<Client>,
    address: SocketAddr,
    request: &Request,
) -> io::Result<testbed::Response> {
    let mut connected = match client.take() {
        Some(client) => client,
        None => Client::try_connect(address)?,
    };
    let answer = connected.exchange(request)?;
    *client = Some(connected);
    Ok(answer)
}

/// Asks for records at random, and judges each answer.
fn read(scene: &Scene, instance: usize, mut rng: Rng) {
    let (counts, mut client) = (&scene.counts, None);
    while !scene.over.load(Relaxed) {
        let place = usize::try_from(rng.below(KEYS as u64)).unwrap();
        let came = Instant::now();
        let Ok(answer) = exchange(
            &mut client,
            scene.addresses[instance],
            &Request::get(&key(place)),
        ) else {
            // A worker that was killed has no answer.
            counts.failed.fetch_add(1, Relaxed);
            continue;
        };
        if !answer.complete && !scene.calm {
            // It was killed behind the header.
            counts.failed.fetch_add(1, Relaxed);
            client = None;
            continue;
        }
        counts.answers.fetch_add(1, Relaxed);
        if answer.header("x-source").as_deref() == Some("memory") {
            counts.memory.fetch_add(1, Relaxed);
        }
        let text = answer.text();
        if text == GONE && answer.status == 200 {
            counts.gone.fetch_add(1, Relaxed);
            continue;
        }
        let judged = text.parse().map_or(Judged::Unknown, |version| {
            scene.histories[place].judge(version, came)
        });
        match judged {
            Judged::Current => {}
            Judged::Old(late) => {
                counts.old.fetch_add(1, Relaxed);
                if late > LEASE {
                    let line = format!("{} got {text} {late:?} too late", key(place));
                    counts.wrong.lock().unwrap().push(line);
                }
            }
            Judged::Unknown => {
                let line = format!("{}: status {}, {text:?}", key(place), answer.status);
                counts.wrong.lock().unwrap().push(line);
            }
        }
    }
}

fn report(scene: &Scene, troubles: usize) -> ExitCode {
    let counts = &scene.counts;
    let mut late: Vec<Duration> = scene.histories.iter().flat_map(History::lateness).collect();
    late.sort();
    let quantile = |share: f64| {
        let place = (late.len() as f64 * share) as usize;
        late.get(place.min(late.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    };
    println!(
        "{} answers, {} from memory, {} of the backend, {} older than Redis, {} requests without an answer; {} changes, {troubles} troubles",
        counts.answers.load(Relaxed),
        counts.memory.load(Relaxed),
        counts.gone.load(Relaxed),
        counts.old.load(Relaxed),
        counts.failed.load(Relaxed),
        late.len(),
    );
    println!(
        "from a change to the last request with an older answer: p50 {:?}, p99 {:?}, p99.9 {:?}, longest {:?}",
        quantile(0.5),
        quantile(0.99),
        quantile(0.999),
        quantile(1.0)
    );
    let wrong = counts.wrong.lock().unwrap();
    wrong
        .iter()
        .take(20)
        .for_each(|line| println!("WRONG: {line}"));
    let slow = scene.calm && quantile(0.99) > ms(5);
    if slow {
        println!("WRONG: the 99th percentile is above 5 ms");
    }
    if wrong.is_empty() && !slow {
        println!("all is well");
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
