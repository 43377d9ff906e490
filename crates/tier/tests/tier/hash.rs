//! Hashes of keys, for tests and examples.

/// A hash of a number, spread over all bits.
pub fn hash(key: u64) -> u128 {
    let mix = |seed: u64| {
        let mut word = key.wrapping_add(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    };
    u128::from(mix(1)) << 64 | u128::from(mix(0x5bd1_e995))
}
