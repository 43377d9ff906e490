//! A server that is there, and says that its cluster is down: it refuses all keys. A PING doesn't tell when that is over, so it
//! is no matter for the breaker. One worker asks for a key that was refused until it is served; no other sends more than questions
//! about the cluster.

use std::rc::Rc;

use bytes::Bytes;
use cache_core::cluster::Told;
use cache_core::resp::{Limits, Reply};

use super::Node;
use crate::ngx::event::{Timer, now_msec};
use crate::store::background;

/// How often the server is asked for the key, in milliseconds.
const AGAIN: u64 = 200;

/// How long it is believed to refuse all keys where nobody asks any more: the worker that did is gone.
const BELIEVED: u64 = 3000;

/// What a worker looks after.
pub struct Refused {
    /// A key that was refused.
    key: Bytes,
    /// Called when what was kept meanwhile is void.
    void: Box<dyn Fn()>,
}

impl Node {
    /// Whether the server refuses all keys.
    pub fn is_refusing(&self) -> bool {
        self.breaker.refusal().is_on(now_msec())
    }

    /// The server has refused a key, because its cluster is down: nothing is sent to it until it serves the key again. `void` is
    /// called when what was kept meanwhile, or before that was known last, is void.
    pub fn refuses(self: &Rc<Self>, key: &Bytes, void: impl Fn() + 'static) {
        let now = now_msec();
        let begun = self.breaker.refusal().begin(now, now + BELIEVED);
        let Some(was_left) = begun else { return };
        if was_left {
            // It may have served since, and refuse again.
            void();
        }
        self.refused.replace(Some(Refused {
            key: key.clone(),
            void: Box::new(void),
        }));
        self.ask_later();
    }

    /// Asks no more: another may, or the server is down.
    pub(super) fn leave_refusal(&self) {
        if self.refused.take().is_some() {
            self.breaker.refusal().end();
        }
    }

    fn ask_later(self: &Rc<Self>) {
        // Cancelable: a worker that shuts down doesn't wait for a cluster that is down.
        let timer = self.ask_again.get_or_init(|| {
            Timer::of(Rc::downgrade(self), |node| {
                let node = Rc::clone(node);
                background::spawn(async move { node.ask_for_refused().await });
            })
        });
        timer.arm(AGAIN);
    }

    async fn ask_for_refused(self: Rc<Self>) {
        let key = self.refused.borrow().as_ref().map(|it| it.key.clone());
        let Some(key) = key else { return };
        let is_served = self.is_served(&key).await;
        if self.is_down() {
            // The breaker sees to it from now on, and the memory still carries on alone.
            return self.leave_refusal();
        }
        if is_served {
            let refused = self.refused.take();
            // In this order: what others keep behind it is void, too, as they have begun before.
            self.breaker.refusal().end();
            if let Some(refused) = refused {
                (refused.void)();
            }
            return;
        }
        self.breaker.refusal().go_on(now_msec() + BELIEVED);
        // Another may have the key by now.
        if let Some(told) = self.on_trouble.get() {
            told();
        }
        self.ask_later();
    }

    /// Whether a key is served. Without a reply it isn't.
    async fn is_served(self: &Rc<Self>, key: &Bytes) -> bool {
        let Ok(waiting) = self.ask(&[b"HMGET", key, b"status"], Limits::GREETING) else {
            return false;
        };
        match waiting.await {
            Ok(Reply::Error(text)) => !Told::is_of_whole_cluster(&text),
            Ok(_) => true,
            Err(_) => false,
        }
    }
}
