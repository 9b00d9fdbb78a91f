//! The recorded unit `broadcast` in terms of the canonical router: events for users, and what the calls report.

use router::Context;
use serde_json::{Map, Value, json};

use super::{
    Unit,
    desk::{
        Desk, FOREIGN_IDS, HONEST_COUNTS, ONE_REGISTRY, Told, USER_IDS, is_id, is_shapeless, names_another,
    },
    event_router::micros,
    frames::{PLAIN_DATA, are_exact, are_own, frames, rewrites},
};
use crate::conform::{
    Action, Difference, Expect, Inexpressible, Notes, Obstacle, Tape, Translation, stage::Line,
};

/// Opens the unit with the set-up of a case.
pub(super) fn open(setup: &Map<String, Value>) -> Result<Box<dyn Unit>, Inexpressible> {
    let manager = setup.get("manager").cloned().unwrap_or_default();
    let mut desk = Desk::open(setup);
    for (user, labels) in manager["connections"].as_object().into_iter().flatten() {
        let fails =
            manager["results"][format!("user:{user}")].as_str().is_some_and(|r| r.starts_with("raise:"));
        for label in labels.as_array().into_iter().flatten().filter_map(Value::as_str) {
            let line = if fails { Line::Down } else { Line::Up };
            desk.register(user, &format!("{user}/{label}"), None, line);
        }
    }
    let stub = manager["kind"] == "stub";
    Ok(Box::new(Broadcast { desk, stub, done: Vec::new(), offset: [0; 5] }))
}

/// What one call brought about.
#[derive(Debug)]
enum Done {
    Nothing,
    Told(Told),
    /// The call was about nobody that the router could be asked for.
    Refused,
    Flag(bool, bool),
    List(Vec<String>, Vec<String>),
}

struct Broadcast {
    desk: Desk,
    /// The recording stands above the connections.
    stub: bool,
    done: Vec<(Call, Done)>,
    /// Recorded counters less ours, where a decision made them differ.
    offset: [i64; 5],
}

#[derive(Clone, Debug)]
struct Call {
    op: String,
    args: Value,
}

impl Broadcast {
    /// Begins a call; the number of its delivery, if it is one.
    fn call(&mut self, op: &str, args: &Value) -> Result<(Done, Option<u64>), Inexpressible> {
        let text = |key: &str| args[key].as_str();
        let label = text("connection_id").unwrap_or_default();
        let desk = &mut self.desk;
        let done = match op {
            "connect" | "connect_without_socket" => {
                let line = if op == "connect" { line(&args["socket"]) } else { Line::Down };
                let user = text("user").unwrap_or_default();
                let ruled = desk.may_register(user, label);
                Done::Flag(desk.register(user, label, None, line), ruled)
            }
            "set_socket" => {
                desk.set_line(label, line(&args["socket"]));
                Done::Nothing
            }
            "disconnect" => {
                desk.unregister(None, label);
                Done::Nothing
            }
            "broadcast_to_user" | "manager_send_to_user" => {
                let Some(user) = text("user") else { return Ok((Done::Refused, None)) };
                let event = args.get("event").unwrap_or(&args["message"]);
                return Ok((Done::Nothing, Some(desk.tell_user(user, Context::default(), event))));
            }
            "manager_broadcast_all" => {
                return Ok((Done::Nothing, Some(desk.tell_all(&args["message"]))));
            }
            "send_message" => {
                let owner = desk.owner(label).map(str::to_owned);
                let number = owner.and_then(|user| {
                    desk.tell_connection(&user, label, Context::default(), &args["message"])
                });
                return Ok((Done::Flag(false, false), number));
            }
            "send_to_thread" => {
                let thread = text("thread_id").unwrap_or_default();
                let user = text("user").unwrap_or(thread).to_owned();
                return Ok((Done::Nothing, Some(desk.tell_thread(&user, thread, &args["message"]))));
            }
            "get_user_connections" => {
                let (seen, ruled) = desk.lists(text("user").unwrap_or_default(), false);
                Done::List(seen, ruled)
            }
            "is_connection_active" => {
                let (seen, ruled) = desk.lists(text("user").unwrap_or_default(), true);
                Done::Flag(!seen.is_empty(), !ruled.is_empty())
            }
            "advance" => {
                desk.stage.advance(micros(&args["seconds"]));
                Done::Nothing
            }
            "get_stats" | "update_feature_flag" => Done::Nothing,
            // Nothing has to be asked for: what was kept goes out when somebody connects.
            "attempt_message_recovery" => Done::Nothing,
            "wait_for_connection" => Done::Nothing,
            _ => return Err(Inexpressible("an operation that the canonical router has no word for")),
        };
        Ok((done, None))
    }

    /// Waits for somebody to connect, as the recorded call did: five seconds if nothing else is said.
    fn waited(&self, args: &Value) -> Done {
        let (seen, ruled) = self.desk.lists(args["user"].as_str().unwrap_or_default(), false);
        Done::Flag(!seen.is_empty(), !ruled.is_empty())
    }

    fn finish(&mut self, done: Done, number: Option<u64>) -> Done {
        let Some(number) = number else { return done };
        let told = self.desk.wait_for(&[number]).pop();
        match (done, told) {
            (Done::Flag(..), Some(told)) => {
                let ruled = told.written.len() == 1;
                Done::Flag(told.receipt.delivered == 1, ruled)
            }
            (_, Some(told)) => Done::Told(told),
            (done, None) => done,
        }
    }

    /// total, successful, prevented, attempted, sent: as the router counts them.
    fn counters(&self) -> [i64; 5] {
        let stats = self.desk.stage.router().stats();
        let foreign = stats.by_refusal().find(|(name, _)| *name == "foreign_user").map_or(0, |(_, n)| n);
        let d = stats.deliveries;
        [d.admitted + foreign, d.receipts_reached, foreign, d.attempted, d.delivered].map(|n| n as i64)
    }

    /// Compares the counters of the old service; they differ by what decisions changed before, and by nothing else.
    fn compare_counters(
        &mut self,
        recorded: &Value,
        changed: bool,
        notes: &mut Notes,
        out: &mut Vec<Difference>,
    ) {
        let keys = [
            "total_broadcasts",
            "successful_broadcasts",
            "cross_user_contamination_prevented",
            "total_connections_attempted",
            "total_successful_sends",
        ];
        let ours = self.counters();
        let recorded = keys.map(|key| recorded[key].as_i64().unwrap_or_default());
        let offset: Vec<i64> = recorded.iter().zip(ours).map(|(recorded, ours)| recorded - ours).collect();
        if changed {
            self.offset.copy_from_slice(&offset);
        } else if offset != self.offset {
            out.push(Difference::new("state.service_stats", json!(recorded), json!(ours)));
        } else if offset.iter().any(|n| *n != 0) {
            notes.translated(Translation::N9);
        }
    }

    /// The answer of one broadcast. Whether a decision made it another than the recorded one.
    fn compare_told(
        &self,
        told: &Told,
        expect: &Value,
        raises: Option<&str>,
        sent: usize,
        notes: &mut Notes,
        out: &mut Vec<Difference>,
    ) -> bool {
        let ruled = told.is_ruled() && are_own(&self.desk);
        let receipt = &told.receipt;
        if let Some(class) = raises {
            if is_shapeless(told) {
                notes.translated(Translation::N2);
            } else if class == "ValueError" && ruled && receipt.refused.is_some() != is_id(&told.user) {
                if is_id(&told.user) {
                    notes.decided(USER_IDS);
                    return true;
                }
                notes.translated(Translation::N2);
            } else {
                out.push(Difference::new("raises", class, format!("{receipt:?}")));
            }
            return false;
        }
        if receipt.refused.is_some() {
            let foreign = names_another(&told.event, &told.user);
            if ruled && (foreign || !is_id(&told.user)) {
                notes.decided(if foreign { FOREIGN_IDS } else { USER_IDS });
                if !self.stub && expect["successful_sends"].as_u64() != Some(sent as u64) {
                    notes.cured("B1-B3"); // nothing sent, and nothing counted
                }
            } else {
                out.push(Difference::new("returns", expect.clone(), format!("{receipt:?}")));
            }
            return true;
        }
        let kind: Value = serde_json::from_str(&receipt.event_type).unwrap_or_default();
        let seen = json!({"user_id": told.user, "connections_attempted": receipt.attempted,
            "successful_sends": receipt.delivered, "event_type": kind, "errors": [],
            "success_rate": receipt.success_percent(), "is_successful": receipt.delivered > 0});
        let Value::Object(fields) = &seen else { return false };
        // A share is rounded in its last digit, once in one order and once in the other.
        let close = |left: &Value, right: &Value| {
            left.as_f64().zip(right.as_f64()).is_some_and(|(left, right)| (left - right).abs() < 1e-9)
        };
        let same = |key: &String, value: &Value| expect[key] == *value || close(&expect[key], value);
        let wrong: Vec<&String> =
            fields.iter().filter(|(key, value)| !same(key, value)).map(|(key, _)| key).collect();
        if wrong.is_empty() {
            if ruled && receipt.delivered > 0 && sent == receipt.delivered as usize {
                notes.sound("the recorded call wrote to the addressed user's connections and to no others");
            }
            return false;
        }
        let deceived = !self.stub && expect["successful_sends"].as_u64() != Some(sent as u64);
        if deceived || !ruled {
            out.push(Difference::new("returns", expect.clone(), seen.clone()));
            if ruled {
                notes.cured("B1-B3");
                notes.cured("see-about");
            }
            return true;
        }
        let rewritten = wrong.iter().all(|key| *key == "errors");
        let nobody = receipt.attempted == 0 && receipt.queued == 1;
        let failed = !receipt.failed.is_empty() && receipt.delivered == 0;
        if rewritten && !failed && rewrites(&expect["errors"], told) {
            notes.decided(PLAIN_DATA);
        } else if rewritten && failed {
            notes.translated(Translation::N5);
            return false;
        } else if nobody {
            notes.decided(HONEST_COUNTS);
        } else {
            out.push(Difference::new("returns", expect.clone(), seen.clone()));
        }
        true
    }
}

impl Unit for Broadcast {
    fn act(&mut self, action: &Action) -> Result<(), Inexpressible> {
        self.desk.begin();
        self.done.clear();
        let one = [json!({"op": action.op, "args": action.args})];
        let calls = if action.op == "concurrent" {
            action.arg("calls").as_array().map(Vec::as_slice).unwrap_or_default()
        } else {
            &one
        };
        let due = |call: &Value| micros(&call["after"]);
        let mut order: Vec<usize> = (0..calls.len()).collect();
        order.sort_by_key(|n| due(&calls[*n]));
        let start = self.desk.stage.now();
        let mut begun = Vec::new();
        for n in order {
            let at = start.after(due(&calls[n]));
            self.desk.stage.advance(at.since(self.desk.stage.now()));
            let (op, args) = (calls[n]["op"].as_str().unwrap_or_default(), &calls[n]["args"]);
            begun.push((n, op, args, self.call(op, args)?));
        }
        begun.sort_by_key(|(n, ..)| *n);
        for (_, op, args, (done, number)) in begun {
            let done =
                if op == "wait_for_connection" { self.waited(args) } else { self.finish(done, number) };
            self.done.push((Call { op: op.to_owned(), args: args.clone() }, done));
        }
        // What a slow socket is still given belongs to this step.
        for _ in 0..6000 {
            if self.desk.stage.router().stats().frames.in_flight == 0 {
                break;
            }
            self.desk.stage.advance(10_000);
        }
        Ok(())
    }

    fn compare(&mut self, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        let mut out = Vec::new();
        let done = std::mem::take(&mut self.done);
        let concurrent = action.op == "concurrent";
        let mut changed = false;
        let broadcasts = done.iter().filter(|(_, done)| matches!(done, Done::Told(_))).count();
        for (n, (call, done)) in done.iter().enumerate() {
            let returns = if concurrent { &expect.returns[n] } else { &expect.returns };
            match done {
                Done::Told(told) if call.op == "broadcast_to_user" => {
                    let sends = |sent: &&Value| broadcasts == 1 || sent["message"]["n"] == told.event["n"];
                    let live = |sent: &&Value| sent["message"]["recovered"].is_null();
                    let sent = expect.sent.iter().filter(live).filter(sends).count();
                    changed |=
                        self.compare_told(told, returns, expect.raises.as_deref(), sent, notes, &mut out);
                }
                Done::Told(told) if call.op == "manager_broadcast_all" && told.receipt.refused.is_some() => {
                    let foreign = names_another(&told.event, "") && self.desk.stage.sent().is_empty();
                    out.push(Difference::new(
                        "sent",
                        expect.sent.len(),
                        "refused: it names one of many users",
                    ));
                    if foreign {
                        notes.cured("see-about");
                    }
                    changed = true;
                }
                // The old service counted its own calls only.
                Done::Told(_) => changed = true,
                Done::Refused if expect.raises.as_deref() == Some("ValueError") => {
                    notes.translated(Translation::N2)
                }
                Done::Refused => out.push(Difference::new("returns", returns.clone(), "refused by its type")),
                Done::Flag(false, false) if call.op.starts_with("connect") && expect.raises.is_some() => {
                    notes.translated(Translation::N2);
                }
                Done::Flag(seen, ruled) if call.op.starts_with("connect") => {
                    if !seen {
                        let taken = self.desk.owner(call.args["connection_id"].as_str().unwrap_or_default());
                        out.push(Difference::new("connected", true, false));
                        if seen == ruled && taken.is_some() {
                            ["M2", "see-about"].into_iter().for_each(|cure| notes.cured(cure));
                        }
                    }
                }
                Done::Flag(seen, _) if returns.as_bool() == Some(*seen) => {
                    changed |= call.op == "send_message"
                }
                Done::Flag(seen, _) => out.push(Difference::new("returns", returns.clone(), *seen)),
                Done::List(seen, ruled) => {
                    let (mut listed, mut seen) = (seen.clone(), seen.clone());
                    listed.sort();
                    seen.sort();
                    let mut recorded: Vec<&str> =
                        returns.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                    recorded.sort_unstable();
                    if recorded != listed && self.desk.lists_broken(&recorded, &listed) {
                        notes.decided(ONE_REGISTRY);
                    } else if recorded != listed {
                        out.push(Difference::new("returns", returns.clone(), json!(seen)));
                        if seen.len() == ruled.len() {
                            notes.cured("M1");
                        }
                    }
                }
                Done::Nothing => {
                    if let Some(raised) = &expect.raises {
                        out.push(Difference::new("raises", raised.as_str(), "nothing is refused"));
                    }
                }
            }
        }
        let told: Vec<Told> = done
            .iter()
            .filter_map(|(_, done)| if let Done::Told(told) = done { Some(told.clone()) } else { None })
            .collect();
        if !changed || expect.raises.is_none() {
            self.compare_frames(expect, &told, changed, notes, &mut out);
        }
        if let Some(state) = &expect.state {
            self.compare_state(state, changed || !out.is_empty(), notes, &mut out);
        }
        self.done = done;
        out
    }

    fn tape(&self) -> Result<Tape, Obstacle> {
        self.desk.stage.tape()
    }

    fn show(&self) -> Value {
        let sent = self.desk.stage.sent().iter();
        let sent: Vec<Value> =
            sent.map(|sent| json!({"conn": sent.conn, "user": sent.user, "message": sent.message})).collect();
        json!({"calls": format!("{:?}", self.done), "sent": sent, "counters": self.counters(), "offset": self.offset})
    }
}

impl Broadcast {
    fn compare_frames(
        &self,
        expect: &Expect,
        told: &[Told],
        changed: bool,
        notes: &mut Notes,
        out: &mut Vec<Difference>,
    ) {
        let refused = told.iter().any(|told| told.receipt.refused.is_some());
        if refused && changed && self.desk.stage.sent().is_empty() {
            return; // no frame, as the decision demands
        }
        if self.stub && told.iter().any(|told| told.receipt.attempted == 0 || !told.receipt.failed.is_empty())
        {
            return; // recorded above the connections, of which there are none
        }
        let ours = told.iter().all(Told::is_ruled) && are_exact(&self.desk, told);
        let framed = frames(&expect.sent, &self.desk, told, notes);
        let user_ids = expect.raises.is_some() && ours && expect.sent.is_empty();
        if framed.is_empty() || user_ids {
            return;
        }
        if ours && self.desk.is_in_order() && self.desk.replayed {
            let again = |sent: &&Value| sent["message"]["recovered"] == true;
            let ours = self.desk.stage.sent().iter().filter(|sent| sent.message["recovered"] == true).count();
            let recovered = expect.sent.iter().filter(again).count();
            // The recording lacks frames that a connection was due; of those kept, or of the others.
            let lacks = |left: &Difference| left.recorded.as_u64() < left.observed.as_u64();
            if framed.counts.iter().any(lacks) {
                notes.cured("M1");
                if recovered < ours {
                    notes.cured("M4");
                }
            }
            // What was kept came behind newer frames, or at another time than on return.
            if recovered > 0 {
                notes.cured("M3");
            }
        }
        out.extend(framed);
    }

    fn compare_state(&mut self, state: &Value, changed: bool, notes: &mut Notes, out: &mut Vec<Difference>) {
        self.compare_counters(&state["service_stats"], changed, notes, out);
        let Some(registered) = state["manager"]["registered"].as_object() else { return };
        let mut recorded: Vec<(String, String)> = Vec::new();
        for (user, labels) in registered {
            let labels = labels.as_array().into_iter().flatten().filter_map(Value::as_str);
            recorded.extend(labels.map(|label| (label.to_owned(), user.clone())));
        }
        recorded.sort();
        let (seen, ruled) = self.desk.pools();
        let who = |pool: &[super::desk::Pooled]| -> Vec<(String, String)> {
            pool.iter().map(|pooled| (pooled.label.clone(), pooled.user.clone())).collect()
        };
        let (seen, ruled) = (who(&seen), who(&ruled));
        let labels =
            |list: &[(String, String)]| list.iter().map(|(label, _)| label.clone()).collect::<Vec<_>>();
        let (left, right) = (labels(&recorded), labels(&seen));
        let left: Vec<&str> = left.iter().map(String::as_str).collect();
        if recorded != seen && seen == ruled && self.desk.lists_broken(&left, &right) {
            notes.decided(ONE_REGISTRY);
        } else if recorded != seen {
            out.push(Difference::new("state.manager.registered", json!(recorded), json!(seen)));
            if seen == ruled {
                notes.cured("M1");
                notes.cured("M2");
            }
        }
        let queued = state["manager"]["recovery_queue"].as_object().into_iter().flat_map(Map::values);
        let queued: usize = queued.filter_map(Value::as_array).map(Vec::len).sum();
        let waiting = self.desk.stage.router().stats().events.waiting;
        if queued as u64 != waiting && !changed {
            out.push(Difference::new("state.manager.recovery_queue", queued, waiting));
        }
    }
}

/// What a recorded socket does.
fn line(socket: &Value) -> Line {
    if let Some(left) = socket["fail_after"].as_u64() {
        return Line::FailsAfter(left as u32);
    }
    if !socket["delay"].is_null() {
        return Line::Slow(micros(&socket["delay"]));
    }
    if socket == "fail" { Line::Down } else { Line::Up }
}
