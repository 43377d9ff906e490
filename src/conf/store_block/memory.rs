//! `memory SIZE [max_object=SIZE] [valid=TIME] [min_uses=NUMBER] [prefix=TEXT] [feed=on|off] [alone=TIME|off]` of a store.

use cache_core::units::parse_millis;

use crate::conf::reader::{Directive, Fault, bytes_of};
use crate::store::memory::MemoryConfig;

/// The line as it was read.
pub struct MemoryLine {
    config: MemoryConfig,
    /// The parameters that it has.
    named: Vec<String>,
}

impl MemoryLine {
    /// The parameter that says how records of servers are kept, if there is one.
    pub fn of_servers(&self) -> Option<&str> {
        let mut named = self.named.iter().map(String::as_str);
        named.find(|name| ["valid", "min_uses", "prefix", "feed", "alone"].contains(name))
    }

    /// What the tier is told. `alone`: there are no servers behind it. Then a record may be as large as there is room for,
    /// since what isn't kept there is kept nowhere.
    pub fn finish(self, alone: bool) -> MemoryConfig {
        let mut config = self.config;
        if alone && !self.named.iter().any(|name| name == "max_object") {
            config.max_object = config.size;
        }
        config
    }
}

/// Reads the line.
pub fn memory(line: &Directive, store: &str) -> Result<MemoryLine, Fault> {
    read(&line.arguments()).map_err(|(what, remedy)| {
        Fault::Text(format!(
            "{what} in \"memory\" of store \"{store}\"; {remedy}"
        ))
    })
}

/// What is wrong, and what would be right.
type Wrong = (String, String);

fn wrong(what: impl Into<String>, remedy: impl Into<String>) -> Wrong {
    (what.into(), remedy.into())
}

fn shown(text: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(text)
}

fn read(words: &[&[u8]]) -> Result<MemoryLine, Wrong> {
    let Some((size, parameters)) = words.split_first() else {
        return Err(wrong("no size", "add one such as 64m"));
    };
    let bytes = bytes_of(size).ok_or_else(|| bad_size(size))?;
    if bytes < MemoryConfig::LEAST {
        let least = MemoryConfig::LEAST >> 20;
        let what = format!("size \"{}\" is too small", shown(size));
        return Err(wrong(what, format!("{least}m is the least")));
    }
    let mut config = MemoryConfig::new(bytes);
    let mut known: Vec<&[u8]> = Vec::new();
    for parameter in parameters {
        let name = take(&mut config, parameter)?;
        if known.contains(&name) {
            let what = format!("duplicate \"{}\"", shown(name));
            return Err(wrong(what, "say it once"));
        }
        known.push(name);
    }
    if !config.feed && !known.contains(&b"valid".as_slice()) {
        return Err(wrong(
            "\"feed=off\" without \"valid=\"",
            "say how long a record may be used that Redis may have changed, such as valid=1s",
        ));
    }
    let named = known.iter().map(|name| shown(name).into_owned()).collect();
    Ok(MemoryLine { config, named })
}

/// Takes a parameter; gives its name.
fn take<'a>(config: &mut MemoryConfig, parameter: &'a [u8]) -> Result<&'a [u8], Wrong> {
    let mut halves = parameter.splitn(2, |byte| *byte == b'=');
    let (name, value) = (halves.next().unwrap_or_default(), halves.next());
    match (name, value) {
        (b"max_object", Some(value)) => {
            let size = bytes_of(value).filter(|size| *size > 0);
            config.max_object = size.ok_or_else(|| bad_size(value))?;
        }
        (b"valid", Some(value)) => {
            config.valid = millis(value).ok_or_else(|| bad_time(value, "60s"))?;
        }
        (b"alone", Some(b"off")) => config.alone = 0,
        (b"alone", Some(value)) => {
            config.alone = millis(value).ok_or_else(|| bad_time(value, "10s, or off"))?;
        }
        (b"min_uses", Some(value)) => {
            let number = std::str::from_utf8(value).ok().and_then(|n| n.parse().ok());
            let most = MemoryConfig::MOST_USES;
            let uses = number.filter(|uses| (1..=most).contains(uses));
            config.min_uses = uses.ok_or_else(|| {
                let what = format!("invalid number \"{}\"", shown(value));
                wrong(what, format!("\"min_uses\" is between 1 and {most}"))
            })?;
        }
        (b"prefix", Some(value)) => config.prefix = value.to_vec(),
        (b"feed", Some(b"on")) => config.feed = true,
        (b"feed", Some(b"off")) => config.feed = false,
        (b"feed", Some(value)) => {
            let what = format!("invalid value \"{}\" of \"feed\"", shown(value));
            return Err(wrong(what, "it is \"on\" or \"off\""));
        }
        _ => {
            let what = format!("unknown parameter \"{}\"", shown(parameter));
            let remedy = "there are max_object=, valid=, min_uses=, prefix=, feed= and alone=";
            return Err(wrong(what, remedy));
        }
    }
    Ok(name)
}

/// A time, in milliseconds, that isn't 0.
fn millis(text: &[u8]) -> Option<u64> {
    parse_millis(text).ok().filter(|millis| *millis > 0)
}

fn bad_time(text: &[u8], example: &str) -> Wrong {
    let what = format!("invalid time \"{}\"", shown(text));
    wrong(what, format!("use a time such as {example}"))
}

fn bad_size(text: &[u8]) -> Wrong {
    let what = format!("invalid size \"{}\"", shown(text));
    wrong(what, "use a size such as 64m")
}
