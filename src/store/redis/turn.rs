//! Large records, and the right to read one.

/// A reply with more bytes than this is large.
pub const LARGE: usize = 1 << 20;

/// The right to read a large record. Its giver hears when it ends, which is when it is dropped.
pub struct Turn {
    end: Box<dyn Fn()>,
}

impl Turn {
    /// A right whose end calls `end`.
    pub fn new(end: impl Fn() + 'static) -> Turn {
        Turn { end: Box::new(end) }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        (self.end)();
    }
}
