//! The walk: what the module does, step by step, each line checked.

use std::time::Duration;

use testbed::{PATIENCE, eventually, ms};

use crate::pages::{DELAY, edition};
use crate::scene::{Expect, Scene};
use crate::table::{Row, Table};

/// What "at once" means of an answer from Redis. It takes less than a millisecond on an idle machine.
const AT_ONCE: Duration = ms(100);
/// What it means of many at the same moment, who share the machine: sooner than the site makes a page.
const ALL_AT_ONCE: Duration = ms(500);
/// What an answer of the site may take beyond its own delay.
const SLACK: Duration = ms(5000);
/// How long the site sleeps while its news are stale: much longer than an answer from Redis takes.
const SLEEP: Duration = ms(4000);
/// How long it may take until Redis is used again by every worker.
const BACK: Duration = ms(1000);

/// One step: its title and what it shows. It ends early if a row can't be shown at all.
type Step = (&'static str, fn(&mut Scene, &mut Table));

/// All steps in their order.
pub const STEPS: [Step; 5] = [
    (
        "A page nobody asked for before: the site makes it, Redis keeps it",
        miss_and_hit,
    ),
    (
        "100 readers at the same moment for a page that isn't there yet: made once",
        crowd,
    ),
    (
        "A page that is old by now, while the site is half asleep: answered at once",
        stale,
    ),
    (
        "Redis is stopped: memory carries on alone, and a new page is still made once",
        stopped,
    ),
    (
        "Redis is started again: both workers use it again within a second",
        started,
    ),
];

fn expect(
    words: &'static [&'static str],
    from: Duration,
    to: Duration,
    backend: Option<usize>,
) -> Expect {
    Expect {
        words,
        from,
        to,
        backend,
        text: edition(1),
        note: "",
    }
}

/// From the cache: at once, and nothing reaches the site.
fn cached(words: &'static [&'static str]) -> Expect {
    expect(words, Duration::ZERO, AT_ONCE, Some(0))
}

/// The same for many at the same moment.
fn all_cached(words: &'static [&'static str]) -> Expect {
    expect(words, Duration::ZERO, ALL_AT_ONCE, Some(0))
}

/// From the site: after its delay, for so many requests.
fn made(words: &'static [&'static str], backend: usize) -> Expect {
    expect(words, DELAY, DELAY + SLACK, Some(backend))
}

fn miss_and_hit(scene: &mut Scene, table: &mut Table) {
    let mut client = scene.nginx.client();
    table.row(scene.get(&mut client, "/", &made(&["STORE"], 1)));
    let _ = scene.redis.wait_for_record(&scene.key("/"));
    table.measured(|| scene.get(&mut client, "/", &cached(&["HIT"])));
    table.measured(|| scene.get(&mut client, "/", &cached(&["HIT"])));
}

fn crowd(scene: &mut Scene, table: &mut Table) {
    table.row(scene.crowd(100, "/about.html", &made(&["1 STORE", "99 HIT"], 1)));
    let _ = scene.redis.wait_for_record(&scene.key("/about.html"));
    table.measured(|| scene.crowd(100, "/about.html", &all_cached(&["100 HIT"])));
}

fn stale(scene: &mut Scene, table: &mut Table) {
    let mut client = scene.nginx.client();
    table.row(scene.get(&mut client, "/news.html", &made(&["STORE"], 1)));
    // How many editions readers may have seen.
    let mut known = 0;
    // What the refill costs isn't its reader's concern: it is counted when it is done.
    let served = |words, known| Expect {
        backend: None,
        text: edition(known),
        ..cached(words)
    };
    table.measured(|| {
        if known > 0 {
            // Measured again, by a reader who sets another refill off.
            let _ = refilled(scene, known);
        }
        known += 1;
        wait_until_old(scene);
        scene.pages.take(SLEEP);
        scene.get(&mut client, "/news.html", &served(&["STALE"], known))
    });
    let next = Expect {
        note: ", next on the same connection",
        ..cached(&["HIT"])
    };
    table.measured(|| scene.get(&mut client, "/", &next));
    let all = Expect {
        to: ALL_AT_ONCE,
        ..served(&["50 STALE"], known)
    };
    table.measured(|| scene.crowd(50, "/news.html", &all));
    table.row(refilled(scene, known));
    scene.pages.take(DELAY);
}

/// demo.conf keeps a record for 5 minutes past its freshness.
fn wait_until_old(scene: &Scene) {
    let key = scene.key("/news.html");
    let _ = scene.redis.wait_for_record(&key);
    let old = eventually(PATIENCE, || {
        (scene.redis.pttl(&key) <= 300_000).then_some(())
    });
    assert!(old.is_some(), "the news never get old");
}

/// The first answer that has the refill in it, behind so many editions.
fn refilled(scene: &Scene, known: usize) -> Row {
    let mut client = scene.nginx.client();
    let mut refills = 0;
    let answer = eventually(SLEEP + SLACK, || {
        // Counted before: the new edition, whose making took so long, is old again, and who reads it sets off the next.
        refills = scene.backend.hits("/news.html") - known;
        let answer = client.exchange(&scene.request("/news.html")).ok()?;
        answer
            .text()
            .contains(&edition(known + 1))
            .then_some(answer)
    });
    let mut wrong = Vec::new();
    if answer.is_none() {
        wrong.push("the new edition never came".to_owned());
    }
    if refills != 1 {
        wrong.push(format!("{refills} refills, should be one"));
    }
    Row {
        what: "GET /news.html, once the site woke up".to_owned(),
        words: answer
            .as_ref()
            .map(testbed::Response::word)
            .unwrap_or_default(),
        time: answer.map(|answer| answer.last_byte).unwrap_or_default(),
        backend: Some(refills),
        wrong,
        untimely: None,
    }
}

fn stopped(scene: &mut Scene, table: &mut Table) {
    scene.redis.stop();
    let mut client = scene.nginx.client();
    let any = |expect| Expect {
        text: edition_of_any(),
        ..expect
    };
    // Whoever finds out that it is down may get the page from the site.
    let _ = client.exchange(&scene.request("/logo.svg"));
    table.measured(|| scene.get(&mut client, "/", &any(cached(&["HIT"]))));
    // Of both workers.
    table.row(scene.crowd(100, "/contact.html", &any(made(&["1 STORE", "99 HIT"], 1))));
    table.measured(|| scene.crowd(100, "/contact.html", &any(all_cached(&["100 HIT"]))));
}

fn started(scene: &mut Scene, table: &mut Table) {
    // Each worker finds out by itself.
    let mut clients = scene
        .client_of_each_worker()
        .expect("a connection to each worker");
    let mut again = false;
    table.measured(|| {
        if again {
            scene.redis.stop();
        }
        again = true;
        scene.redis.run();
        let took = scene.until_used(&mut clients, "/logo.svg");
        let untimely =
            (took.is_none_or(|took| took > BACK)).then(|| format!("should take {BACK:?} at most"));
        Row {
            what: "GET /logo.svg?... of both until Redis has it".to_owned(),
            words: if took.is_some() { "STORE" } else { "SKIP" }.to_owned(),
            time: took.unwrap_or(PATIENCE),
            backend: None,
            wrong: Vec::new(),
            untimely,
        }
    });
    let mut client = scene.nginx.client();
    // It was started empty.
    let any = |expect| Expect {
        text: edition_of_any(),
        ..expect
    };
    table.row(scene.get(&mut client, "/", &any(made(&["STORE"], 1))));
    let _ = scene.redis.wait_for_record(&scene.key("/"));
    table.measured(|| scene.get(&mut client, "/", &any(cached(&["HIT"]))));
}

/// Found in every edition.
fn edition_of_any() -> String {
    "of this page".to_owned()
}
