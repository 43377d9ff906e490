//! Fills: how long others wait for one, and what it may cost.

use std::rc::Rc;

use cache_core::coding::{BadOption, Compress};
use cache_core::slices::{LARGEST, SMALLEST};
use cache_core::units::parse_millis;

use crate::conf::reader::{Directive, Fault, SetResult, bytes_of, once};
use crate::conf::{LocConf, LockScope};
use crate::shm::locks::BackOff;
use crate::shm::uses::MOST;

pub(super) fn lock_timeout(directive: &Directive, conf: &mut LocConf) -> SetResult {
    once(&mut conf.lock_timeout, directive.millis(1)?)
}

pub(super) fn lock_age(directive: &Directive, conf: &mut LocConf) -> SetResult {
    once(&mut conf.lock_age, directive.millis(1)?)
}

pub(super) fn lock_scope(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let scope = match directive.argument(1) {
        b"zone" => LockScope::Zone,
        b"store" => LockScope::Store,
        _ => {
            let value = directive.text(1);
            return Err(Fault::Text(format!(
                "invalid value \"{value}\" in \"redis_cache_lock_scope\"; it is \"zone\" or \"store\""
            )));
        }
    };
    once(&mut conf.lock_scope, scope)
}

pub(super) fn lock_queue(directive: &Directive, conf: &mut LocConf) -> SetResult {
    once(&mut conf.lock_queue, directive.number(1)?)
}

pub(super) fn min_uses(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let value = directive.text(1);
    let uses = value.parse().ok().filter(|uses| (1..=MOST).contains(uses));
    let uses = uses.ok_or_else(|| {
        format!("invalid number \"{value}\" in \"redis_cache_min_uses\"; use one from 1 to {MOST}")
    })?;
    once(&mut conf.min_uses, uses)
}

pub(super) fn slice(directive: &Directive, conf: &mut LocConf) -> SetResult {
    if directive.argument(1) == b"off" {
        return once(&mut conf.slice, None);
    }
    let size = directive.size(1).map(|size| size as u64);
    let size = size.filter(|size| (SMALLEST..=LARGEST).contains(size));
    let size = size.ok_or_else(|| {
        let value = directive.text(1);
        format!(
            "invalid size \"{value}\" in \"redis_cache_slice\"; use \"off\", or a size from 64k to 32m such as 1m"
        )
    })?;
    once(&mut conf.slice, Some((size, directive.line())))
}

pub(super) fn uncacheable_ttl(directive: &Directive, conf: &mut LocConf) -> SetResult {
    once(&mut conf.uncacheable_ttl, directive.millis(1)?)
}

pub(super) fn backoff(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let first = directive.millis(1)?;
    let most = match directive.arguments().as_slice() {
        [_, limit] => limit
            .strip_prefix(b"max=")
            .and_then(|time| parse_millis(time).ok())
            .filter(|most| *most >= first)
            .ok_or_else(|| {
                let value = directive.text(2);
                format!(
                    "invalid limit \"{value}\" in \"redis_cache_backoff\"; use one such as max=10s, \
                     not below the first time"
                )
            })?,
        _ => first.saturating_mul(10),
    };
    once(&mut conf.back_off, BackOff { first, most })
}

pub(super) fn refills(directive: &Directive, conf: &mut LocConf) -> SetResult {
    once(&mut conf.refills, directive.number(1)?)
}

pub(super) fn capture_memory(directive: &Directive, conf: &mut LocConf) -> SetResult {
    once(&mut conf.capture_memory, directive.bytes(1, "256m")?)
}

pub(super) fn capture_timeout(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let time = directive.millis(1)?;
    if time == 0 {
        let value = directive.text(1);
        return Err(Fault::Text(format!(
            "invalid time \"{value}\" in \"redis_cache_capture_timeout\"; use a time such as 5m"
        )));
    }
    once(&mut conf.capture_timeout, time)
}

pub(super) fn compress(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let size = |text: &[u8]| bytes_of(text).map(|bytes| bytes as u64);
    let compress = Compress::parse(&directive.arguments(), size).map_err(|bad| match bad {
        BadOption::Coding(word) => {
            format!("invalid value \"{word}\" in \"redis_cache_compress\"; it is \"gzip\", \"zstd\" or \"off\"")
        }
        BadOption::Option(word) => format!(
            "invalid parameter \"{word}\" in \"redis_cache_compress\"; known are min=SIZE, level=N and types=TYPE,... \
             behind \"gzip\" or \"zstd\""
        ),
        BadOption::Min(word) => format!(
            "invalid size \"{word}\" in \"redis_cache_compress\"; use one such as min=1k"
        ),
        BadOption::Level(word, most) => format!(
            "invalid level \"{word}\" in \"redis_cache_compress\"; use one from level=1 to level={most}"
        ),
        BadOption::Type(word) => format!(
            "invalid type \"{word}\" in \"redis_cache_compress\"; use types such as text/html, text/*, *+json or *"
        ),
        BadOption::Twice(word) => {
            format!("\"{word}\" in \"redis_cache_compress\" says again what was said before")
        }
    })?;
    once(&mut conf.compress, compress.map(Rc::new))
}
