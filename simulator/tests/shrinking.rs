//! Hazards are made small enough to read, and show the same rule then.
//!
//! By default every eighth of them. `GOLDENPATH_SHRINK=all` takes all and prints, with `--nocapture`, the table of
//! `docs/decisions/0027-shrinking.md`; `GOLDENPATH_SHRINK=show` prints the scenarios too.

#![expect(clippy::print_stdout, reason = "prints its table when it is asked to")]
#![expect(clippy::disallowed_methods, reason = "how much to do is asked of the environment")]

use simulator::legacy::{Hazards, Played, shown};
use simulator::scenario::{Scenario, embedded};
use simulator::shrink::{RUNS_MAX, Shrunk, Size, Suspicion, shrink};

fn shrunk(row: &shown::Shown) -> Shrunk {
    let text = embedded().iter().find(|(name, _)| *name == row.scenario).map(|(_, text)| *text);
    let scenario = Scenario::parse(row.scenario, text.expect("a name")).expect("a scenario");
    let suspicion = Suspicion::new(Played::Legacy(Hazards::of([row.hazard])), row.rule);
    shrink(&scenario, row.seed, suspicion, RUNS_MAX, &mut |_| true)
        .unwrap_or_else(|error| panic!("{}: {error}", row.hazard))
}

#[test]
fn hazards_are_left_with_two_users_and_six_rows_by_the_median() {
    let how = std::env::var("GOLDENPATH_SHRINK").unwrap_or_default();
    let step = if how.is_empty() { 8 } else { 1 };
    let (mut users, mut acts) = (Vec::new(), Vec::new());
    println!("| hazard | rule | users | rows | steps | candidates | users left | rows left | steps left |");
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|");
    for row in shown::rows().step_by(step) {
        let Shrunk { sizes: (before, after), runs, finished, report, scenario, .. } = shrunk(row);
        assert!(report.findings_by_rule.contains_key(row.rule), "{}", row.hazard);
        assert!(finished && after < before, "{}: {after:?}", row.hazard);
        let Size { users: users_before, acts: acts_before, steps: steps_before, .. } = before;
        println!(
            "| {} | `{}` | {users_before} | {acts_before} | {steps_before} | {runs} | {} | {} | {} |",
            row.hazard, row.rule, after.users, after.acts, after.steps,
        );
        if how == "show" {
            println!("{}", scenario.to_toml(""));
        }
        users.push(after.users);
        acts.push(after.acts);
    }
    users.sort_unstable();
    acts.sort_unstable();
    let half = users.len() / 2;
    let most = (users.last().copied(), acts.last().copied());
    println!("median {} users, {} rows; most {most:?}", users[half], acts[half]);
    assert!(users[half] <= 2 && acts[half] <= 6);
}
