//! Hits go to pages all over the memory of a tier.

use std::fs;
use std::path::Path;

use super::site;

/// Whether process `pid` has asked for large pages in a mapping that it shares with others, of so many bytes or a little more.
fn asks_for_large_pages(pid: i32, bytes: u64) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let mut shared = false;
    let mut asked = 0;
    let mut size = 0;
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["Size:", kilobytes, "kB"] => size = 1024 * kilobytes.parse::<u64>().unwrap(),
            ["VmFlags:", ref flags @ ..] => {
                asked += if shared && flags.contains(&"hg") {
                    size
                } else {
                    0
                };
            }
            [range, rights, ..] if range.contains('-') => shared = rights == "rw-s",
            _ => {}
        }
    }
    (bytes - bytes / 16..bytes + bytes / 16).contains(&asked)
}

#[test]
fn a_tier_asks_for_large_pages() {
    if !Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
        eprintln!("this system has no large pages");
        return;
    }
    let site = site("").start();
    let worker = site.nginx.workers()[0];
    assert!(asks_for_large_pages(worker, 8 << 20));
}
