//! Planted defects: each is found by the generated sequences, and soon.

use router::Mutant;
use serde_json::json;

use crate::{nth, play, units};

/// Sequences within which each defect is found.
const SEQUENCES_MAX: usize = 2000;
/// Those that the units of the old parts can show; the others need a world (`teeth`).
const PLANTED: [Mutant; 3] = [Mutant::ForgetAccount, Mutant::ReverseReplay, Mutant::SkipOwnerCheck];

#[test]
fn each_planted_defect_is_found() {
    for mutant in PLANTED {
        let found = (0..SEQUENCES_MAX).find_map(|n| {
            let (unit, strategy) = units::ALL[n % units::ALL.len()];
            let mut sequence = nth(unit, &strategy(), n / units::ALL.len()).current();
            sequence.setup[simulator::conform::stage::MUTANT] = json!(mutant.name());
            play::play(&sequence).err().map(|difference| (n + 1, unit, difference))
        });
        let Some((took, unit, difference)) = found else {
            panic!("{} is not found within {SEQUENCES_MAX} sequences", mutant.name());
        };
        println!("{}: found after {took} sequences, in {unit}: {difference}", mutant.name());
    }
}
