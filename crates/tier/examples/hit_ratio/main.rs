//! Hit ratios of the tier beside those of LRU and of the optimum: `bench/hit-ratio` starts it, and says more.

#[path = "../../tests/tier/hash.rs"]
mod hash;
mod policies;
mod traces;

use std::process::ExitCode;

use policies::{Ratio, lru, optimum, tier};
use traces::Trace;

const USAGE: &str = "\
bench/hit-ratio [--size BYTES] [FORMAT:FILE...]

Prints, for each trace, which part of the requests and of their bytes is served from a cache of 0.1 %, 1 % and 10 % of the
bytes of all objects: by LRU, by the memory tier (S3-FIFO; each object is stored from its first or from its second use on),
and by the optimum (it knows what comes, and lets go what is wanted last). Without a file: synthetic traces.

  text:FILE      a line for each request: KEY, KEY SIZE or TIME KEY SIZE; # begins a comment
  csv:FILE       columns with commas and a first line that names them: of obj_id, key, lbn or object, and of size;
                 without such a line TIME,KEY,SIZE
  twitter:FILE   CSV of Twitter's cache clusters: TIME,KEY,KEY SIZE,VALUE SIZE,CLIENT,OPERATION,TTL; gets alone
  oracle:FILE    libCacheSim's oracleGeneral: 24 bytes each, TIME (4), KEY (8), SIZE (4), next use (8), little-endian
  u32be:FILE     keys alone, 4 bytes each, big-endian (cache2k's)
  u64be:FILE     keys alone, 8 bytes each, big-endian (Scarab's)
  --size BYTES   size of an object whose trace has none (4096)
";

/// Parts of the objects' bytes, in thousandths.
const SIZES: [u64; 3] = [1, 10, 100];

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("{trouble}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let mut size = 4096;
    let mut files = Vec::new();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--help" => {
                print!("{USAGE}");
                return Ok(());
            }
            "--size" => {
                let given = arguments.next().and_then(|given| given.parse().ok());
                size = given.filter(|size| *size > 0).ok_or(USAGE)?;
            }
            _ => files.push(argument),
        }
    }
    println!("Part of the requests / of their bytes that is served from the cache, in %.\n");
    println!("| trace | requests | objects | MB | cache | LRU | tier | tier, 2nd use | optimum |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    if files.is_empty() {
        for (exponent, scans) in [(1.0, false), (0.8, false), (1.0, true), (0.8, true)] {
            report(&traces::zipf(exponent, scans));
        }
    }
    for file in &files {
        report(&traces::read(file, size)?);
    }
    Ok(())
}

/// Prints the lines of a trace.
fn report(trace: &Trace) {
    let (objects, bytes) = trace.objects();
    for size in SIZES {
        let cache = bytes * size / 1000;
        let ratios = [
            Some(lru(trace, cache)),
            tier(trace, cache, 1),
            tier(trace, cache, 2),
            Some(optimum(trace, cache)),
        ];
        let cells: Vec<_> = ratios.into_iter().map(cell).collect();
        println!(
            "| {} | {} | {objects} | {:.1} | {} % | {} |",
            trace.name,
            trace.requests.len(),
            bytes as f64 / 1e6,
            size as f64 / 10.0,
            cells.join(" | ")
        );
    }
}

fn cell(ratio: Option<Ratio>) -> String {
    ratio.map_or_else(
        || "too small".to_owned(),
        |ratio| {
            let (requests, bytes) = ratio.percent();
            format!("{requests:.1} / {bytes:.1}")
        },
    )
}
