//! What a gate amounts to: a report with a verdict and its reasons.

use reports::{Case, Contest, Decision, Fact, Gate, Kind, Outcome, Report, Role, Tool, Verdict, Weight};

use super::build::short;

/// How far an accepted limit lies above the estimate: below it, the change must still be provable.
const ACCEPTED_ROOM: f64 = 0.05;

/// The report of a gate.
pub(super) fn report(gate: Gate) -> Report {
    let mut report = Report::new(Tool::new("goldenpath", env!("CARGO_PKG_VERSION")), Kind::Gate);
    report.seed = Some(gate.rules.seed);
    report.facts.push(Fact::text("base", "base", short(&gate.base.commit)));
    report.facts.push(Fact::text("head", "head", short(&gate.head.commit)));
    report.facts.push(Fact::count(
        "benchmarks",
        "quantities judged on the wall clock",
        gate.contests.iter().filter(|contest| contest.role == Role::Gated).count() as u64,
    ));
    report.facts.push(Fact::count("link_orders", "link orders per side", u64::from(gate.rules.layouts)));
    report.facts.push(Fact::count(
        "differences",
        "exact numbers that differ",
        gate.exact.differences.len() as u64,
    ));
    for (verdict, reason) in judged(&gate) {
        report.judge(verdict, reason);
    }
    report.reasons.extend(advice(&gate));
    report.reasons.extend(gate.notes.iter().cloned());
    report.cases = cases(&gate);
    let replay = format!(
        "goldenpath gate --base {} --head {} --seed {}",
        short(&gate.base.commit),
        short(&gate.head.commit),
        gate.rules.seed
    );
    // The files of a folder cannot be named.
    report.replay = (gate.head.commit != super::repository::WORKING_TREE).then_some(replay);
    report.gate = Some(Box::new(gate));
    report
}

/// Every verdict that the evidence justifies, with its reason.
pub(super) fn judged(gate: &Gate) -> Vec<(Verdict, String)> {
    let mut verdicts = Vec::new();
    let range = format!("{}..{}", short(&gate.base.commit), short(&gate.head.commit));
    for control in &gate.controls {
        verdicts.extend(control_verdict(control));
    }
    for contest in gate.contests.iter().filter(|contest| contest.role == Role::Gated) {
        let title = contest.title();
        match contest.decision {
            Decision::Pass => {}
            Decision::Fail => verdicts.push((
                Verdict::Regression,
                format!(
                    "{title} is slower by more than {:.0} %: {}, evidence {} to 1 after {} epochs, in {range}",
                    (contest.limit - 1.0) * 100.0,
                    contest.estimated(),
                    amount(contest.ln_e_fail.last()),
                    contest.epochs.len()
                ),
            )),
            Decision::Inconclusive => verdicts.push((
                Verdict::Inconclusive,
                format!(
                    "{title} is undecided after {} epochs: {}, close to the limit or the machine too busy; run again, \
                     or with more --max-epochs and --max-seconds",
                    contest.epochs.len(),
                    contest.estimated()
                ),
            )),
        }
    }
    for difference in &gate.exact.differences {
        if difference.weight == Weight::Regression {
            let reason = format!(
                "{}: {} instead of {}, {}, in {range}",
                difference.what, difference.head, difference.base, difference.detail
            );
            verdicts.push((Verdict::Regression, reason));
        }
    }
    for reason in &gate.not_comparable {
        let advice = "if that is meant, merge it on its own: the next change is compared with it";
        verdicts.push((Verdict::NotComparable, format!("{reason}; {advice}")));
    }
    verdicts
}

/// The commands that accept what failed, for whoever means it.
fn advice(gate: &Gate) -> Vec<String> {
    let base = short(&gate.base.commit);
    let command = |what: &str| {
        format!(
            "if the cost is meant: goldenpath gate accept --base {base} {what} --reason WHY, and commit {} with the change",
            super::accepted::PATH
        )
    };
    let mut advice = Vec::new();
    let failed = |contest: &&Contest| contest.role == Role::Gated && contest.decision == Decision::Fail;
    for contest in gate.contests.iter().filter(failed) {
        // Room for what a measurement adds to the truth.
        let limit = contest.limit.max(1.0 + contest.estimate + ACCEPTED_ROOM);
        advice.push(command(&format!("--limit {limit:.2} '{}'", contest.title())));
    }
    let worse = gate.exact.differences.iter().filter(|difference| difference.weight == Weight::Regression);
    let worse: Vec<&str> = worse.map(|difference| difference.what.as_str()).collect();
    match worse[..] {
        [] => {}
        [only] => advice.push(command(&format!("'{only}'"))),
        [..] => advice.push(command("exact")),
    }
    advice
}

fn control_verdict(control: &Contest) -> Option<(Verdict, String)> {
    let (epochs, estimated) = (control.epochs.len(), control.estimated());
    match (control.role, control.decision) {
        (Role::MustPass, Decision::Fail) => Some((
            Verdict::Error,
            format!(
                "the environment is invalid: the base against itself failed ({estimated}, {epochs} epochs); nothing follows from this run, repeat it on a quieter machine"
            ),
        )),
        (Role::MustPass, Decision::Inconclusive) => Some((
            Verdict::Inconclusive,
            format!(
                "the base against itself is undecided after {epochs} epochs ({estimated}): the machine is too busy, repeat it on a quieter one"
            ),
        )),
        (Role::MustFail, Decision::Pass | Decision::Inconclusive) => Some((
            Verdict::Error,
            format!(
                "there is no power here: 10 % more work was not noticed ({estimated}, {epochs} epochs); run goldenpath gate calibrate, or repeat it on a quieter machine"
            ),
        )),
        (Role::MustPass | Role::MustFail | Role::Gated | Role::Reported, _) => None,
    }
}

fn cases(gate: &Gate) -> Vec<Case> {
    let mut cases = Vec::new();
    for contest in gate.contests.iter().chain(&gate.controls) {
        let (group, name) = match contest.role {
            Role::Gated | Role::Reported => ("gate/time", contest.title()),
            Role::MustPass => ("gate/controls", "the base against itself passes".to_owned()),
            Role::MustFail => ("gate/controls", "10 % more work fails".to_owned()),
        };
        let mut case = Case::new(group, name, outcome(contest), detail(contest));
        case.seconds = Some(contest.seconds);
        cases.push(case);
    }
    let worse: Vec<String> = gate
        .exact
        .differences
        .iter()
        .filter(|difference| difference.weight == Weight::Regression)
        .map(|difference| {
            format!("{}: {} -> {} ({})", difference.what, difference.base, difference.head, difference.detail)
        })
        .collect();
    if !gate.exact.head.is_null() {
        cases.push(if worse.is_empty() {
            Case::passed("gate/exact", "exact numbers")
        } else {
            Case::failed("gate/exact", "exact numbers", worse.join("\n"))
        });
    }
    for counted in &gate.instructions {
        let mut case = Case::passed("gate/instructions", counted.name.clone());
        let warning = if counted.is_warning { "; more than 2 %, a warning only" } else { "" };
        case.detail = format!(
            "{:.1} -> {:.1} per unit ({:+.2} %){warning}",
            counted.base,
            counted.head,
            (counted.head / counted.base - 1.0) * 100.0
        );
        cases.push(case);
    }
    cases
}

fn outcome(contest: &Contest) -> Outcome {
    match (contest.role, contest.decision) {
        (Role::Gated | Role::MustPass, Decision::Pass) | (Role::MustFail, Decision::Fail) => Outcome::Passed,
        (Role::Gated, Decision::Fail) => Outcome::Failed,
        (Role::MustPass, Decision::Fail) | (Role::MustFail, Decision::Pass | Decision::Inconclusive) => {
            Outcome::Errored
        }
        (Role::Gated | Role::MustPass, Decision::Inconclusive) => {
            Outcome::Skipped(format!("undecided after {} epochs", contest.epochs.len()))
        }
        (Role::Reported, _) => Outcome::Skipped(format!("reported only: {}", contest.decision)),
    }
}

fn detail(contest: &Contest) -> String {
    let [base, head] = contest.per_unit_ns();
    let mut text = format!(
        "{}, {:.0} ns -> {:.0} ns per unit, {} epochs, {:.1} s",
        contest.estimated(),
        base,
        head,
        contest.epochs.len(),
        contest.seconds
    );
    let differs = contest.quantity == reports::Quantity::Time
        && contest.cpu_decision != contest.decision
        && contest.cpu_decision != Decision::Inconclusive;
    if differs {
        text.push_str(&format!("; by processor time it is a {}: time spent waiting", contest.cpu_decision));
    }
    text
}

/// Evidence as a person reads it.
fn amount(ln_e: Option<&f64>) -> String {
    match ln_e {
        Some(ln_e) if *ln_e < 14.0 => format!("{:.0}", ln_e.exp()),
        Some(ln_e) => format!("10^{:.0}", ln_e / std::f64::consts::LN_10),
        None => "1".to_owned(),
    }
}
