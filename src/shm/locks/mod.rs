//! The locks of a zone: a table in fixed places of shared memory.
//!
//! Pure over slices: tests take it in from here, over memory of their own.

mod entry;
pub mod header;
mod table;
mod workers;

pub use entry::{Asker, BackOff, Entry, Retention};
pub use header::{MAGIC, TableHeader, WORKERS};
pub use table::{Acquired, Awaited, Table};
