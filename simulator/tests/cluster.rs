//! Several nodes on one store, under faults. `GOLDENPATH_CLUSTER_SEEDS` says how many seeds, `GOLDENPATH_CLUSTER_FIRST` from
//! which on; with `GOLDENPATH_CLUSTER_TELL=1` every step is printed.

#![expect(clippy::print_stdout, reason = "what the seeds came across is half of what they are for")]

use simulator::cluster::{FaultKind, Played, Settings, play, tell};

/// A number that whoever runs the tests asked for.
#[expect(clippy::disallowed_methods, reason = "how much is played is not part of what is played")]
fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn nothing_is_lost_doubled_or_mixed_up_between_nodes() {
    let (mut bad, mut all, mut struck) = (Vec::new(), Played::default(), [0_u32; FaultKind::ALL.len()]);
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
        for (sum, times) in struck.iter_mut().zip(played.faults) {
            *sum += u32::from(times > 0);
        }
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
    for (kind, seeds) in FaultKind::ALL.iter().zip(struck) {
        println!("{:>16} in {seeds} seeds", kind.name());
    }
    let told: Vec<String> = bad
        .iter()
        .take(30)
        .map(|(seed, kinds, breaches)| format!("seed {seed} ({kinds}): {}", breaches[0]))
        .collect();
    assert!(bad.is_empty(), "{} of {count} seeds:\n{}", bad.len(), told.join("\n"));
}

#[test]
fn without_faults_there_is_nothing_to_tell() {
    for seed in 0..3 {
        let played = play(&Settings { has_faults: false, ..Settings::default() }, seed);
        assert_eq!(played.breaches, []);
        assert_eq!((played.gaps, played.lost_runs, played.taken_over), (0, 0, 0));
        assert_eq!(played.accepted, 72);
    }
}

#[test]
fn the_same_seed_gives_the_same() {
    let settings = Settings::default();
    assert_eq!(play(&settings, 5), play(&settings, 5));
    assert_ne!(play(&settings, 5).hash, play(&settings, 6).hash);
}
