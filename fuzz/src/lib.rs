//! The parsers' properties as fuzz targets.

#[path = "../../crates/cache-core/tests/properties/parsers/mod.rs"]
pub mod parsers;

#[doc(hidden)]
pub use libfuzzer_sys::fuzz_target;

/// The target of one parser.
#[macro_export]
macro_rules! target {
    ($parser:ident) => {
        $crate::fuzz_target!(|input: &[u8]| $crate::parsers::$parser::holds(input));
    };
}
