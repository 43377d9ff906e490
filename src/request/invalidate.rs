//! Invalidation: what the response to a request that the cache doesn't answer means for stored ones. That to an unsafe
//! request invalidates them (RFC 9111 4.4), that to a HEAD freshens or invalidates them (4.3.5).

mod logged;

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use bytes::Bytes;
use cache_core::headers::{Headers, trim_ows};
use cache_core::invalidation::{
    has_destination, head_disagrees, is_non_error, may_invalidate, other_targets,
};
use cache_core::outcome::Reason;
use cache_core::policy::{RequestView, ResponseView, storable_behind};
use cache_core::record::Record;
use cache_core::renewal::renew;
use cache_core::shown::shown;
use cache_core::uri::{Origin, Target, destination};
use cache_core::vary::Variant;
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use crate::conf::{LocConf, MainConf};
use crate::fill::search::{self, Learning};
use crate::fill::succession::Succession;
use crate::ngx::event::now_sec;
use crate::ngx::headers;
use crate::ngx::request::{Code, Request};
use crate::ngx::upstream::captured::{self, Captured};
use crate::ngx::values::KeptVariables;
use crate::request::context::Context;
use crate::request::deletion::Deletion;
use crate::request::hold;
use crate::request::key::{self, KeySource};
use crate::request::pass;
use crate::request::settings::{self, LocationSettings, Settings};
use crate::request::state::State;
use crate::store::lookup::{self, Lookup};
use crate::store::refresh::refresh;
use crate::store::variants;
use crate::store::{Key, Store};

use logged::Logged;

/// What is done to stored responses when the header of the backend's response is here.
pub enum Effect {
    /// The request is unsafe: what it may have changed is invalidated, if it succeeds.
    Invalidation(Invalidation),
    /// The response tells what a GET would get.
    Freshening(Freshening),
}

/// A request by a method that isn't known to be safe.
pub struct Invalidation {
    /// The key of a GET of its own URI, and where its record is.
    lookup: Lookup,
    /// Where keys of others come from.
    source: KeySource,
    /// Whether No-Vary-Search is heeded: then a URI may have a key by a rule, and one without.
    heeds_rules: bool,
    /// Whether keys say by which rule they are made: then a URI may have others, by rules that aren't known here.
    names_rules: bool,
}

/// A HEAD that the cache doesn't answer.
pub struct Freshening {
    lookup: Lookup,
    authorization: bool,
    learning: Option<Rc<Learning>>,
}

/// What waits for the header of the backend's response.
#[derive(Default)]
struct Expected {
    /// The key of a GET of the request's URI.
    key: OnceCell<Bytes>,
    effect: Cell<Option<Effect>>,
}

impl State for Expected {}

/// Has this done when the header of the backend's response is here. `None` if there is no memory.
pub fn expect(context: &'static Context, effect: Effect) -> Option<()> {
    let expected = context.state::<Expected>()?;
    let _ = expected.key.set(effect.key().clone());
    expected.effect.set(Some(effect));
    Some(())
}

/// The key of a GET of the request's URI, if the request may have an effect on what is stored under it.
pub fn key(context: &'static Context) -> Option<&'static Bytes> {
    context.find::<Expected>()?.key.get()
}

/// The header of the backend's response is here, and not on its way to the client yet. `Some` if it has to wait.
/// `succession`: the response itself is to take the place of the record that it invalidates.
pub fn on_header(
    r: Request,
    context: &'static Context,
    succession: Option<Succession>,
) -> Option<Code> {
    if context.cacheable.is_some() {
        return None;
    }
    let effect = context.find::<Expected>()?.effect.take()?;
    effect.carry_out(r, context, succession)
}

/// Whether the request invalidates what is stored under the key of a GET of its URI, should it succeed.
pub fn is_expected(context: &'static Context) -> bool {
    let Some(expected) = context.find::<Expected>() else {
        return false;
    };
    let effect = expected.effect.take();
    let invalidates = matches!(effect, Some(Effect::Invalidation(_)));
    expected.effect.set(effect);
    invalidates
}

/// What a request that the cache doesn't answer may mean for stored responses.
pub fn expected(
    r: Request,
    conf: &LocConf,
    main: &MainConf,
    location: &LocationSettings,
    reason: Reason,
) -> Option<Effect> {
    // What methods are listed is the operator's word: those change nothing.
    let changes = !location.methods.contains(r.method()) && may_invalidate(r.method());
    let asks = r.is_head() && matches!(reason, Reason::MethodNotListed | Reason::Bypass);
    let unwanted = conf.invalidate == Some(false);
    if unwanted || r.is_subrequest() || !(changes || asks) {
        return None;
    }
    // nginx itself would ask for no variable of these now.
    let _kept = KeptVariables::of(r);
    let (Settings { lookup, .. }, _) = settings::settings(r, conf, main, location, false)?;
    if asks {
        return Some(Effect::Freshening(Freshening {
            lookup,
            authorization: r.has_authorization(),
            learning: Learning::of(r),
        }));
    }
    let source = key::source(r, conf, main)?;
    let key = Key::new(source.of_get(r)?);
    let heeds_rules = conf.args_with_rules().is_some();
    Some(Effect::Invalidation(Invalidation {
        lookup: Lookup { key, ..lookup },
        source,
        heeds_rules,
        names_rules: heeds_rules && search::is_asked(r),
    }))
}

impl Effect {
    /// The key of a GET of the request's URI.
    fn key(&self) -> &Bytes {
        match self {
            Effect::Invalidation(invalidation) => &invalidation.lookup.key.redis,
            Effect::Freshening(freshening) => &freshening.lookup.key.redis,
        }
    }

    /// `Some` if the header of the response has to wait.
    fn carry_out(
        self,
        r: Request,
        context: &'static Context,
        succession: Option<Succession>,
    ) -> Option<Code> {
        let status = u16::try_from(r.get().headers_out.status).unwrap_or(0);
        match self {
            Effect::Invalidation(invalidation) if is_non_error(status) => {
                invalidation.carry_out(r, context, succession)
            }
            Effect::Freshening(freshening) if status == 200 => freshening.carry_out(r, context),
            _ => None,
        }
    }
}

impl Invalidation {
    fn carry_out(
        self,
        r: Request,
        context: &'static Context,
        succession: Option<Succession>,
    ) -> Option<Code> {
        // Also what clients don't get: `proxy_hide_header`.
        let said = captured::capture(r, Vec::new()).said;
        let (others, paths) = self.others(r, &said);
        let logged = Logged {
            groups: logged::groups(r, &said),
            paths: logged::paths(r, self.source.template(), &paths),
            times: succession.as_ref().map(|own| Rc::clone(&own.times)),
        };
        let Lookup {
            zone, store, key, ..
        } = &self.lookup;
        let available = store.available(&key.redis);
        let own = Deletion::succeeded(*zone, store, key.clone(), succession);
        let others = others.into_iter().map(Key::new);
        let others = others.map(|key| Deletion::begin(*zone, store, key));
        let sent: Vec<_> = std::iter::once(own).chain(others).collect();
        let method = String::from_utf8_lossy(r.method()).into_owned();
        let done = format!("invalidated by {method}");
        let store = store.clone();
        let work = async move {
            logged.carry_out(&store, &method).await;
            for deletion in sent {
                // It is logged.
                let _ = deletion.end(&done).await;
            }
        };
        hold::until(r, context, work, available)
    }

    /// The keys of what Location and Content-Location of the response name, and Destination of the request; and what all of it
    /// has for a key without a rule of No-Vary-Search. And the URIs, the request's own among them, that may have keys by rules
    /// that aren't known here.
    fn others(&self, r: Request, said: &Headers) -> (Vec<Bytes>, Vec<Target>) {
        let Some(own) = Target::of_request(r.unparsed_uri()) else {
            return (Vec::new(), Vec::new());
        };
        let origin = Origin::new(r.is_https(), r.authority());
        let references = ["Location", "Content-Location"]
            .into_iter()
            .flat_map(|name| said.get_all(name));
        let mut targets = other_targets(&own, origin.as_ref(), references);
        if has_destination(r.method()) {
            let mut named = None;
            headers::of_request(r, b"destination", &mut |value| {
                named = named
                    .take()
                    .or_else(|| destination(trim_ows(value), &own, r.host()));
            });
            targets.extend(named);
        }
        let of_other = |target: &Target| self.source.of_other(r, target);
        let mut keys = Vec::new();
        targets.retain(|target| {
            let key = of_other(target);
            let is_known = key.is_some();
            keys.extend(key);
            is_known
        });
        if self.heeds_rules {
            search::without(|| {
                keys.extend(self.source.of_get(r));
                keys.extend(targets.iter().filter_map(of_other));
            });
            keys.sort_unstable();
            keys.dedup();
        }
        keys.retain(|key| *key != self.lookup.key.redis);
        if self.names_rules {
            targets.push(own);
        } else {
            targets.clear();
        }
        (keys, targets)
    }
}

impl Freshening {
    fn carry_out(self, r: Request, context: &'static Context) -> Option<Code> {
        let captured = captured::capture(r, pass::left_upstreams(context));
        if !self.is_for_everybody(&captured) {
            return None;
        }
        // It is for another key.
        if let Some(learning) = &self.learning
            && !learning.allows(&captured.said)
        {
            return None;
        }
        let available = self.lookup.store.available(&self.lookup.key.redis);
        let rules = self.lookup.rules.ignoring(captured.unsent.ignored);
        let own = variants::of_answer(&captured.said, &rules, r);
        let found = lookup::lookup_detached(self.lookup.clone(), own.clone());
        let alive = context.alive(r);
        let work = async move {
            let Ok(Some(record)) = found.await else {
                return;
            };
            // A location as the store is asked in the name of the client's request.
            if matches!(self.lookup.store, Store::Location(_)) && alive.get().is_none() {
                return;
            }
            let length = record.length();
            let (ours, theirs) = (record.said(), &captured.said);
            if head_disagrees(&ours, length, theirs, captured.content_length) {
                let Lookup {
                    zone, store, key, ..
                } = &self.lookup;
                let deletion = Deletion::begin(*zone, store, key.clone());
                // It is logged.
                let _ = deletion.end("invalidated by HEAD").await;
            } else if theirs.has_validator() {
                self.refresh(&record, &captured, own.as_ref()).await;
            }
        };
        hold::until(r, context, work, available)
    }

    /// Whether the response could have been stored, had it been one to a GET: a response for one client says nothing of
    /// what others get.
    fn is_for_everybody(&self, captured: &Captured) -> bool {
        let response = ResponseView {
            // However long: another length is what is looked for.
            content_length: None,
            ..captured.view()
        };
        let (request, before) = (self.request(), captured.before());
        storable_behind(&request, before, &response, &self.lookup.rules, now_sec()).is_ok()
    }

    /// The response speaks of the record: what it says of its freshness and other fields holds from now on, as with a
    /// 304 (RFC 9111 3.2).
    async fn refresh(&self, record: &Record, captured: &Captured, own: Option<&Variant>) {
        let (rules, key) = (&self.lookup.rules, &self.lookup.key.redis);
        let rules = &*rules.ignoring(captured.unsent.ignored);
        let confirmation = captured.confirmation();
        let renewed = renew(record, &confirmation, &self.request(), rules, now_sec());
        let change = renewed.and_then(|renewed| {
            let renewed = variants::renewed(renewed, own, rules);
            refresh(key.clone(), &renewed, None)
        });
        if let Some(change) = change
            && let Err(error) = self.lookup.store.change(change).await
        {
            let (key, store) = (shown(key), self.lookup.store.name());
            ngx_log_error!(
                error.level(),
                ngx_cycle_log().as_ptr(),
                "redis_cache: \"{key}\" was not refreshed in \"{store}\" by HEAD: {error}"
            );
        }
    }

    fn request(&self) -> RequestView {
        RequestView {
            authorization: self.authorization,
            no_store: false,
            asks_no_store: false,
        }
    }
}
