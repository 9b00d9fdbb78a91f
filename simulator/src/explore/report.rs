//! What is said of an exploration, in the vocabulary of all reports.

use reports::{Fact, Finding, Kind, Report, Tool, Unit, Verdict};

use super::{End, Outcome};

/// The report of an exploration.
pub fn report(outcome: &Outcome) -> Report {
    let mut report = Report::new(Tool::new("goldenpath", env!("CARGO_PKG_VERSION")), Kind::Simulation);
    let scope = outcome.scope.to_string();
    let symmetry = if outcome.symmetry { "" } else { " --no-symmetry" };
    report.replay = Some(format!("goldenpath sim --explore {scope}{symmetry}"));
    report.facts = facts(outcome, &scope);
    match &outcome.end {
        End::Complete => {
            report.judge(Verdict::Pass, "no violation in this scope: every interleaving of it was visited");
        }
        End::Broken(example) => {
            let breach = &example.breach;
            let mut finding = Finding::new(&breach.rule, "explore", 0, &breach.detail);
            finding.user = breach.user.map(|user| format!("user {user}"));
            finding.connection = breach.tab.map(|tab| format!("tab {tab}"));
            report.push_finding(finding);
            let steps = example.steps.len();
            report.reasons.push(format!("broken in {steps} steps, and in no fewer:"));
            for (n, (step, answers)) in example.steps.iter().enumerate() {
                let mut text = format!("{:>3}. {step}", n + 1);
                answers.iter().for_each(|answer| text.push_str(&format!("\n       - {answer}")));
                report.reasons.push(text);
            }
            report.reasons.push(format!("     {breach}"));
        }
        End::Stopped { depth, expanded } => report.judge(
            Verdict::Inconclusive,
            format!(
                "no violation in what was visited, and that is not all: every interleaving of {depth} choices and fewer, \
                 and some longer ones, {expanded} states of {} expanded; give more memory or a smaller scope",
                outcome.states
            ),
        ),
    }
    report
}

fn facts(outcome: &Outcome, scope: &str) -> Vec<Fact> {
    let Outcome { symmetry, states, labelled, terminal, transitions, depth, bytes, .. } = outcome;
    let symmetry_text = if *symmetry { "users and tabs are interchangeable" } else { "not made use of" };
    let bytes = i64::try_from(*bytes).unwrap_or(i64::MAX);
    vec![
        Fact::text("scope", "scope", scope),
        Fact::text("symmetry", "symmetry", symmetry_text),
        Fact::count("states", "states visited", *states),
        Fact::count("states_without_symmetry", "states without symmetry", *labelled),
        Fact::count("transitions", "choices made", *transitions),
        Fact::count("terminal", "states in which nothing more can happen", *terminal),
        Fact::count("depth", "choices to the farthest state", u64::from(*depth)),
        Fact::text(
            "collision",
            "chance that two states had one fingerprint",
            format!("at most 2^-{}", outcome.collision_bits()),
        ),
        Fact::int("bytes", "memory for states, at most", bytes, Unit::Bytes),
    ]
}
