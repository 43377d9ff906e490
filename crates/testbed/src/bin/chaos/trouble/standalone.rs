//! Trouble of one Redis and the way to it.

use std::thread;
use std::time::Duration;

use testbed::{Gate, Rule, Way, ms};

use super::{Scene, Trouble};
use crate::store::Standalone;

pub const ALL: [Trouble<Standalone>; 7] = [
    trouble("restart", restart),
    trouble("freeze", freeze),
    trouble("refuse", |one, scene| {
        one.proxy.refuse();
        scene.go_on();
        one.proxy.heal();
    }),
    trouble("no listener", |one, scene| {
        one.proxy.stop_listening();
        scene.go_on();
        one.proxy.listen();
    }),
    trouble("cut", |one, scene| {
        let rounds = scene.rng.below(5) + 1;
        for _ in 0..rounds {
            one.proxy.cut();
            thread::sleep(ms(scene.rng.below(200)));
        }
    }),
    trouble("silence", |one, scene| {
        let gate = Gate::new();
        one.proxy.set(Way::Replies, Rule::hold(&gate));
        scene.go_on();
        one.proxy.heal();
        gate.open();
    }),
    trouble("delay", |one, scene| {
        let time = Duration::from_millis(scene.rng.below(150));
        one.proxy.set(Way::Replies, Rule::delay(time));
        scene.go_on();
        one.proxy.heal();
    }),
];

const fn trouble(name: &'static str, make: fn(&Standalone, &mut Scene<'_>)) -> Trouble<Standalone> {
    Trouble {
        name,
        loses: true,
        make,
    }
}

fn restart(one: &Standalone, scene: &mut Scene<'_>) {
    one.redis.lock().expect("Redis").stop();
    scene.go_on();
    one.redis.lock().expect("Redis").run();
}

fn freeze(one: &Standalone, scene: &mut Scene<'_>) {
    one.redis.lock().expect("Redis").freeze();
    scene.go_on();
    one.redis.lock().expect("Redis").thaw();
}
