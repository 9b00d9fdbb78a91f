//! One line of a trace: an input with everything it says, its effects with everything they say, frames and payloads in
//! full, and a part of the hash so far.

use std::fmt::Write as _;

use router::{Connect, Effect, Effects, Input, RunRef};

use super::RunHash;
use crate::dialect::quoted;

/// Appends the line of one input, without its chain value and its end.
pub(crate) fn line(at_us: u64, input: &Input<'_>, effects: &Effects, hash: &RunHash, out: &mut String) {
    _ = write!(out, r#"{{"t":{at_us},"in":"#);
    write_input(input, out);
    out.push_str(r#","out":["#);
    for (index, effect) in effects.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_effect(effect, effects, out);
    }
    _ = write!(out, r#"],"h":"{:08x}"}}"#, hash.short());
}

fn write_input(input: &Input<'_>, out: &mut String) {
    match input {
        Input::Connect(Connect { ticket, user, tier, resume, thread, name, expires_at }) => {
            _ = write!(out, r#"{{"connect":{{"ticket":{},"tier":"{}","user":"#, ticket.0, tier.name());
            quoted(user, out);
            if let Some(cursor) = resume {
                _ = write!(out, r#","resume":{cursor}"#);
            }
            for (member, text) in [("thread", thread), ("name", name)] {
                if let Some(text) = text {
                    _ = write!(out, r#","{member}":"#);
                    quoted(text, out);
                }
            }
            if let Some(at) = expires_at {
                _ = write!(out, r#","expires_at":{}"#, at.as_micros());
            }
            out.push_str("}}");
        }
        Input::Text { conn, text } => {
            _ = write!(out, r#"{{"conn":[{},{}],"text":"#, conn.index(), conn.generation());
            quoted(text, out);
            out.push('}');
        }
        Input::Pong { conn } => _ = write!(out, r#"{{"pong":[{},{}]}}"#, conn.index(), conn.generation()),
        Input::Written { conn, frames } => {
            _ = write!(out, r#"{{"conn":[{},{}],"written":{frames}}}"#, conn.index(), conn.generation());
        }
        Input::Closed { conn } => _ = write!(out, r#"{{"closed":[{},{}]}}"#, conn.index(), conn.generation()),
        Input::Agent { run, event } => {
            _ = write!(out, r#"{{"run":[{},{}],"agent":"#, run.index(), run.generation());
            quoted(&format!("{event:?}"), out);
            out.push('}');
        }
        Input::Tool { run, step } => {
            _ = write!(out, r#"{{"run":[{},{}],"tool":"#, run.index(), run.generation());
            quoted(&format!("{step:?}"), out);
            out.push('}');
        }
        Input::Tick => out.push_str(r#""tick""#),
        Input::Flush => out.push_str(r#""flush""#),
        Input::Drain => out.push_str(r#""drain""#),
        Input::AuthFailed { .. }
        | Input::Binary { .. }
        | Input::Violation { .. }
        | Input::Quality { .. }
        | Input::QualityNews { .. }
        | Input::Deliver(_)
        | Input::Unregister { .. }
        | Input::Stored(_)
        | Input::Woken(_)
        | Input::Store(_)
        | Input::Redrive { .. }
        | Input::SweepIdle => {
            quoted(&format!("{input:?}"), out);
        }
    }
}

fn write_effect(effect: &Effect, effects: &Effects, out: &mut String) {
    match effect {
        Effect::Accepted { ticket, conn } => {
            let (index, generation) = (conn.index(), conn.generation());
            _ = write!(out, r#"{{"accepted":[{index},{generation}],"ticket":{}}}"#, ticket.0);
        }
        Effect::Refused { ticket, frame, close } => {
            _ = write!(out, r#"{{"refused":{},"close":{},"frame":"#, ticket.0, close.code());
            write_frame(effects.frame(*frame).as_str(), out);
        }
        Effect::Send { conn, frame } => {
            _ = write!(out, r#"{{"send":[{},{}],"frame":"#, conn.index(), conn.generation());
            write_frame(effects.frame(*frame).as_str(), out);
        }
        Effect::Ping { conn } => _ = write!(out, r#"{{"ping":[{},{}]}}"#, conn.index(), conn.generation()),
        Effect::Close { conn, close } => {
            let (index, generation) = (conn.index(), conn.generation());
            let (code, reason) = (close.code(), close.reason());
            _ = write!(out, r#"{{"close":[{index},{generation}],"code":{code},"reason":"{reason}"}}"#);
        }
        Effect::StartRun(request) => {
            let (index, generation) = (request.run.index(), request.run.generation());
            _ = write!(out, r#"{{"start":[{index},{generation}],"run_id":"#);
            quoted(&request.run_id(), out);
            out.push_str(r#","user":"#);
            quoted(&request.user, out);
            out.push_str(r#","request":"#);
            quoted(&request.request_id, out);
            out.push_str(r#","thread":"#);
            quoted(&request.thread_id, out);
            let (tier, kind) = (request.tier.name(), request.kind);
            let deadline = request.deadline.as_micros();
            _ = write!(out, r#","tier":"{tier}","kind":"{kind:?}","deadline":{deadline},"payload":"#);
            quoted(&request.payload, out);
            out.push('}');
        }
        Effect::CancelRun { run, reason } => {
            let (index, generation) = (run.index(), run.generation());
            _ = write!(out, r#"{{"cancel":[{index},{generation}],"reason":"{reason:?}"}}"#);
        }
        Effect::ToolAnswered(answer) => {
            let (index, generation) = (answer.run.index(), answer.run.generation());
            _ = write!(out, r#"{{"tool":[{index},{generation}],"call":"#);
            quoted(&answer.call, out);
            _ = write!(out, r#","answer":{}}}"#, answer.to_json());
        }
        Effect::RunTool(request) => of_run("run_tool", request.run, request, out),
        Effect::CancelTool(cancelled) => of_run("cancel_tool", cancelled.run, cancelled, out),
        Effect::AgentRefused(refused) => of_run("agent_refused", refused.run, refused, out),
        Effect::Audit(_)
        | Effect::AskQuality(_)
        | Effect::Receipt(_)
        | Effect::Store(_)
        | Effect::PauseRun { .. }
        | Effect::ResumeRun { .. }
        | Effect::Redriven(_)
        | Effect::Swept { .. } => quoted(&format!("{effect:?}"), out),
        Effect::Drained => out.push_str(r#""drained""#),
    }
}

/// The end of an effect with a frame. A frame is JSON and stands as it is, unless it would break the line in two.
fn write_frame(frame: &str, out: &mut String) {
    if frame.contains(['\n', '\r']) {
        quoted(frame, out)
    } else {
        out.push_str(frame)
    }
    out.push('}');
}

/// What concerns a run and is seldom: under its run, all of it in the words of the contract.
fn of_run(name: &str, run: RunRef, what: &dyn std::fmt::Debug, out: &mut String) {
    _ = write!(out, r#"{{"{name}":[{},{}],"what":"#, run.index(), run.generation());
    quoted(&format!("{what:?}"), out);
    out.push('}');
}
