//! How a fill begins: behind a client's back, or for the client to read.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use cache_core::counters::FillKind;
use cache_core::credentials::Credential;
use cache_core::flow::{Held, Refill};
use cache_core::key::LockKey;
use cache_core::outcome::{CacheStatus, Reason};
use cache_core::policy::RequestView;
use cache_core::renewal::Validators;
use cache_core::vary::VariantId;
use ngx::ffi::ngx_int_t;

use super::capture::Capture;
use super::carrier::Carrier;
use super::compress::Compression;
use super::criteria::{Criteria, NoStore};
use super::gather;
use super::labelling::Labelling;
use super::locks::Locks;
use super::part::{self, Slice, Wanted};
use super::registry::LockPermit;
use super::request_header::RequestHeader;
use super::search::Learning;
use super::stream::{Stream, Subscription};
use super::task::Fill;
use super::terms::Terms;
use crate::conf::LocConf;
use crate::detached::{self, Backend, Fetch, Purpose, Times};
use crate::ngx::request::Request;
use crate::shm::locks::Retention;
use crate::shm::zone::RefillSlot;
use crate::store::lookup::{Lookup, Variants};
use crate::store::redis::LastLook;

/// The client's request that starts a fill, and what holds for it.
pub struct Initiator<'a> {
    /// The request. The fill copies what it needs of it.
    pub request: Request,
    /// The store, the key, and the rules for storing.
    pub lookup: &'a Lookup,
    /// On which terms the fill runs.
    pub terms: &'a Terms,
    /// What of the request counts for storing the response.
    pub view: RequestView,
    /// Bytes of a slice, where large responses are kept in slices.
    pub slice: Option<u64>,
    /// Where the backend is.
    pub backend: &'a Backend,
    /// Index in the phase engine of what comes behind our handler.
    pub next_phase: ngx_int_t,
}

impl Initiator<'_> {
    /// Whether its own response may be stored, as far as is known beforehand.
    ///
    /// # Errors
    ///
    /// Why it isn't.
    pub fn is_stored(&self) -> Result<(), Reason> {
        let (view, r) = (&self.view, self.request);
        if view.no_store {
            Err(Reason::NoStoreDirective)
        } else if view.asks_no_store {
            Err(Reason::NoStoreAsked)
        } else if view.authorization && part::refuses_credentials(self.lookup.lock_key(), r) {
            Err(Reason::Authorization)
        } else {
            Ok(())
        }
    }
}

/// What is known of a fill's key before it starts.
pub struct FillTarget {
    /// The lock key of what the request asks for: that of the key, or of a variant. The lock table may say that it
    /// isn't storable.
    pub wanted: LockKey,
    /// The variant, if it is known what the key's responses vary on.
    pub variant: Option<VariantId>,
    /// What a look has shown of the key's variants.
    pub variants: Variants,
    /// What it has shown of the record, for a claim.
    pub seen: Option<LastLook>,
}

/// How a fill begins.
pub struct Start {
    /// The lock that it runs under, if it has one.
    pub permit: Option<LockPermit>,
    /// Whether the record is read once more before the backend is asked.
    pub look_again: bool,
    /// Why it is known beforehand that the response won't be stored.
    pub known: Option<Reason>,
    /// The right to run behind a client's back.
    pub slot: Option<RefillSlot>,
    /// `$redis_cache_status` of the request that starts it.
    pub status: CacheStatus,
    /// What is known of its key.
    pub target: Box<FillTarget>,
    /// The record that the backend is asked about.
    pub held: Option<Rc<Held>>,
    /// The slice that is asked for, if it is one of an object that is known.
    pub slice: Option<Slice>,
}

/// Starts a fill behind the client's back, for a record that the client has got.
/// `template`: the text that makes the request's key, with `$variables`, if it is known.
pub fn start_refill(
    initiator: &Initiator<'_>,
    template: Option<&[u8]>,
    refill: Refill<LockPermit, RefillSlot>,
    (held, target): (Held, Box<FillTarget>),
) {
    let rules = &initiator.lookup.rules;
    let header = RequestHeader::refill(
        initiator.request,
        rules,
        &held.record,
        initiator.lookup.lock_key(),
        template,
    );
    let start = Start {
        permit: Some(refill.permit),
        look_again: refill.look_again,
        known: None,
        slot: Some(refill.slot),
        status: CacheStatus::Expired,
        target,
        held: Some(Rc::new(held)),
        slice: None,
    };
    // Without a connection for it the record stays as it is; a later request tries again.
    let _ = start_fill(initiator, start, header, Rc::default());
}

/// Starts a fill for the client to read. What becomes of it is left in `outcome`. `None` if there is no connection for
/// it.
pub fn start_first(
    initiator: &Initiator<'_>,
    start: Start,
    outcome: Rc<Cell<Option<Reason>>>,
) -> Option<(Subscription, Rc<Times>)> {
    let header = RequestHeader::all(initiator.request);
    let (stream, times) = start_fill(initiator, start, header, outcome)?;
    Some((stream.subscribe(), times))
}

fn start_fill(
    initiator: &Initiator<'_>,
    mut start: Start,
    header: RequestHeader,
    outcome: Rc<Cell<Option<Reason>>>,
) -> Option<(Rc<Stream>, Rc<Times>)> {
    let (r, lookup) = (initiator.request, initiator.lookup);
    let terms = Terms {
        retention: Retention {
            sender: header.sender,
            ..initiator.terms.retention
        },
        ..*initiator.terms
    };
    if let Some(permit) = &mut start.permit {
        permit.set_sender(header.sender);
    }
    let stream = Stream::new(lookup.rules.max_size, terms.capture_memory);
    let learn = header.learn();
    let validators = validators(initiator, &start);
    let wanted = wanted(initiator, &mut start);
    let part = wanted.fields();
    let is_part = !matches!(wanted, Wanted::Whole);
    let criteria = criteria(initiator, &start, (&header, wanted), validators.is_some())?;
    let learning = criteria.learning.clone();
    let capture = Capture::new(Rc::clone(&stream), criteria);
    let fetch = Fetch {
        backend: initiator.backend.clone(),
        next_phase: initiator.next_phase,
        without_credentials: header.without_credentials,
        without_fields: header.without_fields,
        validators,
        part,
    };
    let detached = if is_part {
        gather::create(r, capture, fetch)?
    } else {
        detached::create(r, Rc::new(capture), Purpose::Fetch(fetch)).ok()?
    };
    if let Some(permit) = &start.permit {
        permit.publish(&stream, detached.times(), start.known.is_none());
    }
    let times = Rc::clone(detached.times());
    let target = start.target;
    let conf = r.loc_conf::<LocConf>();
    let compress = conf.and_then(|conf| conf.compress.clone().flatten());
    let fill = Fill {
        lookup: Lookup {
            zone: lookup.zone,
            store: lookup.store.of_fill(&detached),
            key: lookup.key.clone(),
            rules: Rc::clone(&lookup.rules),
            memory: lookup.memory,
        },
        stream: Rc::clone(&stream),
        carrier: Carrier::Detached(detached),
        known: start.known,
        marked: start.permit.is_none().then_some(target.wanted),
        variant: target.variant,
        locks: Locks::default(),
        variants: RefCell::new(target.variants),
        known_fence: RefCell::default(),
        seen: RefCell::new(target.seen),
        terms,
        kind: match (&start.slot, &start.held) {
            (Some(_), _) => FillKind::Refill,
            (None, Some(_)) => FillKind::Validate,
            (None, None) => FillKind::Miss,
        },
        status: start.status,
        learn: Box::new(learn),
        learning,
        compression: Compression::new(compress.filter(|_| start.known.is_none())),
        outcome,
    };
    fill.spawn(start.permit, start.look_again, start.slot);
    Some((stream, times))
}

/// Which part of the response the backend is asked for.
fn wanted(initiator: &Initiator<'_>, start: &mut Start) -> Wanted {
    if let Some(slice) = start.slice.take() {
        return Wanted::Slice(slice);
    }
    let (r, key) = (initiator.request, initiator.lookup.lock_key());
    let fetches = matches!(r.method(), b"GET" | b"HEAD");
    // What isn't stored, or is fetched by several side by side, would be in pieces for nothing.
    let is_stored =
        start.permit.is_some() && start.known.is_none() && initiator.is_stored().is_ok();
    match initiator.slice {
        Some(size) if fetches && is_stored && !part::is_unfit(key, r) => {
            Wanted::first(size, start.held.as_ref().map(|held| &*held.record))
        }
        _ => Wanted::Whole,
    }
}

/// The conditions that the backend is asked with.
fn validators(initiator: &Initiator<'_>, start: &Start) -> Option<Validators> {
    let held = start.held.as_ref()?;
    // Requests of other methods are carried out or not by these conditions (RFC 9110 13.1.2).
    let may_be = matches!(initiator.request.method(), b"GET" | b"HEAD");
    if !initiator.lookup.rules.revalidate || !may_be {
        return None;
    }
    Validators::of(&held.record)
}

/// By what it is decided what becomes of the response. `None` without a configuration.
fn criteria(
    initiator: &Initiator<'_>,
    start: &Start,
    (header, wanted): (&RequestHeader, Wanted),
    conditional: bool,
) -> Option<Criteria> {
    let conf = initiator.request.loc_conf::<LocConf>()?;
    let leaves_out = |credential| header.without_credentials.contains(&credential);
    let learning = Learning::of(initiator.request);
    Some(Criteria {
        rules: Rc::clone(&initiator.lookup.rules),
        view: RequestView {
            // A refill is nobody's response: what the client wants of its own says nothing of it.
            asks_no_store: initiator.view.asks_no_store && start.slot.is_none(),
            authorization: initiator.view.authorization && !leaves_out(Credential::Authorization),
            ..initiator.view
        },
        no_store: NoStore::of(conf),
        held: start.held.clone(),
        conditional,
        without_cookie: leaves_out(Credential::Cookie),
        without_fields: !header.without_fields.is_empty(),
        of_post: false,
        key: *initiator.lookup.lock_key(),
        wanted,
        labelling: Labelling::of(initiator.request, conf, learning.as_deref()),
        learning,
    })
}
