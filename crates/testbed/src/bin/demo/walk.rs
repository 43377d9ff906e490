//! The walk: what the module does, step by step, each line checked.

use std::time::Duration;

use testbed::{PATIENCE, eventually, ms};

use crate::pages::{DELAY, edition};
use crate::scene::{Expect, Scene};
use crate::table::{Row, Table};

/// What an answer from Redis may take on a busy machine. It takes less than a millisecond on an idle one.
const SOON: Duration = ms(2000);
/// What an answer of the site may take beyond its own delay.
const SLACK: Duration = ms(5000);
/// How long the site sleeps while its news are stale: much longer than an answer from Redis takes.
const SLEEP: Duration = ms(4000);
/// How long it may take until Redis is used again: a second, and what a busy machine takes.
const BACK: Duration = ms(4000);

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
        "Redis is stopped: the site answers, and readers notice nothing else",
        stopped,
    ),
    (
        "Redis is started again: used again within a second",
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

/// From the cache: soon, and nothing reaches the site.
fn cached(words: &'static [&'static str]) -> Expect {
    expect(words, Duration::ZERO, SOON, Some(0))
}

/// From the site: after its delay, for so many requests.
fn made(words: &'static [&'static str], backend: usize) -> Expect {
    expect(words, DELAY, DELAY + SLACK, Some(backend))
}

fn miss_and_hit(scene: &mut Scene, table: &mut Table) {
    let mut client = scene.nginx.client();
    table.row(scene.get(&mut client, "/", &made(&["STORE"], 1)));
    let _ = scene.redis.wait_for_record(&scene.key("/"));
    table.row(scene.get(&mut client, "/", &cached(&["HIT"])));
    table.row(scene.get(&mut client, "/", &cached(&["HIT"])));
}

fn crowd(scene: &mut Scene, table: &mut Table) {
    table.row(scene.crowd(100, "/about.html", &made(&["1 STORE", "99 HIT"], 1)));
    let _ = scene.redis.wait_for_record(&scene.key("/about.html"));
    table.row(scene.crowd(100, "/about.html", &cached(&["100 HIT"])));
}

fn stale(scene: &mut Scene, table: &mut Table) {
    let mut client = scene.nginx.client();
    table.row(scene.get(&mut client, "/news.html", &made(&["STORE"], 1)));
    let key = scene.key("/news.html");
    let _ = scene.redis.wait_for_record(&key);
    // demo.conf keeps a record for 5 minutes past its freshness.
    let old = eventually(PATIENCE, || {
        (scene.redis.pttl(&key) <= 300_000).then_some(())
    });
    assert!(old.is_some(), "the news never get old");
    scene.pages.take(SLEEP);
    let before = scene.backend.hits("/news.html");
    // What the refill costs isn't its reader's concern: it is counted when it is done.
    let served = |words, note| Expect {
        backend: None,
        note,
        ..cached(words)
    };
    table.row(scene.get(&mut client, "/news.html", &served(&["STALE"], "")));
    let next = Expect {
        note: ", next on the same connection",
        ..cached(&["HIT"])
    };
    table.row(scene.get(&mut client, "/", &next));
    table.row(scene.crowd(50, "/news.html", &served(&["50 STALE"], "")));
    table.row(refilled(scene, before));
    scene.pages.take(DELAY);
}

/// The first answer that has the refill in it.
fn refilled(scene: &Scene, before: usize) -> Row {
    let mut client = scene.nginx.client();
    let answer = eventually(SLEEP + SLACK, || {
        let answer = client.exchange(&scene.request("/news.html")).ok()?;
        answer.text().contains(&edition(2)).then_some(answer)
    });
    let refills = scene.backend.hits("/news.html") - before;
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
    }
}

fn stopped(scene: &mut Scene, table: &mut Table) {
    scene.redis.stop();
    let mut client = scene.nginx.client();
    let any = |expect| Expect {
        text: edition_of_any(),
        ..expect
    };
    table.row(scene.get(&mut client, "/", &any(made(&["SKIP"], 1))));
    // Once for each worker, or twice if Redis is found down in the middle of it.
    table.row(scene.crowd(100, "/contact.html", &any(made(&["100 SKIP"], 4))));
}

fn started(scene: &mut Scene, table: &mut Table) {
    scene.redis.run();
    // One connection, one worker: each finds out by itself.
    let mut client = scene.nginx.client();
    let took = scene.until_used(&mut client, "/logo.svg", PATIENCE);
    let wrong = match took {
        Some(took) if took <= BACK => Vec::new(),
        _ => vec!["should take a second at most".to_owned()],
    };
    table.row(Row {
        what: "GET /logo.svg, again and again".to_owned(),
        words: if took.is_some() { "STORE" } else { "SKIP" }.to_owned(),
        time: took.unwrap_or(PATIENCE),
        backend: None,
        wrong,
    });
    // It was started empty.
    let any = |expect| Expect {
        text: edition_of_any(),
        ..expect
    };
    table.row(scene.get(&mut client, "/", &any(made(&["STORE"], 1))));
    let _ = scene.redis.wait_for_record(&scene.key("/"));
    table.row(scene.get(&mut client, "/", &any(cached(&["HIT"]))));
}

/// Found in every edition.
fn edition_of_any() -> String {
    "of this page".to_owned()
}
