//! Proof of teeth: each known defect is named by a checker, by the same worlds that everything else is played in.
//!
//! A [`Defect`] is a planted one of the canonical router (with the feature `mutants`) or a switchable hazard of the old
//! parts. [`bite`] plays a profile's seeds, one after the other, until the checkers say something that they do not say of the
//! sound subject under the same seed. [`page`] writes `docs/teeth.md`.

mod page;

use reports::Finding;

use crate::legacy::{Hazard, Hazards, Played, shown};
use crate::run;
use crate::scenario::Scenario;
use crate::world::Options;

pub use page::{Row, Shrunk, page};

/// Findings of one world that are looked through; the rest is counted.
const FINDINGS_MAX: usize = 10_000;

/// A known defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Defect {
    /// Planted in the canonical router.
    #[cfg(feature = "mutants")]
    Mutant(router::Mutant),
    /// Of one of the old parts.
    Hazard(Hazard),
}

impl Defect {
    /// All of them that show on one node, the planted ones first; of the hazards those that show in a running server.
    pub fn all() -> Vec<Self> {
        let hazards = shown::rows().map(|row| Self::Hazard(row.hazard));
        #[cfg(feature = "mutants")]
        let planted = router::Mutant::ALL.iter().filter(|mutant| !mutant.is_of_several());
        #[cfg(feature = "mutants")]
        let hazards = planted.map(|mutant| Self::Mutant(*mutant)).chain(hazards);
        hazards.collect()
    }

    /// The defect of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|defect| defect.name() == name)
    }

    /// Its name: `SkipOwnerCheck`, `manager.M1`.
    pub fn name(self) -> String {
        match self {
            #[cfg(feature = "mutants")]
            Self::Mutant(mutant) => mutant.name().to_owned(),
            Self::Hazard(hazard) => hazard.to_string(),
        }
    }

    /// What goes wrong.
    pub fn about(self) -> &'static str {
        match self {
            #[cfg(feature = "mutants")]
            Self::Mutant(mutant) => mutant.about(),
            Self::Hazard(hazard) => hazard.row().1.about,
        }
    }

    /// What it belongs to: the kind of mistake, or the hazard's catalogue.
    pub fn class(self) -> &'static str {
        match self {
            #[cfg(feature = "mutants")]
            Self::Mutant(mutant) => mutant.class(),
            Self::Hazard(hazard) => hazard.row().0.name(),
        }
    }

    /// Whether it is planted in the router.
    pub const fn is_planted(self) -> bool {
        match self {
            #[cfg(feature = "mutants")]
            Self::Mutant(_) => true,
            Self::Hazard(_) => false,
        }
    }

    /// The server with this defect, and no other.
    pub fn played(self) -> Played {
        match self {
            #[cfg(feature = "mutants")]
            Self::Mutant(mutant) => Played::Mutant(mutant),
            Self::Hazard(hazard) => Played::Legacy(Hazards::of([hazard])),
        }
    }

    /// The same server without it.
    pub fn sound(self) -> Played {
        if self.is_planted() { Played::Router } else { Played::Legacy(Hazards::NONE) }
    }
}

/// How a defect was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bite {
    /// The seed that showed it; seeds are counted from 1, so it is also how many were needed.
    pub seed: u64,
    /// The first finding of each rule that was broken, in the order in which they were.
    pub findings: Vec<Finding>,
}

/// Plays the seeds `1..=seeds_max` of a profile until the defect shows. What the sound subject shows under the same seed
/// does not count. `play` plays one world; [`play`] does.
pub fn bite(
    defect: Defect,
    seeds_max: u64,
    profile: impl Fn(u64) -> Scenario,
    play: impl Fn(&Played, &Scenario, u64) -> Vec<Finding>,
) -> Option<Bite> {
    (1..=seeds_max).find_map(|seed| {
        let scenario = profile(seed);
        let mut findings = play(&defect.played(), &scenario, seed);
        if !findings.is_empty() {
            let known = play(&defect.sound(), &scenario, seed);
            findings.retain(|finding| known.iter().all(|known| known.rule != finding.rule));
        }
        (!findings.is_empty()).then_some(Bite { seed, findings })
    })
}

/// Plays one world and answers the first finding of each rule, in the order in which they were broken.
pub fn play(played: &Played, scenario: &Scenario, seed: u64) -> Vec<Finding> {
    let options = Options { findings_max: FINDINGS_MAX, ..Options::default() };
    let result = match run::play(scenario.clone(), seed, played, options) {
        Ok(result) => result,
        Err(error) => return vec![Finding::new("scenario", "world", 0, error.to_string())],
    };
    let mut firsts: Vec<Finding> = Vec::new();
    for finding in result.checkers.ledger().findings() {
        if firsts.iter().all(|first| first.rule != finding.rule) {
            firsts.push(finding.clone());
        }
    }
    firsts
}
