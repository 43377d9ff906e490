//! What is learnt from a response that is stored as soon as its key has been asked for more often: `redis_cache_min_uses`.

use cache_core::outcome::Reason;
use cache_core::policy::{RequestView, storable_behind};

use crate::conf::LocConf;
use crate::fill::search::Learning;
use crate::ngx::event::now_sec;
use crate::ngx::request::Request;
use crate::ngx::upstream::captured;
use crate::ngx::values::Scope;
use crate::request::context::Context;
use crate::request::pass;

/// The header of a backend's response to a request that the cache has passed on. Where each URL is new the rule of its path
/// would be learnt from no response otherwise, and no key would be asked for twice.
pub fn on_header(r: Request, context: &'static Context) {
    if context.first_reason() != Some(Reason::FewUses) {
        return;
    }
    let (Some(learning), Some(cacheable)) = (Learning::of(r), &context.cacheable) else {
        return;
    };
    let captured = captured::capture(r, pass::left_upstreams(context));
    let no_store = r.loc_conf::<LocConf>().is_some_and(|conf| {
        // SAFETY: filled by nginx's own setter.
        unsafe { r.holds(conf.no_store(), Scope::Apart) }
    });
    let request = RequestView {
        no_store: cacheable.view.no_store || no_store,
        ..cacheable.view
    };
    let (before, rules) = (captured.before(), &cacheable.settings.lookup.rules);
    if storable_behind(&request, before, &captured.view(), rules, now_sec()).is_ok() {
        let before = captured.before().map(|before| before.headers);
        learning.learn_unstored(&captured.said, before);
    }
}
