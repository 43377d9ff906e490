//! Requests that purge: which they are, and whose.

use std::ffi::{c_char, c_void};
use std::rc::Rc;

use cache_core::allow::{AllowList, Read};
use cache_core::purge::TagFields;
use cache_core::purge::request::{Style, Styles};
use ngx::ffi::*;
use ngx::ngx_conf_log_error;

use crate::conf::LocConf;
use crate::conf::reader::{Directive, Fault, SetResult, once, set};

/// `redis_cache_purge`: nginx's own setter, and the line.
pub(super) unsafe extern "C" fn on_purge(
    cf: *mut ngx_conf_t,
    command: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx calls with the configuration and our part of it.
    unsafe {
        let noted = set::<LocConf>(cf, conf, |directive, conf| {
            // What never holds takes back what a level above says.
            if directive.arguments().iter().any(|value| may_hold(value)) {
                conf.purge_line = Some((directive.line(), "redis_cache_purge"));
            }
            Ok(())
        });
        if noted.is_null() {
            ngx_http_set_predicate_slot(cf, command, conf)
        } else {
            noted
        }
    }
}

/// Whether a value may be something else than empty and "0".
fn may_hold(value: &[u8]) -> bool {
    !value.is_empty() && value != b"0"
}

/// `redis_cache_purge_allow`
pub(super) fn allow(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let mut list = match conf.purge_allow.take() {
        Some(list) => AllowList::clone(&list),
        None => AllowList::default(),
    };
    for item in directive.arguments() {
        add_address(&mut list, item, directive, "redis_cache_purge_allow")?;
    }
    conf.purge_allow = Some(Rc::new(list));
    Ok(())
}

/// Adds an item to a list of who is allowed.
pub(super) fn add_address(
    list: &mut AllowList,
    item: &[u8],
    directive: &Directive,
    name: &str,
) -> SetResult {
    let read = list.add(item);
    let item = String::from_utf8_lossy(item);
    match read {
        Read::Added => {}
        Read::Masked => {
            ngx_conf_log_error!(
                NGX_LOG_WARN,
                directive.as_ptr(),
                "low address bits of {item} are meaningless"
            );
        }
        Read::Unknown => {
            return Err(Fault::Text(format!(
                "invalid address \"{item}\" in \"{name}\"; \
                 use one such as 127.0.0.1, 10.0.0.0/8 or fd00::/8, \"unix:\" or \"all\""
            )));
        }
    }
    Ok(())
}

/// `redis_cache_purge_style`
pub(super) fn style(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let arguments = directive.arguments();
    if let [b"off"] = arguments.as_slice() {
        return once(&mut conf.purge_styles, Styles::default());
    }
    let styles: Styles = arguments
        .into_iter()
        .map(|name| Style::parse(name).ok_or_else(|| unknown_style(name)))
        .collect::<Result<_, _>>()?;
    conf.purge_line = Some((directive.line(), "redis_cache_purge_style"));
    once(&mut conf.purge_styles, styles)
}

fn unknown_style(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    let known = Style::EACH.map(Style::as_str).join(", ");
    format!(
        "unknown style \"{name}\" in \"redis_cache_purge_style\"; it is one of {known}, or \"off\""
    )
}

/// `redis_cache_tags`
pub(super) fn tags(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let arguments = directive.arguments();
    let names = arguments.iter().copied().filter(|_| arguments != [b"off"]);
    let fields = TagFields::new(names).map_err(|name| {
        Fault::Text(format!(
            "invalid name of a field \"{}\" in \"redis_cache_tags\"; name response fields such as Surrogate-Key, or say \"off\"",
            String::from_utf8_lossy(name)
        ))
    })?;
    once(&mut conf.tags, Rc::new(fields))
}

/// `redis_cache_admin`
pub(super) fn admin(directive: &Directive, conf: &mut LocConf) -> SetResult {
    once(&mut conf.admin, directive.line())
}
