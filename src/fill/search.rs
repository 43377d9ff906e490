//! No-Vary-Search: the rule that a request's key was made by, and what the response says of it.
//!
//! A rule is learnt from a response and becomes part of `$redis_cache_args`, and so of every key that has that variable.
//! So two requests have one key only if they were given the same rule, and a response is stored under such a key, or shared by
//! those who wait for it, only if it has that very rule itself. Whatever this nginx or another one knows of a path, no request
//! gets a response that its own No-Vary-Search says is for other arguments, and a lookup needs to compare nothing. What
//! the zone knows is a hint alone: without it, or with a wrong one, a request finds nothing and asks the backend.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use cache_core::args::SearchRule;
use cache_core::flow::Finding;
use cache_core::headers::Headers;
use cache_core::key::LockKey;
use cache_core::outcome::Reason;
use cache_core::renewal::Renewed;
use cache_core::uri::Target;
use ngx::ffi::ngx_http_request_t;

use crate::conf::default_key;
use crate::ngx::pool;
use crate::ngx::request::Request;
use crate::shm::Zone;

/// The field.
pub const FIELD: &str = "No-Vary-Search";

/// For so many seconds a rule is known, at least: as long as the response is kept, if that is longer.
const KNOWN: u64 = 3600;

thread_local! {
    /// Whether values are made without rules.
    static WITHOUT: Cell<bool> = const { Cell::new(false) };
}

/// A rule that values of a request were made by, or that there was none. It stays the same for the request.
struct Given {
    request: *mut ngx_http_request_t,
    zone: Zone,
    path: LockKey,
    rule: Option<Rc<SearchRule>>,
}

/// The rule for values of this request. `zone`: where rules are known.
pub fn given(r: Request, zone: impl FnOnce() -> Option<Zone>) -> Option<Rc<SearchRule>> {
    if WITHOUT.get() || r.is_subrequest() {
        return None;
    }
    let zone = zone()?;
    let path = path_of(r, zone);
    if let Some(given) = find(r).filter(|given| given.path == path) {
        return given.rule.clone();
    }
    let text = zone.search_rule(&path);
    let rule = text.and_then(|text| SearchRule::parse(&text)).map(Rc::new);
    let given = Given {
        request: r.as_ptr(),
        zone,
        path,
        rule: rule.clone(),
    };
    // SAFETY: the request is live, and so is its pool. Without memory no rule is given: what is stored would not be judged by it.
    unsafe { pool::keep(r.pool(), given) }.and(rule)
}

/// What `make` makes of a request without rules.
pub fn without<T>(make: impl FnOnce() -> T) -> T {
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            WITHOUT.set(self.0);
        }
    }
    let _back = Back(WITHOUT.replace(true));
    make()
}

/// What the zone calls the path of a request, which has the arguments of its rule.
fn path_of(r: Request, zone: Zone) -> LockKey {
    let mut site = Vec::from(if r.is_https() { "https://" } else { "http://" });
    site.extend_from_slice(&default_key::authority(r));
    let uri = r.unparsed_uri();
    // All that `$uri` takes for one path is one.
    let path = Target::of_request(uri).and_then(|target| target.decoded_path(r.merges_slashes()));
    let path = path.unwrap_or_else(|| {
        uri.split(|&b| b == b'?' || b == b'#')
            .take(1)
            .collect::<Vec<_>>()
            .concat()
    });
    zone.lock_key(&site, &path)
}

/// Whether a rule was looked for, for values of this request: its key may be made by one.
pub fn is_asked(r: Request) -> bool {
    find(r).is_some()
}

/// What was given to a request for its own path, or for that which its values are made of at the moment.
fn find(r: Request) -> Option<&'static Given> {
    // SAFETY: the request is live, and so is its pool; what is kept there lives as long.
    unsafe {
        let is_its_own =
            |given: &Given| given.request == r.as_ptr() && given.path == path_of(r, given.zone);
        Some(&*pool::find(r.pool(), is_its_own)?.as_ptr())
    }
}

/// What is learnt of a path by the response to a request.
pub struct Learning {
    zone: Zone,
    path: LockKey,
    given: Option<Rc<SearchRule>>,
    /// What the response says, if it is to be stored.
    said: RefCell<Option<SearchRule>>,
}

impl Learning {
    /// For a request for whose values a rule was looked for. `None` for others.
    pub fn of(r: Request) -> Option<Rc<Learning>> {
        let given = find(r)?;
        Some(Rc::new(Learning {
            zone: given.zone,
            path: given.path,
            given: given.rule.clone(),
            said: RefCell::default(),
        }))
    }

    /// Whether the key was made by a rule.
    pub fn is_given(&self) -> bool {
        self.given.is_some()
    }

    /// Judges a response that would be stored otherwise. `before`: the header of responses that it stands in for: what those
    /// say of arguments it says, too, since it depends on them.
    pub fn judge<'a>(
        &self,
        said: &Headers,
        before: impl Iterator<Item = &'a Headers>,
        finding: Finding,
    ) -> Finding {
        match finding {
            Finding::Storable(plan) => {
                if self.agrees(rule_behind(said, before)) {
                    Finding::Storable(plan)
                } else {
                    Finding::NotStorable(Reason::SearchOtherwise)
                }
            }
            Finding::Confirmed(renewed)
                if renewed.plan.is_ok() && !self.agrees(rule_of(&renewed.record.said())) =>
            {
                Finding::Confirmed(Rc::new(Renewed {
                    plan: Err(Reason::SearchOtherwise),
                    ..Rc::unwrap_or_clone(renewed)
                }))
            }
            other => other,
        }
    }

    /// Whether a response with this rule may have the key. If not, the zone knows from now on which it is.
    fn agrees(&self, said: Option<SearchRule>) -> bool {
        let agrees = self.is_given_by(said.as_ref());
        if agrees {
            self.said.replace(said);
        } else {
            match said {
                Some(rule) => self.zone.learn_search_rule(&self.path, rule.text(), KNOWN),
                None => self.zone.forget_search_rule(&self.path),
            }
        }
        agrees
    }

    /// Whether a response with this rule may have the key: one without a rule is for these very arguments.
    fn is_given_by(&self, said: Option<&SearchRule>) -> bool {
        self.given.is_none() || self.given.as_deref() == said
    }

    /// Whether what a HEAD says may be written to the record of the key.
    pub fn allows(&self, said: &Headers) -> bool {
        !said.contains(FIELD) || self.is_given_by(rule_of(said).as_ref())
    }

    /// A response isn't stored, but only for too few uses: what it says of arguments holds for the next requests. `before`: as
    /// with [`Learning::judge`].
    pub fn learn_unstored<'a>(&self, said: &Headers, before: impl Iterator<Item = &'a Headers>) {
        match rule_behind(said, before) {
            Some(rule) => self.zone.learn_search_rule(&self.path, rule.text(), KNOWN),
            None if self.is_given() => self.zone.forget_search_rule(&self.path),
            None => {}
        }
    }

    /// The response is stored, for so many seconds: the zone knows its rule from now on.
    pub fn learn(&self, expiry: u32) {
        if let Some(rule) = &*self.said.borrow() {
            let seconds = KNOWN.max(expiry.into());
            self.zone
                .learn_search_rule(&self.path, rule.text(), seconds);
        }
    }
}

/// Whether a response has a rule.
pub fn says_rule(said: &Headers) -> bool {
    rule_of(said).is_some()
}

/// The rule of a response.
fn rule_of(said: &Headers) -> Option<SearchRule> {
    SearchRule::of(said.get_all(FIELD))
}

/// The rule of a response that stands in for others: there is one if all of them have it.
fn rule_behind<'a>(
    said: &Headers,
    mut before: impl Iterator<Item = &'a Headers>,
) -> Option<SearchRule> {
    let rule = rule_of(said)?;
    before
        .all(|before| rule_of(before).as_ref() == Some(&rule))
        .then_some(rule)
}
