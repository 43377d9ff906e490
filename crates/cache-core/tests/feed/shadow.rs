//! A feed beside another one's, until it takes over.

use cache_core::feed::{Effect, Known, Shadow};

/// The epoch of the node.
const EPOCH: u64 = 7;

/// What the tier says of the node while the other feed's last PING was sent at this time.
fn pinged(at: u64) -> Known {
    Known {
        epoch: EPOCH,
        leased_until: at + 3000,
    }
}

/// A server that tracks at 100 ms, whose database is marked at 150 ms, and that is proven to push.
fn proven() -> Shadow {
    let mut shadow = Shadow::default();
    assert!(shadow.take(0, &Effect::Connect, EPOCH));
    assert!(!shadow.take(100, &Effect::RaiseEpoch, EPOCH));
    assert!(!shadow.take(150, &Effect::RaiseEpoch, EPOCH));
    assert!(!shadow.is_covered(pinged(200)));
    assert!(!shadow.take(160, &Effect::Lease { until: 3155 }, EPOCH));
    shadow
}

#[test]
fn it_is_covered_by_a_ping_that_was_sent_behind_the_mark() {
    let shadow = proven();
    assert!(!shadow.is_covered(pinged(120)));
    assert!(!shadow.is_covered(pinged(150)));
    assert!(shadow.is_covered(pinged(151)));
}

#[test]
fn another_epoch_or_no_lease_covers_nothing() {
    let shadow = proven();
    for (epoch, leased_until) in [(EPOCH + 1, 4000), (EPOCH, 0)] {
        assert!(!shadow.is_covered(Known {
            epoch,
            leased_until
        }));
    }
}

#[test]
fn what_it_hears_once_it_is_proven_is_carried_out() {
    let mut shadow = proven();
    for effect in [
        Effect::RaiseEpoch,
        Effect::RaiseAll,
        Effect::Invalidate("key".into()),
    ] {
        assert!(shadow.take(200, &effect, EPOCH), "{effect:?}");
    }
}

#[test]
fn a_lost_connection_makes_it_begin_again() {
    for effect in [Effect::Close, Effect::Connect, Effect::Revoke] {
        let mut shadow = proven();
        assert_eq!(shadow.take(300, &effect, EPOCH), effect != Effect::Revoke);
        assert!(!shadow.is_covered(pinged(400)), "{effect:?}");
    }
}
