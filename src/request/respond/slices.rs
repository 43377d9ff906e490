//! Responds from the slices of a large object: whole, in ranges, or by its head alone (see [`cache_core::slices`]).

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use cache_core::conditions::{Date, Evaluation, Selected, evaluate, range_applies};
use cache_core::headers::Headers;
use cache_core::outcome::{Outcome, Reason};
use cache_core::policy::Plan;
use cache_core::record::{Record, Unsent};
use cache_core::shown::shown;
use cache_core::slices::{Asked, Delivery, Layout, Refused, Sliced, Step, Validator, ahead, asked};
use ngx::ffi::*;
use ngx::ngx_log_error;

use super::header::{Header, INTERNAL_ERROR, send_header};
use super::{Response, Sent, body};
use crate::fill::part::validator_of;
use crate::fill::{ResponseHead, Stream, Subscription};
use crate::ngx::event::{now_msec, now_sec};
use crate::ngx::headers::Part;
use crate::ngx::output::Output;
use crate::ngx::request::{Code, OK, Request, is_refused};
use crate::ngx::{headers, random};
use crate::request::context::Context;
use crate::request::filters::parts;
use crate::request::settings::CacheableRequest;
use crate::request::slices::{self, Acquired, Object};

mod slot;

use slot::{Slot, Source};

const WHOLE: u16 = NGX_HTTP_OK as u16;
const RANGE_NOT_SATISFIABLE: u16 = NGX_HTTP_RANGE_NOT_SATISFIABLE as u16;

/// A head, as the response is made of it.
pub struct HeadOfObject {
    object: Rc<Object>,
    headers: Headers,
    own_location: bool,
    age: Option<u32>,
    date: Option<u64>,
    made: Date,
    stored: bool,
    unsent: Unsent,
    from: From,
}

/// Where a head was found.
enum From {
    Record(Rc<Record>),
    /// The response of a fill, which brings the first slice.
    Fill(Rc<ResponseHead>),
}

impl HeadOfObject {
    /// A record that is a head. `None` if it is none.
    pub fn of_record(record: Rc<Record>) -> Option<HeadOfObject> {
        let sliced = record.slices()?;
        let validator = validator_of(&record)?;
        let meta = record.meta.as_deref();
        Some(HeadOfObject {
            object: object(sliced, validator, record.ttl_ms),
            headers: Headers::clone(&record.headers),
            own_location: meta.is_some_and(|meta| meta.own_location),
            age: Some(record.age),
            date: meta.and_then(|meta| meta.date),
            made: Date::before(now_sec(), record.age),
            stored: true,
            unsent: meta.map(|meta| meta.unsent.clone()).unwrap_or_default(),
            from: From::Record(record),
        })
    }

    /// The response of a fill, which brings the first slice of this object and is stored so.
    pub fn of_fill(
        head: &Rc<ResponseHead>,
        headers: Cow<'_, Headers>,
        (sliced, validator): (Sliced, Validator),
        plan: &Plan,
    ) -> HeadOfObject {
        HeadOfObject {
            object: object(
                sliced,
                validator,
                i64::from(plan.expiry).saturating_mul(1000),
            ),
            headers: headers.into_owned(),
            own_location: head.own_location,
            age: None,
            date: None,
            made: Date::exactly(head.date),
            stored: false,
            unsent: head.unsent.clone(),
            from: From::Fill(Rc::clone(head)),
        }
    }
}

fn object(sliced: Sliced, validator: Validator, ttl_ms: i64) -> Rc<Object> {
    let left = u64::try_from(ttl_ms).unwrap_or(0);
    Rc::new(Object {
        sliced,
        validator,
        until: now_msec().saturating_add(left),
    })
}

/// Responds with an object, of which a fill may bring the first slice.
pub async fn send(
    r: Request,
    context: &'static Context,
    head: HeadOfObject,
    first: Option<Subscription>,
) -> Sent {
    let (Some(cacheable), Some(response)) = (&context.cacheable, context.state::<Response>())
    else {
        return Sent::Code(INTERNAL_ERROR);
    };
    r.set_write_handler(body::writable);
    if let From::Fill(_) = &head.from {
        r.watch_client();
    }
    let sliced = head.object.sliced;
    let (outcome, asked) = judge(r, &head);
    let layout = if outcome == Evaluation::Proceed && !r.is_head() {
        let kind = head.headers.get("Content-Type");
        let boundary = format!("{:020}", random::number());
        Layout::new(sliced, &asked, kind, boundary.as_bytes())
    } else {
        Layout::new(sliced, &Asked::Whole, None, b"")
    };
    // It needs no slice, unless filters make it the whole.
    let is_none = layout.status() == RANGE_NOT_SATISFIABLE;
    if cacheable.directives.only_if_cached
        && outcome == Evaluation::Proceed
        && !r.is_head()
        && !are_all_cached(r, context, cacheable, (&head.object, &layout)).await
    {
        return Sent::Code(NGX_HTTP_GATEWAY_TIME_OUT as Code);
    }
    *response.output.borrow_mut() = None;
    let mut sender = Sender {
        r,
        context,
        cacheable,
        response,
        head,
        delivery: Delivery::new(sliced, layout, ahead(sliced.size())),
        slots: Vec::new(),
        left: None,
    };
    if outcome != Evaluation::Proceed || r.is_head() || is_none {
        let code = sender.header(outcome);
        if is_refused(code) || r.is_header_only() {
            return Sent::Code(code);
        }
    }
    if let Some(first) = first
        && sender.delivery.needs(0)
    {
        sender.delivery.grew(0, 0);
        sender
            .slots
            .push(Slot::new(0, sliced, Source::Stream(first)));
    }
    sender.run().await
}

/// Whether the store has all slices that a response needs (RFC 9111 5.2.1.7): once it has begun it can't become a 504. They
/// are read one by one and let go.
async fn are_all_cached(
    r: Request,
    context: &'static Context,
    cacheable: &'static CacheableRequest,
    (object, layout): (&Rc<Object>, &Layout),
) -> bool {
    for slice in layout.slices(object.sliced) {
        let wanted = (Rc::clone(object), slice);
        // Boxed: few requests ask so.
        let acquired = Box::pin(slices::acquire(r, context, cacheable, wanted)).await;
        if !matches!(acquired, Acquired::Body(_)) {
            return false;
        }
    }
    true
}

/// What the client's conditions and its Range come to.
fn judge(r: Request, head: &HeadOfObject) -> (Evaluation, Asked) {
    if !r.is_conditional() {
        return (Evaluation::Proceed, Asked::Whole);
    }
    // A page for an error has no parts: its status isn't 200.
    let has_parts = !r.has_status_of_error();
    let selected = Selected::new(WHOLE, &head.headers, head.made, head.stored);
    let conditions = r.conditions();
    let outcome = evaluate(r.method(), &conditions, &selected, r.by_date());
    let asked = match conditions.range.as_slice() {
        [range] if has_parts && range_applies(r.method(), &conditions, &selected) => {
            asked(range, head.object.sliced.total())
        }
        _ => Asked::Whole,
    };
    let most = r.core_loc_conf().map_or(usize::MAX, |conf| conf.max_ranges);
    let asked = match asked {
        Asked::Spans(spans) if spans.len() > most => Asked::Whole,
        Asked::Nothing if most == 0 => Asked::Whole,
        asked => asked,
    };
    (outcome, asked)
}

/// Conditions and Range are done with: nginx looks at neither.
fn settle(r: Request) {
    r.settle_conditions();
    r.settle_range(false);
}

/// A response on its way.
struct Sender {
    r: Request,
    context: &'static Context,
    cacheable: &'static CacheableRequest,
    response: &'static Response,
    head: HeadOfObject,
    delivery: Delivery,
    slots: Vec<Slot>,
    /// Bytes that are still to be sent. `None`: the header is, too.
    left: Option<u64>,
}

impl Sender {
    /// Sends the header; gives what the filters say. If they make the response the whole, there is another delivery.
    fn header(&mut self, outcome: Evaluation) -> Code {
        settle(self.r);
        match &self.head.from {
            From::Record(record) => {
                self.response.length.set(record.length());
                let _ = self.response.record.set(Rc::clone(record));
            }
            From::Fill(head) => {
                let _ = self.response.head.set(Rc::clone(head));
            }
        }
        let layout = self.delivery.layout();
        let is_part = layout.status() != WHOLE;
        let part = Part {
            status: layout.status(),
            length: layout.length(),
            content_type: layout.content_type().map(<[u8]>::to_vec),
            content_range: layout.content_range().map(<[u8]>::to_vec),
        };
        if is_part && parts::expect(self.context, part).is_none() {
            return INTERNAL_ERROR;
        }
        let header = Header {
            status: WHOLE,
            headers: &self.head.headers,
            to_nginx: headers::copied,
            length: Some(self.head.object.sliced.total()),
            own_location: self.head.own_location,
            age: self.head.age,
            date: self.head.date,
            unsent: Some(&self.head.unsent),
            phrase: None,
        };
        let code = send_header(self.r, self.context, outcome, &header);
        *self.response.output.borrow_mut() = Some(Output::new(self.r));
        if parts::take(self.context).is_some() {
            self.turn_to_the_whole();
        }
        self.left = Some(self.delivery.layout().length());
        code
    }

    /// The whole is sent, instead of a part of which nothing was. What has come of it is kept.
    fn turn_to_the_whole(&mut self) {
        let sliced = self.head.object.sliced;
        let layout = Layout::new(sliced, &Asked::Whole, None, b"");
        self.delivery = Delivery::new(sliced, layout, ahead(sliced.size()));
        let delivery = &mut self.delivery;
        self.slots.retain(|slot| {
            let is_there = match slot.source {
                Source::Sought(_) => false,
                Source::Stream(_) => true,
                Source::Here => slot.have == slot.length,
            };
            let is_kept = is_there && delivery.needs(slot.number);
            if is_kept && slot.have == slot.length {
                delivery.found(slot.number);
            } else if is_kept {
                delivery.grew(slot.number, slot.have);
            }
            is_kept
        });
    }

    async fn run(mut self) -> Sent {
        loop {
            self.progress(false).await;
            let pressed = Stream::is_pressed(self.cacheable.settings.terms.capture_memory);
            let sliced = self.head.object.sliced;
            let bytes = match self.delivery.step(pressed) {
                Step::Look(slice) | Step::Fill(slice) => {
                    let sought = slices::acquire(
                        self.r,
                        self.context,
                        self.cacheable,
                        (Rc::clone(&self.head.object), slice),
                    );
                    self.slots.retain(|slot| slot.number != slice);
                    let source = Source::Sought(Box::pin(sought));
                    self.slots.push(Slot::new(slice, sliced, source));
                    continue;
                }
                Step::Text(text) => vec![Bytes::copy_from_slice(text)],
                Step::Send { slice, from, to } => {
                    let slot = self.slots.iter().find(|slot| slot.number == slice);
                    let bytes = slot.map(|slot| slot.bytes(from, to)).unwrap_or_default();
                    let delivery = &self.delivery;
                    self.slots.retain(|slot| delivery.needs(slot.number));
                    bytes
                }
                Step::Wait => {
                    self.progress(true).await;
                    continue;
                }
                Step::Done => return Sent::Code(OK),
                Step::Again(why) | Step::Cut(why) => return self.end(why).await,
            };
            if self.left.is_none() {
                let status = self.delivery.layout().status();
                let code = self.header(Evaluation::Proceed);
                if is_refused(code) || self.r.is_header_only() {
                    return Sent::Code(code);
                }
                if self.delivery.layout().status() != status {
                    // These bytes aren't the first of the whole.
                    continue;
                }
            }
            for piece in bytes {
                if let Some(code) = self.give(piece).await {
                    return Sent::Code(code);
                }
            }
        }
    }

    /// Lets slices come; `wait`: until there is something new.
    async fn progress(&mut self, wait: bool) {
        poll_fn(|cx| {
            if self.poll(cx) || !wait {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    fn poll(&mut self, cx: &mut TaskContext<'_>) -> bool {
        let delivery = &mut self.delivery;
        let mut changed = false;
        for slot in &mut self.slots {
            changed |= slot.poll(cx, delivery);
        }
        changed
    }

    /// Sends a piece, and waits until there is room for another. Gives what the request is to be finalized with, once that is
    /// known.
    async fn give(&mut self, piece: Bytes) -> Option<Code> {
        let left = self.left.unwrap_or(0).saturating_sub(piece.len() as u64);
        self.left = Some(left);
        let last = left == 0;
        let mut sending = pin!(body::pass_on(self.r, self.response, piece, last));
        // Meanwhile the next slices come.
        poll_fn(|cx| {
            self.poll(cx);
            sending.as_mut().poll(cx)
        })
        .await
    }

    /// The object can't be had as it was.
    async fn end(self, why: Refused) -> Sent {
        let key = &self.cacheable.settings.lookup.key.redis;
        if why == Refused::Changed {
            if let From::Record(record) = &self.head.from {
                slices::forget(&self.cacheable.settings.lookup, record).await;
            }
            ngx_log_error!(
                NGX_LOG_INFO,
                self.r.log(),
                "redis_cache: \"{}\": its backend has another response now than that which is kept in slices",
                shown(key)
            );
        }
        match self.left {
            None if why == Refused::Changed => Sent::Again(Reason::RecordChanged),
            None if self.cacheable.directives.only_if_cached => {
                Sent::Code(NGX_HTTP_GATEWAY_TIME_OUT as Code)
            }
            // What the backend says to the client itself is more than that a slice can't be had.
            None => {
                self.context.forget_fill();
                self.context
                    .set_outcome(Outcome::passed(Reason::BackendFailed));
                Sent::Pass
            }
            Some(left) => {
                ngx_log_error!(
                    NGX_LOG_WARN,
                    self.r.log(),
                    "redis_cache: the response of \"{}\" is cut off, {left} bytes before its end: {}",
                    shown(key),
                    why.as_str()
                );
                Sent::Code(body::cut(self.r, self.response))
            }
        }
    }
}
