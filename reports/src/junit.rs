//! JUnit XML for CI systems.

use quick_junit::{NonSuccessKind, Report as Document, TestCase, TestCaseStatus, TestSuite};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::escape::visible_lines;
use crate::{Case, Comparison, Finding, Kind, Outcome, Report, Verdict, table};

/// Where checkers appear that have findings but no case of their own.
const CHECKERS: &str = "checkers";

/// `report` as JUnit XML: one suite per group of cases, one failure per failed case or checker with findings.
///
/// JUnit allows one failure per case, so all findings of a checker are lines of one failure. If the verdict is bad
/// and no case says so, a case named `verdict` does: the document is never green when the verdict is not. Of a gate that
/// could not decide or compare that case is skipped, with the reasons as its message: nobody is accused.
/// There is no time stamp; a duration only where a [`Case`] has one.
pub fn render(report: &Report) -> String {
    let mut suites: Vec<TestSuite> = Vec::new();
    let mut by_checker = findings_by_checker(report);
    for case in &report.cases {
        let findings = by_checker.remove(case.name.as_str()).unwrap_or_default();
        suite(&mut suites, &case.group).add_test_case(test_case(case, &findings));
    }
    for (checker, findings) in by_checker {
        let case = Case::failed(CHECKERS, checker, "");
        suite(&mut suites, CHECKERS).add_test_case(test_case(&case, &findings));
    }
    let is_red = suites.iter().any(|suite| suite.failures + suite.errors > 0);
    if report.verdict != Verdict::Pass && !is_red {
        suite(&mut suites, "verdict").add_test_case(verdict_case(report));
    }

    let mut document = Document::new(report.subject());
    for mut suite in suites {
        add_identity(&mut suite, report);
        document.add_test_suite(suite);
    }
    // Cannot fail: memory accepts every write and the names are UTF-8.
    document.to_string().expect("XML is written to memory")
}

/// `comparison` as JUnit XML: an error if the two do not compare, else one success, and every check whose outcome
/// changed as one that was skipped: a comparison describes and does not judge.
pub fn render_comparison(comparison: &Comparison) -> String {
    let mut suite = TestSuite::new("comparison");
    suite.add_test_case(comparable("comparable", comparison));
    suite.add_test_cases(changed("", comparison));
    for part in &comparison.parts {
        let heading = table::part_heading(part);
        suite.add_test_case(comparable(&heading, part));
        suite.add_test_cases(changed(&format!("{heading}: "), part));
    }
    let mut document = Document::new("comparison");
    document.add_test_suite(suite);
    // Cannot fail: memory accepts every write and the names are UTF-8.
    document.to_string().expect("XML is written to memory")
}

fn comparable(name: &str, comparison: &Comparison) -> TestCase {
    let mut status = TestCaseStatus::success();
    if !comparison.is_comparable() {
        status = failure(NonSuccessKind::Error);
        status.set_message(visible_lines(&comparison.not_comparable.join("\n")));
    }
    TestCase::new(name, status)
}

fn changed(prefix: &str, comparison: &Comparison) -> Vec<TestCase> {
    let label = |outcome: &Option<Outcome>| outcome.as_ref().map_or("missing", Outcome::label);
    let case = |change: &crate::CaseChange| {
        let mut status = TestCaseStatus::skipped();
        status.set_message(format!("{}, then {}", label(&change.a), label(&change.b)));
        TestCase::new(format!("{prefix}{} {}", change.group, change.name), status)
    };
    comparison.cases.iter().map(case).collect()
}

fn findings_by_checker(report: &Report) -> BTreeMap<&str, Vec<&Finding>> {
    let mut by_checker: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in &report.findings {
        by_checker.entry(&finding.checker).or_default().push(finding);
    }
    by_checker
}

/// The suite of that name; made if it is new. Suites keep the order in which they are first named.
fn suite<'a>(suites: &'a mut Vec<TestSuite>, name: &str) -> &'a mut TestSuite {
    let index = suites.iter().position(|suite| suite.name.as_str() == name).unwrap_or_else(|| {
        suites.push(TestSuite::new(name));
        suites.len() - 1
    });
    &mut suites[index]
}

fn test_case(case: &Case, findings: &[&Finding]) -> TestCase {
    let mut status = match &case.outcome {
        // Findings outweigh a case that claims to have passed.
        Outcome::Passed | Outcome::Skipped(_) if !findings.is_empty() => failure(NonSuccessKind::Failure),
        Outcome::Passed => TestCaseStatus::success(),
        Outcome::Skipped(_) => TestCaseStatus::skipped(),
        Outcome::Failed => failure(NonSuccessKind::Failure),
        Outcome::Errored => failure(NonSuccessKind::Error),
    };
    if let Some(finding) = findings.first() {
        status.set_type(finding.rule.as_str());
    }
    if let Some(message) = message(case, findings) {
        status.set_message(message);
    }
    let mut lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    if !case.detail.is_empty() {
        lines.insert(0, visible_lines(&case.detail));
    }
    if !lines.is_empty() {
        status.set_description(lines.join("\n"));
    }
    let mut test_case = TestCase::new(case.name.as_str(), status);
    test_case.set_classname(case.group.as_str());
    // A negative or endless duration is left out instead of taking the report down.
    if let Some(time) = case.seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        test_case.set_time(time);
    }
    test_case
}

fn message(case: &Case, findings: &[&Finding]) -> Option<String> {
    match (&case.outcome, findings) {
        (_, [only]) => Some(only.to_string()),
        (_, [first, rest @ ..]) => Some(format!("{first} (and {} more)", rest.len())),
        (Outcome::Skipped(reason), []) => Some(visible_lines(reason)),
        (Outcome::Passed | Outcome::Failed | Outcome::Errored, []) => {
            case.detail.lines().next().map(visible_lines)
        }
    }
}

fn verdict_case(report: &Report) -> TestCase {
    let mut status = match (report.kind, report.verdict) {
        (Kind::Gate, Verdict::Inconclusive | Verdict::NotComparable) => TestCaseStatus::skipped(),
        (_, Verdict::Error | Verdict::Inconclusive | Verdict::NotComparable) => {
            failure(NonSuccessKind::Error)
        }
        (
            _,
            Verdict::Pass
            | Verdict::Findings
            | Verdict::IsolationBreach
            | Verdict::Regression
            | Verdict::ReplayDiverged
            | Verdict::TraceAltered
            | Verdict::Unreached,
        ) => failure(NonSuccessKind::Failure),
    };
    status.set_type(report.verdict.label()).set_message(report.verdict.meaning());
    if !report.reasons.is_empty() {
        status.set_description(visible_lines(&report.reasons.join("\n")));
    }
    let mut case = TestCase::new(report.kind.to_string(), status);
    case.set_classname("verdict");
    case
}

fn failure(kind: NonSuccessKind) -> TestCaseStatus {
    TestCaseStatus::non_success(kind)
}

fn add_identity(suite: &mut TestSuite, report: &Report) {
    for (label, value) in table::identity(report) {
        suite.add_property((label, value.as_str()));
    }
    if let Some(replay) = &report.replay {
        suite.add_property(("replay", replay.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tool, sample};

    /// Reads the document back; panics if it is not well-formed JUnit.
    fn parsed(report: &Report) -> Document {
        let xml = render(report);
        Document::deserialize_from_str(&xml).unwrap_or_else(|error| panic!("{error}\n{xml}"))
    }

    #[test]
    fn a_passing_report_is_green_and_without_time() {
        let document = parsed(&sample::passing());
        assert_eq!((document.tests, document.failures, document.errors, document.skipped), (3, 0, 0, 1));
        assert!(!render(&sample::passing()).contains("time"));
    }

    #[test]
    fn each_failing_checker_is_one_failure_that_lists_its_findings() {
        let document = parsed(&sample::failing());
        // `isolation` has a case of its own, `golden_path` only has findings.
        assert_eq!((document.tests, document.failures), (4, 2));
        let suite = &document.test_suites[0];
        let golden =
            suite.test_cases.iter().find(|case| case.name.as_str() == "golden_path").expect("listed");
        let TestCaseStatus::NonSuccess { description: Some(description), .. } = &golden.status else {
            panic!("no failure: {golden:?}");
        };
        assert_eq!(description.as_str().matches("run.R3").count(), 2);
    }

    #[test]
    fn a_comparison_is_red_only_if_there_is_nothing_to_compare() {
        let read = |comparison| {
            Document::deserialize_from_str(&render_comparison(&comparison)).expect("JUnit that can be read")
        };
        let document = read(crate::compare(&sample::passing(), &sample::failing()));
        assert_eq!((document.errors, document.failures, document.skipped), (0, 0, 1));
        let mut other = sample::passing();
        other.scenario = None;
        assert_eq!(read(crate::compare(&sample::passing(), &other)).errors, 1);
    }

    #[test]
    fn a_bad_verdict_without_a_failed_case_is_still_red() {
        let mut report = Report::new(Tool::new("goldenpath", "0.1.0"), Kind::Gate);
        assert_eq!(parsed(&report).failures, 0);
        report.judge(Verdict::Regression, "routing is 12 % slower");
        assert_eq!(parsed(&report).failures, 1);
        report.kind = Kind::Load;
        report.verdict = Verdict::Inconclusive;
        assert_eq!(parsed(&report).errors, 1);
    }

    #[test]
    fn a_gate_that_decides_nothing_is_neither_green_nor_red() {
        for verdict in [Verdict::Inconclusive, Verdict::NotComparable] {
            let mut report = Report::new(Tool::new("goldenpath", "0.1.0"), Kind::Gate);
            report.judge(verdict, "route is undecided; run again");
            let document = parsed(&report);
            assert_eq!((document.failures, document.errors, document.skipped), (0, 0, 1));
            assert!(render(&report).contains("run again"));
        }
    }
}
