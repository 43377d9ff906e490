//! What a change leaves of its keys in the memory tier: nothing.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;

use crate::store::memory::Memory;
use crate::store::redis::call::Failure;
use crate::store::redis::change::Change;

/// Keys that are changed: when this is dropped, what the memory tier has of them is worthless.
pub(super) struct Worthless {
    memory: Rc<Memory>,
    keys: [Option<Bytes>; 2],
    /// The change may still be carried out.
    is_open: Cell<bool>,
}

impl Worthless {
    /// What the memory tier has of the keys of a change, now and when this is dropped. `None` where the change concerns nothing of
    /// it.
    pub(super) fn of(memory: Option<&Rc<Memory>>, change: &Change) -> Option<Worthless> {
        let memory = memory.filter(|_| change.concerns_record())?;
        let slot = match change {
            Change::Write(record) => record.variant.as_ref().and_then(|v| v.slot.clone()),
            _ => None,
        };
        let worthless = Worthless {
            memory: Rc::clone(memory),
            keys: [Some(change.key().clone()), slot],
            is_open: Cell::new(false),
        };
        worthless.tell();
        Some(worthless)
    }

    /// Notes whether a change that is sent is known to be over when this is, or is dropped.
    pub(super) async fn watch<T>(
        it: Option<&Worthless>,
        sent: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let Some(it) = it else { return sent.await };
        let before = it.is_open.replace(true);
        let result = sent.await;
        let unsure = result.as_ref().is_err_and(|failure| failure.unsure);
        it.is_open.set(before || unsure);
        result
    }

    fn tell(&self) {
        for key in self.keys.iter().flatten() {
            self.memory.invalidate(key);
        }
    }
}

impl Drop for Worthless {
    fn drop(&mut self) {
        if self.is_open.get() {
            for key in self.keys.iter().flatten() {
                self.memory.note_late(key);
            }
        }
        self.tell();
    }
}
