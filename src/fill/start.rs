//! How a fill begins: behind a client's back, or for the client to read.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use cache_core::credentials::Credential;
use cache_core::flow::{Held, Refill};
use cache_core::policy::RequestView;
use cache_core::renewal::Validators;
use cache_core::status::Reason;

use crate::conf::LocConf;
use crate::detached::{self, NoStore, Own, Purpose, Question, Times};
use crate::fill::registry::LockPermit;
use crate::fill::request_header::RequestHeader;
use crate::fill::task::{Fill, Terms};
use crate::fill::{Stream, Subscription};
use crate::ngx::request::Request;
use crate::request::cache::FillTarget;
use crate::request::context::Context;
use crate::request::settings::CacheableRequest;
use crate::shm::locks::Retention;
use crate::shm::zone::RefillSlot;
use crate::store::lookup::Lookup;

/// How a fill begins.
pub struct Start {
    pub permit: Option<LockPermit>,
    pub look_again: bool,
    /// Why it is known beforehand that the answer won't be stored.
    pub known: Option<Reason>,
    /// The right to run behind a client's back.
    pub slot: Option<RefillSlot>,
    /// What is known beforehand.
    pub target: Box<FillTarget>,
    /// The record that the backend is asked about.
    pub held: Option<Rc<Held>>,
}

pub fn start_refill(
    r: Request,
    context: &Context,
    cacheable: &CacheableRequest,
    refill: Refill<LockPermit, RefillSlot>,
    (held, target): (Held, Box<FillTarget>),
) {
    let start = Start {
        permit: Some(refill.permit),
        look_again: refill.look_again,
        known: None,
        slot: Some(refill.slot),
        target,
        held: Some(Rc::new(held)),
    };
    // Without a connection for it the record stays as it is; a later request tries again.
    let _ = start_fill(r, context, cacheable, start, Rc::default());
}

/// Starts a fill for this request to read; returns its times, too.
pub fn start_first(
    r: Request,
    context: &Context,
    cacheable: &CacheableRequest,
    start: Start,
) -> Option<(Subscription, Rc<Times>)> {
    let (stream, times) = start_fill(r, context, cacheable, start, context.fill_outcome())?;
    Some((stream.subscribe(), times))
}

/// Starts a fill. What becomes of it is left in `outcome`.
fn start_fill(
    r: Request,
    context: &Context,
    cacheable: &CacheableRequest,
    mut start: Start,
    outcome: Rc<Cell<Option<Reason>>>,
) -> Option<(Rc<Stream>, Rc<Times>)> {
    let settings = &cacheable.settings;
    let stream = Stream::new(settings.lookup.rules.max_size, settings.capture_memory);
    let asked = match &start.held {
        // A refill is nobody's answer. With a slot it runs behind the client's back.
        Some(held) if start.slot.is_some() => {
            RequestHeader::refill(r, settings, &held.record, &start.target.key)
        }
        _ => RequestHeader::all(r),
    };
    if let Some(permit) = &mut start.permit {
        permit.set_asked(asked.hash);
    }
    let learn = asked.learn();
    let memory = Retention {
        asked: asked.hash,
        ..settings.memory
    };
    let purpose = Purpose::Fill(Question {
        rules: Rc::clone(&settings.lookup.rules),
        view: RequestView {
            // A refill is nobody's answer: what the client wants of its own says nothing of it.
            asks_no_store: cacheable.view.asks_no_store && start.slot.is_none(),
            authorization: cacheable.view.authorization
                && !asked.credentials.contains(&Credential::Authorization),
            ..cacheable.view
        },
        validators: start
            .held
            .as_ref()
            // Others are carried out or not by these conditions (RFC 9110 13.1.2).
            .filter(|_| settings.lookup.rules.revalidate && matches!(r.method(), b"GET" | b"HEAD"))
            .and_then(|held| Validators::of(&held.record)),
        held: start.held,
        no_store: NoStore::of(r.loc_conf::<LocConf>()?),
        backend: context.location.backend.clone(),
        asked,
        key: start.target.key,
        own: Own {
            phase: context.after,
        },
    });
    let detached = detached::create(r, &stream, purpose).ok()?;
    if let Some(permit) = &start.permit {
        permit.publish(&stream, detached.times(), start.known.is_none());
    }
    let times = Rc::clone(detached.times());
    let target = start.target;
    let lookup = Lookup {
        store: settings.lookup.store.of_fill(&detached),
        key: settings.lookup.key.clone(),
        rules: Rc::clone(&settings.lookup.rules),
    };
    let fill = Fill {
        lookup,
        stream: Rc::clone(&stream),
        detached,
        known: start.known,
        place: (target.zone, target.key),
        // Without a lock the fill must find its mark itself.
        mark: start.permit.is_none().then_some(target.mark),
        locks: Rc::default(),
        variants: RefCell::new(target.variants),
        terms: Terms {
            age: settings.lock_age,
            queue: settings.queue,
            memory,
        },
        learn: Box::new(learn),
        capture_timeout: settings.capture_timeout,
        outcome,
    };
    fill.spawn(start.permit, start.look_again, start.slot);
    Some((stream, times))
}
