//! Errors that say where a command belongs, and addresses.

use cache_core::cluster::{Address, Told};

/// What is read can be written and comes back the same.
pub fn holds(input: &[u8]) {
    if let Some(address) = Address::parse(input) {
        let text = address.to_string();
        assert_eq!(Address::parse(text.as_bytes()), Some(address), "{text}");
    }
    let (word, redirect) = match Told::parse(input) {
        Some(Told::Moved(redirect)) => ("MOVED", redirect),
        Some(Told::Ask(redirect)) => ("ASK", redirect),
        _ => return,
    };
    let text = format!("{word} {} {}", redirect.slot.number(), redirect.address);
    let again = match Told::parse(text.as_bytes()) {
        Some(Told::Moved(again) | Told::Ask(again)) => again,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(again, redirect);
}
