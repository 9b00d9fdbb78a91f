use reports::{Kind, Verdict};

use super::*;
use crate::scenario::{Scenario, embedded};
use crate::world::{Options, World};
use crate::{Replay, replay};

/// An embedded scenario, cut to a number of users that a test can afford.
fn scenario(name: &str, users: u32) -> Scenario {
    let text = embedded().iter().find(|(known, _)| *known == name).map(|(_, text)| *text).unwrap();
    let mut scenario = Scenario::parse(name, text).unwrap();
    scenario.users.count = scenario.users.count.min(users);
    scenario
}

/// A trace as it stands in a file.
fn recorded(scenario: &Scenario, seed: u64) -> String {
    let (mut chained, mut text) = (Chained::default(), String::new());
    chained.header(&Header::new(scenario, seed), &mut text);
    let mut take = |line: &str| {
        chained.line(line, &mut text);
        true
    };
    let options = Options { trace: Some(&mut take), ..Options::default() };
    let result = World::new(scenario.clone(), seed, options).unwrap().run();
    chained.end(&result.hash, &mut text);
    text
}

/// One user who asks once: small enough to change each of its bytes.
fn smallest() -> String {
    let text = "schema = 1\nname = \"one\"\nabout = \"x\"\n[users]\ncount = 1\ntabs = { 2 = 1 }\n\
                [session]\nmessages = 1\n[agent]\ntools_per_run = { 1 = 1 }\nthinking = 1\n\
                answer_bytes = \"40B\"\nthinking_bytes = \"40B\"\nresult_bytes = \"40B\"\n";
    recorded(&Scenario::parse("one", text).unwrap(), 1)
}

fn raw(bytes: &[u8]) -> impl Iterator<Item = Result<Vec<u8>, Damage>> + '_ {
    bytes.split_inclusive(|byte| *byte == b'\n').map(|line| Ok(line.to_vec()))
}

fn played(bytes: &[u8]) -> Replay {
    replay(raw(bytes), None).unwrap()
}

/// What reading alone says of a trace: nothing, if it is as it was written.
fn read(bytes: &[u8]) -> Result<(), String> {
    let (mut recorded, ..) = Recorded::open(raw(bytes)).map_err(|error| error.to_string())?;
    (&mut recorded).for_each(drop);
    match (recorded.flaw(), recorded.hash()) {
        (Some(flaw), _) => Err(flaw.to_string()),
        (None, Some(_)) => Ok(()),
        (None, None) => Err("it ended without saying so".to_owned()),
    }
}

#[test]
fn every_trace_repeats() {
    for (name, _) in embedded() {
        let text = recorded(&scenario(name, 3), 11);
        assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{name}");
        let Replay { outcome, report, header } = played(text.as_bytes());
        assert_eq!((outcome, report.kind), (Outcome::Same, Kind::Replay), "{name}");
        assert!(report.findings.iter().all(|finding| finding.rule.starts_with("objective.")), "{name}");
        let header = header.unwrap();
        assert_eq!((header.scenario.as_str(), header.seed), (*name, 11));
    }
}

/// Every byte of a whole trace, each changed in three ways: a neighbour, another case, something that is no text.
#[test]
fn no_flipped_byte_passes() {
    let text = smallest();
    assert_eq!(read(text.as_bytes()), Ok(()));
    let mut bytes = text.into_bytes();
    let mut line = 1;
    for at in 0..bytes.len() {
        for flip in [0x01, 0x20, 0x80] {
            bytes[at] ^= flip;
            let told = read(&bytes).expect_err("a flipped byte passed");
            assert!(line == 1 || told.contains(&format!("line {line}:")), "byte {at} of line {line}: {told}");
            bytes[at] ^= flip;
        }
        line += u64::from(bytes[at] == b'\n');
    }
}

#[test]
fn a_trace_that_is_cut_off_anywhere_says_so() {
    let text = smallest();
    let header = text.find('\n').unwrap();
    for length in (1..text.len()).step_by(7).chain([header, header + 1, text.len() - 1]) {
        let told = read(&text.as_bytes()[..length]).expect_err("a trace without its end passed");
        let is_clear = told.contains("cut off") || told.contains("no trace header");
        assert!(is_clear, "{length}: {told}");
    }
    let end = text[..text.len() - 1].rfind('\n').unwrap() + 1;
    let Replay { report, outcome, .. } = played(&text.as_bytes()[..end]);
    assert_eq!(report.verdict, Verdict::ReplayDiverged);
    assert!(matches!(outcome, Outcome::Flawed { flaw, .. } if flaw.is_cut_off()));
}

/// A repetition names line and byte of what was altered, in inputs, frames, payloads and hashes alike.
#[test]
fn a_flipped_byte_is_named_by_line_and_byte() {
    let text = smallest();
    let header = text.find('\n').unwrap() + 1;
    let end = text[..text.len() - 1].rfind('\n').unwrap();
    for at in (header..end).step_by(293) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1 << (at % 7);
        let before = &bytes[..at];
        let line = before.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        let byte = at - before.iter().rposition(|byte| *byte == b'\n').unwrap();
        let Replay { report, outcome, .. } = played(&bytes);
        assert_eq!(report.verdict, Verdict::TraceAltered, "byte {at}");
        let Outcome::Flawed { flaw, place } = outcome else { panic!("{outcome:?}") };
        assert_eq!((flaw.line, place.map(|place| place.byte)), (line, Some(byte)), "byte {at}");
    }
}

/// The trace of a program that does something else in one line: chained as it would have been.
fn otherwise(text: &str, line: usize, from: &str, to: &str) -> String {
    let (mut chained, mut out) = (Chained::default(), String::new());
    let header = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    chained.header(&header, &mut out);
    for (number, known) in text.lines().enumerate().skip(1) {
        let plain = known.rsplit_once(r#","c":""#).unwrap().0;
        if let Some(hash) = plain.strip_prefix(r#"{"end":"#) {
            let end: serde_json::Value = serde_json::from_str(hash).unwrap();
            chained.end(end["hash"].as_str().unwrap(), &mut out);
            break;
        }
        let plain = if number == line { plain.replacen(from, to, 1) } else { plain.to_owned() };
        chained.line(&format!("{plain}}}"), &mut out);
    }
    out
}

#[test]
fn a_program_that_does_something_else_is_told_from_a_file_that_was_altered() {
    let text = recorded(&scenario("tiny", 5), 1);
    let lines: Vec<&str> = text.lines().collect();
    let differs = |from: &str, to: &str| {
        let found = (lines.len() / 2..lines.len()).find(|&line| lines[line].contains(from)).unwrap();
        let other = otherwise(&text, found, from, to);
        assert_eq!(read(other.as_bytes()), Ok(()), "the file is in order");
        let Replay { report, outcome, .. } = played(other.as_bytes());
        assert_eq!(report.verdict, Verdict::ReplayDiverged);
        let Outcome::Differs(difference) = outcome else { panic!("{outcome:?}") };
        assert_eq!(difference.line, found as u64 + 1);
        assert!(difference.at_us > 0);
        difference.what
    };
    assert_eq!(differs(r#""critical":true"#, r#""critical":tRue"#), Difference::Line);
    assert_eq!(differs(r#""critical":true"#, r#""critical":null"#), Difference::Effect);
    assert_eq!(differs(r#""agent":"T"#, r#""agent":"S"#), Difference::Input);
    assert_eq!(differs(r#"{"t":"#, r#"{"t":1"#), Difference::Time);
    assert_eq!(differs(r#""h":""#, r#""h":"x"#), Difference::Hash);

    let (header, hash) = (Header::new(&scenario("tiny", 5), 1), "0".repeat(32));
    let with = |lines: &[&str]| {
        let (mut chained, mut out) = (Chained::default(), String::new());
        chained.header(&header, &mut out);
        for line in lines {
            chained.line(&format!("{}}}", line.rsplit_once(r#","c":""#).unwrap().0), &mut out);
        }
        chained.end(&hash, &mut out);
        let Outcome::Differs(difference) = played(out.as_bytes()).outcome else { panic!("no difference") };
        (difference.line as usize, difference.what)
    };
    let all = &lines[1..lines.len() - 1];
    let half = all.len() / 2;
    assert_eq!(with(&all[..half]), (half + 2, Difference::Line), "the repetition goes on");
    assert_eq!(with(&[all, &all[..1]].concat()), (lines.len(), Difference::Line), "the recording goes on");
    assert_eq!(with(all), (lines.len(), Difference::Hash), "only the hash of the whole differs");
}

#[test]
fn a_trace_of_another_kind_is_refused() {
    let scenario = scenario("tiny", 2);
    let with = |change: &dyn Fn(&mut Header)| {
        let mut header = Header::new(&scenario, 1);
        change(&mut header);
        let mut text = String::new();
        Chained::default().header(&header, &mut text);
        replay(raw(text.as_bytes()), None).unwrap_err().to_string()
    };
    assert!(with(&|header| header.format = 3).contains("trace format 3"));
    assert!(with(&|header| header.version = "9.1".to_owned()).contains("version 9.1"));
    assert!(with(&|header| header.hash = "0".to_owned()).contains("hash"));
    assert!(with(&|header| header.text.push('x')).contains("scenario"));
    assert!(with(&|header| header.legacy = Some(vec!["G77".to_owned()])).contains("hazard"));
    // The format before this one had no chain, and other members.
    let told = |text: &str| replay(raw(text.as_bytes()), None).unwrap_err().to_string();
    let old = told(
        "{\"format\":1,\"version\":\"0.1.0\",\"scenario\":\"tiny\",\"hash\":\"0\",\"seed\":1,\"text\":\"\"}\n",
    );
    assert!(old.contains("trace format 1") && old.contains("sim --trace"), "{old}");
    for text in ["", "\n", "what is this\n", "{\"a\":1}\n", "{\"a\":1}"] {
        assert!(told(text).contains("no trace header"), "{text:?}: {}", told(text));
    }
}

#[test]
fn what_goes_on_after_its_last_line_was_altered() {
    let text = smallest();
    for more in ["\n", "x", "{\"t\":1}\n", &text] {
        let told = read(format!("{text}{more}").as_bytes()).unwrap_err();
        assert!(told.contains(&format!("line {}:", text.lines().count() + 1)), "{more:?}: {told}");
    }
}

fn looked(text: &str, look: Look) -> String {
    let mut lens = Lens::new(look);
    let mut out = lens.heading();
    for (number, line) in (1..).zip(text.lines()).skip(1) {
        if !lens.line(number, line, &mut out) {
            break;
        }
    }
    out
}

#[test]
fn the_short_form_shows_one_transition_per_line_in_columns() {
    let text = recorded(&scenario("tiny", 5), 1);
    let shown = looked(&text, Look::default());
    for (row, word) in
        [("connects as", "→"), ("accepted", "←"), ("starts run-", "←"), ("agent_completed", "←")]
    {
        assert!(shown.lines().any(|line| line.contains(row) && line.contains(word)), "{row}: {shown}");
    }
    let sign = |line: &str| line.chars().position(|c| matches!(c, '→' | '←'));
    let columns: Vec<_> = shown.lines().filter_map(sign).collect();
    assert!(
        columns.iter().filter(|column| **column == columns[0]).count() * 10 > columns.len() * 9,
        "{shown}"
    );
    assert!(shown.lines().count() * 2 < text.lines().count() * 3);
}

#[test]
fn a_look_at_one_user_shows_nothing_of_another() {
    let scenario = scenario("tiny", 5);
    let text = recorded(&scenario, 1);
    let plan = crate::plan::Plan::new(scenario, 1);
    for form in [Form::Short, Form::Full] {
        let shown = looked(&text, Look { user: Some(plan.user_id(2)), form, ..Look::default() });
        assert!(shown.contains("agent_completed") && shown.contains(&plan.user_id(2)), "{shown}");
        for other in [0, 1, 3, 4] {
            assert!(!shown.contains(&plan.user_id(other)) && !shown.contains(&plan.canary(other)), "{other}");
        }
    }
}

#[test]
fn a_look_at_one_run_shows_its_events_by_id_and_by_handle() {
    let text = recorded(&scenario("tiny", 5), 1);
    let all = looked(&text, Look::default());
    let start = all.lines().find(|line| line.contains("starts run-")).unwrap();
    let id = start.split_whitespace().find(|word| word.starts_with("run-")).unwrap().to_owned();
    let by_id = looked(&text, Look { run: Some(id.clone()), form: Form::Full, ..Look::default() });
    assert!(by_id.contains(&id) && by_id.contains("agent_started"), "{by_id}");
    let handle = start.split_whitespace().find(|word| word.starts_with('r') && word.contains('.')).unwrap();
    let by_handle = looked(&text, Look { run: Some(handle.to_owned()), form: Form::Full, ..Look::default() });
    assert_eq!(by_handle.matches(&id).count(), by_id.matches(&id).count());
}

#[test]
fn a_repetition_ends_where_nobody_looks_any_more() {
    let text = recorded(&scenario("tiny", 5), 1);
    let mut lens = Lens::new(Look { until_us: Some(3_000_000), ..Look::default() });
    let mut out = String::new();
    let mut show = |number: u64, line: &str| lens.line(number, line, &mut out);
    let Replay { report, outcome, .. } = replay(raw(text.as_bytes()), Some(&mut show)).unwrap();
    assert_eq!((outcome, report.verdict), (Outcome::Same, Verdict::Pass));
    let last: f64 = out.lines().last().unwrap().split_whitespace().next().unwrap().parse().unwrap();
    assert!((0.5..=3.0).contains(&last), "{last}");
}
