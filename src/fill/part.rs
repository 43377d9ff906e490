//! Which part of the backend's response a fill asks for, and what its answer is worth: all of it, or a slice of a large object
//! (see [`cache_core::slices`]).

use std::cell::RefCell;
use std::collections::HashMap;

use bytes::Bytes;
use cache_core::flow::Finding;
use cache_core::headers::Headers;
use cache_core::key::LockKey;
use cache_core::record::Record;
use cache_core::slices::{
    self, Again, Answer, Brought, First, Sliced, Span, Unfit, Useful, Validator, again, further,
    lifetime, of_part,
};
use cache_core::token::Token;

use crate::ngx::event::now_msec;
use crate::ngx::random;
use crate::ngx::upstream::captured::Captured;

/// So many milliseconds a key is remembered whose objects can't be kept in slices,
const REMEMBERED: u64 = 300_000;
/// and so many keys at most.
const MOST: usize = 4096;

thread_local! {
    /// Until when, in milliseconds.
    static UNFIT: RefCell<HashMap<LockKey, u64>> = RefCell::default();
}

/// Whether the objects of a key can't be kept in slices, as was found a moment ago.
pub fn is_unfit(key: &LockKey) -> bool {
    UNFIT.with_borrow(|known| known.get(key).is_some_and(|until| now_msec() < *until))
}

/// Remembers it.
fn note_unfit(key: LockKey) {
    UNFIT.with_borrow_mut(|known| {
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key, now_msec().saturating_add(REMEMBERED));
    });
}

/// A slice of an object that is known.
#[derive(Clone, Debug)]
pub struct Slice {
    /// The object.
    pub object: Sliced,
    /// What all of its slices have.
    pub validator: Validator,
    /// The bytes of the slice.
    pub span: Span,
    /// Seconds for which it is stored.
    pub expiry: u32,
}

/// A slice of which an answer brings something.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The object.
    pub object: Sliced,
    /// What all of its slices have.
    pub validator: Validator,
    /// The bytes of the slice.
    pub span: Span,
    /// Which bytes of the answer are those.
    pub useful: Useful,
}

impl Begun {
    /// The fields by which the backend is asked for more of the same object.
    pub fn fields(&self, span: Span) -> Vec<(&'static [u8], Bytes)> {
        fields(span, &self.validator)
    }
}

/// The fields that ask for bytes of an object, if it is still the one with this validator.
fn fields(span: Span, validator: &Validator) -> Vec<(&'static [u8], Bytes)> {
    let (name, value) = validator.condition();
    vec![range(span), (name.as_bytes(), value)]
}

fn range(span: Span) -> (&'static [u8], Bytes) {
    (b"Range", Bytes::from(slices::range(span)))
}

/// What a fill asks for.
#[derive(Clone, Debug, Default)]
pub enum Wanted {
    /// The whole response.
    #[default]
    Whole,
    /// As much as a slice has, from the first byte on.
    First {
        /// Bytes of a slice.
        size: u64,
        /// The object of which the store has a head that isn't fresh.
        held: Option<(Sliced, Validator)>,
    },
    /// A slice of an object that is known.
    Slice(Slice),
}

/// What tells the representation of a head from others, and so its slices.
pub fn validator_of(record: &Record) -> Option<Validator> {
    let date = record.meta.as_ref()?.date;
    Validator::of(&record.said(), date)
}

impl Wanted {
    /// The first slice, of an object of which `held` may be the head.
    pub fn first(size: u64, held: Option<&Record>) -> Wanted {
        let known = held.and_then(|held| held.slices().zip(validator_of(held)));
        Wanted::First { size, held: known }
    }

    /// The fields by which the backend is asked for it.
    pub fn fields(&self) -> Vec<(&'static [u8], Bytes)> {
        match self {
            Self::Whole => Vec::new(),
            Self::First { size, .. } => Span::new(0, size.saturating_sub(1))
                .map(range)
                .into_iter()
                .collect(),
            Self::Slice(slice) => fields(slice.span, &slice.validator),
        }
    }

    /// Judges the answer, and makes of a part that begins an object the header that the whole would have. `date`: when the
    /// origin made it, in unix seconds, if it says so. `key`: where it belongs. Gives the slice, too, that it begins.
    pub fn judge(
        &self,
        captured: &mut Captured,
        date: Option<u64>,
        key: LockKey,
    ) -> (Brought, Option<Begun>) {
        let answer = Answer {
            status: captured.status,
            headers: &captured.said,
            date,
        };
        match self {
            Self::Whole => (Brought::Whole, None),
            Self::First { size, held } => {
                let new = Token::new(random::number());
                // The slices of the same object go on.
                let same = held.as_ref().filter(|(object, validator)| {
                    let again = again(&answer, *size, (*object, validator), new);
                    matches!(again, Again::Same(_))
                });
                let token = same.map_or(new, |(object, _)| object.token());
                let first = slices::first(&answer, *size, token);
                of_first(captured, first, key)
            }
            Self::Slice(slice) => {
                match further(&answer, slice.object, &slice.validator, slice.span) {
                    Ok(useful) => {
                        let begun = Begun {
                            object: slice.object,
                            validator: slice.validator.clone(),
                            span: slice.span,
                            useful,
                        };
                        (Brought::Slice, Some(begun))
                    }
                    Err(why) => (Brought::Refused(why), None),
                }
            }
        }
    }

    /// What becomes of an answer to the request for a slice.
    pub fn finding(&self, brought: &Brought) -> Option<Finding> {
        match (self, brought) {
            (Self::Slice(slice), Brought::Slice) => {
                Some(Finding::Storable(lifetime::plan(slice.expiry)))
            }
            _ => brought.fault().map(Finding::NotStorable),
        }
    }
}

fn of_first(captured: &mut Captured, first: First, key: LockKey) -> (Brought, Option<Begun>) {
    let unfit = |why| {
        note_unfit(key);
        (Brought::Unfit(why), None)
    };
    match first {
        First::Plain => (Brought::Whole, None),
        First::Complete(total) => {
            as_whole(captured, total);
            (Brought::Whole, None)
        }
        First::Slices {
            object,
            validator,
            bytes,
        } => {
            let Some(span) = object.span(0) else {
                return unfit(Unfit::Range);
            };
            // Of its own bytes: a total says nothing of what is stored at once.
            as_whole(captured, span.length());
            let begun = Begun {
                object,
                validator: validator.clone(),
                span,
                useful: Useful::all(bytes),
            };
            (Brought::First(object, validator), Some(begun))
        }
        First::AskWhole(why) => unfit(why),
    }
}

/// Gives a part the header that the whole would have (RFC 9110 15.3.7).
fn as_whole(captured: &mut Captured, length: u64) {
    let of_whole = |headers: &mut Headers| *headers = of_part(headers);
    captured.status = 200;
    of_whole(&mut captured.headers);
    of_whole(&mut captured.said);
    of_whole(&mut captured.unsent.hidden);
    captured.unsent.phrase = None;
    captured.content_length = Some(length);
}
