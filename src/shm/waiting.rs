//! Who in this worker waits for which key's release.

use std::cell::RefCell;
use std::collections::HashMap;
use std::task::Waker;

use cache_core::key::KeyId;

#[derive(Default)]
struct Waiting {
    next: u64,
    keys: HashMap<KeyId, Vec<(u64, Waker)>>,
}

thread_local! {
    static WAITING: RefCell<Waiting> = RefCell::default();
}

/// A registration; it ends when dropped.
pub struct Registration {
    key: KeyId,
    id: u64,
}

/// Registers a waker for a key.
pub fn register(key: KeyId, waker: Waker) -> Registration {
    WAITING.with_borrow_mut(|waiting| {
        waiting.next += 1;
        let id = waiting.next;
        waiting.keys.entry(key).or_default().push((id, waker));
        Registration { key, id }
    })
}

/// Wakes all who wait for a key.
pub fn wake(key: &KeyId) {
    let wakers = WAITING.with_borrow_mut(|waiting| waiting.keys.remove(key));
    for (_, waker) in wakers.into_iter().flatten() {
        waker.wake();
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        WAITING.with_borrow_mut(|waiting| {
            if let Some(wakers) = waiting.keys.get_mut(&self.key) {
                wakers.retain(|(id, _)| *id != self.id);
                if wakers.is_empty() {
                    waiting.keys.remove(&self.key);
                }
            }
        });
    }
}
