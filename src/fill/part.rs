//! Which part of the backend's response a fill asks for, and what its answer is worth: all of it, or a slice of a large object
//! (see [`cache_core::slices`]).

use std::cell::RefCell;
use std::collections::HashMap;

use bytes::Bytes;
use cache_core::headers::Headers;
use cache_core::key::LockKey;
use cache_core::record::Record;
use cache_core::slices::{
    self, Again, Answer, Brought, First, Sliced, Span, Unfit, Useful, Validator, again, further,
    of_part,
};
use cache_core::token::Token;
use cache_core::vary::{Names, VariantId};

use crate::ngx::event::now_msec;
use crate::ngx::random;
use crate::ngx::request::Request;
use crate::ngx::upstream::captured::Captured;
use crate::store::variants::variant;

/// So many milliseconds it is remembered what a key's responses are not fit for,
const REMEMBERED: u64 = 300_000;
/// of so many keys at most,
const MOST: usize = 4096;
/// and of so many variants of each.
const MOST_VARIANTS: usize = 16;

/// Variants of a key whose responses were found to be unfit for something.
struct Noted {
    /// What they vary on.
    on: Names,
    /// Which, and until when that is remembered, in milliseconds.
    variants: Vec<(VariantId, u64)>,
}

/// What was found a moment ago of the responses of keys.
#[derive(Default)]
struct Notes(HashMap<LockKey, Noted>);

impl Notes {
    fn has(&self, key: &LockKey, r: Request) -> bool {
        self.0.get(key).is_some_and(|noted| {
            let (own, now) = (variant(&noted.on, r), now_msec());
            let mut variants = noted.variants.iter();
            variants.any(|(id, until)| *id == own && now < *until)
        })
    }

    fn note(&mut self, key: LockKey, on: Names, id: VariantId) {
        if self.0.len() >= MOST && !self.0.contains_key(&key) {
            self.0.clear();
        }
        let noted = self.0.entry(key).or_insert_with(|| Noted {
            on: Names::default(),
            variants: Vec::new(),
        });
        if noted.on != on {
            noted.on = on;
            noted.variants.clear();
        }
        noted.variants.retain(|(other, _)| *other != id);
        if noted.variants.len() >= MOST_VARIANTS {
            noted.variants.remove(0);
        }
        let until = now_msec().saturating_add(REMEMBERED);
        noted.variants.push((id, until));
    }
}

thread_local! {
    /// Objects that can't be kept in slices.
    static UNFIT: RefCell<Notes> = RefCell::default();
    /// Those that aren't stored for requests with Authorization (RFC 9111 3.5).
    static WITHOUT_CREDENTIALS: RefCell<Notes> = RefCell::default();
}

/// Whether the object that a request asks for can't be kept in slices, as was found a moment ago.
pub fn is_unfit(key: &LockKey, r: Request) -> bool {
    UNFIT.with_borrow(|known| known.has(key, r))
}

/// Remembers it of the variant that was asked for by this request. `on`: what the key's responses vary on.
pub fn note_unfit(key: LockKey, on: &Names, r: Request) {
    let id = variant(on, r);
    UNFIT.with_borrow_mut(|known| known.note(key, on.clone(), id));
}

/// Whether the object that a request with Authorization asks for isn't stored for it, as was found a moment ago.
pub fn refuses_credentials(key: &LockKey, r: Request) -> bool {
    WITHOUT_CREDENTIALS.with_borrow(|known| known.has(key, r))
}

/// Remembers it, as [`note_unfit`] does.
pub fn note_credentials(key: LockKey, on: &Names, r: Request) {
    let id = variant(on, r);
    WITHOUT_CREDENTIALS.with_borrow_mut(|known| known.note(key, on.clone(), id));
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
    /// The place in the lock domain of the object's key.
    pub key: LockKey,
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
    let validator = Validator::of(&record.said(), date)?;
    Some(validator.validated(record.terms.always_validate))
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

    /// Judges the answer, and makes of the header of a part that which the whole would have. `date`: when the origin made it,
    /// in unix seconds, if it says so. Gives the slice, too, that it begins.
    pub fn judge(&self, captured: &mut Captured, date: Option<u64>) -> (Brought, Option<Begun>) {
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
                of_first(captured, first)
            }
            Self::Slice(slice) => {
                match further(&answer, slice.object, &slice.validator, slice.span) {
                    Ok(useful) => {
                        as_whole(captured, slice.span.length());
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
}

fn of_first(captured: &mut Captured, first: First) -> (Brought, Option<Begun>) {
    let unfit = |why| (Brought::Unfit(why), None);
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

/// Gives a part the header that the whole would have (RFC 9110 15.3.7): by that it is decided whether it may be stored.
pub fn as_whole(captured: &mut Captured, length: u64) {
    let of_whole = |headers: &mut Headers| *headers = of_part(headers);
    captured.status = 200;
    of_whole(&mut captured.headers);
    of_whole(&mut captured.said);
    of_whole(&mut captured.unsent.hidden);
    captured.unsent.phrase = None;
    captured.content_length = Some(length);
}
