//! What huge answers to slow readers cost.

use testbed::{Client, Faucet, PATIENCE, Request, Vitals, holds_for, ms, wait_for};

use crate::{BUFFERED, BUFFERS, sip, with_faucet, worker};

#[test]
fn a_huge_answer_to_a_slow_reader_costs_little_memory_buffered() {
    a_huge_answer_costs_little_memory(BUFFERED);
}

pub(crate) fn a_huge_answer_costs_little_memory(buffering: &str) {
    let size = 200_000_000;
    {
        let faucets = [
            (
                "no-store",
                Faucet::start(size, "Cache-Control: no-store\r\n"),
                0,
            ),
            ("length", Faucet::start(size, ""), 0),
            // Captured up to the limit of 8 MB, which is then given back.
            ("chunked", Faucet::chunked(size, ""), 9),
        ];
        for (name, faucet, megabytes) in faucets {
            let name = format!("{buffering} {name}");
            let site = with_faucet(buffering, &faucet).start();
            let pid = worker(&site);
            // A worker that hasn't answered yet shares its memory with the master.
            assert_eq!(site.get("/warm").status, 200);
            let before = Vitals::of(pid).unwrap();
            Vitals::reset_peak(pid);
            let mut client = Client::connect_narrow(site.address(), 64 * 1024).unwrap();
            client.send(&Request::get("/x")).unwrap();
            let mut answer = client.receive_header().unwrap();
            // A second at 4 MB/s, then nothing for a while, then as fast as it goes.
            let mut at = sip(&mut client, &mut answer, 0, 4_000_000, 4_000_000);
            // The buffers between them fill up, and then the backend stands still.
            let mut poured = faucet.poured();
            wait_for("the backend to stand still", PATIENCE, || {
                let before = std::mem::replace(&mut poured, faucet.poured());
                before == poured && holds_for(ms(300), || faucet.poured() == poured)
            });
            let paused = Vitals::of(pid).unwrap();
            println!("{name}: before {before:?}, paused {paused:?} at {at}, poured {poured}");
            assert!(
                poured < at + BUFFERS,
                "{name}: the backend wrote {poured} for a reader at {at}"
            );
            assert!(
                holds_for(ms(200), || faucet.poured() < poured + 1_000_000),
                "{name}: the backend writes on"
            );
            at = sip(&mut client, &mut answer, at, size, 1 << 40);
            assert_eq!(at, size, "{name}");
            assert!(answer.complete, "{name}");
            let peak = Vitals::of(pid).unwrap().peak;
            let most = before.rss + 1024 * megabytes + 3 * 1024;
            assert!(
                peak < most,
                "{name}: peak {peak} kB, {} kB before",
                before.rss
            );
            assert!(site.redis.keys().is_empty(), "{name}");
            assert_eq!(faucet.requests(), 1, "{name}");
        }
    }
}

#[test]
fn many_huge_answers_cost_little_memory_each_buffered() {
    many_huge_answers_cost_little_memory(BUFFERED);
}

pub(crate) fn many_huge_answers_cost_little_memory(buffering: &str) {
    {
        let faucet = Faucet::start(200_000_000, "Cache-Control: no-store\r\n");
        let site = with_faucet(buffering, &faucet).start();
        let pid = worker(&site);
        // A worker that hasn't answered yet shares its memory with the master.
        assert_eq!(site.get("/warm").status, 200);
        let before = Vitals::of(pid).unwrap();
        let mut clients = Vec::new();
        for number in 0..20 {
            let mut client = Client::connect_narrow(site.address(), 64 * 1024).unwrap();
            client.send(&Request::get(&format!("/{number}"))).unwrap();
            let answer = client.receive_header().unwrap();
            clients.push((client, answer));
        }
        for (client, answer) in &mut clients {
            sip(client, answer, 0, 1_000_000, 1 << 40);
        }
        let after = Vitals::of(pid).unwrap();
        println!("{buffering} 20 readers: {before:?}, {after:?}");
        assert!(
            after.rss < before.rss + 20 * 700,
            "{buffering} {before:?}, {after:?}"
        );
        clients.into_iter().for_each(|(client, _)| client.reset());
        wait_for("the backend's connections to end", PATIENCE, || {
            faucet.open() == 0
        });
    }
}
