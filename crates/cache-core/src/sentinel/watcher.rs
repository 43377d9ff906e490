//! The watcher: events in, actions out. It has no clock and does nothing itself.

use super::asking::{Answer, Sentinel};
use super::event::{Action, Event, Master, Proof, Role, Settings};
use super::feed::Feed;
use super::replicas::Replicas;

/// A question to a server.
#[derive(Debug)]
struct Verifying<A> {
    master: Master<A>,
    end: u64,
    /// Whether no Sentinel names it any more, and it is asked before an older epoch is believed.
    last_chance: bool,
}

/// Finds the master and follows it.
#[derive(Debug)]
pub struct Watcher<A> {
    settings: Settings,
    sentinels: Vec<Sentinel<A>>,
    /// The Sentinels, best first.
    order: Vec<usize>,
    announced: Option<Master<A>>,
    replicas: Replicas<A>,
    /// Older epochs aren't believed.
    floor: u64,
    /// Whether a worker has had trouble with what is announced.
    suspected: bool,
    verifying: Option<Verifying<A>>,
    /// When what is announced was last known to be a master.
    verified: u64,
    /// Servers that weren't masters when asked, and when they may be asked again.
    rejected: Vec<(A, u64)>,
    rejections: u32,
    /// Since when most Sentinels know nothing but older epochs.
    older_since: Option<u64>,
    proof: Proof,
    feed: Option<Feed>,
    feed_lost: Option<usize>,
    feed_losses: u32,
    feed_next: u64,
    random: u64,
}

/// Shortest time between two questions to a server, in milliseconds.
const GAP: u64 = 100;
/// Longest time until a server that was no master is asked again, in milliseconds.
const RETRY: u64 = 400;
/// Longest time until a Sentinel that doesn't answer is asked again, in milliseconds.
const BACK_OFF: u64 = 2000;
/// Most Sentinels must know nothing but older epochs for so long, in milliseconds, before these are believed: they were
/// set up anew.
const OLDER: u64 = 10_000;

impl<A: Clone + Eq> Watcher<A> {
    /// A watcher of so many Sentinels that asks all of them at its first event. `seed` is for jitter.
    #[must_use]
    pub fn new(sentinels: usize, settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            sentinels: (0..sentinels).map(|_| Sentinel::new()).collect(),
            order: (0..sentinels).collect(),
            announced: None,
            replicas: Replicas::new(),
            floor: 0,
            suspected: false,
            verifying: None,
            verified: 0,
            rejected: Vec::new(),
            rejections: 0,
            older_since: None,
            proof: Proof::Role,
            feed: None,
            feed_lost: None,
            feed_losses: 0,
            feed_next: 0,
            random: seed | 1,
        }
    }

    /// Takes over from a watcher that has died: nothing older than what it announced is believed.
    #[must_use]
    pub fn following(mut self, master: Master<A>, replicas: Vec<A>) -> Self {
        self.replicas.known(replicas);
        self.floor = master.epoch;
        self.announced = Some(master);
        self.suspected = true;
        self
    }

    /// What is announced.
    #[must_use]
    pub const fn master(&self) -> Option<&Master<A>> {
        self.announced.as_ref()
    }

    /// The replicas that are announced.
    #[must_use]
    pub fn replicas(&self) -> &[A] {
        self.replicas.announced()
    }

    /// When the next [`Event::Tick`] is due, at the latest.
    #[must_use]
    pub fn wakes_at(&self) -> u64 {
        let sentinels = self.sentinels.iter().map(Sentinel::wakes_at);
        let rejected = self.rejected.iter().map(|(_, until)| *until);
        let verifying = self.verifying.iter().map(|verifying| verifying.end);
        let feed = match &self.feed {
            Some(feed) => Some(feed.wakes_at()),
            None => self.feed_choice().map(|_| self.feed_next),
        };
        let is_suspect = self.suspected && self.verifying.is_none();
        let is_named = is_suspect && self.announced.is_some() && self.best() == self.announced;
        let suspected = is_named.then(|| self.verified.saturating_add(GAP));
        sentinels
            .chain(rejected)
            .chain(verifying)
            .chain(feed)
            .chain(suspected)
            .min()
            .unwrap_or(u64::MAX)
    }

    /// Takes an event at `now`, in milliseconds, and appends what is to be done.
    pub fn handle(&mut self, now: u64, event: Event<A>, actions: &mut Vec<Action<A>>) {
        match event {
            Event::Tick => {}
            Event::Answered {
                sentinel,
                address,
                epoch,
                replicas,
            } => {
                let epoch = epoch.unwrap_or(0);
                let answer = Answer {
                    address,
                    epoch,
                    replicas,
                };
                self.answered(now, sentinel, answer);
            }
            Event::Failed { sentinel } => self.failed(now, sentinel),
            Event::Role { address, role } => self.role(now, &address, role, actions),
            Event::Unreachable { address } => {
                self.role(now, &address, Role::Unknown, actions);
            }
            Event::Suspect { address } => {
                if self
                    .announced
                    .as_ref()
                    .is_some_and(|master| master.address == address)
                {
                    self.suspected = true;
                    self.hurry(now);
                }
            }
            Event::Switched { .. } => self.sentinels.iter_mut().for_each(|s| s.ask_now(now)),
            Event::Changed { .. } => self.hurry(now),
            Event::Subscribed { sentinel } => {
                // What was pushed before it isn't known.
                self.hurry(now);
                self.on_feed(sentinel, |feed| feed.begin(now));
            }
            Event::Pong { sentinel } => {
                self.feed_losses = 0;
                self.feed_lost = None;
                self.on_feed(sentinel, |feed| feed.hear(now));
            }
            Event::FeedLost { sentinel } => self.feed_lost(now, sentinel),
        }
        self.expire(now);
        self.decide(now, actions);
        self.list(actions);
        self.ask(now, actions);
        self.listen(now, actions);
    }

    fn answered(&mut self, now: u64, sentinel: usize, answer: Answer<A>) {
        let epoch = answer.epoch;
        let pause = self.jitter(self.settings.interval);
        let Some(own) = self.sentinels.get_mut(sentinel) else {
            return;
        };
        own.answered(now, answer, pause);
        let first = self
            .order
            .first()
            .and_then(|first| self.sentinels.get(*first));
        let known = first.and_then(|first| first.answer.as_ref());
        if known.is_none_or(|known| known.epoch < epoch) {
            self.order.retain(|other| *other != sentinel);
            self.order.insert(0, sentinel);
        }
    }

    fn failed(&mut self, now: u64, sentinel: usize) {
        let failures = self.sentinels.get(sentinel).map_or(0, Sentinel::failures);
        let pause = self.settings.interval << failures.min(8);
        let pause = self.jitter(pause.min(BACK_OFF));
        if let Some(own) = self.sentinels.get_mut(sentinel) {
            own.failed(now, pause);
        }
    }

    /// All Sentinels are asked soon.
    fn hurry(&mut self, now: u64) {
        self.sentinels.iter_mut().for_each(|s| s.hurry(now));
    }

    /// Questions that have had their time have failed. This comes before anything is decided: what such a Sentinel said
    /// counts no more.
    fn expire(&mut self, now: u64) {
        for sentinel in 0..self.sentinels.len() {
            if self
                .sentinels
                .get(sentinel)
                .is_some_and(|s| s.is_overdue(now))
            {
                self.failed(now, sentinel);
            }
        }
    }

    fn ask(&mut self, now: u64, actions: &mut Vec<Action<A>>) {
        let timeout = self.settings.timeout;
        for (sentinel, it) in self.sentinels.iter_mut().enumerate() {
            if it.ask(now, timeout) {
                actions.push(Action::Ask { sentinel });
            }
        }
    }

    /// Looks whether the Sentinels list other replicas of what is announced.
    fn list(&mut self, actions: &mut Vec<Action<A>>) {
        let Some(master) = &self.announced else {
            return;
        };
        let answers = self.sentinels.iter().filter_map(|s| s.answer.as_ref());
        let named = answers.filter(|it| it.address == master.address && it.epoch == master.epoch);
        let lists: Vec<&[A]> = named.filter_map(|it| it.replicas.as_deref()).collect();
        let news = self.replicas.count(&master.address, &lists);
        actions.extend(news.map(Action::Replicas));
    }

    /// Looks whether what the Sentinels say is news, and has it verified.
    fn decide(&mut self, now: u64, actions: &mut Vec<Action<A>>) {
        if self
            .verifying
            .as_ref()
            .is_some_and(|verifying| now >= verifying.end)
        {
            self.reject(now);
        }
        self.rejected.retain(|(_, until)| now < *until);
        // A newer master needn't wait for the silence of an older one.
        if let Some(verifying) = &self.verifying
            && self.highest() <= Some(verifying.master.epoch)
        {
            return;
        }
        if self.older(now) {
            let master = self.announced.clone();
            return self.verify(now, master, true, actions);
        }
        let Some(best) = self.best() else { return };
        if self.announced.as_ref() == Some(&best)
            && (!self.suspected || now < self.verified.saturating_add(GAP))
        {
            return;
        }
        self.verify(now, Some(best), false, actions);
    }

    fn verify(
        &mut self,
        now: u64,
        master: Option<Master<A>>,
        last_chance: bool,
        actions: &mut Vec<Action<A>>,
    ) {
        let Some(master) = master else { return };
        actions.push(Action::Verify {
            address: master.address.clone(),
            proof: self.proof,
        });
        self.verifying = Some(Verifying {
            master,
            end: now.saturating_add(self.settings.timeout),
            last_chance,
        });
    }

    /// The highest epoch that a Sentinel knows and that may be believed.
    fn highest(&self) -> Option<u64> {
        let answers = self.sentinels.iter().filter_map(|s| s.answer.as_ref());
        let epochs = answers.map(|answer| answer.epoch);
        epochs.filter(|epoch| *epoch >= self.floor).max()
    }

    /// Of the answers with the highest epoch the one that most Sentinels give; among equals what is announced, then what
    /// the best Sentinel says. Servers that were no masters a moment ago are left out.
    fn best(&self) -> Option<Master<A>> {
        let highest = self.highest()?;
        let of = |sentinel: &usize| self.sentinels.get(*sentinel)?.answer.as_ref();
        let answers = || {
            let answers = self.order.iter().filter_map(of);
            answers.filter(|answer| answer.epoch == highest)
        };
        let free = |answer: &&Answer<A>| {
            !self
                .rejected
                .iter()
                .any(|(address, _)| *address == answer.address)
        };
        let votes = |address: &A| answers().filter(|other| other.address == *address).count();
        let announced = self.announced.as_ref().map(|master| &master.address);
        let rank = |answer: &&Answer<A>| {
            let is_announced = announced == Some(&answer.address);
            (votes(&answer.address), is_announced)
        };
        // Of equals `max_by_key` takes the last.
        let best = answers().filter(free).rev().max_by_key(rank)?;
        Some(Master {
            address: best.address.clone(),
            epoch: best.epoch,
        })
    }

    fn role(&mut self, now: u64, address: &A, role: Role, actions: &mut Vec<Action<A>>) {
        let Some(verifying) = self.verifying.take_if(|v| v.master.address == *address) else {
            return;
        };
        match role {
            Role::Denied if self.proof == Proof::Role => {
                self.proof = Proof::Info;
                self.verify(now, Some(verifying.master), verifying.last_chance, actions);
            }
            // A Sentinel has named a newer one meanwhile.
            Role::Master if self.highest() > Some(verifying.master.epoch) => {}
            Role::Master => self.verified(now, verifying.master, actions),
            Role::Replica | Role::Denied | Role::Unknown => {
                self.verifying = Some(verifying);
                self.reject(now);
            }
        }
    }

    /// A server says that it is a master.
    fn verified(&mut self, now: u64, master: Master<A>, actions: &mut Vec<Action<A>>) {
        self.rejections = 0;
        self.rejected.clear();
        self.suspected = false;
        self.verified = now;
        self.older_since = None;
        if self.announced.as_ref() != Some(&master) {
            self.floor = master.epoch;
            self.announced = Some(master.clone());
            self.replicas.forget();
            actions.push(Action::Announce(master));
        }
    }

    /// The server that was asked is no master, or says nothing. It is asked again later, unless the Sentinels name another.
    fn reject(&mut self, now: u64) {
        let Some(verifying) = self.verifying.take() else {
            return;
        };
        if verifying.last_chance {
            self.floor = 0;
            self.older_since = None;
        }
        let pause = (GAP << self.rejections.min(8)).min(RETRY);
        let pause = self.jitter(pause);
        self.rejections = self.rejections.saturating_add(1);
        self.rejected
            .push((verifying.master.address, now.saturating_add(pause)));
        self.hurry(now);
    }

    /// Whether most Sentinels have known nothing but older epochs for long: somebody has set them up anew, or they have
    /// forgotten. What is announced is asked once more before they are believed.
    fn older(&mut self, now: u64) -> bool {
        let answers = self.sentinels.iter().filter(|s| s.answer.is_some()).count();
        if self.highest().is_some() || answers * 2 <= self.sentinels.len() || self.floor == 0 {
            self.older_since = None;
            return false;
        }
        let since = *self.older_since.get_or_insert(now);
        now >= since.saturating_add(OLDER)
    }

    fn on_feed(&mut self, sentinel: usize, act: impl FnOnce(&mut Feed)) {
        if let Some(feed) = self.feed.as_mut().filter(|feed| feed.sentinel == sentinel) {
            act(feed);
        }
    }

    fn feed_lost(&mut self, now: u64, sentinel: usize) {
        if self
            .feed
            .take_if(|feed| feed.sentinel == sentinel)
            .is_some()
        {
            let pause = if self.feed_losses == 0 {
                0
            } else {
                self.jitter((GAP << self.feed_losses.min(8)).min(BACK_OFF))
            };
            self.feed_losses = self.feed_losses.saturating_add(1);
            self.feed_lost = Some(sentinel);
            self.feed_next = now.saturating_add(pause);
            // A push may have been lost with it.
            self.hurry(now);
        }
    }

    /// The best Sentinel that answers questions; not the one whose feed was lost, if there is another.
    fn feed_choice(&self) -> Option<usize> {
        let answers = |sentinel: &&usize| {
            let sentinel = self.sentinels.get(**sentinel);
            sentinel.is_some_and(|s| s.is_well() && s.answer.is_some())
        };
        let well = || self.order.iter().filter(answers);
        let other = well().find(|sentinel| Some(**sentinel) != self.feed_lost);
        other.or_else(|| well().next()).copied()
    }

    fn listen(&mut self, now: u64, actions: &mut Vec<Action<A>>) {
        if let Some(feed) = self.feed
            && feed.is_dead(now)
        {
            let sentinel = feed.sentinel;
            actions.push(Action::Unsubscribe { sentinel });
            self.feed_lost(now, sentinel);
            self.ask(now, actions);
        }
        match &mut self.feed {
            Some(feed) => {
                let sentinel = feed.sentinel;
                actions.extend(feed.ping(now).then_some(Action::Ping { sentinel }));
            }
            None if now >= self.feed_next => {
                if let Some(sentinel) = self.feed_choice() {
                    self.feed = Some(Feed::new(sentinel, now));
                    actions.push(Action::Subscribe { sentinel });
                }
            }
            None => {}
        }
    }

    /// A time that is up to a tenth shorter or longer, so that machines don't ask in step.
    fn jitter(&mut self, pause: u64) -> u64 {
        // xorshift64
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let tenth = pause / 10;
        pause
            .saturating_sub(tenth)
            .saturating_add(self.random % (2 * tenth + 1))
    }
}
