//! The memory tier that a run asks for.

/// The line of the store block for what `TESTBED_MEMORY` says (`4m alone=off`); empty without it.
pub fn line() -> String {
    let words = std::env::var("TESTBED_MEMORY").unwrap_or_default();
    let line = |words: &str| format!("memory {words};\n");
    Some(words.trim())
        .filter(|words| !words.is_empty())
        .map_or_else(String::new, line)
}
