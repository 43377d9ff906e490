//! What variables, and values made of them, say for a request; and what an evaluation must leave as it was.

mod captures;
mod evaluate;
mod kept_variables;
mod variables;

pub use captures::{KeptCaptures, copy_captures, share_captures};
pub use evaluate::{OtherUri, Scope, names_group};
pub use kept_variables::KeptVariables;
