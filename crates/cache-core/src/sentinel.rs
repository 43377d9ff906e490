//! Which server is the master of a name that Redis Sentinel watches, and which replicas serve lookups?
//!
//! One worker of an nginx runs a [`Watcher`]. It asks each Sentinel about once a second, and all of them at once when there
//! is a reason. The answer with the highest config epoch counts, and only once the server at that address says itself that
//! it is a master. [`reply`] reads what Sentinels and servers say.
//!
//! ```text
//!   ask all ─► answers ─► the best ─► is it what is announced already? ─ yes ─► ask again in a second
//!      ▲                                 │ no
//!      │                                 ▼
//!      └── wait, begin again ◄── no ── ROLE of that address: master? ── yes ─► announce
//! ```
//!
//! `+switch-master` is a hint to ask at once. Its feed is pinged, and another Sentinel's is taken when no PONG comes.
//!
//! With the master's address a Sentinel is asked for its replicas, if lookups may go there. Those count that more than half of
//! the Sentinels find healthy which name the announced master; see [`reply::replicas`] for what healthy is. `+slave`,
//! `+sdown` and `-sdown` are hints to ask soon.

mod announced;
mod asking;
mod event;
mod feed;
mod replicas;
pub mod reply;
mod watcher;

pub use self::announced::{ANNOUNCED_SIZE, Announced};
pub use self::event::{Action, Event, Master, Proof, Role, Settings};
pub use self::watcher::Watcher;
