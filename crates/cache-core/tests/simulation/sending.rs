//! An answer of the backend on its way into the stream of a fill.

use std::cell::Cell;
use std::rc::{Rc, Weak};

use cache_core::flow::{Ending, Finding, Held};
use cache_core::freshness::OriginDates;
use cache_core::headers::Headers;
use cache_core::policy::{RequestView, ResponseView, storable};
use cache_core::renewal::{Confirmation, Validators, renew};
use cache_core::use_stale::Failure;
use cache_core::vary::{Variant, VariantId};

use super::backend::piece;
use super::config::{Behaviour, Kind};
use super::variants::{self, FieldValues};
use super::worker::Worker;
use super::world::World;
use crate::stream::{ResponseHead, Stream};

/// The answer.
pub struct Sending {
    pub answer: usize,
    pub behaviour: Behaviour,
    pub sizes: Rc<[usize]>,
    pub worker: Rc<Worker>,
    pub stream: Rc<Stream>,
    /// The record that it is asked about.
    pub held: Option<Rc<Held>>,
    /// The request's.
    pub fields: FieldValues,
    pub next: Cell<usize>,
    /// Since when nobody reads it and nothing is captured.
    pub unwanted: Cell<Option<u64>>,
}

/// The readers want more, or nothing any more.
pub fn post(sending: &Weak<Sending>, world: &Weak<World>) {
    if let (Some(sending), Some(world)) = (sending.upgrade(), world.upgrade()) {
        world.at(world.now(), move |world| sending.resume(world));
    }
}

impl Sending {
    /// Whether it should have been given up at an earlier time than now.
    pub fn is_late(&self, now: u64) -> bool {
        if !self.stream.is_unwanted() {
            self.unwanted.set(None);
            return false;
        }
        let since = self.unwanted.get().unwrap_or(now);
        self.unwanted.set(Some(since));
        since < now
    }

    /// The header, and the body behind it.
    pub fn header(self: Rc<Self>, world: &Rc<World>) {
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
            came: 0,
            connection: Vec::new(),
            own_location: false,
            withheld: Vec::new(),
            unsent: cache_core::record::Unsent::default(),
            upstream: Headers::new(),
            generated: false,
            backend_status: Some(status),
            conditional: self.held.is_some(),
            finding,
            labels: bytes::Bytes::new(),
            has_tags: false,
            variant,
            brought: cache_core::slices::Brought::Whole,
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
