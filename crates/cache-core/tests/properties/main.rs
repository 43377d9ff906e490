//! What holds for each parser, over generated input: random bytes, and pieces of the fuzz targets' seeds put
//! together at random. `make fuzz` runs the same on input of its own making.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod parsers;

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};

fn fuzz(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz")
        .join(path)
}

/// The seeds of a target: what it is known to read, and what once broke it.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = fuzz("seeds").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn seeds_hold() {
    for (name, holds) in parsers::ALL {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name} has no seeds");
        seeds.iter().for_each(|seed| holds(seed));
    }
}

#[test]
fn generated_input_holds() {
    for (name, holds) in parsers::ALL {
        let input = prop_oneof![
            1 => proptest::collection::vec(any::<u8>(), 0..200),
            4 => pieces(seeds(name)),
        ];
        let config = Config {
            cases: 1000,
            failure_persistence: None,
            ..Config::default()
        };
        let result = TestRunner::new(config).run(&input, |input| {
            holds(&input);
            Ok(())
        });
        if let Err(TestError::Fail(why, input)) = result {
            panic!("{name}: {why}: b\"{}\"", input.escape_ascii());
        }
        result.unwrap();
    }
}

/// Slices of seeds and single bytes, one behind the other.
fn pieces(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let slice = (
        proptest::sample::select(seeds),
        any::<proptest::sample::Index>(),
        any::<proptest::sample::Index>(),
    )
        .prop_map(|(seed, one, other)| {
            let (one, other) = (one.index(seed.len() + 1), other.index(seed.len() + 1));
            seed[one.min(other)..one.max(other)].to_vec()
        });
    let whole = any::<u8>().prop_map(|byte| vec![byte]);
    let piece = prop_oneof![4 => slice, 1 => whole];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn commands_read_as_they_were_written(words: Vec<Vec<u8>>) {
        prop_assume!(!words.is_empty());
        parsers::resp::command(&words);
    }
}

#[test]
fn each_parser_has_a_fuzz_target() {
    let manifest = fs::read_to_string(fuzz("Cargo.toml")).unwrap();
    let mut targets: Vec<_> = manifest
        .lines()
        .skip_while(|line| *line != "[[bin]]")
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .collect();
    targets.sort_unstable();
    let mut names: Vec<_> = parsers::ALL.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    assert_eq!(targets, names);
    for name in names {
        let source = fs::read_to_string(fuzz("fuzz_targets").join(name).with_extension("rs"));
        assert!(source.unwrap().contains(&format!("target!({name});")));
    }
}
