//! `goldenpath sim --nodes N`: several nodes on one store.

use reports::{
    ScenarioRef, Verdict,
    sweep::{Condition, SeedOutcome, SeedRange, Triples},
};
use simulator::cluster::{self, Settings, Sometimes};

use super::sweep::{self, Ground, Seen, Title};
use crate::{arguments::SimOptions, failure::Failure, output};

/// Plays the seeds, or the one, and reports.
pub(super) fn run(nodes: u32, options: &SimOptions) -> Result<Verdict, Failure> {
    let asked = &options.nodes;
    let mut settings = Settings::of(nodes);
    settings.users = asked.users.unwrap_or(settings.users);
    settings.messages = asked.messages.unwrap_or(settings.messages);
    settings.without.clone_from(&asked.spared);
    let seeds = match options.sweep.seeds {
        Some(seeds) => sweep::shard(seeds, &options.sweep),
        None => {
            let seed = options.seed.unwrap_or_default();
            if asked.small {
                settings = small(&settings, seed);
            }
            if asked.tell {
                tell(&settings, seed)?;
            }
            SeedRange { from: seed, to: seed.saturating_add(1) }
        }
    };
    let profile =
        ScenarioRef { name: settings.name(), about: cluster::ABOUT.to_owned(), hash: settings.hash() };
    let title = Title { profile, source: settings.arguments(), arguments: String::new(), demanded: true };
    let report = sweep::play(&Nodes(settings), title, seeds, &options.sweep)?;
    output::report(&report, &options.report)
}

/// What is left of a seed that breaks a rule.
fn small(settings: &Settings, seed: u64) -> Settings {
    match cluster::play(settings, seed).breaches.first() {
        Some(breach) => cluster::shrink(settings, seed, breach.rule),
        None => settings.clone(),
    }
}

fn tell(settings: &Settings, seed: u64) -> Result<(), Failure> {
    let mut told = String::new();
    cluster::tell(settings, seed, &mut |line| {
        told.push_str(&line);
        told.push('\n');
    });
    output::data(&told)
}

struct Nodes(Settings);

impl Ground for Nodes {
    type Seen = Sometimes;

    fn play(&self, seed: u64, seen: &mut Sometimes) -> Result<SeedOutcome, String> {
        let played = cluster::play(&self.0, seed);
        seen.add(seed, &played);
        Ok(cluster::outcome(seed, &self.0, &played))
    }
}

impl Seen for Sometimes {
    fn absorb(&mut self, other: &Self) {
        self.absorb(other);
    }

    fn reached(&self) -> (usize, usize) {
        (self.reached(), 0)
    }

    fn named() -> usize {
        Self::named()
    }

    fn listed(&self) -> (Vec<Condition>, Triples) {
        (self.listed(), Triples::default())
    }
}
