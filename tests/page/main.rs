//! The page for operators in a browser: `make page-test`.

mod figures;
mod looks;
mod operating;
mod real;
mod trouble;
