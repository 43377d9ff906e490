//! The backend: each of its answers carries a number, and is made for one request.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use bytes::Bytes;
use cache_core::flow::{Ending, Finding, Held};
use cache_core::freshness::OriginDates;
use cache_core::headers::Headers;
use cache_core::policy::{RequestView, ResponseView, storable};
use cache_core::renewal::{Confirmation, Validators, renew};
use cache_core::use_stale::Failure;

use cache_core::vary::{Variant, VariantId};

use super::config::{Behaviour, Key, Kind, MAX_SIZE};
use super::faults;
use super::variants::{self, FieldValues, On};
use super::wait::sleep;
use super::worker::Worker;
use super::world::World;
use crate::stream::{ResponseHead, Stream};

/// On whose behalf the backend is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// By a fill that holds the lock.
    Fill,
    /// By a fill that goes beside the lock.
    Beside,
    /// In a client's own request.
    Pass,
}

/// One request to the backend and its answer.
#[derive(Clone, Debug)]
pub struct Asked {
    pub at: u64,
    pub machine: usize,
    pub key: Key,
    pub purpose: Purpose,
    /// The client's request that it was made for.
    pub request: usize,
    pub kind: Kind,
    /// The lock under which a fill asks.
    pub lock: Option<Key>,
    /// What the answer varies on.
    pub on: On,
    /// The lengths of the pieces of its body.
    pub sizes: Rc<[usize]>,
    /// How long its body takes if nothing holds it back, in milliseconds.
    pub takes: u64,
}

/// Bytes at the beginning of each piece that say what it is.
const MARK: usize = 12;

fn mark(answer: usize, index: usize) -> [u8; MARK] {
    let mut mark = [0; MARK];
    mark[..8].copy_from_slice(&(answer as u64).to_be_bytes());
    mark[8..].copy_from_slice(&(index as u32).to_be_bytes());
    mark
}

fn piece(answer: usize, index: usize, length: usize) -> Bytes {
    let mut piece = vec![0; length];
    piece[..MARK].copy_from_slice(&mark(answer, index));
    Bytes::from(piece)
}

/// The number of the answer that a body begins.
pub fn answer_of(body: &[u8]) -> Option<usize> {
    let bytes = body.get(..8)?.try_into().ok()?;
    usize::try_from(u64::from_be_bytes(bytes)).ok()
}

impl Asked {
    /// The length of its body.
    pub fn length(&self) -> usize {
        self.sizes.iter().sum()
    }

    /// Whether its header allows giving it to others.
    pub fn shareable(&self) -> bool {
        self.kind.shareable() && self.on != On::Any
    }

    pub fn is_too_large(&self) -> bool {
        self.length() as u64 > MAX_SIZE
    }

    /// Whether it takes longer than anything may be captured.
    pub fn is_too_long(&self, world: &World) -> bool {
        self.takes >= world.config.capture_timeout
    }

    /// Whether this is the piece of that number.
    pub fn is_piece(&self, answer: usize, index: usize, piece: &[u8]) -> bool {
        self.sizes.get(index) == Some(&piece.len()) && piece.starts_with(&mark(answer, index))
    }

    /// Whether this is the whole body.
    pub fn is_whole(&self, answer: usize, mut body: &[u8]) -> bool {
        for (index, size) in self.sizes.iter().enumerate() {
            let Some((piece, rest)) = body.split_at_checked(*size) else {
                return false;
            };
            if !self.is_piece(answer, index, piece) {
                return false;
            }
            body = rest;
        }
        body.is_empty()
    }
}

/// The backend and what it was asked.
pub struct Backend {
    script: RefCell<VecDeque<Behaviour>>,
    asked: RefCell<Vec<Asked>>,
    /// Answers that wait for their readers.
    paused: RefCell<Vec<Rc<Sending>>>,
    /// Answers on their way.
    sending: RefCell<Vec<Weak<Sending>>>,
}

/// An answer on its way into the stream of a fill.
struct Sending {
    answer: usize,
    behaviour: Behaviour,
    sizes: Rc<[usize]>,
    worker: Rc<Worker>,
    stream: Rc<Stream>,
    /// The record that it is asked about.
    held: Option<Rc<Held>>,
    /// The request's.
    fields: FieldValues,
    next: Cell<usize>,
    /// Since when nobody reads it and nothing is captured.
    unwanted: Cell<Option<u64>>,
}

impl Backend {
    pub fn new(script: VecDeque<Behaviour>) -> Backend {
        Backend {
            script: RefCell::new(script),
            asked: RefCell::default(),
            paused: RefCell::default(),
            sending: RefCell::default(),
        }
    }

    /// All that it was asked.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }

    /// An answer of a living worker that nobody reads and nothing captures, and that goes on nevertheless.
    pub fn sends_to_nobody(&self, now: u64) -> Option<usize> {
        let mut all = self.sending.borrow_mut();
        all.retain(|sending| {
            let sending = sending.upgrade();
            sending.is_some_and(|sending| sending.worker.is_alive() && !sending.stream.ended())
        });
        let mut found = all.iter().filter_map(Weak::upgrade);
        found.find_map(|sending| sending.is_late(now).then_some(sending.answer))
    }

    /// Answers that haven't ended.
    pub fn under_way(&self) -> usize {
        self.sends_to_nobody(0);
        self.sending.borrow().len()
    }

    /// Forgets answers under way.
    pub fn end(&self) {
        let paused = std::mem::take(&mut *self.paused.borrow_mut());
        drop(paused);
    }

    pub fn count(&self) -> usize {
        self.asked.borrow().len()
    }

    pub fn answer(&self, number: usize) -> Option<Asked> {
        self.asked.borrow().get(number).cloned()
    }

    fn take(
        &self,
        world: &World,
        worker: &Worker,
        key: Key,
        request: usize,
        (purpose, lock): (Purpose, Option<Key>),
    ) -> (usize, Behaviour) {
        let scripted = self.script.borrow_mut().pop_front();
        let behaviour = scripted.unwrap_or_else(|| faults::behaviour(world, key));
        let sizes = behaviour
            .pieces
            .iter()
            .map(|(_, size)| MARK + size)
            .collect();
        let answer = self.count();
        world.note(|| {
            let (kind, on) = (behaviour.kind, behaviour.on);
            format!(
                "backend {answer} for request {request}, key {key}: {purpose:?} {kind:?}, varies on {on:?}"
            )
        });
        self.asked.borrow_mut().push(Asked {
            at: world.now(),
            machine: worker.machine,
            key,
            purpose,
            request,
            kind: behaviour.kind,
            lock,
            on: behaviour.on,
            sizes,
            takes: behaviour.pieces.iter().map(|(delay, _)| delay).sum(),
        });
        (answer, behaviour)
    }

    /// Asks for an answer into a stream; returns its number.
    pub fn fill(
        &self,
        world: &Rc<World>,
        worker: &Rc<Worker>,
        key: Key,
        (request, lock): (usize, Option<Key>),
        held: Option<Rc<Held>>,
        stream: &Rc<Stream>,
    ) -> usize {
        let purpose = match lock {
            Some(_) => Purpose::Fill,
            None => Purpose::Beside,
        };
        let (answer, behaviour) = self.take(world, worker, key, request, (purpose, lock));
        let sending = Rc::new(Sending {
            answer,
            sizes: self.asked.borrow()[answer].sizes.clone(),
            worker: Rc::clone(worker),
            stream: Rc::clone(stream),
            held,
            fields: world.judge().requests[request].fields,
            next: Cell::new(0),
            unwanted: Cell::new(None),
            behaviour,
        });
        self.sending.borrow_mut().push(Rc::downgrade(&sending));
        let (weak, all) = (Rc::downgrade(&sending), Rc::downgrade(world));
        stream.set_control(move |_| post(&weak, &all));
        let delay = sending.behaviour.header;
        world.after(delay, move |world| sending.header(world));
        answer
    }

    /// Asks in the client's own request, to the end of the answer; returns its number.
    pub async fn pass(
        &self,
        world: &Rc<World>,
        worker: &Worker,
        key: Key,
        request: usize,
    ) -> usize {
        let (answer, behaviour) = self.take(world, worker, key, request, (Purpose::Pass, None));
        let body: u64 = behaviour.pieces.iter().map(|(delay, _)| delay).sum();
        sleep(world, behaviour.header + body).await;
        answer
    }
}

/// The readers want more, or nothing any more.
fn post(sending: &Weak<Sending>, world: &Weak<World>) {
    if let (Some(sending), Some(world)) = (sending.upgrade(), world.upgrade()) {
        world.at(world.now(), move |world| sending.resume(world));
    }
}

impl Sending {
    /// Whether it should have been given up at an earlier time than now.
    fn is_late(&self, now: u64) -> bool {
        if !self.stream.is_unwanted() {
            self.unwanted.set(None);
            return false;
        }
        let since = self.unwanted.get().unwrap_or(now);
        self.unwanted.set(Some(since));
        since < now
    }

    fn header(self: Rc<Self>, world: &Rc<World>) {
        if !self.worker.is_alive() {
            return;
        }
        if self.behaviour.kind == Kind::Silent {
            self.stream.end(Ending::Cut);
            return;
        }
        let mut headers = Headers::new();
        let fresh = self.behaviour.fresh;
        let (status, control) = match self.behaviour.kind {
            Kind::Private => (200, format!("private, max-age={fresh}")),
            Kind::NoStore => (200, String::from("no-store")),
            Kind::Error => (503, format!("max-age={fresh}")),
            _ if self.behaviour.strict => (200, format!("max-age={fresh}, must-revalidate")),
            _ => (200, format!("max-age={fresh}")),
        };
        headers.push("Cache-Control", control);
        headers.push("ETag", "\"1\"");
        if self.behaviour.kind == Kind::Cookie {
            headers.push("Set-Cookie", "who=you");
        }
        if let Some(line) = self.behaviour.on.line() {
            headers.push("Vary", line);
        }
        let length: usize = self.sizes.iter().sum();
        let content_length = Some(length as u64).filter(|_| self.behaviour.length);
        let view = ResponseView {
            status,
            headers: &headers,
            dates: &OriginDates::default(),
            content_length,
            accel_redirect: false,
            unbuffered: false,
            ignored: cache_core::ignore::Ignore::NONE,
            delay: 0,
        };
        let request = RequestView::default();
        let rules = &world.config.rules;
        let plan = storable(&request, &view, rules, world.now() / 1000);
        let mut finding = match plan {
            Ok(plan) => Finding::Storable(plan),
            Err(reason) => Finding::NotStorable(reason),
        };
        let mut variant = self.variant(&headers);
        if let Some(held) = &self.held {
            match Failure::of(status, false) {
                Some(failure) if held.on_failure.allows(failure) => {
                    finding = Finding::Failed(failure);
                }
                None if self.confirms() => {
                    let confirmation = Confirmation {
                        headers: &headers,
                        unsent: &cache_core::record::Unsent::default(),
                        dates: &OriginDates::default(),
                        connection: &[],
                        delay: 0,
                    };
                    let now = world.now() / 1000;
                    let renewed = renew(&held.record, &confirmation, &request, rules, now);
                    let renewed = renewed.unwrap();
                    let own = self.variant(&renewed.record.headers);
                    finding = Finding::Confirmed(Rc::new(renewed.as_variant(own.as_ref())));
                    variant = own;
                }
                _ => {}
            }
        }
        self.stream.set_head(ResponseHead {
            status,
            headers,
            content_length,
            date: world.now() / 1000,
            connection: Vec::new(),
            own_location: false,
            withheld: Vec::new(),
            unsent: cache_core::record::Unsent::default(),
            upstream: Headers::new(),
            generated: false,
            backend_status: Some(status),
            asked: self.held.is_some(),
            finding,
            variant,
        });
        self.body(world);
    }

    /// Which variant an answer with these headers is.
    fn variant(&self, headers: &Headers) -> Option<Variant> {
        let on = variants::names(headers);
        let id = VariantId::of(&on, &self.fields);
        (!on.is_empty()).then_some(Variant { on, id })
    }

    /// Whether the answer is a 304.
    fn confirms(&self) -> bool {
        self.behaviour.kind == Kind::Confirms
            && self
                .held
                .as_ref()
                .is_some_and(|held| Validators::of(&held.record).is_some())
    }

    /// The next piece after its while, or the end.
    fn body(self: Rc<Self>, world: &Rc<World>) {
        let cut = self.behaviour.kind == Kind::Cut;
        let count = self.sizes.len() - usize::from(cut && !self.sizes.is_empty());
        let index = self.next.get();
        if self.confirms() || index >= count {
            let ending = if cut { Ending::Cut } else { Ending::Whole };
            self.stream.end(ending);
            return;
        }
        let delay = self.behaviour.pieces[index].0;
        world.after(delay, move |world| {
            if !self.worker.is_alive() || self.stream.ended() {
                return;
            }
            self.next.set(index + 1);
            self.stream
                .push(piece(self.answer, index, self.sizes[index]));
            if self.stream.is_blocked() {
                world.backend.paused.borrow_mut().push(self);
            } else {
                self.body(world);
            }
        });
    }

    fn resume(self: Rc<Self>, world: &Rc<World>) {
        let mut all = world.backend.paused.borrow_mut();
        let place = all.iter().position(|paused| Rc::ptr_eq(paused, &self));
        let paused = place.map(|place| all.swap_remove(place));
        drop(all);
        if self.stream.ended() {
            return;
        }
        if self.stream.is_unwanted() {
            self.stream.end(Ending::Cut);
        } else if paused.is_some() {
            self.body(world);
        }
    }
}
