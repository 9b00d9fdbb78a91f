//! Each known defect is named by a checker, with one profile for all of them: the swarm's.
//!
//! | variable | |
//! |---|---|
//! | `GOLDENPATH_TEETH` | `all`, or names of defects with commas between them; without it a handful is played |
//! | `GOLDENPATH_TEETH_PAGE` | writes the tables to that file |
//! | `GOLDENPATH_TEETH_SHRINK` | candidates, at most, for making each finding small; without it none is |
//! | `GOLDENPATH_TEETH_JOBS` | threads; as many as the machine has processors |
//!
//! Planted defects need the feature `mutants`.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "the worlds have one thread and their seed; who plays many of them has threads, a clock and wishes"
)]

mod pool;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use reports::Finding;
use simulator::legacy::{Hazards, Played};
use simulator::scenario::Scenario;
use simulator::shrink::{self, Suspicion};
use simulator::swarm;
use simulator::teeth::{self, Bite, Defect, Row, Shrunk};

/// Seeds within which each defect must be found.
const SEEDS_MAX: u64 = 1_000;

/// What is played where nothing else is asked for: something of each kind.
const FEW: [&str; 14] = [
    "SkipOwnerCheck",
    "StaleRunHandle",
    "ReverseReplay",
    "DropReplay",
    "ReplayInclusive",
    "TerminalTwice",
    "NoAgentDeadline",
    "WindowOneMore",
    "ForgetInFlight",
    "ToolsMixedUp",
    "message_router.H3",
    "event_router.E1",
    "endpoint.G0",
    "factory.T4",
];

/// The page before its tables.
const HEAD: &str = "\
# Teeth

What the checkers find of what is known to be wrong: defects planted in the canonical router, one line each
([`router/src/mutant.rs`](../router/src/mutant.rs)), and the switchable hazards of what it replaces ([list](hazards.md)). All of
them are played by the one profile of `goldenpath sim --seeds`, seed 1, 2, 3 and so on, until a checker says something that it
does not say of the same server without the defect. No profile, scenario or checker is made for one of them.

```sh
GOLDENPATH_TEETH=all GOLDENPATH_TEETH_SHRINK=5000 GOLDENPATH_TEETH_PAGE=$PWD/docs/teeth.md \\
  cargo test --release -p simulator --features mutants --test teeth -- --nocapture       # this page, in minutes
GOLDENPATH_TEETH=SkipOwnerCheck,manager.M3 cargo test -p simulator --features mutants --test teeth -- --nocapture
cargo test -p simulator --features mutants --test teeth                                   # a handful, in seconds
```

`GOLDENPATH_TEETH_SHRINK` makes each finding small as well, by at most so many candidates, and says how much processor time each
took. The test fails when a defect is not found within 1,000 seeds, when what is left of a world does not break the same rule once
it has been written to a file and read again, and when the sound router is not quiet under a seed that was played. What goes
wrong between several nodes and their store has [teeth of its own](nodes.md#its-teeth). The transport's shell has none yet.

";

thread_local! {
    /// Whether this thread plays a world, whose panic is a finding and no failure of the test.
    static PLAYING: Cell<bool> = const { Cell::new(false) };
}

/// Plays a world; a panic is a finding like any other.
fn play(played: &Played, scenario: &Scenario, seed: u64) -> Vec<Finding> {
    PLAYING.set(true);
    let findings = catch_unwind(AssertUnwindSafe(|| teeth::play(played, scenario, seed)));
    PLAYING.set(false);
    findings.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
        vec![Finding::new("world.panic", "world", 0, text)]
    })
}

fn keep_panics_of_worlds_quiet() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !PLAYING.get() {
            usual(info);
        }
    }));
}

fn wanted() -> Vec<Defect> {
    let named = |name: &str| Defect::named(name).unwrap_or_else(|| panic!("no defect is called `{name}`"));
    match std::env::var("GOLDENPATH_TEETH").as_deref() {
        Ok("all") => Defect::all(),
        Ok(names) => names.split(',').map(named).collect(),
        Err(_) => FEW.into_iter().filter_map(Defect::named).collect(),
    }
}

#[test]
fn each_defect_is_named_and_the_sound_subjects_are_quiet() {
    keep_panics_of_worlds_quiet();
    let (defects, began) = (wanted(), Instant::now());
    let rows = pool::each(&defects, |&defect| {
        let bite = teeth::bite(defect, SEEDS_MAX, swarm::scenario, play);
        let said = bite.as_ref().map(|bite| (bite.seed, bite.findings[0].rule.as_str()));
        println!("{:>6.1} s {}: {said:?}", began.elapsed().as_secs_f64(), defect.name());
        let shrunk = bite.as_ref().and_then(|bite| shrunk(defect, bite));
        Row { defect, bite, shrunk }
    });
    let loud = loud(&rows);
    let page = format!("{HEAD}{}{}", teeth::page(&rows), quiet(&rows, &loud));
    match std::env::var("GOLDENPATH_TEETH_PAGE") {
        Ok(path) => std::fs::write(&path, &page).unwrap_or_else(|error| panic!("{path}: {error}")),
        Err(_) => println!("{page}"),
    }
    let router: Vec<&String> = loud.iter().filter(|(planted, _)| *planted).map(|(_, said)| said).collect();
    assert!(router.is_empty(), "the sound router is not quiet: {router:#?}");
    let missed: Vec<String> =
        rows.iter().filter(|row| row.bite.is_none()).map(|row| row.defect.name()).collect();
    assert!(missed.is_empty(), "not found within {SEEDS_MAX} seeds: {}", missed.join(" "));
}

/// Makes the first finding small, by as many candidates as were asked for. What is left must show it from a file, too.
fn shrunk(defect: Defect, bite: &Bite) -> Option<Shrunk> {
    let most: u64 = std::env::var("GOLDENPATH_TEETH_SHRINK").ok()?.parse().ok()?;
    let (name, rule) = (defect.name(), &bite.findings.first()?.rule);
    let suspicion = Suspicion::new(defect.played(), rule.clone());
    let (scenario, began) = (swarm::scenario(bite.seed), cpu_time());
    PLAYING.set(true);
    let small = catch_unwind(AssertUnwindSafe(|| {
        shrink::shrink(&scenario, bite.seed, suspicion, most, &mut |_| true)
    }));
    PLAYING.set(false);
    let small = small
        .unwrap_or_else(|_| panic!("{name}: a candidate brought the world down"))
        .unwrap_or_else(|error| panic!("{name}: not made small: {error}"));
    let (users, acts) = (small.sizes.1.users, small.sizes.1.acts);
    let took = cpu_time().zip(began).map(|(now, began)| now - began);
    println!("{name}: {users} users and {acts} acts by {} candidates, {took:?} of a processor", small.runs);
    let again = Scenario::parse(&name, &small.scenario.to_toml(""));
    let again = again.unwrap_or_else(|error| panic!("{name}: what is left is no scenario: {error:?}"));
    let found = play(&defect.played(), &again, again.seed);
    assert!(found.iter().any(|finding| finding.rule == *rule), "{name}: what is left breaks {found:?}");
    Some(Shrunk { users, acts, runs: small.runs })
}

/// Time that this thread was on a processor, where Linux says so.
fn cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// The seeds that were played, by whether the router was: from 1 to this one.
fn most(rows: &[Row], planted: bool) -> u64 {
    let of = rows.iter().filter(|row| row.defect.is_planted() == planted);
    of.map(|row| row.bite.as_ref().map_or(SEEDS_MAX, |bite| bite.seed)).max().unwrap_or_default()
}

/// What the sound servers say under any seed that was played, and whether it is the router that says it. What the old
/// parts' server says without a hazard is told and not counted: it keeps old limits that the profile may go beyond.
fn loud(rows: &[Row]) -> Vec<(bool, String)> {
    let seeds = |planted| (1..=most(rows, planted)).map(move |seed| (planted, seed));
    let worlds: Vec<(bool, u64)> = seeds(true).chain(seeds(false)).collect();
    let said = pool::each(&worlds, |&(planted, seed)| {
        let sound = if planted { Played::Router } else { Played::Legacy(Hazards::NONE) };
        let findings = play(&sound, &swarm::scenario(seed), seed);
        findings.first().map(|first| (planted, format!("seed {seed}, `{}`: {}", first.rule, first.detail)))
    });
    said.into_iter().flatten().collect()
}

/// The same for the page.
fn quiet(rows: &[Row], loud: &[(bool, String)]) -> String {
    let mut text = String::from("## Without a defect\n\n");
    for (planted, name) in [(true, "The router"), (false, "The old parts' server")] {
        let said: Vec<&str> =
            loud.iter().filter(|(of, _)| *of == planted).map(|(_, said)| said.as_str()).collect();
        let seeds = most(rows, planted);
        text.push_str(&format!("{name}: {} of {seeds} seeds quiet.\n", seeds - said.len() as u64));
        said.iter().for_each(|said| text.push_str(&format!("- {said}\n")));
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}
