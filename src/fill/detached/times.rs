//! When an answer was fetched.

use std::cell::Cell;

use crate::ngx::event::now_msec;

/// Milliseconds of nginx's clock.
#[derive(Default)]
pub struct Times {
    begun: Cell<Option<u64>>,
    ended: Cell<Option<u64>>,
}

impl Times {
    /// The backend is asked.
    pub fn begin(&self) {
        self.begun.set(Some(now_msec()));
    }

    /// Nothing more comes. Later calls change nothing.
    pub fn end(&self) {
        if self.ended.get().is_none() {
            self.ended.set(Some(now_msec()));
        }
    }

    /// How long it took, if it has ended.
    pub fn taken(&self) -> Option<u64> {
        Some(self.ended.get()?.saturating_sub(self.begun.get()?))
    }
}
