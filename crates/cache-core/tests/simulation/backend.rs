//! The backend: each of its answers carries a number, and is made for one request.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use bytes::Bytes;
use cache_core::flow::Held;

use super::config::{Behaviour, Key, Kind, MAX_SIZE};
use super::faults;
use super::sending::{Sending, post};
use super::variants::On;
use super::wait::sleep;
use super::worker::Worker;
use super::world::World;
use crate::stream::Stream;

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

pub fn piece(answer: usize, index: usize, length: usize) -> Bytes {
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
    pub(super) paused: RefCell<Vec<Rc<Sending>>>,
    /// Answers on their way.
    sending: RefCell<Vec<Weak<Sending>>>,
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
