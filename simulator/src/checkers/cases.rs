//! The checkers as test cases.

use reports::{Case, Outcome, Report};

/// One case per checker, failed when one of its rules was broken: what a test report lists.
pub fn cases(report: &Report) -> Vec<Case> {
    const CHECKERS: [(&str, &str); 11] = [
        ("isolation", "iso."),
        ("order", "run."),
        ("delivery", "deliver."),
        ("golden_path", "golden."),
        ("wire", "wire."),
        ("bounds", "bounds."),
        ("accounting", "account."),
        ("tools", "tools."),
        ("drain", "drain."),
        ("liveness", "live."),
        ("objectives", "objective."),
    ];
    let case = |(name, prefix): (&str, &str)| {
        let broken: Vec<String> = report
            .findings_by_rule
            .iter()
            .filter(|(rule, _)| rule.starts_with(prefix))
            .map(|(rule, count)| format!("{rule}: {count}"))
            .collect();
        let outcome = if broken.is_empty() { Outcome::Passed } else { Outcome::Failed };
        Case::new("checkers", name, outcome, broken.join(", "))
    };
    CHECKERS.into_iter().map(case).collect()
}
