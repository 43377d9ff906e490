//! The slot map: when a worker asks for it, whom it asks, and what it takes over for all workers.

use std::rc::Rc;

use cache_core::cluster::{self, Address, Ended, Judged, Round, SlotMap};
use cache_core::resp::Limits;
use ngx::ffi::{NGX_LOG_INFO, NGX_LOG_NOTICE, NGX_LOG_WARN};
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use super::Cluster;
use crate::ngx::event::{Timer, now_msec};
use crate::ngx::random;
use crate::shm::process::pid;
use crate::store::background;

/// How long, in milliseconds, after the start of a worker the configured servers' word counts where no node of the known
/// cluster replies.
const START: u64 = 30_000;

impl Cluster {
    /// The map is out of date, as somebody said who has `hint` for its address, or may be.
    pub fn wish(self: &Rc<Self>, hint: Option<&Address>) {
        let now = now_msec();
        let hint = hint.map_or(0, Address::tag);
        let at = self.state.refresh.wish(now, hint, chance());
        self.ask_at(at);
    }

    /// Asks for the map at this time, if it is this worker's turn then.
    fn ask_at(self: &Rc<Self>, at: u64) {
        // Cancelable: a worker that shuts down leaves it to others.
        let timer = self
            .timer
            .get_or_init(|| Timer::of(Rc::downgrade(self), Cluster::ask_if_due));
        let left = at.saturating_sub(now_msec());
        if !timer.is_armed() || timer.left() > left {
            timer.arm(left);
        }
    }

    fn ask_if_due(self: &Rc<Self>) {
        self.update();
        let who = u32::try_from(pid()).unwrap_or_default();
        match self.state.refresh.begin(who, now_msec(), chance()) {
            Ok(round) => {
                let cluster = Rc::clone(self);
                background::spawn(async move { cluster.ask(round).await });
            }
            Err(at) => self.ask_at(at),
        }
    }

    /// Asks one node after the other for the map, until one gives it.
    async fn ask(self: Rc<Self>, round: Round) {
        let order = {
            let map = self.map.borrow();
            cluster::order(map.as_ref(), &self.configured, round.hint, |below| {
                let last = below.saturating_sub(1) as u64;
                usize::try_from(random::between(0, last)).unwrap_or_default()
            })
        };
        let mut ended = Ended::Failed;
        let mut round = round;
        let mut stranger = None;
        for address in order {
            // Servers that don't reply take their time, each.
            match self.state.refresh.renew(round, now_msec()) {
                Some(renewed) => round = renewed,
                None => break,
            }
            let Some(judged) = self.ask_node(&address, &mut round, &mut stranger).await else {
                continue;
            };
            if judged == Ended::Known {
                ended = judged;
                break;
            }
            // Another may confirm it.
            ended = judged;
        }
        let refresh = &self.state.refresh;
        // A cluster that was made anew has no node of the known one. At a start the configuration counts, as it did at the
        // first.
        if let (Ended::Failed, Some(map), false) = (ended, stranger, self.knows_best())
            && let Some(shared) = refresh.share(round, now_msec(), || self.share(&map))
        {
            round = shared;
            self.tell(&map);
            ended = Ended::Known;
        }
        if ended == Ended::Known {
            self.has_asked.set(true);
        }
        refresh.end(round, now_msec(), ended, chance());
        self.update();
        self.ask_at(refresh.due());
    }

    /// Whether the known cluster counts more than the configuration: a node of it has replied to this worker, or the worker
    /// was started long ago.
    fn knows_best(&self) -> bool {
        self.has_asked.get() || now_msec() > self.started.saturating_add(START)
    }

    /// Asks one node. `None` if it gave no map that can be used, or gave it too late: another worker asks by now. `stranger`
    /// gets the map of another cluster, if a configured server gives one.
    async fn ask_node(
        self: &Rc<Self>,
        address: &Address,
        round: &mut Round,
        stranger: &mut Option<SlotMap>,
    ) -> Option<Ended> {
        let node = self.any_at(address);
        let reply = node.ask(&[b"CLUSTER", b"SLOTS"], Limits::SLOTS).ok()?.await;
        let reply = reply.ok()?;
        let offered = match SlotMap::from_reply(&reply, address) {
            Ok(map) => map,
            Err(fault) => {
                self.complain(address, &fault.to_string());
                return None;
            }
        };
        let judged = {
            let known = self.map.borrow();
            let mut acceptance = self.acceptance.borrow_mut();
            acceptance.judge(known.as_ref(), &offered, address)
        };
        match judged {
            Judged::Same | Judged::Taken => {
                // What this worker has followed by itself others may not know yet.
                let refresh = &self.state.refresh;
                *round = refresh.share(*round, now_msec(), || self.share(&offered))?;
                if judged == Judged::Taken {
                    self.tell(&offered);
                }
                Some(Ended::Known)
            }
            Judged::Unconfirmed => Some(Ended::Unconfirmed),
            Judged::Foreign => {
                self.complain(address, "it belongs to another cluster");
                if self.configured.contains(address) {
                    *stranger = Some(offered);
                }
                None
            }
        }
    }

    /// Gives a map to all workers, unless they have it.
    fn share(&self, map: &SlotMap) {
        let Some(bytes) = map.encode() else {
            return;
        };
        let known = self.state.topology().map(|(_, bytes)| bytes);
        if known.as_ref() != Some(&bytes) {
            self.state.write_topology(&bytes);
        }
    }

    /// Says what a new map is like. Slots that move to and fro are for those who want to know more.
    fn tell(&self, map: &SlotMap) {
        self.complaint.borrow_mut().clear();
        let (name, what) = (&self.config.shown, summary(map));
        let known = self.map.borrow().as_ref().map(summary);
        let level = if known.is_some_and(|known| known == what) {
            NGX_LOG_INFO
        } else {
            NGX_LOG_NOTICE
        };
        ngx_log_error!(
            level,
            ngx_cycle_log().as_ptr(),
            "redis store \"{name}\": new slot map: {what}"
        );
    }

    /// Says once what is wrong with the maps that nodes give.
    fn complain(&self, address: &Address, what: &str) {
        let new = format!("{address}: {what}");
        if *self.complaint.borrow() != new {
            let name = &self.config.shown;
            ngx_log_error!(
                NGX_LOG_WARN,
                ngx_cycle_log().as_ptr(),
                "redis store \"{name}\": no slot map from {new}"
            );
            self.complaint.replace(new);
        }
    }
}

fn summary(map: &SlotMap) -> String {
    let (nodes, covered) = (map.nodes().len(), map.covered());
    let masters = (0..nodes).filter(|index| map.is_master(*index)).count();
    format!("{masters} masters of {nodes} nodes have {covered} slots")
}

fn chance() -> u64 {
    random::between(0, u64::from(u32::MAX))
}
