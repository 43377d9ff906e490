//! When a fresh record is refilled before it goes stale: `redis_cache_refresh_ahead`.

/// How long before its end of freshness a record that is asked for is refilled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ahead {
    /// In the last so many percent of the time for which it is fresh here, from 1 to 99.
    Share(u8),
    /// In the last so many milliseconds, but not before half of the time for which it is fresh here has passed.
    Time(u32),
}

impl Ahead {
    /// Reads a share such as `20%`, from 1% to 99%.
    #[must_use]
    pub fn share(text: &[u8]) -> Option<Self> {
        let digits = text.strip_suffix(b"%")?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let percent: u8 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        (1..=99).contains(&percent).then_some(Self::Share(percent))
    }

    /// Whether a record is to be refilled that is fresh for `left` more milliseconds of `whole`.
    #[must_use]
    pub fn is_due(self, left: i64, whole: i64) -> bool {
        match self {
            Self::Share(percent) => {
                left.saturating_mul(100) < whole.saturating_mul(i64::from(percent))
            }
            Self::Time(millis) => left < i64::from(millis).min(whole / 2),
        }
    }
}
