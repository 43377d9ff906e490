//! `make demo`: shows what the module does, with an nginx, a Redis and a slow site of its own.
//!
//! Every line that it shows is checked. With `--once` it leaves after the walk, with status 0 if all was true; else it
//! stays for trying by hand until Ctrl-C.

mod pages;
mod scene;
mod table;
mod walk;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use testbed::{ms, nginx_version};

use scene::Scene;
use table::Table;

const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let once = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--once"] => true,
        _ => {
            eprintln!("usage: demo [--once]");
            return ExitCode::from(2);
        }
    };
    let leave = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&leave)).expect("a signal handler");
    }
    testbed::keep_ctrl_c_from_servers();
    let left = || leave.load(Ordering::Relaxed);

    let mut scene = Scene::start();
    let mut table = Table::new();
    introduce(&scene, &table);
    for (number, (title, show)) in walk::STEPS.into_iter().enumerate() {
        table.step(number + 1, title);
        show(&mut scene, &mut table);
        if left() {
            return go(scene, &table, ExitCode::from(INTERRUPTED));
        }
    }
    if !table.end() {
        table.say(&format!(
            "\nnginx's error log:\n{}",
            scene.nginx.log().tail(20)
        ));
        return go(scene, &table, ExitCode::FAILURE);
    }
    if !once {
        invite(&scene, &table);
        while !left() {
            thread::park_timeout(ms(100));
        }
    }
    go(scene, &table, ExitCode::SUCCESS)
}

fn introduce(scene: &Scene, table: &Table) {
    table.say(&format!(
        "nginx {} with the module (two workers), Redis at {},\nand a site that takes {} ms for each page. \
         (Without Redis: nginx-conf/memory.conf\nkeeps the records in nginx's own memory.)\n",
        nginx_version(),
        scene.redis.address(),
        pages::DELAY.as_millis(),
    ));
    table.columns();
}

fn invite(scene: &Scene, table: &Table) {
    let prefix = scene.nginx.prefix();
    table.say(&format!(
        "\nTry it by hand, Ctrl-C ends it:\n\n   {}\n   {}\n\n\
         or open {} in a browser. What is in Redis:\n\n   redis-cli -p {} --scan\n\n\
         nginx's configuration and error log:\n\n   {}\n   {}",
        table.paint("1", &format!("curl -i {}", scene.url("/"))),
        table.paint("1", &format!("curl -i {}", scene.url("/news.html"))),
        scene.url("/"),
        scene.redis.port(),
        prefix.join("conf/nginx.conf").display(),
        prefix.join("logs/error.log").display(),
    ));
}

/// Stops all servers.
fn go(mut scene: Scene, table: &Table, status: ExitCode) -> ExitCode {
    if status != ExitCode::SUCCESS {
        // What it says of a walk broken off is no news.
        scene.nginx.allow("");
    }
    drop(scene);
    table.say("\nnginx, Redis and the site are stopped.");
    status
}
