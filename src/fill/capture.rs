//! A fill's response on its way from the detached request into the fill's stream: here it is decided what becomes of
//! it.

use std::cell::OnceCell;
use std::rc::Rc;

use bytes::Bytes;
use cache_core::cache_control;
use cache_core::credentials::Credential;
use cache_core::flow::{Ending, Finding};
use cache_core::headers::Headers;
use cache_core::http_date;
use cache_core::outcome::Reason;
use cache_core::policy::{Plan, RequestView, storable_behind, withheld};
use cache_core::post;
use cache_core::renewal;
use cache_core::slices::{Brought, Validator, lifetime};
use cache_core::vary::{Names, Variant};

use super::criteria::Criteria;
use super::part::{self, Begun, Wanted};
use super::stream::{ResponseHead, Stream};
use super::{clock, credentials};
use crate::detached::Sink;
use crate::ngx::event::{exact_msec, now_sec};
use crate::ngx::headers;
use crate::ngx::request::Request;
use crate::ngx::upstream::captured::Captured;
use crate::store::variants;

/// The sink of a fill's request.
pub struct Capture {
    /// Where the response is read.
    pub stream: Rc<Stream>,
    /// By what it is decided what becomes of it.
    pub criteria: Criteria,
    /// The slice of a large object that it begins, once its header is here.
    pub begun: OnceCell<Begun>,
}

impl Capture {
    /// The response of this stream, judged by these criteria.
    pub fn new(stream: Rc<Stream>, criteria: Criteria) -> Capture {
        Capture {
            stream,
            criteria,
            begun: OnceCell::new(),
        }
    }
}

impl Sink for Capture {
    fn header(&self, r: Request, mut captured: Captured, is_restricted: bool) {
        let (criteria, now) = (&self.criteria, now_sec());
        if !criteria.rules.ignore.date {
            clock::check(r, &captured, now);
        }
        let date = captured.dates.date.as_deref();
        let date = date.and_then(|date| http_date::parse(date, now));
        let (mut brought, mut begun) = criteria.wanted.judge(&mut captured, date);
        let finding = match brought.fault() {
            Some(fault) => Finding::NotStorable(fault),
            None => criteria.judge(r, &captured, is_restricted, now),
        };
        if let (Brought::First(_, validator), Finding::Storable(plan)) = (&mut brought, &finding) {
            *validator = validator.clone().validated(plan.always_validate);
            if let Some(begun) = &mut begun {
                begun.validator = validator.clone();
            }
        }
        if let Some(begun) = begun {
            let _ = self.begun.set(begun);
        }
        let (finding, variant) = criteria.vary(r, &captured, finding);
        criteria.learn(r, (&brought, &finding), variant.as_ref());
        let variant = variant.filter(|_| brought != Brought::Slice);
        let finding = match &criteria.learning {
            // A slice belongs to the head of its object.
            Some(learning) if brought != Brought::Slice => {
                let before = captured.before().map(|before| before.headers);
                learning.judge(&captured.said, before, finding)
            }
            _ => finding,
        };
        let withheld = match &finding {
            Finding::Storable(plan) => {
                let rules = criteria.rules.ignoring(captured.unsent.ignored);
                withheld(&captured.said, plan, &rules)
            }
            _ => Vec::new(),
        };
        let has_tags = criteria.labelling.has_tags(&captured.said);
        let labels = criteria.labelling.labels(&captured.said);
        self.stream.set_head(ResponseHead {
            status: captured.status,
            headers: criteria.labelling.without_tags(captured.headers),
            content_length: captured.content_length,
            date: date.unwrap_or(now),
            came: exact_msec(),
            connection: captured.connection,
            own_location: captured.own_location,
            withheld,
            unsent: captured.unsent,
            upstream: captured.upstream,
            generated: captured.generated,
            backend_status: captured.backend_status,
            conditional: criteria.conditional,
            finding,
            labels,
            has_tags,
            variant,
            brought,
        });
    }

    fn hint(&self, r: Request, hint: Headers) {
        let is_for_all = !says_who_asks(r) && !is_private(&hint);
        let hint = self.criteria.labelling.without_tags(hint);
        self.stream.hint(hint, is_for_all);
    }

    fn push(&self, piece: Bytes) {
        self.stream.push(piece);
    }

    fn flush(&self) {
        self.stream.flush();
    }

    fn end(&self, ending: Ending) {
        self.stream.end(ending);
    }

    fn has_ended(&self) -> bool {
        self.stream.ended()
    }

    fn is_unwanted(&self) -> bool {
        self.stream.is_unwanted()
    }

    fn set_wake(&self, wake: Box<dyn Fn()>) {
        // The request itself sees whether to go on or to end.
        self.stream.set_control(move |_| wake());
    }

    fn is_blocked(&self) -> bool {
        self.stream.is_blocked()
    }

    fn cease_capture(&self, why: Ending) -> bool {
        self.stream.cease_capture(why)
    }

    fn take_surplus(&self) -> usize {
        self.stream.take_surplus()
    }
}

/// Whether the backend may have told by the request who asks. What it says before its header may be for that one
/// alone: whether the response is for others, too, is not known by then.
fn says_who_asks(r: Request) -> bool {
    let mut credentials = Credential::ALL.iter();
    credentials.any(|credential| headers::has(r, credential.field()))
}

/// Whether a 103 says that it is for one client alone.
fn is_private(hint: &Headers) -> bool {
    let directives = cache_control::parse(hint.get_all("Cache-Control"));
    hint.contains("Set-Cookie") || directives.private || directives.no_store
}

impl Criteria {
    /// What becomes of a response, whole or with the header that the whole would have.
    fn judge(&self, r: Request, captured: &Captured, is_restricted: bool, now: u64) -> Finding {
        if is_restricted {
            // A record would be given to those whom the rules keep out.
            return Finding::NotStorable(Reason::AccessRules);
        }
        match (&self.wanted, self.finding(r, captured, now)) {
            (Wanted::Slice(slice), Finding::Storable(plan)) => {
                match self.admitted(&slice.validator, captured, &plan) {
                    Ok(()) => Finding::Storable(lifetime::plan(slice.expiry)),
                    Err(reason) => Finding::NotStorable(reason),
                }
            }
            (_, finding) => finding,
        }
    }

    /// Whether the rest of a slice may go to all who read its beginning. `captured`: its header as that of the whole.
    pub fn admits_rest(
        &self,
        r: Request,
        captured: &Captured,
        is_restricted: bool,
        validator: &Validator,
    ) -> bool {
        match self.finding(r, captured, now_sec()) {
            Finding::Storable(plan) if !is_restricted => {
                self.admitted(validator, captured, &plan).is_ok()
            }
            _ => false,
        }
    }

    /// Whether a part that may be stored by its header is for all who have the head of its object.
    fn admitted(
        &self,
        validator: &Validator,
        captured: &Captured,
        plan: &Plan,
    ) -> Result<(), Reason> {
        let heeds = !self.rules.ignoring(captured.unsent.ignored).ignore.vary;
        let vary = captured.said.get_all("Vary").filter(|_| heeds);
        validator.admits(vary, plan.always_validate)
    }

    /// Remembers what later requests needn't find out once more.
    fn learn(
        &self,
        r: Request,
        (brought, finding): (&Brought, &Finding),
        variant: Option<&Variant>,
    ) {
        let none = Names::default();
        let on = variant.map_or(&none, |variant| &variant.on);
        match (&self.wanted, brought, finding) {
            (_, Brought::Unfit(_), _) => part::note_unfit(self.key, on, r.main()),
            // All of the object is fit for others, or nothing of it.
            (Wanted::Slice(slice), Brought::Slice, Finding::NotStorable(reason))
                if reason.is_of_response() =>
            {
                part::note_unfit(slice.key, slice.validator.vary(), r.main());
            }
            (Wanted::First { .. }, _, Finding::NotStorable(Reason::Authorization)) => {
                part::note_credentials(self.key, on, r.main());
            }
            _ => {}
        }
    }

    /// What becomes of a response by the rules of any.
    fn finding(&self, r: Request, captured: &Captured, now: u64) -> Finding {
        let view = RequestView {
            no_store: self.view.no_store || self.no_store.holds(r),
            ..self.view
        };
        if let Some(finding) = self.finding_on_held(&view, captured, now) {
            return finding;
        }
        let (before, answer) = (captured.before(), captured.view());
        let is_other = || {
            let held = self.held.as_ref();
            held.is_some_and(|held| held.record.status != captured.status)
        };
        match storable_behind(&view, before, &answer, &self.rules, now) {
            // It may be what is told to those who don't say enough.
            Ok(_) if self.without_fields && is_other() => {
                Finding::NotStorable(Reason::WithoutHeader)
            }
            Ok(plan) if self.of_post => {
                post::storable(plan).map_or_else(Finding::NotStorable, Finding::Storable)
            }
            Ok(plan) => Finding::Storable(plan),
            Err(reason) if !reason.is_of_request() && self.without_fields => {
                Finding::NotStorable(Reason::WithoutHeader)
            }
            // What lies with the request alone says nothing of the cookie.
            Err(reason) if !reason.is_of_request() && self.without_cookie => {
                credentials::wants_cookie(self.key);
                Finding::NotStorable(Reason::WithoutCookie)
            }
            Err(reason) => Finding::NotStorable(reason),
        }
    }

    /// What becomes of a response that says something of the record which the backend was asked about.
    fn finding_on_held(
        &self,
        view: &RequestView,
        captured: &Captured,
        now: u64,
    ) -> Option<Finding> {
        let held = self.held.as_ref()?;
        match captured.failure() {
            Some(failure) if held.on_failure.allows(failure) => {
                return Some(Finding::Failed(failure));
            }
            // What must be validated isn't replaced by nginx's own page, whatever statuses are stored.
            Some(_) if captured.generated && held.record.terms.never_stale => {
                return Some(Finding::NotStorable(Reason::BackendFailed));
            }
            _ => {}
        }
        if captured.status != 304 || !captured.left.is_empty() || !self.conditional {
            return None;
        }
        let confirmation = captured.confirmation();
        let renewed = renewal::renew(&held.record, &confirmation, view, &self.rules, now)?;
        Some(Finding::Confirmed(Rc::new(renewed)))
    }

    /// Which variant a response is, if it varies: that of the request which asked for it (RFC 9111 4.1).
    fn vary(
        &self,
        r: Request,
        captured: &Captured,
        finding: Finding,
    ) -> (Finding, Option<Variant>) {
        let rules = &*self.rules.ignoring(captured.unsent.ignored);
        let variant = |headers: &Headers| variants::of_answer(headers, rules, r.main());
        match finding {
            Finding::Confirmed(renewed) => {
                let variant = variant(&renewed.record.said());
                let renewed = Rc::unwrap_or_clone(renewed);
                let renewed = variants::renewed(renewed, variant.as_ref(), rules);
                (Finding::Confirmed(Rc::new(renewed)), variant)
            }
            other => (other, variant(&captured.said)),
        }
    }
}
