//! `redis_cache_zone`

use crate::conf::MainConf;
use crate::conf::main_conf::ZoneDeclaration;
use crate::conf::reader::{Directive, Fault, SetResult};
use crate::shm::Zone;
use crate::shm::zone::MIN_SIZE;

pub(super) fn zone(directive: &Directive, conf: &mut MainConf) -> SetResult {
    let (name, text) = (directive.text(1), directive.text(2));
    if name.is_empty() {
        return Err(Fault::Text(String::from(
            "invalid zone name \"\" in \"redis_cache_zone\"; use one such as locks",
        )));
    }
    let Some(size) = directive.size(2) else {
        return Err(Fault::Text(format!(
            "invalid zone size \"{text}\" in \"redis_cache_zone\"; use a size such as 1m"
        )));
    };
    if size < MIN_SIZE {
        return Err(Fault::Text(format!(
            "zone \"{name}\" is too small in \"redis_cache_zone\": 64k is the least"
        )));
    }
    if let Some(known) = conf.zones.iter().find(|zone| zone.name == name) {
        return Err(Fault::Text(if known.size == size {
            format!("zone \"{name}\" is declared twice; once is enough")
        } else {
            let before = readable(known.size);
            format!(
                "zone \"{name}\" is declared twice: here with {text}, before with {before}; \
                 declare it once, with one size"
            )
        }));
    }
    // SAFETY: the directive is being read.
    let zone = unsafe { Zone::declare(directive.as_ptr(), &name, size) };
    let Some(zone) = zone else {
        return Err(Fault::Logged);
    };
    conf.zones.push(ZoneDeclaration { name, size, zone });
    Ok(())
}

/// A size as a user would write it.
fn readable(size: usize) -> String {
    match size {
        _ if size.is_multiple_of(1 << 20) => format!("{}m", size >> 20),
        _ if size.is_multiple_of(1 << 10) => format!("{}k", size >> 10),
        _ => size.to_string(),
    }
}
