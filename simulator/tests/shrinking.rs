//! Every hazard that shows is made small enough to read, and shows the same rule then.
//!
//! `--nocapture` prints the table of `docs/decisions/0027-shrinking.md`.

use simulator::legacy::{Hazards, Played, shown};
use simulator::scenario::{Scenario, embedded};
use simulator::shrink::{RUNS_MAX, Shrunk, Suspicion, shrink};

#[test]
fn every_hazard_is_left_with_two_users_and_six_rows_by_the_median() {
    let (mut users, mut acts) = (Vec::new(), Vec::new());
    println!("| hazard | rule | users | rows | steps | candidates | users left | rows left | steps left |");
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|");
    for row in shown::rows() {
        let text = embedded().iter().find(|(name, _)| *name == row.scenario).map(|(_, text)| *text);
        let scenario = Scenario::parse(row.scenario, text.expect("a name")).expect("a scenario");
        let suspicion = Suspicion::new(Played::Legacy(Hazards::of([row.hazard])), row.rule);
        let Shrunk { sizes: (before, after), runs, finished, report, scenario } =
            shrink(&scenario, row.seed, suspicion, RUNS_MAX, &mut |_| true)
                .unwrap_or_else(|error| panic!("{}: {error}", row.hazard));
        assert!(report.findings_by_rule.contains_key(row.rule), "{}", row.hazard);
        println!(
            "| {} | `{}` | {} | {} | {} | {runs}{} | {} | {} | {} |",
            row.hazard,
            row.rule,
            before.users,
            before.acts,
            before.steps,
            if finished { "" } else { ", cut off" },
            after.users,
            after.acts,
            after.steps,
        );
        if std::option_env!("GOLDENPATH_SHOW").is_some() {
            println!("{}", scenario.to_toml(""));
        }
        users.push(after.users);
        acts.push(after.acts);
    }
    users.sort_unstable();
    acts.sort_unstable();
    let half = users.len() / 2;
    println!(
        "median {} users, {} rows; most {:?} users, {:?} rows",
        users[half],
        acts[half],
        users.last(),
        acts.last()
    );
    assert!(users[half] <= 2 && acts[half] <= 6);
}
