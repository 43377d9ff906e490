//! What makes a location cache: whether, under which key, in which store, and what clients see of it.

use std::rc::Rc;

use cache_core::allow::AllowList;
use cache_core::args::{ArgsForm, BadArgs};
use cache_core::cache_status_field::CacheName;
use cache_core::headers::is_token;

use super::purge::add_address;
use crate::conf::main_conf::Reference;
use crate::conf::reader::{Directive, Fault, SetResult, once, refuse_slices, warn_of_empty};
use crate::conf::store_block::prepare_tls;
use crate::conf::{DebugHeader, LocConf, MainConf, StatusHeader, servers};
use crate::detached::Backend;
use crate::store::redis::{from_address, is_address, is_encrypted, without_password};

pub(super) fn cache(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let on = directive.arguments().is_empty() || directive.flag(1)?;
    once(&mut conf.enable, on)?;
    conf.line = Some(directive.line());
    Ok(())
}

pub(super) fn lock(directive: &Directive, conf: &mut LocConf) -> SetResult {
    once(&mut conf.lock, directive.text(1))?;
    let named = Reference {
        name: directive.text(1),
        line: directive.line(),
    };
    directive.main_conf::<MainConf>()?.zone_names.push(named);
    Ok(())
}

pub(super) fn pass(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let name = directive.text(1);
    once(&mut conf.pass, name.clone())?;
    let main = directive.main_conf::<MainConf>()?;
    if name.starts_with('/') {
        // Which location it is the server decides that a request came to.
        return Ok(());
    }
    if is_address(&name) {
        if main.store(name.as_bytes()).is_none() {
            let shown = without_password(&name);
            let resolve = |address: &str| {
                let what = format!("\"redis_cache_pass {shown}\"");
                servers::of_configuration(directive, address, &what)
            };
            if is_encrypted(&name) {
                prepare_tls(directive.as_ptr(), main)?;
            }
            let config = from_address(&name, Some(&resolve), main.tls.as_ref());
            let config = config.map_err(|reason| {
                format!(
                    "invalid address \"{shown}\" in \"redis_cache_pass\": {reason}; \
                     use one such as redis://127.0.0.1:6379/0 or unix:/run/redis.sock"
                )
            })?;
            let config = servers::with_memory(directive.as_ptr(), config)?;
            main.stores.push(Rc::new(config));
        }
        return Ok(());
    }
    main.store_names.push(Reference {
        name,
        line: directive.line(),
    });
    Ok(())
}

pub(super) fn pass_timeout(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let time = directive.millis(1)?;
    if time == 0 {
        let value = directive.text(1);
        return Err(Fault::Text(format!(
            "invalid time \"{value}\" in \"redis_cache_pass_timeout\"; use a time such as 200ms"
        )));
    }
    once(&mut conf.pass_timeout, time)
}

/// `redis_cache_memory`
pub(super) fn memory(directive: &Directive, conf: &mut LocConf) -> SetResult {
    once(&mut conf.memory, directive.flag(1)?)
}

pub(super) fn on_error(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let fails = match directive.argument(1) {
        b"pass" => false,
        b"fail" => true,
        _ => {
            let value = directive.text(1);
            return Err(Fault::Text(format!(
                "invalid value \"{value}\" in \"redis_cache_on_error\"; it is \"pass\" or \"fail\""
            )));
        }
    };
    once(&mut conf.needs_store, fails)
}

pub(super) fn backend(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let backend = Backend::parse(directive.argument(1)).ok_or_else(|| {
        let value = directive.text(1);
        format!("invalid backend \"{value}\" in \"redis_cache_backend\"; use \"/uri\" or \"@name\"")
    })?;
    once(&mut conf.backend, backend)
}

pub(super) fn key(directive: &Directive, conf: &mut LocConf) -> SetResult {
    refuse_slices(directive, 1)?;
    warn_of_empty(directive, 1);
    once(&mut conf.key, directive.complex_value(1)?)
}

pub(super) fn args(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let form = ArgsForm::parse(&directive.arguments()).map_err(|bad| match bad {
        BadArgs::Option(option) => format!(
            "invalid option \"{option}\" in \"redis_cache_args\"; known are sort, normalize, drop=NAME,..., \
             keep=NAME,... and no_vary_search, or \"off\" alone"
        ),
        BadArgs::Name(name) => format!(
            "invalid name \"{name}\" in \"redis_cache_args\"; use one such as page, or utm_* for all that begin so"
        ),
        BadArgs::List(list) => {
            format!("unknown list \"{list}\" in \"redis_cache_args\"; it is \"@tracking\"")
        }
    })?;
    once(&mut conf.args, Rc::new(form))
}

pub(super) fn header(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let name = directive.argument(1);
    if !is_token(name) {
        let name = directive.text(1);
        return Err(Fault::Text(format!(
            "invalid header name \"{name}\" in \"redis_cache_header\"; use a name such as X-Cache"
        )));
    }
    once(&mut conf.header, name.into())
}

pub(super) fn status_header(directive: &Directive, conf: &mut LocConf) -> SetResult {
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

pub(super) fn debug_header(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let arguments = directive.arguments();
    if let [b"off"] = arguments.as_slice() {
        return once(&mut conf.debug_header, None);
    }
    let name = directive.argument(1);
    if !is_token(name) {
        let name = directive.text(1);
        return Err(Fault::Text(format!(
            "invalid header name \"{name}\" in \"redis_cache_debug_header\"; use a name such as X-Cache-Debug"
        )));
    }
    let addresses = arguments.get(1..).unwrap_or_default();
    if addresses.is_empty() {
        return Err(Fault::Text(String::from(
            "\"redis_cache_debug_header\" names nobody who may see the header; add addresses such as 127.0.0.1 or 10.0.0.0/8",
        )));
    }
    let mut allow = AllowList::default();
    for item in addresses {
        add_address(&mut allow, item, directive, "redis_cache_debug_header")?;
    }
    let name = name.into();
    once(
        &mut conf.debug_header,
        Some(Rc::new(DebugHeader { name, allow })),
    )
}
