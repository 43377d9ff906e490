//! How a client's response is made of slices: which are looked for and fetched, when, and what is sent.
//!
//! A driver asks [`Delivery::step`] what to do until that is [`Step::Wait`], and tells what has come of it. The driver knows
//! the store, the backend and the client; the delivery knows only numbers.

use std::collections::BTreeMap;

use super::answer::Refused;
use super::layout::{Layout, Segment};
use super::object::{Sliced, Span};

/// How many slices are fetched ahead of the one that is sent.
pub const AHEAD: u64 = 2;

/// How many bytes they may have together.
pub const AHEAD_BYTES: u64 = 8 << 20;

/// How often in a row a slice may fail before the response does.
pub const FAILURES: u32 = 3;

/// How many slices of this size are fetched ahead of the one that is sent.
#[must_use]
pub fn ahead(size: u64) -> u64 {
    AHEAD_BYTES.checked_div(size).unwrap_or(0).min(AHEAD)
}

/// What is known of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The store was asked for it.
    Looking,
    /// The store doesn't have it.
    Missing,
    /// It comes from the backend: so many bytes are there.
    Filling(u64),
    /// All of it is there.
    Here,
    /// It couldn't be had. It is tried again once it is the one that is to be sent.
    Failed,
}

/// What a driver is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Look for a slice in the store.
    Look(u64),
    /// Fetch a slice from the backend, or join somebody who does.
    Fill(u64),
    /// Send this text. The header goes before the first that is sent.
    Text(&'a [u8]),
    /// Send bytes of a slice: `from` and `to` count from its beginning, `to` is behind the last.
    Send {
        /// The slice.
        slice: u64,
        /// Its first byte to be sent.
        from: u64,
        /// The byte behind the last.
        to: u64,
    },
    /// Nothing, until something is told.
    Wait,
    /// All is sent.
    Done,
    /// No byte was sent: begin anew, from the head on.
    Again(Refused),
    /// End the client's connection: what it has can't be completed, and it must see that.
    Cut(Refused),
}

/// A response that is being sent.
#[derive(Clone, Debug)]
pub struct Delivery {
    object: Sliced,
    layout: Layout,
    ahead: u64,
    /// The segment that is being sent, and how much of it was.
    segment: usize,
    offset: u64,
    known: BTreeMap<u64, State>,
    failures: u32,
    refused: Option<Refused>,
    begun: bool,
}

impl Delivery {
    /// Nothing is known of any slice.
    #[must_use]
    pub fn new(object: Sliced, layout: Layout, ahead: u64) -> Self {
        Self {
            object,
            layout,
            ahead,
            segment: 0,
            offset: 0,
            known: BTreeMap::new(),
            failures: 0,
            refused: None,
            begun: false,
        }
    }

    /// The response.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether a slice is still of use: its bytes, and a fill that was joined, may be let go if not.
    #[must_use]
    pub fn needs(&self, slice: u64) -> bool {
        self.window(self.ahead).any(|wanted| wanted == slice)
    }

    /// The store has the slice.
    pub fn found(&mut self, slice: u64) {
        self.learn(slice, State::Here);
    }

    /// The store doesn't have it, or something else under its name.
    pub fn missing(&mut self, slice: u64) {
        self.learn(slice, State::Missing);
    }

    /// Its first `have` bytes are there, and are known to be of the object's generation. The slice needn't have been asked for.
    pub fn grew(&mut self, slice: u64, have: u64) {
        self.learn(slice, State::Filling(have));
    }

    /// All of it has come from the backend.
    pub fn filled(&mut self, slice: u64) {
        self.learn(slice, State::Here);
    }

    /// It can't be had from the backend. One that has failed is looked for again: somebody else may have fetched it.
    pub fn refused(&mut self, slice: u64, why: Refused) {
        if !self.needs(slice) {
            return;
        }
        if why == Refused::Changed {
            self.refused = Some(why);
        }
        if self.window(0).next() == Some(slice) {
            self.failures += 1;
            if self.failures >= FAILURES {
                self.refused = Some(why);
            }
        }
        self.known.insert(slice, State::Failed);
    }

    fn learn(&mut self, slice: u64, state: State) {
        // What has come late is of no use.
        if self.needs(slice) && self.known.get(&slice) != Some(&State::Here) {
            self.known.insert(slice, state);
        }
    }

    /// What to do now. `pressed`: memory is short, and nothing is fetched ahead.
    pub fn step(&mut self, pressed: bool) -> Step<'_> {
        if self.segment >= self.layout.segments().len() {
            return Step::Done;
        }
        if let Some(why) = self.refused {
            return if self.begun {
                Step::Cut(why)
            } else {
                Step::Again(why)
            };
        }
        let ahead = if pressed { 0 } else { self.ahead };
        match self.to_do(ahead) {
            Some((slice, State::Looking)) => {
                self.known.insert(slice, State::Looking);
                Step::Look(slice)
            }
            Some((slice, state)) => {
                self.known.insert(slice, state);
                Step::Fill(slice)
            }
            None => self.send(),
        }
    }

    /// The first slice of the window for which something is to be done, and what becomes of it.
    fn to_do(&self, ahead: u64) -> Option<(u64, State)> {
        self.window(ahead)
            .enumerate()
            .find_map(|(place, slice)| match self.known.get(&slice) {
                None => Some((slice, State::Looking)),
                Some(State::Failed) if place == 0 => Some((slice, State::Looking)),
                Some(State::Missing) => Some((slice, State::Filling(0))),
                _ => None,
            })
    }

    /// Sends what is there. A text goes with the bytes behind it: as long as they may fail, nothing has left.
    fn send(&mut self) -> Step<'_> {
        let ready = self.ready();
        let segment = self.segment;
        match (self.layout.segments().get(segment), ready) {
            (Some(Segment::Text(_)), Some(_)) => {
                self.begun = true;
                self.segment += 1;
                match self.layout.segments().get(segment) {
                    Some(Segment::Text(text)) => Step::Text(text),
                    _ => Step::Wait,
                }
            }
            (Some(Segment::Bytes(span)), Some((slice, from, to))) => {
                let length = span.length();
                self.begun = true;
                self.failures = 0;
                self.offset += to - from;
                if self.offset >= length {
                    self.segment += 1;
                    self.offset = 0;
                }
                self.forget();
                Step::Send { slice, from, to }
            }
            _ => Step::Wait,
        }
    }

    /// Which bytes come next, if they are there: the slice, the first byte and the one behind the last. Behind the last text
    /// there are none, and it is ready.
    fn ready(&self) -> Option<(u64, u64, u64)> {
        let rest = self.layout.segments().get(self.segment..)?;
        let span = rest.iter().find_map(|segment| match segment {
            Segment::Bytes(span) => Some(*span),
            Segment::Text(_) => None,
        });
        let Some(span) = span else {
            return Some((0, 0, 0));
        };
        let first = span.first + self.offset;
        let slice = self.object.slice_of(first);
        let own = self.object.span(slice)?;
        let from = first - own.first;
        let end = span.last.min(own.last) - own.first + 1;
        let there = match self.known.get(&slice)? {
            State::Here => end,
            State::Filling(have) => end.min(*have),
            State::Looking | State::Missing | State::Failed => return None,
        };
        (there > from).then_some((slice, from, there))
    }

    /// Forgets slices that aren't needed any more.
    fn forget(&mut self) {
        let mut known = std::mem::take(&mut self.known);
        known.retain(|slice, _| self.needs(*slice));
        self.known = known;
    }

    /// The slice that is sent and those that come behind it in the response, each as often as it does.
    fn window(&self, ahead: u64) -> impl Iterator<Item = u64> {
        let object = self.object;
        let rest = self.layout.segments().get(self.segment..);
        let mut offset = self.offset;
        let mut last = None;
        let slices = rest
            .unwrap_or_default()
            .iter()
            .filter_map(move |segment| match segment {
                Segment::Bytes(Span { first, last }) => {
                    let begin = first + std::mem::take(&mut offset);
                    Some(object.slice_of(begin)..=object.slice_of(*last))
                }
                Segment::Text(_) => None,
            })
            .flatten()
            // One that comes twice in a row counts once.
            .filter(move |slice| last.replace(*slice) != Some(*slice));
        slices.take(
            usize::try_from(ahead)
                .unwrap_or(usize::MAX)
                .saturating_add(1),
        )
    }
}
