//! When each Sentinel is asked, and what it has answered last.

/// What a Sentinel says of the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<A> {
    pub address: A,
    /// 0 if the Sentinel tells none.
    pub epoch: u64,
    /// The healthy replicas. `None` if the Sentinel lists none, or wasn't asked.
    pub replicas: Option<Vec<A>>,
}

/// One Sentinel.
#[derive(Debug)]
pub struct Sentinel<A> {
    /// A question is under way until this time.
    asked: Option<u64>,
    /// When the last question was sent.
    last: Option<u64>,
    /// When it is asked next.
    next: u64,
    /// Whether it is asked again as soon as the question under way has ended.
    again: bool,
    failures: u32,
    /// Its last answer, if the last question had one.
    pub answer: Option<Answer<A>>,
}

impl<A> Sentinel<A> {
    /// One that is to be asked at once.
    pub const fn new() -> Self {
        Self {
            asked: None,
            last: None,
            next: 0,
            again: false,
            failures: 0,
            answer: None,
        }
    }

    /// Whether it is time to ask; it is asked then.
    pub fn ask(&mut self, now: u64, timeout: u64) -> bool {
        let due = self.asked.is_none() && now >= self.next;
        if due {
            self.asked = Some(now.saturating_add(timeout));
            self.last = Some(now);
            self.again = false;
        }
        due
    }

    /// Whether the question under way has had its time.
    pub fn is_overdue(&self, now: u64) -> bool {
        self.asked.is_some_and(|end| now >= end)
    }

    /// When it needs attention again.
    pub fn wakes_at(&self) -> u64 {
        self.asked.unwrap_or(self.next)
    }

    /// Whether it answered the last question, or has had none.
    pub const fn is_well(&self) -> bool {
        self.failures == 0
    }

    /// It has answered; the next question follows after `pause` milliseconds.
    pub fn answered(&mut self, now: u64, answer: Answer<A>, pause: u64) {
        self.answer = Some(answer);
        self.failures = 0;
        self.end(now, pause);
    }

    /// It hasn't answered.
    pub fn failed(&mut self, now: u64, pause: u64) {
        self.answer = None;
        self.failures = self.failures.saturating_add(1);
        self.end(now, pause);
    }

    /// How many questions in a row it hasn't answered.
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    fn end(&mut self, now: u64, pause: u64) {
        self.asked = None;
        self.next = now.saturating_add(pause);
        if self.again {
            self.again = false;
            self.hurry(now);
        }
    }

    /// There is a reason to ask soon. One that doesn't answer isn't asked much more often for that.
    pub fn hurry(&mut self, now: u64) {
        const GAP: u64 = 100;
        if self.asked.is_some() {
            self.again = true;
            return;
        }
        let gap = GAP << self.failures.min(4);
        let soon = self.last.map_or(now, |last| last.saturating_add(gap));
        self.next = self.next.min(soon.max(now));
    }

    /// As [`Sentinel::hurry`], without regard to when it was asked last: a Sentinel says that there is news.
    pub const fn ask_now(&mut self, now: u64) {
        if self.asked.is_some() {
            self.again = true;
        } else {
            self.next = now;
        }
    }
}
