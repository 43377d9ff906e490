//! Traces: synthetic ones, and files in some public formats.

use std::collections::HashMap;
use std::fs;

/// A request for an object.
#[derive(Clone, Copy)]
pub struct Request {
    pub key: u64,
    /// Bytes of the object: the same for all requests of a key.
    pub size: u64,
}

/// Requests in the order of their times.
pub struct Trace {
    pub name: String,
    pub requests: Vec<Request>,
}

impl Trace {
    /// How many objects there are, and their bytes.
    pub fn objects(&self) -> (usize, u64) {
        let sizes: HashMap<u64, u64> = self.requests.iter().map(|r| (r.key, r.size)).collect();
        (sizes.len(), sizes.values().sum())
    }

    /// Of keys that are any bytes, and of sizes that may change: the first one counts.
    fn new(name: &str, requests: impl Iterator<Item = (Vec<u8>, u64)>) -> Trace {
        let mut known: HashMap<Vec<u8>, Request> = HashMap::new();
        let requests = requests.map(|(key, size)| {
            let number = known.len() as u64;
            *known.entry(key).or_insert(Request {
                key: number,
                size: size.max(1),
            })
        });
        Trace {
            name: name.to_owned(),
            requests: requests.collect(),
        }
    }
}

/// Numbers that look drawn by lot, always the same ones.
struct Lot(u64);

impl Lot {
    /// From 0 to 1.
    fn draw(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A million requests for 100,000 objects of 1 kB to 256 kB, whose popularity is as Zipf says. With scans: after each
/// 50,000 of them come 5,000 for objects that nobody wants again.
pub fn zipf(exponent: f64, scans: bool) -> Trace {
    const OBJECTS: u32 = 100_000;
    const REQUESTS: u32 = 1_000_000;
    let mut lot = Lot(0x2545_f491_4f6c_dd1d);
    let mut sum = 0.0;
    let sums: Vec<f64> = (1..=OBJECTS)
        .map(|rank| {
            sum += f64::from(rank).powf(-exponent);
            sum
        })
        .collect();
    let size = |key: u64| {
        let mut lot = Lot((key + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        lot.draw();
        // The product of two: most are small.
        1024 + (lot.draw() * lot.draw() * lot.draw() * 255.0 * 1024.0) as u64
    };
    let mut once = u64::from(OBJECTS);
    let mut requests = Vec::new();
    for number in 1..=REQUESTS {
        let drawn = lot.draw() * sum;
        let key = sums.partition_point(|sum| *sum < drawn) as u64;
        requests.push(key);
        if scans && number % 50_000 == 0 {
            requests.extend(once..once + 5000);
            once += 5000;
        }
    }
    let suffix = if scans { " with scans" } else { "" };
    Trace {
        name: format!("Zipf {exponent:.1}{suffix}"),
        requests: requests
            .into_iter()
            .map(|key| Request {
                key,
                size: size(key),
            })
            .collect(),
    }
}

/// The trace in a file, FORMAT:FILE. `size` is that of objects of which the trace tells none.
pub fn read(argument: &str, size: u64) -> Result<Trace, String> {
    let (format, path) = argument
        .split_once(':')
        .ok_or_else(|| format!("\"{argument}\" is not FORMAT:FILE (--help)"))?;
    let bytes = fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let name = path.rsplit('/').next().unwrap_or(path);
    let text = || String::from_utf8_lossy(&bytes);
    let trace = match format {
        "text" => Trace::new(name, text().lines().filter_map(|line| words(line, size))),
        "csv" => csv(name, &text()),
        "twitter" => Trace::new(name, text().lines().filter_map(twitter)),
        "oracle" => Trace::new(name, bytes.chunks_exact(24).filter_map(oracle)),
        "u32be" => Trace::new(name, bytes.chunks_exact(4).map(|key| (key.to_vec(), size))),
        "u64be" => Trace::new(name, bytes.chunks_exact(8).map(|key| (key.to_vec(), size))),
        _ => return Err(format!("no format \"{format}\" (--help)")),
    };
    if trace.requests.is_empty() {
        return Err(format!("{path}: no request in the format \"{format}\""));
    }
    Ok(trace)
}

/// KEY, KEY SIZE or TIME KEY SIZE.
fn words(line: &str, size: u64) -> Option<(Vec<u8>, u64)> {
    let line = line.split('#').next().unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().collect();
    match *words.as_slice() {
        [key] => Some((key.into(), size)),
        [key, size] | [_, key, size] => Some((key.into(), size.parse().ok()?)),
        _ => None,
    }
}

/// Columns with names, or else TIME,KEY,SIZE.
fn csv(name: &str, text: &str) -> Trace {
    let column = |names: &[&str]| {
        let first = text.lines().next().unwrap_or_default();
        first
            .split(',')
            .position(|column| names.contains(&column.trim()))
    };
    let key = column(&["obj_id", "key", "lbn", "object"]).unwrap_or(1);
    let size = column(&["size", "obj_size"]).unwrap_or(2);
    let requests = text.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split(',').map(str::trim).collect();
        let size = columns.get(size)?.parse().ok()?;
        Some(((*columns.get(key)?).into(), size))
    });
    Trace::new(name, requests)
}

/// TIME,KEY,KEY SIZE,VALUE SIZE,CLIENT,OPERATION,TTL: the gets alone, as an answer's key and value.
fn twitter(line: &str) -> Option<(Vec<u8>, u64)> {
    let columns: Vec<&str> = line.split(',').collect();
    match *columns.as_slice() {
        [_, key, key_size, value_size, _, "get" | "gets", _] => {
            let sizes = (
                key_size.parse::<u64>().ok()?,
                value_size.parse::<u64>().ok()?,
            );
            Some((key.into(), sizes.0 + sizes.1))
        }
        _ => None,
    }
}

fn oracle(record: &[u8]) -> Option<(Vec<u8>, u64)> {
    let key = record.get(4..12)?;
    let size = u32::from_le_bytes(record.get(12..16)?.try_into().ok()?);
    Some((key.to_vec(), u64::from(size)))
}
