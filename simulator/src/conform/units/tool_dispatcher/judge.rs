//! Recorded outcomes of tool calls against what the router did.

use router::{ToolAnswer, ToolOutcome};
use serde_json::{Value, json};

use super::{Dispatchers, Tally, decisions, encode::same_text, host::ScriptedTool, perm};
use crate::conform::{Action, Difference, Expect, Notes, Translation, compare};

/// Members of recordings that are the old process's own.
const PYTHON_SIDE: &[&str] = &[
    "type",
    "last_execution_time",
    "created_at",
    "shared_factory_ws_manager_set",
    "error_details",
    "end_time",
    "execution_metadata",
    "max_memory_mb",
    "timeout_executions",
    "affected_users",
    "user_counts",
    "timestamp",
    "reason",
];
/// Cuts of texts in events, in characters: the shortest one tells what may have been cut.
const CUT_CHARS: usize = 30;

pub(super) fn compare(
    unit: &mut Dispatchers,
    action: &Action,
    expect: &Expect,
    notes: &mut Notes,
) -> Vec<Difference> {
    let seen = unit.seen.returns.clone();
    match action.op.as_str() {
        "perm_check" => unit.desk.compare_check(expect, &seen, notes),
        "perm_metrics" => unit.desk.compare_metrics(expect, &seen, notes),
        "validate" => perm::compare_validation(action, expect, &seen, notes),
        "metrics" => dispatcher_metrics(unit, expect, notes),
        "engine_metrics" => engine_metrics(unit, expect, notes),
        "engine_params_summary" => summary(expect, &seen, notes),
        "engine_estimate" => estimate(expect, &seen, notes),
        "factory_metrics" => {
            let mut out = Vec::new();
            // Of a factory's counters only the one that must fall again has a counterpart.
            notes.translated(Translation::N9);
            let recorded = &expect.returns["active_instances"];
            compare::values(
                "returns.active_instances",
                recorded,
                &seen["active_instances"],
                &[],
                notes,
                &mut out,
            );
            out
        }
        "dispatch_tool"
        | "dispatch"
        | "parallel_dispatch_tool"
        | "engine_with_state"
        | "engine_with_input"
        | "engine_progress" => calls(unit, action, expect, notes),
        _ => plain(unit, action, expect, notes),
    }
}

/// An operation that calls no tool.
fn plain(unit: &Dispatchers, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
    let mut out = raised(unit, expect, notes);
    if expect.raises.is_some() {
        if out.is_empty() {
            return out;
        }
        match action.op.as_str() {
            "new" | "tools" | "has_tool" | "register_tool" | "cleanup" => notes.cured("T1"),
            "admin_factory" => notes.cured("T20"),
            _ => {}
        }
        return out;
    }
    returned("returns", &expect.returns, &unit.seen.returns, notes, &mut out);
    if let Some(state) = &expect.state {
        returned("state", state, &unit.seen.state, notes, &mut out);
    }
    out
}

/// Raised there, refused here.
fn raised(unit: &Dispatchers, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
    let observed = unit.seen.refused.clone().map_or(Value::Null, Value::String);
    match (&expect.raises, &unit.seen.refused) {
        (Some(_), Some(_)) => {
            notes.translated(Translation::N5);
            Vec::new()
        }
        (None, None) => Vec::new(),
        (recorded, _) => vec![Difference::new("raises", json!(recorded), observed)],
    }
}

/// Compares values without what is the old process's own, and without the texts of its runtime.
fn returned(at: &str, recorded: &Value, observed: &Value, notes: &mut Notes, out: &mut Vec<Difference>) {
    let (Value::Object(recorded), Value::Object(seen)) = (recorded, observed) else {
        compare::values(at, recorded, observed, &[], notes, out);
        return;
    };
    let mut recorded = recorded.clone();
    for key in PYTHON_SIDE {
        if !seen.contains_key(*key) && recorded.remove(*key).is_some() {
            notes.translated(Translation::N9);
        }
    }
    if let (Some(Value::String(was)), Some(Value::String(is))) =
        (recorded.get("context_id"), seen.get("context_id"))
    {
        // The run's id is the router's: the other three parts must be the same.
        let parts = |text: &str| -> Vec<String> { text.split(':').map(str::to_owned).collect() };
        let (was, is) = (parts(was), parts(is));
        if was.len() == 4 && is.len() == 4 && [0, 1, 3].iter().all(|n| was[*n] == is[*n]) {
            notes.translated(Translation::N3);
            recorded.insert("context_id".into(), seen["context_id"].clone());
        }
    }
    compare::values(at, &Value::Object(recorded), observed, &[], notes, out);
}

/// Calls of tools: answers, events, and how both interleave with the tools.
fn calls(unit: &Dispatchers, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
    let answers_given = &unit.seen.answers;
    let refused = |answer: &ToolAnswer| matches!(answer.outcome, ToolOutcome::Refused(_));
    let all_refused = !answers_given.is_empty() && answers_given.iter().all(|(answer, _)| refused(answer));
    let mut out = if expect.raises.is_some() && all_refused {
        notes.translated(Translation::N5);
        Vec::new()
    } else {
        raised(unit, expect, notes)
    };
    let (sent, order) = (unit.sent(), unit.order());
    let late = unit.seen.answers.iter().any(|(answer, _)| answer.error().starts_with("Timeout after "));
    if expect.raises.is_none() {
        answers(unit, expect, late, notes, &mut out);
    }
    events(&expect.sent, &sent, late, notes, &mut out);
    let recorded_order = expect.all.get("order").cloned().unwrap_or_else(|| json!([]));
    compare::values("order", &recorded_order, &Value::from(order), &[], notes, &mut out);
    let deadline_us = unit.host.stage().router().config().tool_deadline_us;
    let slow = |script: &ScriptedTool| script.takes_us >= deadline_us;
    let due = !all_refused && answers_given.iter().any(|(_, script)| script.as_ref().is_some_and(slow));
    if (late || due) && out.is_empty() {
        let mut broken = deadline(unit, &sent);
        if broken.is_empty() {
            notes.decided(decisions::DEADLINE);
        }
        out.append(&mut broken);
    }
    if !out.is_empty() {
        cures(unit, action, expect, &sent, notes);
    }
    out
}

/// The answers that agents get. A text of the old runtime in place of the tool's own error compares by outcome: ours
/// must be the tool's own.
fn answers(unit: &Dispatchers, expect: &Expect, late: bool, notes: &mut Notes, out: &mut Vec<Difference>) {
    let deadline_us = unit.host.stage().router().config().tool_deadline_us;
    let single = !expect.returns.is_array();
    let recorded = if single { vec![expect.returns.clone()] } else { list(&expect.returns) };
    let observed = if single { vec![unit.seen.returns.clone()] } else { list(&unit.seen.returns) };
    if recorded.len() != observed.len() {
        out.push(Difference::new("returns", recorded.len(), observed.len()));
        return;
    }
    for (n, (mut was, is)) in recorded.into_iter().zip(observed).enumerate() {
        let at = if single { "returns".to_owned() } else { format!("returns[{n}]") };
        let own = unit.seen.answers.get(n).is_some_and(|(answer, script)| {
            script.as_ref().is_some_and(|script| script.is_outcome(answer, deadline_us))
        });
        let key = if was.get("message").is_some() { "message" } else { "error" };
        let text = was[key].as_str().unwrap_or_default().to_owned();
        let failed_both = was["success"] == is["success"] && was["status"] == is["status"];
        let of_runtime = text == "ValueError() takes no keyword arguments";
        if failed_both && own && of_runtime != late && text != is[key] {
            if of_runtime {
                notes.translated(Translation::N5);
            }
            was[key] = is[key].clone();
        }
        returned(&at, &was, &is, notes, out);
    }
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// The events. Texts with literals compare as values; at a deadline the result is looked at by [`deadline`].
fn events(recorded: &[Value], sent: &[Value], late: bool, notes: &mut Notes, out: &mut Vec<Difference>) {
    if recorded.len() != sent.len() {
        out.push(Difference::new("sent", recorded.len(), sent.len()));
        return;
    }
    for (n, (was, is)) in recorded.iter().zip(sent).enumerate() {
        notes.translated(Translation::N4);
        let mut was = was["message"].clone();
        for path in ["/parameters/summary", "/result/output"] {
            let texts =
                was.pointer(path).and_then(Value::as_str).zip(is.pointer(path).and_then(Value::as_str));
            if let Some((old, new)) = texts
                && old != new
                && same_text(old, new, CUT_CHARS)
            {
                notes.translated(Translation::N5);
                if let Some(slot) = was.pointer_mut(path) {
                    *slot = new.into();
                }
            }
        }
        if late && was["event"] == "tool_completed" {
            was["result"] = is["result"].clone();
            was["execution_time_ms"] = is["execution_time_ms"].clone();
        }
        compare::values(&format!("sent[{n}]"), &was, is, &[], notes, out);
    }
}

/// What a deadline demands, in the answer and in the event, where one was sent.
fn deadline(unit: &Dispatchers, sent: &[Value]) -> Vec<Difference> {
    let text = "Timeout after 30000ms";
    let mut out = Vec::new();
    for (answer, _) in &unit.seen.answers {
        if answer.error() != text {
            out.push(Difference::new("returns.error", text, answer.error()));
        }
    }
    for event in sent.iter().filter(|event| event["event"] == "tool_completed") {
        let demanded = json!({
            "status": "timeout", "duration_ms": 30_000, "tool_name": event["tool_name"], "error": text,
            "error_type": "TimeoutError", "recoverable": true,
        });
        compare::values("sent.result", &demanded, &event["result"], &[], &mut Notes::default(), &mut out);
    }
    out
}

/// Which defects are gone, to be seen where the recording shows them.
fn cures(unit: &Dispatchers, action: &Action, expect: &Expect, sent: &[Value], notes: &mut Notes) {
    let deadline_us = unit.host.stage().router().config().tool_deadline_us;
    let own = !unit.seen.answers.is_empty()
        && unit.seen.answers.iter().all(|(answer, script)| {
            script.as_ref().is_some_and(|script| script.is_outcome(answer, deadline_us))
        });
    let two_events = sent.len() == 2 * unit.seen.answers.len();
    if own && action.op == "dispatch" {
        // The answer of a healthy tool is its result, and that of a failing one its error.
        notes.cured("T2");
        notes.cured("T3");
    }
    if own && two_events && expect.sent.is_empty() {
        notes.cured(if unit.wired { "T4" } else { "T5" });
    }
    if own && action.op.starts_with("dispatch") && expect.raises.is_some() {
        notes.cured("T1");
    }
    if own && action.op.starts_with("engine_") && expect.raises.is_some() {
        notes.cured("T7");
        notes.cured("T11");
    }
    if own && unit.seen.answers.iter().any(|(answer, _)| answer.error().starts_with("Timeout after ")) {
        notes.cured("T6");
    }
}

/// A dispatcher's figures: as recorded, or else those that the answers add up to.
fn dispatcher_metrics(unit: &Dispatchers, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
    let mut out = raised(unit, expect, notes);
    if !out.is_empty() || expect.raises.is_some() {
        if !out.is_empty() && expect.raises.is_some() {
            notes.cured("T1");
        }
        return out;
    }
    returned("returns", &expect.returns, &unit.seen.returns, notes, &mut out);
    let tally = unit.current().map(|bound| bound.tally).unwrap_or_default();
    let names = ["tools_executed", "successful_executions", "failed_executions"];
    let demanded = add_up(&tally, &unit.seen.returns, names);
    by_decision(
        &mut out,
        demanded,
        &[
            "tools_executed",
            "successful_executions",
            "failed_executions",
            "success_rate",
            "total_execution_time_ms",
            "avg_execution_time_ms",
        ],
        notes,
    );
    out
}

/// The figures over all dispatchers, in the same way.
fn engine_metrics(unit: &Dispatchers, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
    let mut out = Vec::new();
    returned("returns", &expect.returns, &unit.seen.returns, notes, &mut out);
    let names = ["total_executions", "successful_executions", "failed_executions"];
    let demanded =
        add_up(&unit.tally, &unit.seen.returns, names) && unit.seen.returns["active_executions"] == 0;
    let may = ["total_executions", "successful_executions", "failed_executions", "total_duration_ms"];
    if expect.returns["active_executions"] != 0 && demanded {
        notes.cured("T11");
    }
    by_decision(&mut out, demanded, &may, notes);
    out
}

/// Whether the figures are those of the answers given, nothing being in flight.
fn add_up(tally: &Tally, figures: &Value, [executed, successful, failed]: [&str; 3]) -> bool {
    figures[executed] == tally.successful + tally.failed
        && figures[successful] == tally.successful
        && figures[failed] == tally.failed
}

/// Passes over differences in figures that only the recording gets wrong.
fn by_decision(out: &mut Vec<Difference>, demanded: bool, may: &[&str], notes: &mut Notes) {
    if !demanded {
        out.push(Difference::new("returns", decisions::METRICS.demands, "<other figures>"));
        return;
    }
    let only_figures = out.iter().all(|difference| may.iter().any(|name| difference.at.ends_with(name)));
    if !out.is_empty() && only_figures {
        notes.decided(decisions::METRICS);
        notes.cured("T8");
        notes.cured("T9");
        out.clear();
    }
}

fn summary(expect: &Expect, seen: &Value, notes: &mut Notes) -> Vec<Difference> {
    let (was, is) = (expect.returns.as_str().unwrap_or_default(), seen.as_str().unwrap_or_default());
    if was != is && same_text(was, is, CUT_CHARS) {
        notes.translated(Translation::N5);
        return Vec::new();
    }
    let mut out = Vec::new();
    compare::values("returns", &expect.returns, seen, &[], notes, &mut out);
    out
}

/// The time a tool is expected to take. What the old code said about its purpose went nowhere.
fn estimate(expect: &Expect, seen: &Value, notes: &mut Notes) -> Vec<Difference> {
    notes.translated(Translation::N9);
    let mut out = Vec::new();
    compare::values("returns[1]", &expect.returns[1], &seen[1], &[], notes, &mut out);
    out
}
