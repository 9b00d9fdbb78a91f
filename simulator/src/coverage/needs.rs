//! What each condition needs: with that left out, no seed meets it, and a sweep that demands it fails.

use std::collections::{BTreeMap, BTreeSet};

use super::Coverage;
use crate::legacy::Played;
use crate::swarm::{Ingredient, Plays, play};

/// Seeds that between them meet every condition.
const SEEDS: std::ops::Range<u64> = 0..150;
/// So many of them are played again for each condition, with what it needs left out.
const AGAIN: usize = 3;

/// What is left out, and the conditions that need it: nothing in it causes them but what stands here.
const NEEDS: &[(&[&str], &[&str])] = &[
    (&["delay"], &["fault_delay"]),
    (&["lose"], &["fault_lose"]),
    (&["duplicate"], &["fault_duplicate", "repeat"]),
    (&["reorder"], &["fault_reorder"]),
    (&["corrupt"], &["fault_corrupt"]),
    (&["cut"], &["fault_cut"]),
    (&["clog"], &["fault_clog"]),
    (&["swizzle_clog"], &["fault_swizzle_clog"]),
    (&["half_open"], &["fault_half_open"]),
    (&["stall"], &["fault_stall"]),
    (&["avalanche"], &["fault_avalanche"]),
    (&["pause"], &["fault_pause"]),
    (&["crash"], &["fault_crash", "crash_with_runs"]),
    (&["deploy"], &["fault_deploy", "drain", "drained", "drain_refused", "shut_down_run"]),
    (&["crash", "deploy"], &["unknown_cursor"]),
    (&["jump"], &["fault_jump"]),
    (&["skew"], &["fault_skew"]),
    (&["services_away"], &["fault_services_away", "quality_failed"]),
    // Whoever asks again after a fault may be known already, and the old connection may not be known to be gone.
    (&["faults"], &["duplicate_message", "connection_limit"]),
    // Who gives no sign of life is sent away, too.
    (
        &["faults", "disconnects", "heartbeats"],
        &["reconnect", "reconnect_mid_run", "lost_mid_run", "nobody_there"],
    ),
    // A tab that comes late, or whose set-up takes time, is given what the others have got meanwhile.
    (&["faults", "disconnects", "heartbeats", "tabs", "set_up"], &["replay"]),
    (&["recovery_limit", "faults"], &["gap", "gapped"]),
    // What no run ends after, a client does not confirm; what came too late, it does not either.
    (&["notices", "faults", "disconnects", "heartbeats"], &["expired"]),
    (&["set_up"], &["setup_held"]),
    (&["tabs", "faults", "disconnects"], &["several_tabs"]),
    // What is replayed may fill it as well.
    (&["slow_readers", "faults", "disconnects", "heartbeats"], &["full_window"]),
    (&["outbound_limit"], &["full_outbound", "slow_reader_closed"]),
    // What died unnoticed is asked some day, however patient the server is.
    (&["heartbeats", "faults"], &["heartbeat", "unresponsive_closed"]),
    (&["malformed"], &["too_large"]),
    (&["malformed", "corrupt"], &["bad_frame"]),
    (&["malformed", "foreign"], &["foreign_message"]),
    (&["malformed", "foreign", "corrupt", "rate_limit"], &["abuse_closed"]),
    (&["unknown"], &["unknown_type"]),
    (&["parallel_tools"], &["parallel_tools", "tools_out_of_order"]),
    (&["tool_errors"], &["tool_failed"]),
    (&["agent_errors"], &["failed_in_tool"]),
    (&["parallel_runs"], &["parallel_runs"]),
    (&["stops"], &["stop_mid_run", "stop_mid_tool"]),
    // Who says nothing more is cut off some day, however late the deadline is.
    (&["silent_agents", "deadlines"], &["agent_deadline", "deadline_mid_tool"]),
    (&["rate_limit"], &["rate_limit"]),
    (&["run_limit"], &["run_limit"]),
    (&["unruly_agents"], &["foreign_event"]),
    (&["unruly_agents", "deaf_agents"], &["broken_order", "late_event"]),
    (&["quality"], &["quality_answered", "quality_news"]),
];

/// Conditions that nothing can be left out of, and why.
const ALWAYS: &[(&str, &str)] =
    &[("confirmation", "each client confirms the end of each run, and every seed has runs")];

/// The seeds in which each condition was met.
fn met(without: &[&str], seeds: impl IntoIterator<Item = u64>) -> BTreeMap<String, Vec<u64>> {
    let named =
        |name: &&str| Ingredient::named(name).unwrap_or_else(|| panic!("no ingredient is called {name}"));
    let plays = Plays::Swarm { without: without.iter().map(named).collect() };
    let mut met: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for seed in seeds {
        let mut coverage = Coverage::new();
        play(&plays, seed, &Played::Router, &mut coverage).unwrap();
        for condition in coverage.conditions() {
            let seeds = met.entry(condition.name).or_default();
            seeds.extend(condition.first_seed);
        }
    }
    met
}

#[test]
fn each_condition_needs_something_or_has_a_reason() {
    let needy = NEEDS.iter().flat_map(|(_, conditions)| conditions.iter().copied());
    let mut stated: Vec<&str> = needy.chain(ALWAYS.iter().map(|(name, _)| *name)).collect();
    let all = Coverage::new().conditions();
    let mut named: Vec<&str> = all.iter().map(|condition| condition.name.as_str()).collect();
    stated.sort_unstable();
    named.sort_unstable();
    assert_eq!(stated, named);
}

#[test]
fn without_what_it_needs_a_condition_is_not_met() {
    let with = met(&[], SEEDS);
    for (condition, seeds) in &with {
        assert!(!seeds.is_empty(), "{condition} is met in none of {SEEDS:?}, with everything");
    }
    for (left_out, conditions) in NEEDS {
        let again: BTreeSet<u64> =
            conditions.iter().flat_map(|name| with[*name].iter().take(AGAIN)).copied().collect();
        let without = met(left_out, again);
        for name in *conditions {
            assert!(without[*name].is_empty(), "{name} is met without {left_out:?}: {:?}", without[*name]);
        }
    }
    for (condition, _) in ALWAYS {
        assert!(with[*condition].len() * 10 > SEEDS.count() * 9, "{condition} is met nearly always");
    }
}
