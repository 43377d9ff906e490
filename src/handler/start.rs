//! How a fill begins: behind a client's back, or for the client to read.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use cache_core::credentials::Credential;
use cache_core::flow::{Held, Refill};
use cache_core::outcome::Reason;
use cache_core::policy::RequestView;
use cache_core::renewal::Validators;

use crate::asked_with::AskedWith;
use crate::client_cache::Ground;
use crate::conf::LocConf;
use crate::context::Context;
use crate::fill::detached::{self, NoStore, Own, Purpose, Question, Times};
use crate::fill::registry::LockPermit;
use crate::fill::task::{Fill, Terms};
use crate::fill::{Stream, Subscription};
use crate::lookup::Lookup;
use crate::ngx::request::Request;
use crate::settings::Wish;
use crate::shm::locks::Memory;
use crate::shm::zone::RefillSlot;

/// How a fill begins.
pub(super) struct Start {
    pub(super) permit: Option<LockPermit>,
    pub(super) look_again: bool,
    /// Why it is known beforehand that the answer won't be stored.
    pub(super) known: Option<Reason>,
    /// The right to run behind a client's back.
    pub(super) slot: Option<RefillSlot>,
    /// What is known beforehand.
    pub(super) ground: Box<Ground>,
    /// The record that the backend is asked about.
    pub(super) held: Option<Rc<Held>>,
}

pub(super) fn start_refill(
    r: Request,
    context: &Context,
    wish: &Wish,
    refill: Refill<LockPermit, RefillSlot>,
    (held, ground): (Held, Box<Ground>),
) {
    let start = Start {
        permit: Some(refill.permit),
        look_again: refill.look_again,
        known: None,
        slot: Some(refill.slot),
        ground,
        held: Some(Rc::new(held)),
    };
    // Without a connection for it the record stays as it is; a later request tries again.
    let _ = start_fill(r, context, wish, start, Rc::default());
}

/// Starts a fill for this request to read.
pub(super) fn start_first(
    r: Request,
    context: &Context,
    wish: &Wish,
    start: Start,
) -> Option<Subscription> {
    let (stream, times) = start_fill(r, context, wish, start, context.outcome())?;
    context.set_fill(&times, false);
    Some(stream.subscribe())
}

/// Starts a fill. What becomes of it is left in `outcome`.
fn start_fill(
    r: Request,
    context: &Context,
    wish: &Wish,
    mut start: Start,
    outcome: Rc<Cell<Option<Reason>>>,
) -> Option<(Rc<Stream>, Rc<Times>)> {
    let settings = &wish.settings;
    let stream = Stream::new(settings.lookup.rules.max_size, settings.capture_memory);
    let asked = match &start.held {
        // A refill is nobody's answer. With a slot it runs behind the client's back.
        Some(held) if start.slot.is_some() => {
            AskedWith::refill(r, settings, &held.record, &start.ground.key)
        }
        _ => AskedWith::all(r),
    };
    if let Some(permit) = &mut start.permit {
        permit.set_asked(asked.hash);
    }
    let learn = asked.learn();
    let memory = Memory {
        asked: asked.hash,
        ..settings.memory
    };
    let purpose = Purpose::Fill(Question {
        rules: Rc::clone(&settings.lookup.rules),
        view: RequestView {
            // A refill is nobody's answer: what the client wants of its own says nothing of it.
            asks_no_store: wish.view.asks_no_store && start.slot.is_none(),
            authorization: wish.view.authorization
                && !asked.credentials.contains(&Credential::Authorization),
            ..wish.view
        },
        validators: start
            .held
            .as_ref()
            // Others are carried out or not by these conditions (RFC 9110 13.1.2).
            .filter(|_| settings.lookup.rules.revalidate && matches!(r.method(), b"GET" | b"HEAD"))
            .and_then(|held| Validators::of(&held.record)),
        held: start.held,
        no_store: NoStore::of(r.loc_conf::<LocConf>()?),
        backend: context.basics.backend.clone(),
        asked,
        key: start.ground.key,
        own: Own {
            phase: context.after,
        },
    });
    let detached = detached::create(r, &stream, purpose).ok()?;
    if let Some(permit) = &start.permit {
        permit.publish(&stream, detached.times(), start.known.is_none());
    }
    let times = Rc::clone(detached.times());
    let ground = start.ground;
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
        place: (ground.zone, ground.key),
        // Without a lock the fill must find its mark itself.
        mark: start.permit.is_none().then_some(ground.mark),
        locks: Rc::default(),
        variants: RefCell::new(ground.variants),
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
