//! Random steps of several workers, against a model.

use proptest::prelude::*;
use tier::Layout;

use crate::bed::{Graves, words};
use crate::world::{World, any_step};

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// What is found was published last and not invalidated since; no unit has two owners; nothing leaks, and nothing has to
    /// be repaired.
    #[test]
    fn the_tier_is_as_its_model(
        units in 64..300u32,
        steps in prop::collection::vec(any_step(), 1..300),
    ) {
        let layout = Layout::with_units(units).unwrap();
        let words = words(&layout);
        let graves = Graves::default();
        let mut world = World::new(&words[..], &words, layout, &graves);
        for step in &steps {
            world.step(step);
            world.check_counts();
        }
        prop_assert_eq!(world.end().repaired, 0);
    }
}
