//! The breaker of a server: its state in shared memory, and when this worker may send something.
//!
//! A server that says that it can't serve, or can't be reached, is down at once. Timeouts are counted: `max_fails` of
//! them within [`WINDOW`] take it down. While it is down nothing is sent to it but one probe at a time of the whole
//! nginx: a new connection, up to the reply to its PING.

use std::rc::Rc;

use cache_core::breaker::{Access, Blame, Breaker, Change, Changes, Pass, Settings, Verdict};

use crate::ngx::event::now_msec;
use crate::shm::counters::NodeCounters;
use crate::shm::{Refusal, ServerWords, digest};
use crate::store::redis::config::StoreConfig;
use crate::store::redis::pace::patience;

/// Timeouts count together that come within this time, in milliseconds.
const WINDOW: u64 = 10_000;

/// What a probe takes beside its timeouts, in milliseconds, at most.
const SLACK: u64 = 1000;

/// The breaker of one server, as this worker uses it.
pub struct NodeBreaker {
    words: Words,
    settings: Settings,
}

/// Where its state is.
enum Words {
    /// Shared with the other workers.
    Shared(&'static ServerWords),
    /// This worker's own: a store at an address that a variable names, or one server too many.
    Own(Box<(Breaker, Refusal)>),
}

/// The right to probe a server: reads, and writes where they were held back, too.
#[derive(Clone, Copy)]
pub struct Probe {
    reads: Pass,
    writes: Option<Pass>,
}

/// What may be sent now.
pub enum Allowed {
    /// The command.
    Command(Pass),
    /// Nothing but a probe.
    Probe(Probe),
    /// Nothing.
    Nothing,
}

impl NodeBreaker {
    /// The breaker of a server, by what the log calls it.
    pub fn new(config: &Rc<StoreConfig>, server: &str) -> NodeBreaker {
        let state = config.memory.and_then(|memory| memory.state());
        let shared = state.and_then(|state| state.server(digest(server.as_bytes())));
        let probe = config.connect_timeout + patience(config.read_timeout) + SLACK;
        NodeBreaker {
            words: shared.map_or_else(|| Words::Own(Box::default()), Words::Shared),
            settings: Settings {
                max_fails: config.max_fails,
                window: WINDOW,
                fail_timeout: config.fail_timeout,
                lease: probe,
            },
        }
    }

    fn breaker(&self) -> &Breaker {
        match &self.words {
            Words::Shared(words) => &words.breaker,
            Words::Own(own) => &own.0,
        }
    }

    /// What is counted of the server. `None` where the workers share nothing of it.
    pub fn counters(&self) -> Option<&'static NodeCounters> {
        match &self.words {
            Words::Shared(words) => Some(&words.counters),
            Words::Own(_) => None,
        }
    }

    /// Whether its cluster is down, as the server says.
    pub fn refusal(&self) -> &Refusal {
        match &self.words {
            Words::Shared(words) => &words.refusal,
            Words::Own(own) => &own.1,
        }
    }

    /// Whether this is the first time in this nginx that somebody asks. Always so for words of this worker's own.
    pub fn is_first(&self) -> bool {
        match &self.words {
            Words::Shared(words) => words.is_first(),
            Words::Own(_) => true,
        }
    }

    /// Whether the server is down.
    pub fn is_down(&self) -> bool {
        self.breaker().is_open(Access::Read)
    }

    /// Whether writes are held back.
    pub fn holds_writes(&self) -> bool {
        self.breaker().is_open(Access::Write)
    }

    /// Whether a command may be sent.
    pub fn may(&self, access: Access) -> Allowed {
        let now = now_msec();
        let breaker = self.breaker();
        match breaker.may(Access::Read, now, &self.settings) {
            Verdict::No => return Allowed::Nothing,
            Verdict::Probe(reads) => {
                let writes = match breaker.may(Access::Write, now, &self.settings) {
                    Verdict::Probe(pass) => Some(pass),
                    Verdict::Go | Verdict::No => None,
                };
                return Allowed::Probe(Probe { reads, writes });
            }
            Verdict::Go if access == Access::Read => return Allowed::Command(Pass::Go),
            Verdict::Go => {}
        }
        match breaker.may(Access::Write, now, &self.settings).pass() {
            Some(pass) => Allowed::Command(pass),
            None => Allowed::Nothing,
        }
    }

    /// A write has ended, whose right to be sent was this.
    pub fn written(&self, pass: Pass, blame: Blame) {
        let now = now_msec();
        self.breaker()
            .finished(Access::Write, pass, blame, now, &self.settings);
    }

    /// A write that had a right of its own wasn't sent.
    pub fn unused(&self, pass: Pass) {
        self.breaker().unused(Access::Write, pass, now_msec());
    }

    /// A command has had no reply. Whether that has taken the server down.
    pub fn timed_out(&self) -> bool {
        self.fail(Pass::Go)
    }

    /// The server can't serve. Whether it was up until now.
    pub fn trip(&self) -> bool {
        (0..self.settings.max_fails.max(1)).any(|_| self.fail(Pass::Go))
    }

    fn fail(&self, pass: Pass) -> bool {
        let now = now_msec();
        let Changes { reads, .. } =
            self.breaker()
                .finished(Access::Read, pass, Blame::Node, now, &self.settings);
        reads == Some(Change::Opened)
    }

    /// A probe has ended. Whether the server is up by that.
    pub fn probed(&self, probe: Probe, well: bool) -> bool {
        let now = now_msec();
        let blame = if well { Blame::Nobody } else { Blame::Node };
        let (breaker, settings) = (self.breaker(), &self.settings);
        let Changes { reads, .. } =
            breaker.finished(Access::Read, probe.reads, blame, now, settings);
        if let Some(writes) = probe.writes {
            breaker.finished(Access::Write, writes, blame, now, settings);
        }
        reads == Some(Change::Closed)
    }
}
