//! Each known defect is named by a checker, with one profile for all of them.
//!
//! `GOLDENPATH_TEETH=all` plays every defect, `GOLDENPATH_TEETH=NAME,NAME` some; without it a handful is played.
//! `GOLDENPATH_TEETH_PAGE=FILE` writes the tables there. Planted defects need the feature `mutants`.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

use reports::Finding;
use simulator::legacy::Played;
use simulator::scenario::{Scenario, embedded};
use simulator::teeth::{self, Defect, Row};

/// Seeds within which each defect must be found.
const SEEDS_MAX: u64 = 1_000;
/// The same for the handful.
const SEEDS_FEW: u64 = 20;
const FEW: [&str; 0] = [];

fn scenario(seed: u64) -> Scenario {
    let _ = seed;
    let text = std::env::var("GOLDENPATH_TEETH_SCENARIO").ok();
    let name = text.as_deref().unwrap_or("hazards");
    let text = embedded().iter().find(|(known, _)| *known == name).map(|(_, text)| *text).unwrap();
    let mut scenario = Scenario::parse(name, text).unwrap();
    scenario.users.count = scenario.users.count.min(8);
    scenario.host.notices = simulator::scenario::Counts::new(0, 6);
    scenario.agent.deaf_share = simulator::scenario::Share::new(0.3);
    scenario.agent.dispatched_share = simulator::scenario::Share::new(0.5);
    if seed % 2 == 0 {
        scenario.limits.outbound_frames_max = Some(4);
        scenario.slow_reader.share = simulator::scenario::Share::new(0.5);
    }
    if seed % 3 == 0 {
        scenario.limits.runs_per_user_max = Some(2);
        scenario.limits.rate_per_s = Some(3);
        scenario.limits.rate_burst = Some(6);
        scenario.limits.connections_per_user_max = Some(3);
    }
    scenario
}

/// Plays a world; a panic is a finding like any other.
fn play(played: &Played, scenario: &Scenario, seed: u64) -> Vec<Finding> {
    let result = catch_unwind(AssertUnwindSafe(|| teeth::play(played, scenario, seed)));
    result.unwrap_or_else(|_| vec![Finding::new("world.panic", "world", 0, "the world panicked")])
}

/// Works through all of `items`, on as many threads as the machine has processors; answers in their order.
fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let at = (item as *const T as usize - items.as_ptr() as usize) / size_of::<T>().max(1);
                    let answer = work(item);
                    done.lock().unwrap().push((at, answer));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, answer)| answer).collect()
}

#[test]
fn each_defect_is_named_and_the_sound_subjects_are_quiet() {
    std::panic::set_hook(Box::new(|_| {}));
    let asked = std::env::var("GOLDENPATH_TEETH").ok();
    let (defects, seeds_max): (Vec<Defect>, u64) = match asked.as_deref() {
        Some("all") => (Defect::all(), SEEDS_MAX),
        Some("mutants") => (Defect::all().into_iter().filter(|defect| defect.is_planted()).collect(), 30),
        Some(names) => (names.split(',').map(|name| Defect::named(name).unwrap()).collect(), 100),
        None => (FEW.iter().filter_map(|name| Defect::named(name)).collect(), SEEDS_FEW),
    };
    let rows = each(&defects, |&defect| {
        let bite = teeth::bite(defect, seeds_max, scenario, play);
        eprintln!("{}: {:?}", defect.name(), bite.as_ref().map(|bite| (bite.seed, bite.findings.iter().map(|f| format!("{} {}", f.rule, f.detail)).take(2).collect::<Vec<_>>())));
        Row { defect, bite, shrunk: None }
    });
    let page = teeth::page(&rows);
    match std::env::var("GOLDENPATH_TEETH_PAGE") {
        Ok(path) => std::fs::write(path, &page).expect("a file that can be written"),
        Err(_) => println!("{page}"),
    }
    let played: BTreeSet<(bool, u64)> = rows
        .iter()
        .flat_map(|row| (1..=row.bite.as_ref().map_or(seeds_max, |bite| bite.seed)).map(|seed| (row.defect.is_planted(), seed)))
        .collect();
    let played: Vec<(bool, u64)> = played.into_iter().collect();
    let loud = each(&played, |&(planted, seed)| {
        let sound = if planted { Played::Router } else { Played::Legacy(simulator::legacy::Hazards::NONE) };
        (planted, seed, play(&sound, &scenario(seed), seed))
    });
    for (planted, seed, findings) in &loud {
        assert_eq!(findings, &[], "sound subject, router: {planted}, seed {seed}");
    }
    let missed: Vec<String> = rows.iter().filter(|row| row.bite.is_none()).map(|row| row.defect.name()).collect();
    assert_eq!(missed, Vec::<String>::new());
}
