//! Every verdict of a saved report, computed again from the raw values in it.

use gate_worker::exact::Exact;
use reports::{Contest, Gate, Report, Role, Verdict};

use super::{contests::judged, exact, report};

/// Differences of floating-point numbers that are none: a report is text.
const TOLERANCE: f64 = 1e-9;

/// Everything in a report that does not follow from its raw values; empty if all does.
pub fn verify(report: &Report) -> Vec<String> {
    let Some(gate) = &report.gate else {
        return vec!["it is no gate's report: it holds no evidence".to_owned()];
    };
    let mut wrong = Vec::new();
    let mut again: Gate = (**gate).clone();
    let gated = gate.contests.iter().filter(|contest| contest.role == Role::Gated).count();
    if gate.rules.family as usize != gated.max(1) && !gate.contests.is_empty() {
        wrong.push(format!("the family is {}, and {gated} quantities were judged", gate.rules.family));
    }
    for (kept, again) in [(&gate.contests, &mut again.contests), (&gate.controls, &mut again.controls)] {
        for (kept, again) in kept.iter().zip(again) {
            *again = contest(kept, gate, &mut wrong);
        }
    }
    exact_again(gate, &mut again, &mut wrong);
    let verdict =
        report::judged(&again).into_iter().fold(Verdict::Pass, |worst, (verdict, _)| worst.worst(verdict));
    if verdict != report.verdict {
        wrong.push(format!("the verdict is said to be {} and follows as {verdict}", report.verdict));
    }
    wrong
}

/// The contest as it follows from its epochs and the rules.
fn contest(kept: &Contest, gate: &Gate, wrong: &mut Vec<String>) -> Contest {
    let title = kept.title();
    let (fail_at, pass_at) = (f64::from(gate.rules.family.max(1)) / gate.rules.alpha, 1.0 / gate.rules.alpha);
    let declared = super::accepted::limit(&gate.accepted, &title).filter(|_| kept.role == Role::Gated);
    let limit = declared.unwrap_or(gate.rules.limit);
    let again = judged(Contest { fail_at, pass_at, limit, ..kept.clone() });
    let mut same = |what: &str, kept: f64, again: f64| {
        if (kept - again).abs() > TOLERANCE * (1.0 + again.abs()) {
            wrong.push(format!("{title}: {what} is said to be {kept} and follows as {again}"));
        }
    };
    same("the limit", kept.limit, again.limit);
    same("the evidence needed to fail", kept.fail_at, again.fail_at);
    same("the evidence needed to pass", kept.pass_at, again.pass_at);
    same("the estimate", kept.estimate, again.estimate);
    for (index, (kept, again)) in kept.epochs.iter().zip(&again.epochs).enumerate() {
        same(&format!("x of epoch {index}"), kept.x, again.x);
    }
    let lists = [("fail", &kept.ln_e_fail, &again.ln_e_fail), ("pass", &kept.ln_e_pass, &again.ln_e_pass)];
    for (name, kept, again) in lists {
        same(&format!("the number of evidences for {name}"), kept.len() as f64, again.len() as f64);
        for (index, (kept, again)) in kept.iter().zip(again).enumerate() {
            same(&format!("the evidence for {name} after epoch {index}"), *kept, *again);
        }
    }
    if kept.decision != again.decision {
        wrong.push(format!("{title}: said to be {} and follows as {}", kept.decision, again.decision));
    }
    if kept.cpu_decision != again.cpu_decision {
        wrong.push(format!(
            "{title}: by processor time said to be {} and follows as {}",
            kept.cpu_decision, again.cpu_decision
        ));
    }
    again
}

fn exact_again(gate: &Gate, again: &mut Gate, wrong: &mut Vec<String>) {
    if gate.exact.head.is_null() {
        return;
    }
    let read = |value: &serde_json::Value| serde_json::from_value::<Exact>(value.clone());
    match (read(&gate.exact.base), read(&gate.exact.head)) {
        (Ok(base), Ok(head)) => {
            let compared = exact::compare(&base, &head, &gate.accepted);
            if compared.differences != gate.exact.differences {
                wrong.push("the exact differences are not those that follow from the numbers".to_owned());
            }
            for reason in &compared.not_comparable {
                if !gate.not_comparable.contains(reason) {
                    wrong.push(format!("left out: {reason}"));
                }
            }
            again.exact.differences = compared.differences;
        }
        (Err(error), _) | (_, Err(error)) => wrong.push(format!("the exact numbers cannot be read: {error}")),
    }
}
