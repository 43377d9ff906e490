//! Whatever a location does with plain nginx, it does with this module: the same configuration stands in two servers of
//! one nginx, one with `proxy_cache` (or `proxy_pass` alone) and one with the module, and both are asked the same.

mod ask;
mod behind;
mod cases;
mod compare;
mod differences;
mod marks;
mod scene;
mod state;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ask::{Answered, Protocol, Question};
use cases::Case;
use compare::{Outcome, findings};
use differences::DIFFERENCES;
use marks::Report;
use scene::{Equipment, Scene, Side};
use state::State;
use testbed::{PATIENCE, Zone, wait_for, workspace};

/// Questions at once.
const THREADS: usize = 16;

/// Questions that take longer are named: nothing here should.
const SLOW: Duration = Duration::from_secs(4);

/// Longer than the 1 s for which records of the stale states are fresh.
const LAPSE: Duration = Duration::from_millis(2_100);

#[test]
fn everything_is_as_in_plain_nginx() {
    let equipment = Equipment::new();
    let cases: Vec<Case> = cases::all()
        .into_iter()
        .filter(|case| case.needs.iter().all(|what| equipment.has(what)))
        .filter(wanted)
        .collect();
    let scene = Scene::start(&cases, &equipment);
    let jobs: Vec<_> = cases
        .iter()
        .enumerate()
        .flat_map(|(number, case)| Protocol::ALL.map(|protocol| (number, case, protocol)))
        .filter(|(_, case, protocol)| protocol.fits(case) && protocol.has_its_turn(case))
        .collect();
    let answers = Mutex::new(Vec::new());
    let ask = |states: &[State], keep: bool| {
        in_parallel(&jobs, |&(number, case, protocol)| {
            for &state in states {
                if state == State::Joined && case.single {
                    continue;
                }
                for side in [Side::Reference, Side::Module] {
                    let question = Question {
                        case,
                        number,
                        protocol,
                        state,
                        side,
                    };
                    let began = Instant::now();
                    let answered = question.ask(&scene);
                    if began.elapsed() > SLOW {
                        println!(
                            "{:?} for {}: {} {state:?} {side:?}",
                            began.elapsed(),
                            case.name,
                            protocol.word()
                        );
                    }
                    if keep {
                        answers.lock().unwrap().push((question, answered));
                    }
                }
            }
        });
    };
    // Leaves the records that become stale while the others are asked for.
    ask(&[State::Stale], false);
    let lapsing = Instant::now();
    ask(&[State::Miss, State::Joined, State::Skip], true);
    wait_for_stores(&scene);
    ask(&[State::Hit], true);
    wait_for("records to become stale", PATIENCE, || {
        lapsing.elapsed() > LAPSE
    });
    ask(&[State::Stale], true);
    let report = compared(&scene, &answers.into_inner().unwrap());
    report.check();
}

/// Whether the variable DIFFERENTIAL_CASE, part of a name, says so; without it all are.
fn wanted(case: &Case) -> bool {
    let part = std::env::var("DIFFERENTIAL_CASE").unwrap_or_default();
    case.name == "a page" || case.name.contains(&part)
}

/// Runs `work` on each of `jobs`.
fn in_parallel<T: Sync>(jobs: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(job);
                }
            });
        }
    });
}

/// Until no fill has its record still to write. A fill that hangs shows in what is compared.
fn wait_for_stores(scene: &Scene) {
    let quiet = testbed::eventually(Duration::from_secs(10), || {
        let mut zones = scene.nginx.workers().into_iter().filter_map(Zone::of);
        zones.next().filter(Zone::is_quiet).map(drop)
    });
    if quiet.is_none() {
        println!("some fills don't end");
    }
}

fn compared(scene: &Scene, answers: &[(Question, Vec<Answered>)]) -> Report {
    wait_for_log(scene, answers);
    let lines = compare::log_lines(scene);
    let mut sides: BTreeMap<_, Vec<&(Question, Vec<Answered>)>> = BTreeMap::new();
    for answer in answers {
        let (question, _) = answer;
        let of = (question.number, question.protocol.word(), question.state);
        sides.entry(of).or_default().push(answer);
    }
    let mut report = Report::default();
    for pair in sides.values() {
        let [(asked, plain), (question, ours)] = pair.as_slice() else {
            panic!("two sides");
        };
        assert_eq!((asked.side, question.side), (Side::Reference, Side::Module));
        let outcomes = |question: &Question, answers: &[Answered]| {
            let answers = answers.iter().enumerate();
            let mut outcomes: Vec<_> = answers
                .map(|(nth, answered)| Outcome::of(question, nth, answered, scene, &lines))
                .collect();
            // Of several at once any may be the one that asks the backend.
            outcomes.sort_by(|one, other| one.cache.cmp(&other.cache));
            outcomes
        };
        let pairs = outcomes(asked, plain)
            .into_iter()
            .zip(outcomes(question, ours));
        for (mut reference, mut module) in pairs {
            for (index, difference) in DIFFERENCES.iter().enumerate() {
                if (difference.excuse)(question, &mut reference, &mut module) {
                    report.excused(index);
                }
            }
            report.add(question, findings(question, &reference, &module));
        }
    }
    report
}

/// The lines of the access log come when the requests are over.
fn wait_for_log(scene: &Scene, answers: &[(Question, Vec<Answered>)]) {
    let awaited: usize = answers
        .iter()
        .map(|(_, answers)| answers.iter().filter(|answer| answer.is_ok()).count())
        .sum();
    let came = testbed::eventually(Duration::from_secs(5), || {
        (compare::log_lines(scene).len() >= awaited).then_some(())
    });
    if came.is_none() {
        println!("some of {awaited} lines of the access log are missing");
    }
}

#[test]
fn the_documentation_lists_the_differences() {
    let page = fs::read_to_string(workspace().join("docs/http/differences.md")).unwrap();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let page = words(&page);
    for difference in DIFFERENCES {
        let item = format!("- {}. Reason: {}.", difference.what, difference.why);
        assert!(
            page.contains(&item),
            "docs/http/differences.md lacks:\n{item}"
        );
    }
    assert_eq!(page.matches(" Reason: ").count(), DIFFERENCES.len());
}
