//! What must hold of answers: nobody gets what isn't for it, or a part as the whole.

use super::backend::{self, Asked};
use super::config::{Key, Kind};
use super::invariants::Judge;
use super::world::World;

impl Judge {
    fn answered(&mut self, number: usize) {
        let now = self.now;
        let request = &mut self.requests[number];
        let once = request.answered.replace(now).is_none();
        self.check(once, || format!("request {number} is answered twice"));
    }

    fn may_get(&self, number: usize, answer: Option<&Asked>, key: Key) {
        let Some(answer) = answer else {
            self.fails(&format!("request {number} gets an answer that nobody gave"));
            return;
        };
        self.check(answer.key == key, || {
            format!("request {number} gets the answer of another key")
        });
        // RFC 9111 4.1
        let (ours, theirs) = (&self.requests[number], &self.requests[answer.request]);
        let selected = number == answer.request || theirs.fields.selects(answer.on, ours.fields);
        self.check(selected, || {
            let (on, own, other) = (answer.on, ours.fields, theirs.fields);
            format!(
                "request {number} with {own:?} gets the answer for {other:?}, which varies on {on:?}"
            )
        });
        self.check(answer.shareable() || answer.request == number, || {
            let (kind, owner) = (answer.kind, answer.request);
            format!("request {number} gets an answer ({kind:?}) made for request {owner}")
        });
    }

    /// The client gets a record of the store.
    pub fn gets_record(&mut self, world: &World, number: usize, body: &[u8]) {
        self.answered(number);
        let answer = backend::answer_of(body);
        let asked = answer.and_then(|answer| world.backend.answer(answer));
        self.may_get(number, asked.as_ref(), self.requests[number].domain_key.1);
        let whole = asked
            .zip(answer)
            .is_some_and(|(asked, answer)| asked.is_whole(answer, body));
        self.check(whole, || {
            format!("request {number} gets a record that isn't whole")
        });
    }

    /// The client gets the next piece of a fill's answer; returns the answer's number.
    pub fn gets_piece(
        &self,
        world: &World,
        number: usize,
        answer: Option<usize>,
        index: usize,
        piece: &[u8],
    ) -> Option<usize> {
        let answer = answer.or_else(|| backend::answer_of(piece));
        let asked = answer.and_then(|answer| world.backend.answer(answer));
        self.may_get(number, asked.as_ref(), self.requests[number].domain_key.1);
        let right = asked
            .zip(answer)
            .is_some_and(|(asked, answer)| asked.is_piece(answer, index, piece));
        self.check(right, || {
            format!("request {number} gets something else where piece {index} should be")
        });
        answer
    }

    /// A fill's answer ends for a client after so many pieces of it.
    pub fn gets_end(
        &mut self,
        world: &World,
        number: usize,
        (answer, pieces): (Option<usize>, usize),
        whole: bool,
        own: bool,
    ) {
        self.answered(number);
        let asked = answer.and_then(|answer| world.backend.answer(answer));
        let all = asked.as_ref().map(|asked| asked.sizes.len());
        self.check(!whole || all == Some(pieces), || {
            format!("request {number} gets {pieces} of {all:?} pieces as the whole")
        });
        let cut = asked.is_none_or(|asked| asked.kind == Kind::Cut);
        self.check(whole || cut, || {
            format!("request {number} (its own fill: {own}) gets {pieces} of {all:?} pieces")
        });
    }

    /// A fill ends without an answer: its client gets the backend's error.
    pub fn gets_nothing(&mut self, number: usize, own: bool) {
        self.answered(number);
        self.check(own, || {
            format!("request {number} joined a fill without answer")
        });
    }

    /// The client gets the backend's answer to its own request.
    pub fn gets_own(&mut self, world: &World, number: usize, answer: usize) {
        self.answered(number);
        let asked = world.backend.answer(answer);
        let own = asked.is_some_and(|asked| asked.request == number);
        self.check(own, || {
            format!("request {number} gets somebody else's answer")
        });
    }
}
