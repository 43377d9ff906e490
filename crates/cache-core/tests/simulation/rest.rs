//! What must hold when all is quiet.

use cache_core::outcome::Reason;

use super::config::Claims;
use super::invariants::Judge;
use super::store::TIMEOUT;
use super::world::World;

impl Judge {
    /// When all is quiet: everybody was answered, nothing is left behind.
    pub fn at_rest(&self, world: &World) {
        for (number, request) in self.requests.iter().enumerate() {
            self.check(request.gone || request.answered.is_some(), || {
                format!("request {number} was never answered: {request:?}")
            });
        }
        let waiting = self.bounds.left();
        self.check(waiting.is_empty(), || {
            format!("requests still wait: {waiting:?}")
        });
        let living = self.holdings.living();
        self.check(living.is_empty(), || {
            format!("locks were never released: {living:?}")
        });
        self.check(self.running.is_empty(), || {
            format!("fills never ended: {:?}", self.running)
        });
        for worker in world.workers() {
            let (pid, tasks, left) = (worker.pid, worker.tasks(), worker.leftovers());
            self.check(tasks == 0 && left == 0, || {
                format!("worker {pid} still has {tasks} tasks and {left} fills and waiters")
            });
        }
        let under_way = world.backend.under_way();
        self.check(under_way == 0, || {
            format!("{under_way} answers never ended")
        });
        self.fleet_at_rest(world);
        self.waits(world);
    }

    /// Nobody waits while nobody goes: within each lock timeout past its own a waiter either goes
    /// to the backend or sees somebody else of its key and domain go.
    fn waits(&self, world: &World) {
        let timeout = world.config.limits.lock_timeout;
        // A look before the deadline may end after it, and one more may follow under the lock.
        let slack = match world.config.claims {
            Claims::None => 2 * TIMEOUT + 10,
            // As may a claim before the deadline, with one more look.
            _ => 4 * TIMEOUT + 10,
        };
        // Each of two looks reads the log and the labels of its record at most.
        let slack = if world.config.has_log {
            2 * slack + 4 * TIMEOUT
        } else {
            slack
        };
        for (number, request) in self.requests.iter().enumerate() {
            let Some((decided, _)) = request.decided else {
                continue;
            };
            if request.gone || self.frozen.contains(&request.pid) {
                continue;
            }
            let waited = decided - request.arrived;
            if waited <= timeout + slack {
                continue;
            }
            let others = self.requests.iter().filter(|other| {
                other.domain_key == request.domain_key
                    && other.decided.is_some_and(|(at, decision)| {
                        (request.arrived..=decided).contains(&at)
                            && decision.is_pass(Reason::LockTimeout)
                    })
            });
            let ahead = others.count() as u64;
            self.check(waited <= timeout * (ahead + 1) + slack, || {
                format!("request {number} waited {waited} ms, while {ahead} others went")
            });
        }
    }
}
