//! What each directive makes of its arguments.

use std::rc::Rc;

use cache_core::cache_status::CacheName;
use cache_core::headers::is_token;
use cache_core::policy::{BadList, Heuristic, Ignore, MethodList, SetCookie, StatusList};
use cache_core::settings::parse_millis;
use cache_core::use_stale::UseStale;
use cache_core::vary::MAX_VARIANTS;

use crate::conf::reader::{Directive, Fault, Setting, refuse_slices};
use crate::conf::{Backend, LocConf, MainConf, Named, StatusHeader, ZoneDeclaration, store};
use crate::shm::Zone;
use crate::shm::locks::BackOff;
use crate::shm::zone::MIN_SIZE;
use crate::store::redis::{from_address, is_address};

/// A value that may be set once at each level.
fn once<T>(place: &mut Option<T>, value: T) -> Setting {
    if place.is_some() {
        return Err(Fault::Duplicate);
    }
    *place = Some(value);
    Ok(())
}

pub(super) fn zone(directive: &Directive, conf: &mut MainConf) -> Setting {
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

pub(super) fn cache(directive: &Directive, conf: &mut LocConf) -> Setting {
    let on = directive.arguments().is_empty() || on_or_off(directive)?;
    once(&mut conf.enable, on)?;
    conf.place = Some(directive.place());
    Ok(())
}

pub(super) fn lock(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.lock, directive.text(1))?;
    let named = Named {
        name: directive.text(1),
        place: directive.place(),
    };
    directive.main_conf::<MainConf>()?.zone_names.push(named);
    Ok(())
}

pub(super) fn pass(directive: &Directive, conf: &mut LocConf) -> Setting {
    let name = directive.text(1);
    once(&mut conf.pass, name.clone())?;
    let main = directive.main_conf::<MainConf>()?;
    if name.starts_with('/') {
        // Which location it is the server decides that a request came to.
        return Ok(());
    }
    if is_address(&name) {
        if main.store(name.as_bytes()).is_none() {
            let resolve = |address: &str| store::resolve(directive.as_ptr(), address);
            let config = from_address(&name, Some(&resolve)).map_err(|reason| {
                format!(
                    "invalid address \"{name}\" in \"redis_cache_pass\": {reason}; \
                     use one such as redis://127.0.0.1:6379/0 or unix:/run/redis.sock"
                )
            })?;
            main.stores.push(Rc::new(config));
        }
        return Ok(());
    }
    main.store_names.push(Named {
        name,
        place: directive.place(),
    });
    Ok(())
}

pub(super) fn pass_timeout(directive: &Directive, conf: &mut LocConf) -> Setting {
    let time = directive.millis(1)?;
    if time == 0 {
        let value = directive.text(1);
        return Err(Fault::Text(format!(
            "invalid time \"{value}\" in \"redis_cache_pass_timeout\"; use a time such as 200ms"
        )));
    }
    once(&mut conf.pass_timeout, time)
}

pub(super) fn backend(directive: &Directive, conf: &mut LocConf) -> Setting {
    let backend = Backend::parse(directive.argument(1)).ok_or_else(|| {
        let value = directive.text(1);
        format!("invalid backend \"{value}\" in \"redis_cache_backend\"; use \"/uri\" or \"@name\"")
    })?;
    once(&mut conf.backend, backend)
}

pub(super) fn key(directive: &Directive, conf: &mut LocConf) -> Setting {
    refuse_slices(directive, 1)?;
    once(&mut conf.key, directive.complex_value(1)?)
}

pub(super) fn valid(directive: &Directive, conf: &mut LocConf) -> Setting {
    let known = conf.statuses.clone().unwrap_or_else(StatusList::empty);
    let list = known
        .with_directive(&directive.arguments())
        .map_err(|error| {
            let item = match error {
                BadList::Status(item) | BadList::Method(item) => item,
                BadList::Empty => String::new(),
            };
            format!(
                "invalid status \"{item}\" in \"redis_cache_valid\"; \
             use a code from 200 to 599, or \"any\""
            )
        })?;
    conf.statuses = Some(list);
    Ok(())
}

pub(super) fn methods(directive: &Directive, conf: &mut LocConf) -> Setting {
    let arguments = directive.arguments();
    let list = MethodList::from_items(arguments.iter().copied()).map_err(|_| {
        let bad = arguments
            .iter()
            .find(|method| !is_token(method))
            .copied()
            .unwrap_or_default();
        let bad = String::from_utf8_lossy(bad);
        format!(
            "invalid method \"{bad}\" in \"redis_cache_methods\"; use names such as GET and HEAD"
        )
    })?;
    once(&mut conf.methods, list)
}

pub(super) fn age(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.age, directive.seconds(1)?)
}

pub(super) fn stale(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.stale, directive.seconds(1)?)
}

pub(super) fn lock_timeout(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.lock_timeout, directive.millis(1)?)
}

pub(super) fn lock_age(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.lock_age, directive.millis(1)?)
}

pub(super) fn header(directive: &Directive, conf: &mut LocConf) -> Setting {
    let name = directive.argument(1);
    if !is_token(name) {
        let name = directive.text(1);
        return Err(Fault::Text(format!(
            "invalid header name \"{name}\" in \"redis_cache_header\"; use a name such as X-Cache"
        )));
    }
    once(&mut conf.header, name.into())
}

pub(super) fn status_header(directive: &Directive, conf: &mut LocConf) -> Setting {
    let arguments = directive.arguments();
    if let [b"off"] = arguments.as_slice() {
        return once(&mut conf.status_header, None);
    }
    let key = match arguments.as_slice() {
        [_] => false,
        [_, b"key"] => true,
        _ => {
            let option = directive.text(2);
            return Err(Fault::Text(format!(
                "invalid option \"{option}\" in \"redis_cache_status_header\"; it is \"key\""
            )));
        }
    };
    let name = CacheName::new(directive.argument(1)).ok_or_else(|| {
        let name = directive.text(1);
        format!(
            "invalid name \"{name}\" in \"redis_cache_status_header\"; use printable ASCII characters"
        )
    })?;
    once(
        &mut conf.status_header,
        Some(Rc::new(StatusHeader { name, key })),
    )
}

pub(super) fn ignore_headers(directive: &Directive, conf: &mut LocConf) -> Setting {
    let mut ignore = Ignore::NONE;
    for name in directive.arguments() {
        let Some(known) = Ignore::named(name) else {
            let name = String::from_utf8_lossy(name);
            return Err(Fault::Text(format!(
                "unknown header \"{name}\" in \"redis_cache_ignore_headers\"; \
                 known are Cache-Control, Expires, Set-Cookie, Vary, Authorization, X-Accel-Expires, \
                 CDN-Cache-Control, Surrogate-Control, Date and Age"
            )));
        };
        ignore = ignore | known;
    }
    once(&mut conf.ignore, ignore)
}

pub(super) fn set_cookie(directive: &Directive, conf: &mut LocConf) -> Setting {
    let choice = match directive.argument(1) {
        value if value.eq_ignore_ascii_case(b"off") => SetCookie::Off,
        value if value.eq_ignore_ascii_case(b"public") => SetCookie::Public,
        _ => {
            let value = directive.text(1);
            return Err(Fault::Text(format!(
                "invalid value \"{value}\" in \"redis_cache_set_cookie\"; it is \"off\" or \"public\""
            )));
        }
    };
    once(&mut conf.set_cookie, choice)
}

pub(super) fn heuristic(directive: &Directive, conf: &mut LocConf) -> Setting {
    let arguments = directive.arguments();
    let choice = match arguments.as_slice() {
        [value] if value.eq_ignore_ascii_case(b"off") => None,
        _ => Some(Heuristic::parse(&arguments).map_err(|bad| {
            let bad = String::from_utf8_lossy(bad);
            format!(
                "invalid value \"{bad}\" in \"redis_cache_heuristic\"; \
                 use \"off\" or a share such as 10%, and max=1d"
            )
        })?),
    };
    once(&mut conf.heuristic, choice)
}

pub(super) fn honor_request(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.honor_request, on_or_off(directive)?)
}

pub(super) fn invalidate(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.invalidate, on_or_off(directive)?)
}

pub(super) fn max_size(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.max_size, size(directive, "8m")?)
}

pub(super) fn capture_memory(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.capture_memory, size(directive, "256m")?)
}

pub(super) fn capture_timeout(directive: &Directive, conf: &mut LocConf) -> Setting {
    let time = directive.millis(1)?;
    if time == 0 {
        let value = directive.text(1);
        return Err(Fault::Text(format!(
            "invalid time \"{value}\" in \"redis_cache_capture_timeout\"; use a time such as 5m"
        )));
    }
    once(&mut conf.capture_timeout, time)
}

pub(super) fn refills(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.refills, number(directive)?)
}

pub(super) fn lock_queue(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.lock_queue, number(directive)?)
}

pub(super) fn uncacheable_ttl(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.uncacheable_ttl, directive.millis(1)?)
}

pub(super) fn use_stale(directive: &Directive, conf: &mut LocConf) -> Setting {
    let arguments = directive.arguments();
    let invalid = |name: &[u8]| {
        let name = String::from_utf8_lossy(name);
        Fault::Text(format!(
            "invalid value \"{name}\" in \"redis_cache_use_stale\"; known are error, timeout, invalid_header, \
             updating, http_500, http_502, http_503, http_504, http_5xx, http_403, http_404 and http_429, or \
             \"off\" alone"
        ))
    };
    let set = if arguments == [b"off"] {
        UseStale::NONE
    } else {
        arguments.iter().try_fold(UseStale::NONE, |set, name| {
            UseStale::named(name)
                .map(|case| set | case)
                .ok_or_else(|| invalid(name))
        })?
    };
    once(&mut conf.use_stale, set)
}

pub(super) fn revalidate(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.revalidate, on_or_off(directive)?)
}

pub(super) fn backoff(directive: &Directive, conf: &mut LocConf) -> Setting {
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

/// The value of a flag.
fn on_or_off(directive: &Directive) -> Result<bool, Fault> {
    match directive.argument(1) {
        value if value.eq_ignore_ascii_case(b"on") => Ok(true),
        value if value.eq_ignore_ascii_case(b"off") => Ok(false),
        _ => {
            let (name, value) = (directive.text(0), directive.text(1));
            Err(Fault::Text(format!(
                "invalid value \"{value}\" in \"{name}\"; it is \"on\" or \"off\""
            )))
        }
    }
}

pub(super) fn variants(directive: &Directive, conf: &mut LocConf) -> Setting {
    let value = directive.text(1);
    let most = value
        .parse()
        .ok()
        .filter(|most| (1..=MAX_VARIANTS).contains(most));
    let most = most.ok_or_else(|| {
        format!(
            "invalid number \"{value}\" in \"redis_cache_variants\"; use one from 1 to {MAX_VARIANTS}"
        )
    })?;
    once(&mut conf.variants, most)
}

fn size(directive: &Directive, example: &str) -> Result<u64, Fault> {
    let size = directive.size(1).ok_or_else(|| {
        let (name, value) = (directive.text(0), directive.text(1));
        format!("invalid size \"{value}\" in \"{name}\"; use a size such as {example}")
    })?;
    Ok(size as u64)
}

fn number(directive: &Directive) -> Result<u32, Fault> {
    let (name, value) = (directive.text(0), directive.text(1));
    value.parse().map_err(|_| {
        Fault::Text(format!(
            "invalid number \"{value}\" in \"{name}\"; use a number such as 64"
        ))
    })
}
