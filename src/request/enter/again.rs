//! A request that comes to a cached location by an internal redirect, when the cache has it already: one that runs the
//! backend itself, or a fill. There is one record for each request, that of the location that was asked for. The other
//! location's part is to say where its backend is.

use crate::conf::{Backend, LocConf, MainConf};
use crate::detached;
use crate::ngx::request::{Code, DECLINED, DONE, Request};
use crate::request::access::Entered;
use crate::request::context::Context;
use crate::request::pass::redirect;
use crate::request::settings;

/// Goes on in the backend's location, if the location has one elsewhere.
pub(super) fn enter(r: Request, conf: &LocConf) -> Code {
    // Where only a level above says so, the location is a backend that has inherited it.
    if conf.enable != Some(true) || !conf.own {
        return DECLINED;
    }
    let hook = detached::hook(r);
    let entered = match hook {
        Some(hook) if hook.subrequest.get() == r.as_ptr() => Some(&hook.entered),
        Some(_) => None,
        None => Context::of(r).map(|context| &context.entered),
    };
    // The module has led it to this location.
    if entered.is_some_and(|entered| entered.get() == Entered::at(r)) {
        return DECLINED;
    }
    let Some(backend) = backend(r, conf) else {
        return DECLINED;
    };
    if hook.is_none()
        && let Some(context) = Context::of(r)
    {
        context.set_running();
    }
    if let Some(entered) = entered {
        entered.set(Entered::after_redirect(r));
    }
    redirect(r, &backend);
    DONE
}

/// The backend's location, if that is another one.
fn backend(r: Request, conf: &LocConf) -> Option<Backend> {
    // `$cache_backend` may still be what the location set that the request comes from.
    let backend = match &conf.backend {
        Some(backend) => backend.clone(),
        None if r.has_content_handler() => return None,
        None => settings::backend(r, conf, r.main_conf::<MainConf>()?),
    };
    match &backend {
        Backend::Own => None,
        // It is there.
        Backend::Uri(prefix) if r.uri().starts_with(prefix) => None,
        Backend::Uri(_) | Backend::Named(_) => Some(backend),
    }
}
