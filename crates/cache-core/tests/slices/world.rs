//! Machines that share a store, clients at random ranges, and a backend whose file changes at any moment.
//!
//! A byte is a pair here: the generation of the file that it is of, and its place. What is decided is decided by the module's
//! code; what this world adds is order: each look, answer and piece of a body comes at a moment that chance chooses.

use std::collections::{BTreeMap, HashMap, HashSet};

use cache_core::headers::Headers;
use cache_core::slices::assembly::{Assembly, Next};
use cache_core::slices::{
    Again, Answer, Asked, Delivery, First, Layout, Refused, Sliced, Span, Step, Useful, Validator,
    again, asked, first, further,
};
use cache_core::token::Token;

use super::rng::Rng;
use super::tagged;

/// The key of the object.
const KEY: &[u8] = b"http://a/film";

/// How often a client begins anew before it gets the whole from the backend by itself.
const RESTARTS: u32 = 3;

/// A byte of the file: of which generation, and which one.
type Byte = (u64, u64);

/// A fault that is built in, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers are taken as they come.
    Unchecked,
    /// Slices of all generations have the same names.
    OneName,
    /// A fill doesn't look once more.
    NoSecondLook,
    /// A changed file leaves the head where it is.
    KeepsHead,
}

/// What may happen, in percent of steps or commands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chances {
    /// The file changes.
    pub changes: u64,
    /// A record is lost.
    pub losses: u64,
    /// A request to the backend fails.
    pub failures: u64,
    /// An answer is cut, or shorter than was asked for.
    pub cuts: u64,
    /// The head becomes stale.
    pub stale: u64,
    /// A client leaves.
    pub leaves: u64,
}

/// What a seed runs with.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub machines: usize,
    /// Machines have one lock for all, or one each.
    pub one_domain: bool,
    pub clients: usize,
    pub size: u64,
    pub most: u64,
    /// The backend heeds conditions.
    pub heeds: bool,
    pub chances: Chances,
    pub fault: Option<Fault>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub done: usize,
    pub cut: usize,
    pub cut_by_change: usize,
    pub again: usize,
    pub passed: usize,
    pub left: usize,
    pub joined: usize,
    pub from_store: usize,
    pub confirmed: usize,
    /// Slices whose requests have come to nothing: what they have brought is fetched anew.
    pub failed: u32,
    /// How often a byte of a generation was fetched at most,
    pub most_fetched: u32,
    /// and by how many requests for slices all were.
    pub asked: usize,
}

struct Backend {
    generation: u64,
    /// Of each generation.
    totals: Vec<u64>,
    fetched: HashMap<Byte, u32>,
}

impl Backend {
    fn headers(&self, range: Option<Span>) -> Headers {
        let mut headers = Headers::new();
        headers.push("ETag", format!("\"{}\"", self.generation));
        if let Some(span) = range {
            let total = self.total();
            headers.push(
                "Content-Range",
                format!("bytes {}-{}/{total}", span.first, span.last),
            );
        }
        headers
    }

    fn total(&self) -> u64 {
        self.totals[usize::try_from(self.generation).unwrap()]
    }
}

#[derive(Clone)]
struct Head {
    object: Sliced,
    validator: Validator,
    stale: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
enum Key {
    Head,
    Slice(Token, u64),
}

/// What a fill does next.
enum Stage {
    /// Looks once more, under its lock.
    LookAgain,
    /// Asks for the head.
    AskHead,
    /// Asks for bytes of a slice.
    Ask(Span),
    /// Receives what an answer brings: bytes of a generation, so many that are still to come.
    Receive { at: Byte, left: u64 },
    /// Writes it.
    Store,
}

struct Fill {
    machine: usize,
    key: Key,
    stage: Stage,
    of: Option<(Sliced, Validator)>,
    assembly: Assembly,
    bytes: Vec<Byte>,
    waiters: Vec<usize>,
}

struct Client {
    machine: usize,
    range: Option<String>,
    restarts: u32,
    /// Its generation, and what it is sent.
    delivery: Option<(Delivery, Sliced, u64)>,
    bodies: BTreeMap<u64, Vec<Byte>>,
    got: Vec<Byte>,
    ended: bool,
}

enum Op {
    LookHead(usize),
    Look(usize, u64),
    Fill(usize, Key),
}

pub struct World {
    rng: Rng,
    config: Config,
    backend: Backend,
    head: Option<Head>,
    slices: HashMap<Vec<u8>, Vec<Byte>>,
    /// For each domain what is being fetched in it.
    domains: Vec<BTreeMap<Key, Fill>>,
    clients: Vec<Client>,
    ops: Vec<Op>,
    tokens: u64,
    counts: Counts,
    violation: Option<String>,
}

impl World {
    pub fn new(seed: u64, config: Config) -> World {
        let mut rng = Rng::new(seed);
        let totals = (0..64).map(|_| rng.range(2, config.most)).collect();
        let domains = if config.one_domain {
            1
        } else {
            config.machines
        };
        World {
            rng,
            config,
            backend: Backend {
                generation: 0,
                totals,
                fetched: HashMap::new(),
            },
            head: None,
            slices: HashMap::new(),
            domains: (0..domains).map(|_| BTreeMap::new()).collect(),
            clients: Vec::new(),
            ops: Vec::new(),
            tokens: 0,
            counts: Counts::default(),
            violation: None,
        }
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Result<Counts, String> {
        for _ in 0..1_000_000 {
            if let Some(violation) = self.violation {
                return Err(violation);
            }
            let arrives = self.clients.len() < self.config.clients;
            if arrives && (self.ops.is_empty() || self.rng.chance(10)) {
                self.arrive();
            }
            if self.ops.is_empty() {
                return self.finish();
            }
            if arrives {
                self.trouble();
            }
            let which = self.rng.range(0, self.ops.len() as u64 - 1);
            match self.ops.swap_remove(usize::try_from(which).unwrap()) {
                Op::LookHead(client) => self.look_head(client),
                Op::Look(client, slice) => self.look(client, slice),
                Op::Fill(domain, key) => self.advance(domain, key),
            }
        }
        Err("it never ends".to_owned())
    }

    fn finish(mut self) -> Result<Counts, String> {
        if let Some(client) = self.clients.iter().position(|client| !client.ended) {
            return Err(format!("client {client} waits for ever"));
        }
        let most = self.backend.fetched.values().max();
        self.counts.most_fetched = most.copied().unwrap_or(0);
        Ok(self.counts)
    }

    fn arrive(&mut self) {
        let at = |rng: &mut Rng, most| rng.range(0, most + 3);
        let (rng, most) = (&mut self.rng, self.config.most);
        let range = match rng.range(0, 5) {
            0 | 1 => None,
            2 => Some(format!("bytes={}-", at(rng, most))),
            3 => Some(format!("bytes=-{}", at(rng, most))),
            4 => {
                let first = at(rng, most);
                Some(format!("bytes={first}-{}", first + rng.range(0, most)))
            }
            _ => {
                let spans: Vec<_> = (0..rng.range(2, 4))
                    .map(|_| {
                        let first = at(rng, most);
                        format!("{first}-{}", first + rng.range(0, 9))
                    })
                    .collect();
                Some(format!("bytes={}", spans.join(",")))
            }
        };
        let machine = usize::try_from(rng.range(0, self.config.machines as u64 - 1)).unwrap();
        self.clients.push(Client {
            machine,
            range,
            restarts: 0,
            delivery: None,
            bodies: BTreeMap::new(),
            got: Vec::new(),
            ended: false,
        });
        self.ops.push(Op::LookHead(self.clients.len() - 1));
    }

    fn trouble(&mut self) {
        let chances = self.config.chances;
        if self.rng.chance(chances.changes) && self.backend.generation < 63 {
            self.backend.generation += 1;
        }
        if self.rng.chance(chances.losses) {
            if self.rng.chance(20) {
                self.head = None;
            } else if !self.slices.is_empty() {
                let mut names: Vec<_> = self.slices.keys().cloned().collect();
                names.sort_unstable();
                let which = self.rng.range(0, names.len() as u64 - 1);
                self.slices.remove(&names[usize::try_from(which).unwrap()]);
            }
        }
        if self.rng.chance(chances.stale)
            && let Some(head) = &mut self.head
        {
            head.stale = true;
        }
        if self.rng.chance(chances.leaves) {
            let which = self.rng.range(0, self.clients.len() as u64 - 1);
            let client = &mut self.clients[usize::try_from(which).unwrap()];
            if !client.ended {
                client.ended = true;
                self.counts.left += 1;
            }
        }
    }

    fn domain(&self, machine: usize) -> usize {
        if self.config.one_domain { 0 } else { machine }
    }

    fn name(&self, object: Sliced, slice: u64) -> Vec<u8> {
        if self.config.fault == Some(Fault::OneName) {
            let object = Sliced::new(object.size(), object.total(), Token::new(1)).unwrap();
            return object.name(KEY, slice);
        }
        object.name(KEY, slice)
    }

    /// A slice as the store has it, if it is as long as it must be.
    fn stored(&self, object: Sliced, slice: u64) -> Option<Vec<Byte>> {
        let bytes = self.slices.get(&self.name(object, slice))?;
        let fits = object.span(slice)?.length() == bytes.len() as u64;
        fits.then(|| bytes.clone())
    }

    fn look_head(&mut self, client: usize) {
        if self.clients[client].ended {
            return;
        }
        let domain = self.domain(self.clients[client].machine);
        match self.head.clone() {
            Some(head) => {
                self.begin(client, head.object, &head.validator);
                if head.stale && !self.domains[domain].contains_key(&Key::Head) {
                    let machine = self.clients[client].machine;
                    self.fill(machine, Key::Head, None, None);
                }
            }
            None => {
                let machine = self.clients[client].machine;
                self.fill(machine, Key::Head, None, Some(client));
            }
        }
    }

    /// A client waits for a fill that runs, or for one that begins.
    fn fill(
        &mut self,
        machine: usize,
        key: Key,
        of: Option<(Sliced, Validator)>,
        waiter: Option<usize>,
    ) {
        let domain = self.domain(machine);
        if let Some(fill) = self.domains[domain].get_mut(&key) {
            self.counts.joined += 1;
            let have = fill.bytes.clone();
            let same = fill.machine == machine;
            if let Some(client) = waiter {
                fill.waiters.push(client);
                if same {
                    self.grew(client, key, have);
                }
            }
            return;
        }
        let span = match (key, &of) {
            (Key::Slice(_, slice), Some((object, _))) => object.span(slice).unwrap(),
            _ => Span::new(0, self.config.size - 1).unwrap(),
        };
        let fill = Fill {
            machine,
            key,
            stage: Stage::LookAgain,
            of,
            assembly: Assembly::new(span),
            bytes: Vec::new(),
            waiters: waiter.into_iter().collect(),
        };
        self.domains[domain].insert(key, fill);
        self.ops.push(Op::Fill(domain, key));
    }

    /// A client has a head: its response is known.
    fn begin(&mut self, client: usize, object: Sliced, validator: &Validator) {
        let (_, tag) = validator.condition();
        let generation = std::str::from_utf8(&tag).unwrap().trim_matches('"');
        let generation = generation.parse().unwrap();
        let range = self.clients[client].range.clone();
        let asked = range.map_or(Asked::Whole, |range| {
            asked(range.as_bytes(), object.total())
        });
        let layout = Layout::new(object, &asked, None, b"B");
        let ahead = self.rng.range(0, 3);
        self.clients[client].delivery =
            Some((Delivery::new(object, layout, ahead), object, generation));
        self.clients[client].bodies.clear();
        self.drive(client);
    }

    /// Carries out what a client's delivery says, until it waits.
    fn drive(&mut self, client: usize) {
        loop {
            let machine = self.clients[client].machine;
            let pressed = self.rng.chance(10);
            let it = &mut self.clients[client];
            if it.ended {
                return;
            }
            let Some((delivery, object, generation)) = &mut it.delivery else {
                return;
            };
            let (object, generation) = (*object, *generation);
            match delivery.step(pressed) {
                Step::Look(slice) => self.ops.push(Op::Look(client, slice)),
                Step::Fill(slice) => {
                    let validator = tagged(&format!("\"{generation}\""));
                    let key = Key::Slice(object.token(), slice);
                    self.fill(machine, key, Some((object, validator)), Some(client));
                }
                Step::Text(_) => {}
                Step::Send { slice, from, to } => {
                    let range = usize::try_from(from).unwrap()..usize::try_from(to).unwrap();
                    let bytes = it.bodies.get(&slice).and_then(|bytes| bytes.get(range));
                    match bytes {
                        Some(bytes) => it.got.extend_from_slice(bytes),
                        None => self.violation = Some("bytes that aren't there".to_owned()),
                    }
                    if self.violation.is_some() {
                        return;
                    }
                    self.check(client, false);
                }
                Step::Wait => {
                    // What isn't needed isn't kept.
                    it.bodies.retain(|slice, _| delivery.needs(*slice));
                    return;
                }
                Step::Done => {
                    it.ended = true;
                    self.counts.done += 1;
                    self.check(client, true);
                    return;
                }
                Step::Again(_) => {
                    it.delivery = None;
                    it.restarts += 1;
                    if it.restarts > RESTARTS {
                        it.ended = true;
                        self.counts.passed += 1;
                        return;
                    }
                    if !it.got.is_empty() {
                        self.violation = Some("begun anew after bytes were sent".to_owned());
                    }
                    self.counts.again += 1;
                    self.ops.push(Op::LookHead(client));
                    return;
                }
                Step::Cut(why) => {
                    it.ended = true;
                    self.counts.cut += 1;
                    self.counts.cut_by_change += usize::from(why == Refused::Changed);
                    return;
                }
            }
        }
    }

    /// What a client has is what its generation has there, in order; and all of it in the end.
    fn check(&mut self, client: usize, whole: bool) {
        let it = &self.clients[client];
        let Some((_, object, generation)) = &it.delivery else {
            return;
        };
        let range = it.range.as_ref();
        let asked = range.map(|range| asked(range.as_bytes(), object.total()));
        let spans = match asked.map(|asked| asked.each_slice_once(*object)) {
            None | Some(Asked::Whole) => vec![object.all()],
            Some(Asked::Spans(spans)) => spans,
            Some(Asked::Nothing) => Vec::new(),
        };
        let mut wanted = spans
            .iter()
            .flat_map(|span| span.first..=span.last)
            .map(|at| (*generation, at));
        let prefix = it.got.iter().all(|byte| wanted.next() == Some(*byte));
        let rest = wanted.next();
        if !prefix || (whole && rest.is_some()) {
            let got = it.got.last();
            self.violation = Some(format!(
                "client {client} of generation {generation} ({range:?}) got {got:?}, then {rest:?}, whole: {whole}"
            ));
        }
    }

    fn look(&mut self, client: usize, slice: u64) {
        let it = &self.clients[client];
        let Some((_, object, _)) = &it.delivery else {
            return;
        };
        let stored = self.stored(*object, slice);
        if let Some((delivery, ..)) = &mut self.clients[client].delivery {
            match stored {
                Some(bytes) => {
                    delivery.found(slice);
                    self.counts.from_store += 1;
                    self.clients[client].bodies.insert(slice, bytes);
                }
                None => delivery.missing(slice),
            }
        }
        self.drive(client);
    }

    /// What is being sent to a client, and the slice of it that is fetched so. `None`: it has begun anew since.
    fn waiting(&mut self, client: usize, key: Key) -> Option<(&mut Delivery, u64)> {
        let (delivery, object, _) = self.clients[client].delivery.as_mut()?;
        match key {
            Key::Slice(token, slice) if token == object.token() => Some((delivery, slice)),
            _ => None,
        }
    }

    fn grew(&mut self, client: usize, key: Key, bytes: Vec<Byte>) {
        if let Some((delivery, slice)) = self.waiting(client, key) {
            delivery.grew(slice, bytes.len() as u64);
            self.clients[client].bodies.insert(slice, bytes);
        }
    }

    /// A fill goes on.
    fn advance(&mut self, domain: usize, key: Key) {
        let Some(fill) = self.domains[domain].remove(&key) else {
            return;
        };
        match (&fill.stage, fill.key) {
            (Stage::LookAgain, Key::Head) => self.look_for_head(domain, fill),
            (Stage::LookAgain, Key::Slice(_, slice)) => {
                let (object, _) = fill.of.as_ref().unwrap();
                match self.stored(*object, slice) {
                    Some(bytes) if self.config.fault != Some(Fault::NoSecondLook) => {
                        self.give(&fill, &bytes);
                    }
                    _ => {
                        let mut fill = fill;
                        let next = fill.assembly.begin();
                        self.next(domain, fill, next);
                    }
                }
            }
            (Stage::AskHead, _) => self.ask_head(domain, fill),
            (Stage::Ask(span), _) => {
                let span = *span;
                self.ask(domain, fill, span);
            }
            (Stage::Receive { .. }, _) => self.receive(domain, fill),
            (Stage::Store, Key::Slice(_, slice)) => {
                let (object, _) = fill.of.as_ref().unwrap();
                let name = self.name(*object, slice);
                if !self.rng.chance(self.config.chances.losses) {
                    self.slices.insert(name, fill.bytes.clone());
                }
                let bytes = fill.bytes.clone();
                self.give(&fill, &bytes);
            }
            (Stage::Store, Key::Head) => {}
        }
    }

    fn keep(&mut self, domain: usize, mut fill: Fill, stage: Stage) {
        fill.stage = stage;
        let key = fill.key;
        self.domains[domain].insert(key, fill);
        self.ops.push(Op::Fill(domain, key));
    }

    /// A slice is there: for those of the fill's own machine at once, for others in the store.
    fn give(&mut self, fill: &Fill, bytes: &[Byte]) {
        for &client in &fill.waiters {
            let same = self.clients[client].machine == fill.machine;
            let Some((delivery, slice)) = self.waiting(client, fill.key) else {
                continue;
            };
            if same {
                delivery.filled(slice);
                self.clients[client].bodies.insert(slice, bytes.to_vec());
                self.drive(client);
            } else {
                self.look(client, slice);
            }
        }
    }

    fn refuse(&mut self, fill: Fill, why: Refused) {
        if let (Refused::Changed, Some((object, _))) = (why, &fill.of) {
            let own = |head: &Head| head.object.token() == object.token();
            if self.head.as_ref().is_some_and(own) && self.config.fault != Some(Fault::KeepsHead) {
                self.head = None;
            }
        }
        for client in fill.waiters {
            if let Some((delivery, slice)) = self.waiting(client, fill.key) {
                delivery.refused(slice, why);
                self.drive(client);
                continue;
            }
            let it = &mut self.clients[client];
            // There is no head: the backend's failure is the response.
            if fill.key == Key::Head && it.delivery.is_none() && !it.ended {
                it.ended = true;
                self.counts.cut += 1;
            }
        }
    }

    fn look_for_head(&mut self, domain: usize, mut fill: Fill) {
        match self.head.clone() {
            Some(head) if !head.stale && self.config.fault != Some(Fault::NoSecondLook) => {
                for client in fill.waiters {
                    self.begin_waiting(client, head.object, &head.validator);
                }
            }
            head => {
                fill.of = head.map(|head| (head.object, head.validator));
                self.keep(domain, fill, Stage::AskHead);
            }
        }
    }

    fn begin_waiting(&mut self, client: usize, object: Sliced, validator: &Validator) {
        let it = &self.clients[client];
        if it.delivery.is_none() && !it.ended {
            self.begin(client, object, validator);
        }
    }

    /// The request for the first slice of an object that has no head, or a stale one.
    fn ask_head(&mut self, domain: usize, mut fill: Fill) {
        if self.rng.chance(self.config.chances.failures) {
            return self.refuse(Fill { of: None, ..fill }, Refused::Failed);
        }
        let own = tagged(&format!("\"{}\"", self.backend.generation));
        if let Some((object, validator)) = fill.of.clone()
            && validator == own
            && self.config.heeds
        {
            self.counts.confirmed += 1;
            if let Some(head) = &mut self.head
                && head.object == object
            {
                head.stale = false;
            }
            for client in fill.waiters {
                self.begin_waiting(client, object, &validator);
            }
            return;
        }
        let total = self.backend.total();
        let last = (self.config.size - 1).min(total - 1);
        let last = self.shortened(0, last);
        let headers = self.backend.headers(Span::new(0, last));
        let answer = Answer {
            status: 206,
            headers: &headers,
            date: None,
        };
        self.tokens += 1;
        let token = Token::new(self.tokens);
        let size = self.config.size;
        let found = match &fill.of {
            Some((object, validator)) => match again(&answer, size, (*object, validator), token) {
                Again::Same(bytes) => First::Slices {
                    object: *object,
                    validator: validator.clone(),
                    bytes,
                },
                Again::Other(first) => first,
            },
            None => first(&answer, size, token),
        };
        let at = (self.backend.generation, 0);
        match found {
            First::Slices {
                object,
                validator,
                bytes,
            } => {
                self.head = Some(Head {
                    object,
                    validator: validator.clone(),
                    stale: false,
                });
                let waiters = std::mem::take(&mut fill.waiters);
                fill.key = Key::Slice(object.token(), 0);
                fill.assembly = Assembly::answered(object.span(0).unwrap(), Useful::all(bytes));
                fill.of = Some((object, validator.clone()));
                // Another fill of it runs: it is confirmed only.
                if !self.domains[domain].contains_key(&fill.key) {
                    self.keep(domain, fill, Stage::Receive { at, left: bytes });
                }
                for client in waiters {
                    self.begin_waiting(client, object, &validator);
                }
            }
            // A record as without slices: it ends here.
            First::Complete(_) => {
                for client in fill.waiters {
                    let it = &mut self.clients[client];
                    if !it.ended {
                        it.ended = true;
                        self.counts.passed += 1;
                    }
                }
                self.head = None;
            }
            other => self.violation = Some(format!("{other:?}")),
        }
    }

    fn shortened(&mut self, first: u64, last: u64) -> u64 {
        if last > first && self.rng.chance(self.config.chances.cuts) {
            self.rng.range(first, last)
        } else {
            last
        }
    }

    fn ask(&mut self, domain: usize, mut fill: Fill, wanted: Span) {
        self.counts.asked += 1;
        if self.rng.chance(self.config.chances.failures) {
            return self.refuse(fill, Refused::Failed);
        }
        let (object, validator) = fill.of.clone().unwrap();
        let total = self.backend.total();
        let (name, value) = validator.condition();
        let own = format!("\"{}\"", self.backend.generation);
        let fails = name == "If-Match" && value != own.as_bytes() && self.config.heeds;
        let (status, headers, span) = if fails {
            (412, Headers::new(), wanted)
        } else if wanted.first >= total {
            (416, Headers::new(), wanted)
        } else {
            // Some servers have slices of their own, and send all of these.
            let more = self.rng.chance(self.config.chances.cuts);
            let last = self.shortened(wanted.first, wanted.last.min(total - 1));
            let (first, last) = if more {
                let before = self.rng.range(0, wanted.first.min(3));
                let behind = self.rng.range(0, 3);
                (wanted.first - before, (last + behind).min(total - 1))
            } else {
                (wanted.first, last)
            };
            let span = Span::new(first, last).unwrap();
            (206, self.backend.headers(Some(span)), span)
        };
        let answer = Answer {
            status,
            headers: &headers,
            date: None,
        };
        let judged = match self.config.fault {
            Some(Fault::Unchecked) if status == 206 => {
                Ok(Useful::of(span, wanted).unwrap_or(Useful::all(span.length())))
            }
            _ => further(&answer, object, &validator, wanted),
        };
        match judged {
            Ok(useful) => {
                fill.assembly.promise(useful);
                let at = (self.backend.generation, span.first);
                let left = span.length();
                self.keep(domain, fill, Stage::Receive { at, left });
            }
            Err(why) => self.refuse(fill, why),
        }
    }

    /// A piece of an answer comes, or its end.
    fn receive(&mut self, domain: usize, mut fill: Fill) {
        let Stage::Receive { at, left } = fill.stage else {
            return;
        };
        let cut = self.rng.chance(self.config.chances.cuts);
        if left == 0 || cut {
            let next = fill.assembly.end();
            return self.next(domain, fill, next);
        }
        let piece = self.rng.range(1, left);
        let counted = fill.assembly.receive(piece);
        for offset in counted {
            let byte = (at.0, at.1 + offset);
            fill.bytes.push(byte);
            *self.backend.fetched.entry(byte).or_default() += 1;
        }
        let key = fill.key;
        let (machine, bytes) = (fill.machine, fill.bytes.clone());
        let waiters = fill.waiters.clone();
        let at = (at.0, at.1 + piece);
        let left = left - piece;
        self.keep(domain, fill, Stage::Receive { at, left });
        let told: HashSet<_> = waiters.into_iter().collect();
        let mut told: Vec<_> = told.into_iter().collect();
        told.sort_unstable();
        for client in told {
            if self.clients[client].machine == machine {
                self.grew(client, key, bytes.clone());
                self.drive(client);
            }
        }
    }

    fn next(&mut self, domain: usize, fill: Fill, next: Next) {
        match next {
            Next::Ask(span) => self.keep(domain, fill, Stage::Ask(span)),
            Next::Done => self.keep(domain, fill, Stage::Store),
            Next::Failed => {
                self.counts.failed += 1;
                self.refuse(fill, Refused::Failed);
            }
        }
    }
}
