use super::*;
use crate::legacy::{Hazard, Hazards, Played, shown};
use crate::scenario::embedded;

fn scenario(name: &str) -> Scenario {
    let text = embedded().iter().find(|(known, _)| *known == name).map(|(_, text)| *text).expect("a name");
    Scenario::parse(name, text).unwrap_or_else(|error| panic!("{error}"))
}

fn of(hazard: Hazard) -> (Scenario, u64, Suspicion) {
    let row = shown::rows().find(|row| row.hazard == hazard).expect("a hazard that shows");
    let played = Played::Legacy(Hazards::of([hazard]));
    (scenario(row.scenario), row.seed, Suspicion::new(played, row.rule))
}

fn shrunk(hazard: Hazard) -> Shrunk {
    let (scenario, seed, suspicion) = of(hazard);
    shrink(&scenario, seed, suspicion, RUNS_MAX, &mut |_| true).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn what_is_left_breaks_the_same_rule_and_parses_to_itself() {
    for hazard in [Hazard::E5, Hazard::G2, Hazard::M1, Hazard::H7] {
        let (_, _, suspicion) = of(hazard);
        let Shrunk { scenario, sizes, report, finished, .. } = shrunk(hazard);
        assert!(finished && report.findings_by_rule.contains_key(suspicion.rule()), "{hazard}");
        assert!(sizes.1 < sizes.0 && sizes.1.users <= 2 && sizes.1.acts <= 6, "{hazard}: {sizes:?}");
        let text = scenario.to_toml("shrunk");
        let again = Scenario::parse("x", &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(again, scenario, "{text}");
        assert!(suspicion.confirmed(&again).expect("limits that make sense").is_some(), "{text}");
    }
}

#[test]
fn no_row_and_no_step_can_be_taken_away() {
    let (_, _, mut suspicion) = of(Hazard::M1);
    let Shrunk { scenario, .. } = shrunk(Hazard::M1);
    suspicion.settle(&scenario, scenario.seed).expect("the finding");
    let mut asked = 0;
    let mut refused = |candidate: Scenario, what: &str| {
        if rules::first_broken(&candidate).is_none() && !candidate.acts.is_empty() {
            asked += 1;
            assert!(suspicion.confirmed(&candidate).expect("limits").is_none(), "{what} can go");
        }
    };
    for number in 0..scenario.acts.len() {
        refused(candidate::without(&scenario, &|other, _| other == number), &format!("row {number}"));
        for step in 0..scenario.acts[number].run.as_ref().map_or(0, Vec::len) {
            let without = candidate::with_row(&scenario, number, |act| {
                act.run.as_mut().map(|run| run.remove(step));
            });
            refused(without, &format!("step {step} of row {number}"));
        }
    }
    assert!(asked > 0);
}

#[test]
fn the_same_question_has_the_same_answer() {
    let [one, other] = [(), ()].map(|()| shrunk(Hazard::E5));
    assert_eq!(one.scenario, other.scenario);
    assert_eq!((one.runs, one.sizes), (other.runs, other.sizes));
}

#[test]
fn what_was_made_small_stays_as_it_is() {
    let (_, _, suspicion) = of(Hazard::H7);
    let small = shrunk(Hazard::H7).scenario;
    let again = shrink(&small, small.seed, suspicion, RUNS_MAX, &mut |_| true).expect("the finding");
    assert_eq!(again.scenario.acts, small.acts);
}

#[test]
fn whoever_calls_may_end_it_and_has_the_smallest_so_far() {
    let (scenario, seed, suspicion) = of(Hazard::M1);
    let mut told = 0;
    let cut = shrink(&scenario, seed, suspicion.clone(), RUNS_MAX, &mut |progress| {
        told += 1;
        assert_eq!(progress.runs, told);
        told < 7
    })
    .expect("the finding");
    assert!(!cut.finished && cut.runs == 7 && cut.sizes.1 < cut.sizes.0);
    assert!(suspicion.confirmed(&cut.scenario).expect("limits").is_some());
}

#[test]
fn a_rule_that_is_not_broken_is_refused_with_those_that_are() {
    let (scenario, seed, suspicion) = of(Hazard::H7);
    let wrong = Suspicion::new(suspicion.played().clone(), "iso.I1");
    let error = shrink(&scenario, seed, wrong, RUNS_MAX, &mut |_| true).expect_err("no breach");
    assert!(error.to_string().contains("golden.closed"), "{error}");
    let quiet = Suspicion::new(Played::Router, "");
    let error = shrink(&scenario, seed, quiet, RUNS_MAX, &mut |_| true).expect_err("quiet");
    assert_eq!(error, ShrinkError::NoSuchFinding(Vec::new()));
}
