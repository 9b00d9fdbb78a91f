//! `goldenpath conform` from outside: the project's own cases hold, names decide nothing, bad files are named.

use std::{fs, io::Read as _, path::PathBuf};

use assert_cmd::Command;
use flate2::read::GzDecoder;
use serde_json::Value;

fn conform() -> Command {
    let mut command = Command::cargo_bin("goldenpath").expect("built");
    command.arg("conform");
    command
}

/// A path of this test's own.
fn scratch(name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("conform");
    fs::create_dir_all(&dir).expect("a directory");
    dir.join(name)
}

/// The recorded cases of one unit, one a line.
fn recorded(unit: &str) -> String {
    let path = format!("{}/scenarios/vectors/{unit}.jsonl.gz", env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    GzDecoder::new(&fs::read(path).expect("vectors")[..]).read_to_string(&mut text).expect("UTF-8");
    text
}

fn report(command: &mut Command) -> reports::Report {
    let output = command.arg("--json").output().expect("runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    reports::json::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Every count of a report.
fn counts(report: &reports::Report) -> Vec<(String, String)> {
    report.facts.iter().map(|fact| (fact.key.clone(), format!("{:?}", fact.value))).collect()
}

#[test]
fn every_case_of_the_project_holds_and_every_translation_is_used() {
    let report = report(conform().args(Vec::<String>::new()));
    let findings: Vec<_> = report.findings.iter().take(5).collect();
    assert_eq!(report.findings_total, 0, "{findings:#?}");
    assert_eq!(report.cases.iter().filter(|case| case.group == "units").count(), 19, "a unit is missing");
    for n in 1..=9 {
        let key = format!("translation.N{n}");
        let fact = report.facts.iter().find(|fact| fact.key == key).expect("counted");
        assert_ne!(fact.value, reports::Value::Int(0), "{key} is never used: it says nothing");
    }
    let page = include_str!("../docs/conformance.md");
    let decisions =
        report.facts.iter().filter_map(|fact| fact.key.split_once(".decision.").map(|(_, name)| name));
    for name in decisions {
        let named = page.contains(&format!("`{name}`")) || page.contains(&format!("| {name} |"));
        assert!(named, "docs/conformance.md does not say what the decision {name} demands");
    }
    conform().assert().code(0);
}

/// Ids move on to the next case, sentences are taken away: nothing else may change.
#[test]
fn ids_and_sentences_decide_nothing() {
    for unit in ["message_router", "broadcast", "event_validator", "queue_redis"] {
        let mut cases: Vec<Value> =
            recorded(unit).lines().map(|line| serde_json::from_str(line).expect("a case")).collect();
        let mut ids: Vec<Value> = cases.iter().map(|case| case["id"].clone()).collect();
        ids.rotate_left(1);
        for (case, id) in cases.iter_mut().zip(ids) {
            case["id"] = id;
            case["about"] = Value::from("");
        }
        cases.reverse();
        let path = scratch(&format!("{unit}.jsonl"));
        let lines: Vec<String> = cases.iter().map(ToString::to_string).collect();
        fs::write(&path, lines.join("\n")).expect("written");
        let (own, shuffled) = (report(conform().args(["--unit", unit])), report(conform().arg(&path)));
        assert_eq!(counts(&own), counts(&shuffled), "{unit}");
    }
}

#[test]
fn a_recording_that_is_not_met_is_a_finding() {
    let text = recorded("core_router");
    let line = text.lines().find(|line| line.contains(r#""returns":"A""#)).expect("a case with a result");
    let path = scratch("bent.jsonl");
    fs::write(&path, line.replacen(r#""returns":"A""#, r#""returns":"another""#, 1)).expect("written");
    let assert = conform().arg(&path).assert().code(6);
    let shown = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
    assert!(shown.contains("conform.differs") && shown.contains("another"), "{shown}");
}

/// A case without a defect, given out as one that has it, wrongly agrees.
#[test]
fn a_negative_case_that_agrees_is_a_finding() {
    let text = recorded("core_router");
    let line = text.lines().find(|line| line.contains(r#""kind":"positive""#)).expect("a positive case");
    let mut case: Value = serde_json::from_str(line).expect("a case");
    case["oracle"] = serde_json::json!({"kind": "negative", "until": 0, "hazards": ["C2"]});
    let path = scratch("agrees.jsonl");
    fs::write(&path, case.to_string()).expect("written");
    let assert = conform().arg(&path).assert().code(6);
    let shown = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
    assert!(shown.contains("agrees with a recorded defect"), "{shown}");
}

#[test]
fn what_cannot_be_read_is_named() {
    let good = recorded("core_router").lines().next().expect("a case").to_owned();
    let table = [
        (
            "line.jsonl",
            format!("{good}\n{}", good.replacen(r#""kind":"positive""#, r#""kind":"maybe""#, 1)),
            "line 2, field oracle.kind",
        ),
        ("json.jsonl", format!("{good}\n{{\"id\":"), "line 2: expected a JSON object"),
        (
            "unit.jsonl",
            good.replacen(r#""unit":"core_router""#, r#""unit":"other""#, 1),
            "line 1, field unit",
        ),
        ("empty.jsonl", "\n\n".to_owned(), "no case in it"),
        ("deep.jsonl", "[".repeat(50_000), "line 1: expected at most 10000 levels"),
        ("twice.jsonl", format!("{good}\n\n{good}"), "line 3, field id"),
        (
            "unjudged.jsonl",
            good.replacen(r#""kind":"positive""#, r#""kind":"verdict""#, 1),
            "line 1, field intended",
        ),
        ("steps.jsonl", good.replacen(r#""op":"#, r#""operation":"#, 1), "steps[0].op"),
    ];
    for (name, text, place) in table {
        let path = scratch(name);
        fs::write(&path, text).expect("written");
        let assert = conform().arg(&path).assert().code(2);
        let talk = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(talk.contains(name) && talk.contains(place), "{talk}");
    }
    conform().arg(scratch("nowhere.jsonl")).assert().code(2);
    conform().args(["--unit", "nobody"]).assert().code(2);
    conform().args(["--show", "no such case"]).assert().code(2);
}

#[test]
fn one_case_is_shown_side_by_side() {
    let text = recorded("core_router");
    let case: Value = serde_json::from_str(text.lines().next().expect("a case")).expect("a case");
    let id = case["id"].as_str().expect("a text");
    let assert = conform().args(["--show", id]).assert().code(0);
    let shown = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
    for part in [id, "step 0", "recorded", "router", "outcome: Holds"] {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }
    conform().arg("--explain").assert().code(0);
}

/// Unknown units are refused, for models, too.
#[test]
fn a_unit_that_nobody_knows_is_refused() {
    let good = recorded("core_router").lines().next().expect("a case").to_owned();
    let mut case: Value = serde_json::from_str(&good).expect("a case");
    case["id"] = Value::from("of nobody");
    case["unit"] = Value::from("nobody");
    case["oracle"] = serde_json::json!({"kind": "model"});
    let path = scratch("mixed.jsonl");
    fs::write(&path, format!("{good}\n{case}")).expect("written");
    conform().arg(&path).assert().code(2);
}

/// As deep as a line may be: read, judged and reported, whatever comes of it.
#[test]
fn deep_values_end_no_process() {
    let good = recorded("message_types").lines().next().expect("a case").to_owned();
    let deep = format!("{}{}", "[".repeat(9_900), "]".repeat(9_900));
    let path = scratch("deep-enough.jsonl");
    let case = good.replacen(r#""args":{"#, &format!(r#""args":{{"extra":{deep},"#), 1).replace(",}", "}");
    fs::write(&path, case).expect("written");
    let code = conform().arg(&path).output().expect("runs").status.code();
    assert!(matches!(code, Some(0 | 6)), "{code:?}");
}
