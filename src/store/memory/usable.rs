//! What requests need of a record of the tier that is their response: made of it once.

use cache_core::coding::{Coded, Form, forbids_transforming};
use cache_core::headers::{Header, HeaderFault, Headers};
use cache_core::record::{Broken, Decoded, Place, ReadFrom, Standing, Unsent};
use cache_core::vary::Select;

use crate::ngx::headers::Ready;

/// A status of whose body nobody is told the length (RFC 9110 8.6): nginx sends that of a 204 that has a phrase; its
/// backend has none.
const NO_CONTENT: u16 = 204;

/// What requests need of a record.
pub struct Usable {
    /// How it stood with its time when it was read.
    pub standing: Standing,
    /// Its header; of one that was compressed that of the plain body.
    pub ready: Ready,
    /// That it was compressed, if it was.
    pub coded: Option<Box<CodedForm>>,
    /// Whether its Location is a path that nginx completes.
    pub own_location: bool,
    /// Whether it is no response by itself: the head of an object, or a slice of it.
    pub is_part: bool,
    /// When the origin made the response, in unix seconds, if that is known.
    pub date: Option<u64>,
    /// What the backend said that clients aren't sent, if it did.
    pub unsent: Option<Box<Unsent>>,
    /// Whom it is for, unless it is for everybody.
    place: Option<Box<Place>>,
}

/// What requests need of a record that was compressed.
pub struct CodedForm {
    /// How.
    pub coded: Coded,
    /// The header of the compressed body, if clients may get that.
    pub stored: Option<Ready>,
}

impl Usable {
    /// Makes it.
    ///
    /// # Errors
    ///
    /// There is too much of it: no record is so large.
    pub fn of(decoded: &Decoded) -> Result<Usable, Broken> {
        let (record, place) = (decoded.record(), decoded.place());
        let meta = record.meta.as_deref();
        let date = meta.and_then(|meta| meta.date);
        let own_location = meta.is_some_and(|meta| meta.own_location);
        let too_large = Broken::Header(HeaderFault::TooLarge);
        let ready = |headers: &Headers| {
            let has_length = record.status != NO_CONTENT;
            // Age and Expires count from the origin's Date; without it nginx would tell the time of this response.
            Ready::of(record.status, headers, has_length, own_location, date).ok_or(too_large)
        };
        let form = |coded: &Coded, form| ready(&coded.headers(&record.headers, form, coded.length));
        let (plain, coded) = match record.coded() {
            None => (ready(&record.headers)?, None),
            Some(coded) => {
                let stored = match forbids_transforming(&record.headers) {
                    true => None,
                    false => Some(form(coded, Form::Coded)?),
                };
                let both = CodedForm {
                    coded: coded.clone(),
                    stored,
                };
                (form(coded, Form::Identity)?, Some(Box::new(both)))
            }
        };
        Ok(Usable {
            standing: record.standing(),
            ready: plain,
            coded,
            own_location,
            is_part: record.slices().is_some() || record.is_slice(),
            date,
            unsent: meta
                .map(|meta| &meta.unsent)
                .filter(|unsent| **unsent != Unsent::default())
                .map(|unsent| Box::new(unsent.clone())),
            place: (!place.is_everywhere()).then(|| Box::new(place)),
        })
    }

    /// Whether the record, found at `from`, is for a request.
    pub fn is_for(&self, from: ReadFrom<'_>, select: Select<'_>) -> bool {
        match &self.place {
            Some(place) => place.is_for(from, select),
            None => matches!(from, ReadFrom::Base),
        }
    }

    /// All that the backend said, the lines that clients aren't sent among it.
    pub fn said(&self) -> Headers {
        let sent = match &self.coded {
            Some(form) => form.coded.without_vary(self.ready.headers()),
            None => self.ready.headers(),
        };
        match &self.unsent {
            Some(unsent) => unsent.with(&sent).into_owned(),
            None => sent,
        }
    }

    /// Bytes of memory that it takes, beside its own size.
    pub fn bytes(&self) -> usize {
        let place = self.place.as_ref().map_or(0, |_| 2 * size_of::<Place>());
        let unsent = self.unsent.as_ref().map_or(0, |unsent| {
            let lines = unsent.hidden.iter();
            let bytes = |line: &Header| size_of::<Header>() + line.name.len() + line.value.len();
            2 * size_of::<Unsent>() + lines.map(bytes).sum::<usize>()
        });
        let coded = self.coded.as_ref().map_or(0, |form| {
            let stored = form.stored.as_ref();
            size_of::<CodedForm>() + stored.map_or(0, |ready| ready.bytes())
        });
        self.ready.bytes() + coded + place + unsent
    }
}
