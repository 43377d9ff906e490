//! Times as users write them.

use cache_core::units::{BadTime, MAX_SECONDS, parse_millis, parse_seconds};

use super::shown;

/// What is read is within bounds and can be written as a plain number; seconds are milliseconds rounded up.
pub fn holds(input: &[u8]) {
    match (parse_seconds(input), parse_millis(input)) {
        (Ok(seconds), Ok(millis)) => {
            assert!(seconds <= MAX_SECONDS);
            assert_eq!(millis.div_ceil(1000), u64::from(seconds), "{}", shown(input));
            assert_eq!(parse_seconds(seconds.to_string().as_bytes()), Ok(seconds));
            assert_eq!(parse_millis(format!("{millis}ms").as_bytes()), Ok(millis));
            assert_eq!(parse_seconds(&[b" ", input, b"\t"].concat()), Ok(seconds));
        }
        // only the one takes "ms"
        (Err(BadTime::Syntax), Ok(_) | Err(BadTime::TooLong)) if input.contains(&b'm') => {}
        (Err(seconds), Err(millis)) => assert_eq!(seconds, millis, "{}", shown(input)),
        other => panic!("{}: {other:?}", shown(input)),
    }
}
