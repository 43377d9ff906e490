//! A fill whose response comes to a client's own request, which the cache has passed on: it is captured on its way to the
//! client, and stored under the key of a GET (RFC 9110 9.3.3).
//!
//! What such a request has changed is invalidated by its response, and that comes before the record: a [`Succession`] sees
//! to it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use cache_core::counters::FillKind;
use cache_core::fence::Token;
use cache_core::flow::Finding;
use cache_core::outcome::{CacheStatus, Reason};
use cache_core::policy::{Plan, RequestView};

use super::capture::Capture;
use super::carrier::Carrier;
use super::compress::Compression;
use super::criteria::{Criteria, NoStore};
use super::labelling::Labelling;
use super::locks::Locks;
use super::part::Wanted;
use super::search::Learning;
use super::stream::Stream;
use super::succession::{Clearance, Succession};
use super::task::{Fill, KnownFence};
use super::terms::Terms;
use crate::conf::LocConf;
use crate::detached::{Sink, Times};
use crate::ngx::random;
use crate::ngx::request::Request;
use crate::ngx::upstream::captured::Captured;
use crate::store::lookup::Lookup;

/// What is known of the key before the backend is asked.
pub struct Before {
    /// The store, the key of a GET, and the rules for storing.
    pub lookup: Lookup,
    /// On which terms the response is captured.
    pub terms: Terms,
    /// What of the request counts for storing the response.
    pub view: RequestView,
    /// When it was asked, and what had been invalidated and purged by then.
    pub times: Rc<Times>,
    /// The token that the key's fence held. Empty: none, or it isn't known.
    pub fence: Bytes,
    /// When that was asked for, in milliseconds.
    pub fence_at: u64,
}

/// A response that is captured.
pub struct Begun {
    /// Takes its body.
    pub sink: Rc<dyn Sink>,
    /// How it is stored.
    pub plan: Plan,
    /// Receives what becomes of it.
    pub outcome: Rc<Cell<Option<Reason>>>,
    /// What is left to do before it is written, if its request invalidates what was stored.
    pub succession: Option<Succession>,
}

/// Begins to capture a response whose header is here. `invalidates`: what is stored under the key is about to be
/// invalidated for this response's sake.
///
/// # Errors
///
/// Why it isn't stored.
pub fn begin(
    r: Request,
    conf: &LocConf,
    before: Before,
    (captured, is_restricted): (Captured, bool),
    invalidates: bool,
) -> Result<Begun, Reason> {
    let Before {
        lookup,
        terms,
        view,
        times,
        fence,
        fence_at,
    } = before;
    let stream = Stream::new(lookup.rules.max_size, terms.capture_memory);
    let criteria = criteria(r, conf, &lookup, view);
    let learning = criteria.learning.clone();
    let capture = Capture::new(Rc::clone(&stream), criteria);
    capture.header(r, captured, is_restricted);
    let plan = match stream.head().map(|head| head.finding.clone()) {
        Some(Finding::Storable(plan)) => plan,
        Some(Finding::NotStorable(reason)) => return Err(reason),
        _ => return Err(Reason::BackendFailed),
    };
    let clearance = invalidates.then(Rc::<Clearance>::default);
    let succession = clearance.as_ref().map(|clearance| Succession {
        token: Token::new(random::number()),
        seen: fence.clone(),
        times: Rc::clone(&times),
        clearance: Rc::clone(clearance),
    });
    let token = match &succession {
        Some(succession) => Bytes::from(succession.token.to_string()),
        None => fence,
    };
    let outcome = Rc::<Cell<Option<Reason>>>::default();
    let marked = *lookup.lock_key();
    let fill = Fill {
        lookup,
        stream,
        carrier: Carrier::Client { times, clearance },
        known: None,
        marked: Some(marked),
        variant: None,
        locks: Locks::default(),
        variants: RefCell::default(),
        known_fence: RefCell::new(KnownFence::new(token, fence_at)),
        seen: RefCell::default(),
        terms,
        kind: FillKind::Miss,
        status: CacheStatus::Bypass,
        learn: Box::new(|_| ()),
        learning,
        compression: Compression::new(conf.compress.clone().flatten()),
        outcome: Rc::clone(&outcome),
    };
    fill.spawn(None, false, None);
    Ok(Begun {
        sink: Rc::new(capture),
        plan,
        outcome,
        succession,
    })
}

fn criteria(r: Request, conf: &LocConf, lookup: &Lookup, view: RequestView) -> Criteria {
    let learning = Learning::of(r);
    Criteria {
        rules: Rc::clone(&lookup.rules),
        view,
        // They were asked by the client's request.
        no_store: NoStore::none(),
        held: None,
        conditional: false,
        without_cookie: false,
        without_fields: false,
        of_post: true,
        key: *lookup.lock_key(),
        wanted: Wanted::Whole,
        labelling: Labelling::of(r, conf, learning.as_deref()),
        learning,
    }
}
