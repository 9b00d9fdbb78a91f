//! The canonical router and the models of what it replaces, on generated sequences.
//!
//! A strategy makes the set-up and the operations of a case. The unit's model, with every hazard off, plays it and writes
//! down what came of each operation; the canonical router must then hold the case as a positive one, exceptions only by
//! decisions. So nothing is judged twice: what agreement means is said once, in [`simulator::conform`].
//!
//! A sequence that differs is made as small as it goes on differing, and kept in `tests/regressions/`, to be played ever
//! after. `GOLDENPATH_SEQUENCES` says how many are generated.

#![expect(clippy::print_stdout, reason = "what it came across is half of what it is for")]

mod coverage;
#[cfg(feature = "mutants")]
mod mutants;
mod play;
mod regressions;
mod sequence;
mod units;

use proptest::{
    strategy::{BoxedStrategy, Strategy as _, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use self::{coverage::Coverage, play::Difference, sequence::Sequence};

/// Sequences of each unit when nothing else is said.
const SEQUENCES_PER_UNIT: usize = 200;
/// Differing sequences of one unit that are made small and kept.
const DIFFERING_MAX: usize = 3;
/// Sequences from which on the table of cells is held to its floor.
const LONG_RUN: usize = 100_000;

/// A sequence, and simpler ones.
trait Tree: ValueTree<Value = Sequence> {}

impl<T: ValueTree<Value = Sequence>> Tree for T {}

/// The sequence of a number: the same for ever, whatever else is generated.
fn nth(unit: &str, strategy: &BoxedStrategy<Sequence>, n: usize) -> Box<dyn Tree> {
    let mut seed = [0; 32];
    for (at, byte) in seed.iter_mut().zip(unit.bytes()) {
        *at = byte;
    }
    seed[24..].copy_from_slice(&(n as u64).to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, rng);
    Box::new(strategy.new_tree(&mut runner).expect("the strategies reject nothing"))
}

/// The smallest sequence that still differs: first as the strategy makes things simpler, then with fewer operations than
/// any strategy generates.
fn shrink(tree: &mut dyn Tree, found: (Sequence, Difference)) -> (Sequence, Difference) {
    let mut smallest = found;
    let mut smaller = tree.simplify();
    while smaller {
        let sequence = tree.current();
        smaller = match play::play(&sequence) {
            Err(difference) if difference.is_like(&smallest.1) => {
                smallest = (sequence, difference);
                tree.simplify()
            }
            Err(_) | Ok(_) => tree.complicate(),
        };
    }
    let mut at = smallest.0.ops.len();
    while at > smallest.0.fixed {
        at -= 1;
        let mut sequence = smallest.0.clone();
        sequence.ops.remove(at);
        if let Err(difference) = play::play(&sequence)
            && difference.is_like(&smallest.1)
        {
            smallest = (sequence, difference);
        }
    }
    smallest
}

#[test]
fn generated_sequences_agree_up_to_the_decisions() {
    let asked = sequences_asked_for();
    let per_unit = asked.map_or(SEQUENCES_PER_UNIT, |all| all.div_ceil(units::ALL.len()));
    let (mut coverage, mut differing) = (Coverage::default(), Vec::new());
    let only = only_unit_asked_for();
    for (unit, strategy) in
        units::ALL.iter().filter(|(unit, _)| only.as_ref().is_none_or(|only| only == unit))
    {
        let (strategy, before) = (strategy(), differing.len());
        for n in 0..per_unit {
            let mut tree = nth(unit, &strategy, n);
            let sequence = tree.current();
            match play::play(&sequence) {
                Ok(case) => coverage.add(&sequence, &case),
                Err(difference) => {
                    let (sequence, difference) = shrink(&mut *tree, (sequence, difference));
                    regressions::keep(&sequence, &format!("{unit}-{n}"), &difference);
                    differing.push(format!("{unit}, sequence {n}, {difference}\n{}", sequence.text()));
                    if differing.len() - before == DIFFERING_MAX {
                        break; // more of them say no more
                    }
                }
            }
        }
    }
    println!("{coverage}");
    println!("unexplained differences: {}", differing.len());
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    coverage.assert_shape();
    if asked.is_some_and(|asked| asked >= LONG_RUN) {
        coverage.assert_cells();
    }
}

#[test]
fn sequences_that_once_differed_agree() {
    for (name, case) in regressions::read() {
        if let Err(difference) = play::play_case(case) {
            panic!("{name}: {difference}");
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test may be asked for more; what it generates does not depend on it"
)]
fn sequences_asked_for() -> Option<usize> {
    let asked = std::env::var("GOLDENPATH_SEQUENCES").ok()?;
    Some(asked.parse().expect("GOLDENPATH_SEQUENCES: a number"))
}

#[expect(clippy::disallowed_methods, reason = "one unit alone, while looking for something")]
fn only_unit_asked_for() -> Option<String> {
    std::env::var("GOLDENPATH_UNIT").ok()
}
