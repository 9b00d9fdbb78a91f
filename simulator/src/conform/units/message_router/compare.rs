//! The recording beside what the router did.

use router::Kind;
use serde_json::{Map, Value, json};

use super::{Counters, Ended, Outcome, Player, handlers::Call, sent::is_defect};
use crate::conform::{
    Action, Decision, Difference, Expect, Notes, Translation,
    compare::{TIME, values},
    decisions::{FOREIGN_IDS, LIMITS, MALFORMED, TIMESTAMPS},
};

/// Nobody has a user id that a token cannot carry.
const USER_IDS: Decision = Decision {
    name: "user-ids",
    demands: "who is not 1 to 128 printable characters without white space is never connected",
    added: false,
};
/// JSON-RPC is what it says it is.
const JSON_RPC: Decision = Decision {
    name: "json-rpc-by-its-own-members",
    demands: "JSON-RPC without a recognised type is served as JSON-RPC",
    added: true,
};
/// A failed write is the end of its socket.
pub(super) const BROKEN_SOCKET: Decision = Decision {
    name: "broken-socket",
    demands: "a failed write ends the connection: no reply is written twice, no handler is blamed, a run goes on",
    added: true,
};
/// Ready is who can serve.
const CRITICAL_HANDLERS: Decision = Decision {
    name: "critical-handlers",
    demands: "a router is ready when every critical type has a handler, not when there is any handler",
    added: false,
};

/// One step under comparison.
pub(super) struct Step<'a> {
    pub(super) expect: &'a Expect,
    pub(super) out: Vec<Difference>,
    /// What a decision demands to be counted, instead of what was recorded.
    demanded: Option<Counters>,
}

impl Step<'_> {
    /// Whether the recorded step went well.
    fn went_well(&self) -> bool {
        self.expect.raises.is_none() && self.expect.returns != Value::Bool(false)
    }
}

impl Player {
    pub(super) fn compare_step(
        &mut self,
        action: &Action,
        expect: &Expect,
        notes: &mut Notes,
    ) -> Vec<Difference> {
        let mut step = Step { expect, out: Vec::new(), demanded: None };
        match action.op.as_str() {
            "route" | "route_concurrent" | "handle" => self.routed(&mut step, notes),
            "send_error" | "send_system_message" | "safe_send" => {
                self.frames(&mut step, notes);
                self.answer(&mut step, notes);
            }
            "add_handler" | "insert_handler" => self.registration(&mut step, notes),
            "get_stats" => self.statistics_agree(&mut step, notes),
            "pending" => self.pending_agree(&mut step, notes),
            "handler_status" => {
                let (recorded, seen) = (&expect.returns, &self.seen.answer);
                readiness_agrees("returns", recorded, seen, notes, &mut step.out);
            }
            _ => self.answer(&mut step, notes),
        }
        self.state(&mut step, notes);
        // Whatever was recorded: the router's own books must balance after every step.
        if let Some(Err(claim)) = self.stage.as_ref().map(|stage| stage.router().verify()) {
            step.out.push(Difference::new("accounts", "balanced", claim));
        }
        step.out
    }

    fn answer(&self, step: &mut Step<'_>, notes: &mut Notes) {
        if let Some(class) = &step.expect.raises {
            step.out.push(Difference::new("raises", class.clone(), Value::Null));
        }
        values("returns", &step.expect.returns, &self.seen.answer, &[], notes, &mut step.out);
    }

    /// A registration is refused or not; the old runtime's words for it are its own.
    fn registration(&self, step: &mut Step<'_>, notes: &mut Notes) {
        match (&step.expect.raises, &self.seen.refused) {
            (Some(_), Some(_)) => notes.translated(Translation::N5),
            (None, None) => {}
            (raised, refused) => step.out.push(Difference::new("raises", raised.clone(), refused.clone())),
        }
    }

    /// Messages: how they ended, what was sent, who was called.
    fn routed(&mut self, step: &mut Step<'_>, notes: &mut Notes) {
        if let [ended] = &self.seen.messages[..]
            && self.decided(step, ended, notes)
        {
            return;
        }
        let each = step.expect.returns.as_array().filter(|list| list.len() == self.seen.messages.len());
        let returns =
            each.cloned().unwrap_or_else(|| vec![step.expect.returns.clone(); self.seen.messages.len()]);
        for (n, (ended, returned)) in self.seen.messages.iter().zip(&returns).enumerate() {
            if !self.sockets.is_connected(&ended.conn) {
                notes.translated(Translation::N7);
            }
            self.ended(n, step, ended, returned, notes);
        }
        self.frames(step, notes);
        self.calls(step, notes);
    }

    /// N2: what was returned names a class of outcomes.
    fn ended(&self, n: usize, step: &mut Step<'_>, ended: &Ended, returned: &Value, notes: &mut Notes) {
        let taken = matches!(ended.outcome, Outcome::Handled | Outcome::Unhandled);
        let agrees = if step.expect.raises.is_some() || *returned == Value::Bool(false) {
            // That nobody handled it is no success where a model says what was intended.
            ended.outcome != Outcome::Handled || !ended.delivered
        } else if *returned == Value::Bool(true) {
            taken
        } else {
            // What a custom handler returned of its own, or nothing: it took the message.
            ended.outcome == Outcome::Handled
        };
        if agrees {
            notes.translated(Translation::N2);
        } else {
            let observed = format!("{:?}, delivered: {}", ended.outcome, ended.delivered);
            step.out.push(Difference::new(format!("returns[{n}]"), returned.clone(), observed));
        }
    }

    /// Whether a decision demands another outcome for the one message of the step than the recorded one, and the
    /// router has it.
    fn decided(&self, step: &mut Step<'_>, ended: &Ended, notes: &mut Notes) -> bool {
        if step.expect.sent.iter().any(|sent| is_defect(&sent["message"])) {
            return false; // to be compared, so that the defect shows
        }
        let code = self.refusal(&ended.conn);
        let counted = self.since_last();
        let unrouted = counted.routed == 0 && self.seen.calls.is_empty();
        let (decision, demanded) = match (ended.outcome, code) {
            (Outcome::NotAdmitted, _) if self.seen.sent.is_empty() && unrouted => {
                (USER_IDS, Counters::default())
            }
            (Outcome::Rejected, Some("FOREIGN_USER_ID")) if unrouted && step.went_well() => {
                (FOREIGN_IDS, refused())
            }
            (Outcome::Rejected, Some("BAD_FIELD"))
                if unrouted && step.went_well() && self.path(&ended.conn).ends_with("user_id") =>
            {
                (FOREIGN_IDS, refused())
            }
            (Outcome::Rejected, Some("TOO_LARGE" | "TOO_DEEP" | "BAD_NUMBER" | "JSON_PARSE_ERROR"))
                if unrouted && step.went_well() =>
            {
                (LIMITS, refused())
            }
            // Members of an envelope are checked also where the rest of the message is JSON-RPC, or of no known type.
            (Outcome::Rejected, Some("BAD_FIELD" | "BAD_PAYLOAD"))
                if unrouted
                    && step.went_well()
                    && (ended.message["jsonrpc"] == "2.0" || ended.kind.is_none()) =>
            {
                (MALFORMED, refused())
            }
            (Outcome::Rejected, Some(_)) if unrouted && !step.went_well() => {
                notes.translated(Translation::N8);
                (MALFORMED, refused())
            }
            (Outcome::Handled | Outcome::Rejected, _) if self.is_served_json_rpc(step, ended) => {
                let mut demanded = counted;
                (demanded.routed, demanded.unhandled) = (1, 0);
                (JSON_RPC, demanded)
            }
            _ => return false,
        };
        notes.decided(decision);
        step.demanded = Some(demanded);
        true
    }

    /// The recording acknowledged an unknown type; the router served JSON-RPC: one answer with the request's id,
    /// or none if it wants none.
    fn is_served_json_rpc(&self, step: &Step<'_>, ended: &Ended) -> bool {
        let recorded = step.expect.sent.first().is_some_and(|sent| sent["message"]["type"] == "ack");
        let counted = self.since_last();
        let served =
            counted.types.len() == 1 && counted.types.keys().all(|name| name.starts_with("jsonrpc_"));
        let id = &ended.message["id"];
        let asks = !id.is_null() && ended.message.get("method").is_some();
        let invalid = ended.outcome == Outcome::Rejected;
        if let [call] = &self.seen.calls[..] {
            // A custom handler took it.
            return recorded && served && self.seen.sent.is_empty() && call.kind.starts_with("jsonrpc_");
        }
        let answers = match &self.seen.sent[..] {
            [] => !asks && !invalid,
            [one] => {
                one.message["jsonrpc"] == "2.0"
                    && (one.message["id"] == *id || invalid)
                    && one.message.get("error").is_some() == invalid
            }
            _ => false,
        };
        recorded && served && answers && ended.message["jsonrpc"] == "2.0"
    }

    /// The code of the error frame that a connection got in this step.
    fn refusal(&self, conn: &str) -> Option<&str> {
        self.error_frame(conn)?["error_code"].as_str()
    }

    fn path(&self, conn: &str) -> &str {
        self.error_frame(conn).and_then(|frame| frame["details"]["path"].as_str()).unwrap_or_default()
    }

    fn error_frame(&self, conn: &str) -> Option<&Value> {
        let sent =
            self.seen.sent.iter().find(|sent| {
                self.sockets.conn(&sent.conn) == conn && sent.message["type"] == "error_message"
            });
        sent.map(|sent| &sent.message)
    }

    /// What custom handlers were given.
    fn calls(&self, step: &mut Step<'_>, notes: &mut Notes) {
        let state = step.expect.state.as_ref().and_then(|state| state.get("calls"));
        let recorded = state.and_then(Value::as_array).cloned().unwrap_or_default();
        if step.expect.state.is_none() && recorded.is_empty() {
            return;
        }
        if recorded.len() != self.seen.calls.len() {
            let observed: Value = self.seen.calls.iter().map(Call::show).collect();
            step.out.push(Difference::new("calls", Value::Array(recorded), observed));
            return;
        }
        for (n, (recorded, call)) in recorded.iter().zip(&self.seen.calls).enumerate() {
            self.call(&format!("calls[{n}]"), recorded, call, step, notes);
        }
    }

    fn call(&self, at: &str, recorded: &Value, call: &Call, step: &mut Step<'_>, notes: &mut Notes) {
        let out = &mut step.out;
        for (name, observed) in
            [("handler", json!(call.handler)), ("user", json!(call.user)), ("type", json!(call.kind))]
        {
            values(&format!("{at}.{name}"), &recorded[name], &observed, &[], notes, out);
        }
        values(&format!("{at}.payload"), &recorded["payload"], &call.payload, &[], notes, out);
        // An id in the payload counts where the envelope has none; an empty one is none.
        let ids = [
            ("message_id", call.message_id.as_deref(), None),
            ("thread_id", call.thread_id.as_deref(), call.payload["thread_id"].as_str()),
        ];
        for (name, seen, in_payload) in ids {
            let stated = recorded[name].as_str().filter(|id| !id.is_empty()).or(in_payload);
            if seen.filter(|id| !id.is_empty()) != stated {
                out.push(Difference::new(format!("{at}.{name}"), recorded[name].clone(), seen));
            }
        }
        // No handler is given another user's id, whatever the message says.
        let stated = recorded["message_user_id"].as_str().unwrap_or_default();
        if !stated.is_empty() && stated != call.user {
            out.push(Difference::new(format!("{at}.message_user_id"), stated, call.user.clone()));
        }
        let times = &recorded["timestamp"];
        if times.as_f64() == Some(call.timestamp) || times == TIME {
            return;
        }
        let replaced = self.seen.timestamps_replaced > 0 && call.timestamp == call.arrived;
        if replaced {
            notes.decided(TIMESTAMPS);
        } else {
            out.push(Difference::new(format!("{at}.timestamp"), times.clone(), call.timestamp));
        }
    }

    fn pending_agree(&self, step: &mut Step<'_>, notes: &mut Notes) {
        let Value::Object(users) = &step.expect.returns else {
            step.out.push(Difference::new("returns", step.expect.returns.clone(), self.seen.answer.clone()));
            return;
        };
        let mut recorded = Map::new();
        for (user, list) in users {
            // A user without a waiting message is not kept in mind.
            let Some(list) = list.as_array().filter(|list| !list.is_empty()) else {
                notes.translated(Translation::N9);
                continue;
            };
            let entries = list.iter().map(|entry| {
                json!({
                    "content": entry["content"], "user_id": entry["user_id"], "thread_id": entry["thread_id"],
                    "priority": entry["priority"],
                })
            });
            recorded.insert(user.clone(), entries.collect());
        }
        values("returns", &Value::Object(recorded), &self.seen.answer, &[], notes, &mut step.out);
    }

    /// All statistics: the counters as in [`state`](Self::state), the rest as it stands.
    fn statistics_agree(&mut self, step: &mut Step<'_>, notes: &mut Notes) {
        self.counters_agree(&step.expect.returns, step, notes);
        notes.translated(Translation::N6);
        let (recorded, seen) = (&step.expect.returns["handler_status"], &self.seen.answer["handler_status"]);
        readiness_agrees("returns.handler_status", recorded, seen, notes, &mut step.out);
        for part in ["handler_order", "handler_count", "handler_stats"] {
            let (recorded, seen) = (&step.expect.returns[part], &self.seen.answer[part]);
            values(&format!("returns.{part}"), recorded, seen, &[], notes, &mut step.out);
        }
    }

    fn state(&mut self, step: &mut Step<'_>, notes: &mut Notes) {
        let Some(state) = &step.expect.state else { return };
        if let Some(stats) = state.get("stats") {
            self.counters_agree(stats, step, notes);
        }
        if let Some(order) = state.get("handler_order") {
            notes.translated(Translation::N6);
            let seen = Value::Array(self.order());
            values("handler_order", order, &seen, &[], notes, &mut step.out);
        }
    }

    /// What the router has counted since the last recorded counters.
    fn since_last(&self) -> Counters {
        self.counters().since(&self.last_seen)
    }

    /// Counters, by what was added to them since they were last recorded.
    fn counters_agree(&mut self, stats: &Value, step: &mut Step<'_>, notes: &mut Notes) {
        for name in ["messages_routed", "unhandled_messages", "handler_errors"] {
            if !stats[name].is_u64() {
                step.out.push(Difference::new(format!("stats.{name}"), stats[name].clone(), "<a count>"));
            }
        }
        let types = stats["message_types"].as_object();
        if !types.is_some_and(|types| types.values().all(Value::is_u64)) {
            step.out.push(Difference::new("stats.message_types", stats["message_types"].clone(), "<counts>"));
        }
        let total = Counters::read(stats, notes);
        // What fell since then is no addition: our counters never fall, but with their router.
        let fell = self.last_recorded.since(&total);
        let ours_fell = Counters { rejected: 0, ..self.last_seen.since(&self.counters()) };
        if fell != ours_fell {
            let shown = |counters: &Counters| format!("fell by {counters:?}");
            step.out.push(Difference::new("stats", shown(&fell), shown(&ours_fell)));
        }
        let recorded = total.since(&self.last_recorded);
        let counters = self.counters();
        let seen = counters.since(&self.last_seen);
        let defect = self.hijacked(&recorded);
        if defect && seen.types == of_kinds(&self.sent_kinds) {
            notes.cured("H1");
        }
        self.last_recorded = total;
        self.last_seen = counters;
        self.sent_kinds.clear();
        let wanted = step.demanded.take().unwrap_or_else(|| recorded.clone());
        let mut differ = |name: &str, recorded: u64, seen: u64| {
            if recorded != seen {
                step.out.push(Difference::new(format!("stats.{name}"), recorded, seen));
            }
        };
        differ("messages_routed", wanted.routed, seen.routed);
        differ("unhandled_messages", wanted.unhandled, seen.unhandled);
        let unreachable = self.seen.messages.iter().any(|ended| !ended.delivered);
        if wanted.handler_errors == seen.handler_errors + 1 && unreachable && seen.rejected == 0 {
            notes.decided(BROKEN_SOCKET);
        } else {
            differ("handler_errors", wanted.handler_errors, seen.handler_errors);
        }
        if wanted.types != seen.types {
            step.out.push(Difference::new("stats.message_types", json!(wanted.types), json!(seen.types)));
        }
    }

    /// Whether the recording counted a type that was not sent.
    fn hijacked(&self, recorded: &Counters) -> bool {
        let name = Kind::AgentProgress.name();
        let sent = self.sent_kinds.iter().filter(|kind| **kind == Kind::AgentProgress).count() as u64;
        recorded.types.get(name).is_some_and(|count| *count > sent)
    }
}

/// A readiness. The old runtime printed one decimal of a difference of two floating-point clocks, and a grace period
/// as it was configured: the sentence is compared, and its numbers as numbers.
fn readiness_agrees(at: &str, recorded: &Value, seen: &Value, notes: &mut Notes, out: &mut Vec<Difference>) {
    let mut wanted = recorded.clone();
    if recorded["status"] == "ready" && seen["status"] == "error" && seen["handler_count"] != 0 {
        notes.decided(CRITICAL_HANDLERS);
        wanted["status"] = seen["status"].clone();
        wanted["message"] = seen["message"].clone();
    }
    let (old, new) = (wanted["message"].as_str(), seen["message"].as_str());
    if let Some((old, new)) = old.zip(new).filter(|(old, new)| old != new) {
        let ((old_text, old_numbers), (new_text, new_numbers)) = (numbers_in(old), numbers_in(new));
        let near = |(n, (old, new)): (usize, (&f64, &f64))| {
            (old - new).abs() < if n == 0 { 0.1 + 1e-9 } else { 1e-9 }
        };
        let count = old_numbers.len() == new_numbers.len();
        if old_text == new_text && count && old_numbers.iter().zip(&new_numbers).enumerate().all(near) {
            notes.translated(Translation::N5);
            wanted["message"] = seen["message"].clone();
        }
    }
    values(at, &wanted, seen, &[], notes, out);
}

/// A sentence without its numbers, and its numbers.
fn numbers_in(text: &str) -> (String, Vec<f64>) {
    let (mut rest, mut sentence, mut numbers) = (text, String::new(), Vec::new());
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        sentence.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        numbers.extend(rest[..end].parse::<f64>());
        sentence.push('#');
        rest = &rest[end..];
    }
    sentence.push_str(rest);
    (sentence, numbers)
}

/// What a frame that is refused by the checks counts: nothing but its refusal.
fn refused() -> Counters {
    Counters { rejected: 1, ..Counters::default() }
}

fn of_kinds(kinds: &[Kind]) -> std::collections::BTreeMap<String, u64> {
    let mut types = std::collections::BTreeMap::new();
    for kind in kinds {
        *types.entry(kind.name().to_owned()).or_default() += 1;
    }
    types
}

impl Counters {
    fn since(&self, before: &Self) -> Self {
        let types = self.types.iter().filter_map(|(name, count)| {
            let more = count - before.types.get(name).copied().unwrap_or_default().min(*count);
            (more > 0).then(|| (name.clone(), more))
        });
        Self {
            routed: self.routed.saturating_sub(before.routed),
            unhandled: self.unhandled.saturating_sub(before.unhandled),
            handler_errors: self.handler_errors.saturating_sub(before.handler_errors),
            rejected: self.rejected.saturating_sub(before.rejected),
            types: types.collect(),
        }
    }

    /// Recorded counters; N1 for the keys of `message_types`.
    fn read(stats: &Value, notes: &mut Notes) -> Self {
        let count = |name: &str| stats[name].as_u64().unwrap_or_default();
        let mut types = std::collections::BTreeMap::new();
        for (name, count) in stats["message_types"].as_object().into_iter().flatten() {
            let wire = match name.strip_prefix("MessageType.") {
                Some(upper) => {
                    notes.translated(Translation::N1);
                    upper.to_lowercase()
                }
                None => name.clone(),
            };
            types.insert(wire, count.as_u64().unwrap_or_default());
        }
        Self {
            routed: count("messages_routed"),
            unhandled: count("unhandled_messages"),
            handler_errors: count("handler_errors"),
            rejected: 0,
            types,
        }
    }
}
