//! Several nodes on one store, under faults. `GOLDENPATH_CLUSTER_SEEDS` says how many seeds, `GOLDENPATH_CLUSTER_FIRST` from
//! which on; with `GOLDENPATH_CLUSTER_TELL=1` every step is printed. `goldenpath sim --nodes 2 --seeds A..B` does the same
//! over several threads.

#![expect(clippy::print_stdout, reason = "what the seeds came across is half of what they are for")]

use simulator::cluster::{Condition, FaultKind, Played, Settings, Sometimes, play, tell};

/// From so many seeds on, each kind of fault must have struck in a twentieth of them.
const SHARES_FROM: u64 = 1_000;
/// From so many seeds on, everything must have come about.
const DEMAND_FROM: u64 = 2_000;

/// A number that whoever runs the tests asked for.
#[expect(clippy::disallowed_methods, reason = "how much is played is not part of what is played")]
fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn nothing_is_lost_doubled_or_mixed_up_between_nodes() {
    let (mut bad, mut all, mut sometimes) = (Vec::new(), Played::default(), Sometimes::default());
    let count = asked("GOLDENPATH_CLUSTER_SEEDS").unwrap_or(60);
    let first = asked("GOLDENPATH_CLUSTER_FIRST").unwrap_or_default();
    let tells = asked("GOLDENPATH_CLUSTER_TELL").is_some();
    for seed in first..first + count {
        let played = if tells {
            tell(&Settings::default(), seed, &mut |line| println!("{line}"))
        } else {
            play(&Settings::default(), seed)
        };
        all.frames += played.frames;
        all.sent += played.sent;
        all.accepted += played.accepted;
        all.operations += played.operations;
        all.repeats += played.repeats;
        all.gaps += played.gaps;
        all.taken_over += played.taken_over;
        all.lost_runs += played.lost_runs;
        sometimes.add(seed, &played);
        if !played.breaches.is_empty() {
            let kinds = FaultKind::ALL.into_iter().filter(|kind| played.faults[*kind as usize] > 0);
            let kinds: Vec<_> = kinds.map(FaultKind::name).collect();
            bad.push((seed, kinds.join(" "), played.breaches));
        }
    }
    println!(
        "{count} seeds: {} frames, {} messages sent, {} accepted, {} operations, {} repeats, {} gaps, {} taken over, {} lost",
        all.frames,
        all.sent,
        all.accepted,
        all.operations,
        all.repeats,
        all.gaps,
        all.taken_over,
        all.lost_runs
    );
    for row in sometimes.listed() {
        println!("{:>24} in {} seeds", row.name, row.seeds);
    }
    let told: Vec<String> = bad
        .iter()
        .take(30)
        .map(|(seed, kinds, breaches)| format!("seed {seed} ({kinds}): {}", breaches[0]))
        .collect();
    assert!(bad.is_empty(), "{} of {count} seeds:\n{}", bad.len(), told.join("\n"));
    let rare = FaultKind::ALL.into_iter().filter(|kind| sometimes.seeds_struck(*kind) * 20 < count);
    let rare: Vec<_> = rare.map(FaultKind::name).collect();
    assert!(count < SHARES_FROM || rare.is_empty(), "in less than 5 % of the seeds: {rare:?}");
    let unmet = Condition::ALL.iter().filter(|condition| sometimes.seeds_of(**condition) == 0);
    let unmet: Vec<_> = unmet.map(|condition| condition.name()).collect();
    assert!(count < DEMAND_FROM || unmet.is_empty(), "in no seed: {unmet:?}");
    assert!(count < SHARES_FROM || all.frames >= 1_000 * count, "frames per seed: {}", all.frames / count);
}

#[test]
fn without_faults_there_is_nothing_to_tell() {
    for seed in 0..3 {
        let played = play(&Settings { without: FaultKind::ALL.to_vec(), ..Settings::default() }, seed);
        assert_eq!(played.breaches, []);
        assert_eq!((played.lost_runs, played.taken_over), (0, 0));
        assert_eq!(played.accepted, 72);
    }
}

#[test]
fn the_same_seed_gives_the_same() {
    let settings = Settings::default();
    assert_eq!(play(&settings, 5), play(&settings, 5));
    assert_ne!(play(&settings, 5).hash, play(&settings, 6).hash);
}

/// Each defect of several nodes is named within a thousand seeds, and the sound nodes are quiet on the seed that shows it.
#[cfg(feature = "mutants")]
#[test]
fn each_planted_defect_of_several_nodes_is_named() {
    let mut missed = Vec::new();
    for mutant in router::Mutant::ALL.iter().copied().filter(|mutant| mutant.is_of_several()) {
        let planted = Settings { mutant: Some(mutant), ..Settings::default() };
        let found = (1..=1_000).find_map(|seed| {
            let played = play(&planted, seed);
            (!played.breaches.is_empty()).then_some((seed, played.breaches))
        });
        let Some((seed, breaches)) = found else {
            missed.push(mutant.name());
            continue;
        };
        assert_eq!(play(&Settings::default(), seed).breaches, [], "seed {seed}");
        println!("| {} | {} | `{}` | {seed} |", mutant.name(), mutant.about(), breaches[0].rule);
    }
    assert!(missed.is_empty(), "not named within 1,000 seeds: {missed:?}");
}

#[cfg(feature = "mutants")]
#[test]
fn a_seed_that_breaks_a_rule_is_made_small_and_breaks_it_still() {
    let planted = Settings { mutant: Some(router::Mutant::ShowBeforeLogged), ..Settings::default() };
    let seed = 18;
    let small = simulator::cluster::shrink(&planted, seed, "deliver.I3");
    assert!(small.users < planted.users && small.messages < planted.messages, "{small:?}");
    assert!(play(&small, seed).breaches.iter().any(|breach| breach.rule == "deliver.I3"));
    assert_eq!(simulator::cluster::shrink(&small, seed, "deliver.I3"), small, "nothing more can go");
    assert_eq!(small.arguments().split(" --").count(), 3 + small.without.len(), "{}", small.arguments());
}
