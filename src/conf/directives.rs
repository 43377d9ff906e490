//! The table of directives and their setters.

use std::ffi::{c_char, c_void};
use std::mem::offset_of;
use std::rc::Rc;

use cache_core::cache_status::CacheName;
use cache_core::headers::is_token;
use cache_core::policy::{Heuristic, Ignore, MethodList, SetCookie, StatusList};
use cache_core::settings::parse_millis;
use cache_core::use_stale::UseStale;
use cache_core::vary::MAX_VARIANTS;
use ngx::ffi::*;
use ngx::ngx_string;

use super::reader::{Directive, Fault, Setting, set};
use super::{Backend, LocConf, MainConf, Named, StatusHeader, ZoneDeclaration, set_md5, store};
use crate::shm::Zone;
use crate::shm::locks::BackOff;
use crate::shm::zone::MIN_SIZE;

/// Gives a setter the face that nginx calls.
macro_rules! entry {
    ($name:ident, $conf:ty, $setter:path) => {
        unsafe extern "C" fn $name(
            cf: *mut ngx_conf_t,
            _: *mut ngx_command_t,
            conf: *mut c_void,
        ) -> *mut c_char {
            // SAFETY: nginx calls with the configuration and our part of it.
            unsafe { set::<$conf>(cf, conf, $setter) }
        }
    };
}

entry!(on_zone, MainConf, zone);
entry!(on_store, MainConf, store::block);
entry!(on_cache, LocConf, cache);
entry!(on_lock, LocConf, lock);
entry!(on_pass, LocConf, pass);
entry!(on_pass_timeout, LocConf, pass_timeout);
entry!(on_backend, LocConf, backend);
entry!(on_key, LocConf, key);
entry!(on_valid, LocConf, valid);
entry!(on_methods, LocConf, methods);
entry!(on_age, LocConf, age);
entry!(on_stale, LocConf, stale);
entry!(on_header, LocConf, header);
entry!(on_status_header, LocConf, status_header);
entry!(on_lock_timeout, LocConf, lock_timeout);
entry!(on_lock_age, LocConf, lock_age);
entry!(on_ignore_headers, LocConf, ignore_headers);
entry!(on_set_cookie, LocConf, set_cookie);
entry!(on_heuristic, LocConf, heuristic);
entry!(on_honor_request, LocConf, honor_request);
entry!(on_max_size, LocConf, max_size);
entry!(on_capture_memory, LocConf, capture_memory);
entry!(on_refills, LocConf, refills);
entry!(on_lock_queue, LocConf, lock_queue);
entry!(on_uncacheable_ttl, LocConf, uncacheable_ttl);
entry!(on_use_stale, LocConf, use_stale);
entry!(on_revalidate, LocConf, revalidate);
entry!(on_backoff, LocConf, backoff);
entry!(on_variants, LocConf, variants);
entry!(on_set_md5, LocConf, set_md5::directive);

const HTTP: u32 = NGX_HTTP_MAIN_CONF;
const ANYWHERE: u32 =
    NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF;

type Setter = unsafe extern "C" fn(*mut ngx_conf_t, *mut ngx_command_t, *mut c_void) -> *mut c_char;

const fn command(name: ngx_str_t, type_: u32, setter: Setter, conf: usize) -> ngx_command_t {
    ngx_command_t {
        name,
        type_: type_ as ngx_uint_t,
        set: Some(setter),
        conf,
        offset: 0,
        post: std::ptr::null_mut(),
    }
}

const fn location(name: ngx_str_t, arguments: u32, setter: Setter) -> ngx_command_t {
    command(name, ANYWHERE | arguments, setter, NGX_HTTP_LOC_CONF_OFFSET)
}

const fn predicates(name: ngx_str_t, offset: usize) -> ngx_command_t {
    let mut command = location(name, NGX_CONF_1MORE, ngx_http_set_predicate_slot);
    command.offset = offset;
    command
}

const SET_MD5: u32 =
    NGX_HTTP_SRV_CONF | NGX_HTTP_SIF_CONF | NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_TAKE12;

/// All directives of the module.
pub static mut COMMANDS: [ngx_command_t; 33] = [
    command(
        ngx_string!("redis_cache_zone"),
        HTTP | NGX_CONF_TAKE2,
        on_zone,
        NGX_HTTP_MAIN_CONF_OFFSET,
    ),
    command(
        ngx_string!("redis_cache_store"),
        HTTP | NGX_CONF_BLOCK | NGX_CONF_TAKE1,
        on_store,
        NGX_HTTP_MAIN_CONF_OFFSET,
    ),
    location(
        ngx_string!("redis_cache"),
        NGX_CONF_NOARGS | NGX_CONF_TAKE1,
        on_cache,
    ),
    location(ngx_string!("redis_cache_lock"), NGX_CONF_TAKE1, on_lock),
    location(ngx_string!("redis_cache_pass"), NGX_CONF_TAKE1, on_pass),
    location(
        ngx_string!("redis_cache_pass_timeout"),
        NGX_CONF_TAKE1,
        on_pass_timeout,
    ),
    location(
        ngx_string!("redis_cache_backend"),
        NGX_CONF_TAKE1,
        on_backend,
    ),
    location(ngx_string!("redis_cache_key"), NGX_CONF_TAKE1, on_key),
    location(ngx_string!("redis_cache_valid"), NGX_CONF_1MORE, on_valid),
    location(
        ngx_string!("redis_cache_methods"),
        NGX_CONF_1MORE,
        on_methods,
    ),
    location(ngx_string!("redis_cache_age"), NGX_CONF_TAKE1, on_age),
    location(ngx_string!("redis_cache_stale"), NGX_CONF_TAKE1, on_stale),
    location(ngx_string!("redis_cache_header"), NGX_CONF_TAKE1, on_header),
    location(
        ngx_string!("redis_cache_status_header"),
        NGX_CONF_TAKE12,
        on_status_header,
    ),
    location(
        ngx_string!("redis_cache_lock_timeout"),
        NGX_CONF_TAKE1,
        on_lock_timeout,
    ),
    location(
        ngx_string!("redis_cache_lock_age"),
        NGX_CONF_TAKE1,
        on_lock_age,
    ),
    predicates(
        ngx_string!("redis_cache_bypass"),
        offset_of!(LocConf, bypass),
    ),
    predicates(
        ngx_string!("redis_cache_no_store"),
        offset_of!(LocConf, no_store),
    ),
    location(
        ngx_string!("redis_cache_ignore_headers"),
        NGX_CONF_1MORE,
        on_ignore_headers,
    ),
    location(
        ngx_string!("redis_cache_set_cookie"),
        NGX_CONF_TAKE1,
        on_set_cookie,
    ),
    location(
        ngx_string!("redis_cache_heuristic"),
        NGX_CONF_TAKE12,
        on_heuristic,
    ),
    location(
        ngx_string!("redis_cache_honor_request"),
        NGX_CONF_TAKE1,
        on_honor_request,
    ),
    location(
        ngx_string!("redis_cache_max_size"),
        NGX_CONF_TAKE1,
        on_max_size,
    ),
    location(
        ngx_string!("redis_cache_capture_memory"),
        NGX_CONF_TAKE1,
        on_capture_memory,
    ),
    location(
        ngx_string!("redis_cache_refills"),
        NGX_CONF_TAKE1,
        on_refills,
    ),
    location(
        ngx_string!("redis_cache_lock_queue"),
        NGX_CONF_TAKE1,
        on_lock_queue,
    ),
    location(
        ngx_string!("redis_cache_uncacheable_ttl"),
        NGX_CONF_TAKE1,
        on_uncacheable_ttl,
    ),
    location(
        ngx_string!("redis_cache_use_stale"),
        NGX_CONF_1MORE,
        on_use_stale,
    ),
    location(
        ngx_string!("redis_cache_revalidate"),
        NGX_CONF_TAKE1,
        on_revalidate,
    ),
    location(
        ngx_string!("redis_cache_backoff"),
        NGX_CONF_TAKE12,
        on_backoff,
    ),
    location(
        ngx_string!("redis_cache_variants"),
        NGX_CONF_TAKE1,
        on_variants,
    ),
    command(
        ngx_string!("set_md5"),
        SET_MD5,
        on_set_md5,
        NGX_HTTP_LOC_CONF_OFFSET,
    ),
    ngx_command_t::empty(),
];

/// A value that may be set once at each level.
fn once<T>(place: &mut Option<T>, value: T) -> Setting {
    if place.is_some() {
        return Err(Fault::Duplicate);
    }
    *place = Some(value);
    Ok(())
}

fn zone(directive: &Directive, conf: &mut MainConf) -> Setting {
    let (name, text) = (directive.text(1), directive.text(2));
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
            format!("zone \"{name}\" is declared twice")
        } else {
            let before = readable(known.size);
            format!("zone \"{name}\" is declared twice: here with {text}, before with {before}")
        }));
    }
    // SAFETY: the directive is being read; its strings live in the configuration's pool.
    let zone = unsafe { Zone::declare(directive.as_ptr(), directive.word(1)?, size) };
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

fn cache(directive: &Directive, conf: &mut LocConf) -> Setting {
    let on = directive.arguments().is_empty() || on_or_off(directive)?;
    once(&mut conf.enable, on)?;
    conf.place = Some(directive.place());
    Ok(())
}

fn lock(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.lock, directive.text(1))?;
    let named = Named {
        name: directive.text(1),
        place: directive.place(),
    };
    directive.main_conf::<MainConf>()?.zone_names.push(named);
    Ok(())
}

fn pass(directive: &Directive, conf: &mut LocConf) -> Setting {
    let name = directive.text(1);
    once(&mut conf.pass, name.clone())?;
    let main = directive.main_conf::<MainConf>()?;
    if name.starts_with('/') {
        // Which location it is the server decides that a request came to.
        return Ok(());
    }
    if store::is_address(&name) {
        if main.store(name.as_bytes()).is_none() {
            let config = store::from_address(&name, Some(directive)).map_err(|reason| {
                format!("invalid address \"{name}\" in \"redis_cache_pass\": {reason}")
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

fn pass_timeout(directive: &Directive, conf: &mut LocConf) -> Setting {
    let time = directive.millis(1)?;
    if time == 0 {
        let value = directive.text(1);
        return Err(Fault::Text(format!(
            "invalid time \"{value}\" in \"redis_cache_pass_timeout\"; use a time such as 200ms"
        )));
    }
    once(&mut conf.pass_timeout, time)
}

fn backend(directive: &Directive, conf: &mut LocConf) -> Setting {
    let backend = Backend::parse(directive.argument(1)).ok_or_else(|| {
        let value = directive.text(1);
        format!("invalid backend \"{value}\" in \"redis_cache_backend\"; use \"/uri\" or \"@name\"")
    })?;
    once(&mut conf.backend, backend)
}

fn key(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.key, directive.complex_value(1)?)
}

fn valid(directive: &Directive, conf: &mut LocConf) -> Setting {
    let known = conf.statuses.clone().unwrap_or_else(StatusList::empty);
    let list = known
        .with_directive(&directive.arguments())
        .map_err(|error| {
            use cache_core::policy::BadList;
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

fn methods(directive: &Directive, conf: &mut LocConf) -> Setting {
    let arguments = directive.arguments();
    let list = MethodList::from_items(arguments.iter().copied()).map_err(|_| {
        let bad = arguments
            .iter()
            .find(|method| !is_token(method))
            .copied()
            .unwrap_or_default();
        let bad = String::from_utf8_lossy(bad);
        format!("invalid method \"{bad}\" in \"redis_cache_methods\"")
    })?;
    once(&mut conf.methods, list)
}

fn age(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.age, directive.seconds(1)?)
}

fn stale(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.stale, directive.seconds(1)?)
}

fn lock_timeout(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.lock_timeout, directive.millis(1)?)
}

fn lock_age(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.lock_age, directive.millis(1)?)
}

fn header(directive: &Directive, conf: &mut LocConf) -> Setting {
    let name = directive.argument(1);
    if !is_token(name) {
        let name = directive.text(1);
        return Err(Fault::Text(format!(
            "invalid header name \"{name}\" in \"redis_cache_header\""
        )));
    }
    once(&mut conf.header, name.into())
}

fn status_header(directive: &Directive, conf: &mut LocConf) -> Setting {
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

fn ignore_headers(directive: &Directive, conf: &mut LocConf) -> Setting {
    let mut ignore = Ignore::NONE;
    for name in directive.arguments() {
        let Some(known) = Ignore::named(name) else {
            let name = String::from_utf8_lossy(name);
            return Err(Fault::Text(format!(
                "unknown header \"{name}\" in \"redis_cache_ignore_headers\"; \
                 known are Cache-Control, Expires, Set-Cookie, Vary, Authorization, X-Accel-Expires, \
                 CDN-Cache-Control and Surrogate-Control"
            )));
        };
        ignore = ignore | known;
    }
    once(&mut conf.ignore, ignore)
}

fn set_cookie(directive: &Directive, conf: &mut LocConf) -> Setting {
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

fn heuristic(directive: &Directive, conf: &mut LocConf) -> Setting {
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

fn honor_request(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.honor_request, on_or_off(directive)?)
}

fn max_size(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.max_size, size(directive, "8m")?)
}

fn capture_memory(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.capture_memory, size(directive, "256m")?)
}

fn refills(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.refills, number(directive)?)
}

fn lock_queue(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.lock_queue, number(directive)?)
}

fn uncacheable_ttl(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.uncacheable_ttl, directive.millis(1)?)
}

fn use_stale(directive: &Directive, conf: &mut LocConf) -> Setting {
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

fn revalidate(directive: &Directive, conf: &mut LocConf) -> Setting {
    once(&mut conf.revalidate, on_or_off(directive)?)
}

fn backoff(directive: &Directive, conf: &mut LocConf) -> Setting {
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

fn variants(directive: &Directive, conf: &mut LocConf) -> Setting {
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
