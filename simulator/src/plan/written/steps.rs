//! Rules of the steps of a run that is written out: it is a legal word of the run automaton.

use super::rules::{Verdict, wrong};
use crate::scenario::rules::STEPS_MAX;
use crate::scenario::{AgentStep, Micros, StepKind};

/// What the rules of the steps at `key` say.
pub(super) fn check(steps: &[AgentStep], key: &str, deadline_us: u64) -> Verdict {
    let Some(last) = steps.last() else {
        return wrong(key, "a run without a step", "at least `started` and how it ends");
    };
    let mut before_us = 0;
    for (number, step) in steps.iter().enumerate() {
        let at = |name: &str| format!("{key}.{number}.{name}");
        one(step, &at)?;
        if (number == 0) != (step.kind == StepKind::Started) {
            return wrong(&at("do"), format!("step {number} is `{}`", step.kind.name()), STARTED);
        }
        if (number + 1 == steps.len()) != step.kind.is_last() {
            return wrong(&at("do"), format!("step {number} is `{}`", step.kind.name()), LAST);
        }
        if step.at.us() < before_us {
            let before = Micros::new(before_us);
            return wrong(&at("at"), format!("{} comes after {before}", step.at), "steps in order of time");
        }
        before_us = step.at.us();
    }
    let count = |kind| steps.iter().filter(|step| step.kind == kind).count();
    if count(StepKind::Tool).max(count(StepKind::Thinking)) > STEPS_MAX as usize {
        return wrong(key, "too many steps of one kind", &format!("at most {STEPS_MAX}"));
    }
    let end_us = last.at.us();
    if end_us >= deadline_us {
        let message = format!("the run's last step is at {}", last.at);
        return wrong(key, message, &format!("before the agent deadline, {}", Micros::new(deadline_us)));
    }
    tools(steps, key, last)
}

const STARTED: &str = "the first step is `started`, and no other";
const LAST: &str = "the last step is `answer`, `fail` or `silence`, and no other";

/// Which keys go with what.
fn one(step: &AgentStep, at: &dyn Fn(&str) -> String) -> Verdict {
    let tool = step.kind == StepKind::Tool;
    let name = step.kind.name();
    let only_tools = [("name", step.name.is_some()), ("for", step.lasts.is_some()), ("fails", step.fails)];
    if let Some((key, _)) = only_tools.into_iter().find(|(_, given)| *given && !tool) {
        return wrong(&at(key), format!("means nothing for `{name}`"), "a step of a `tool` has it");
    }
    let silent = matches!(step.kind, StepKind::Fail | StepKind::Silence);
    if step.bytes.is_some() && (silent || (tool && step.lasts.is_none())) {
        return wrong(&at("bytes"), format!("`{name}` has no text here"), "leave it out");
    }
    if step.fails && step.lasts.is_none() {
        return wrong(&at("fails"), "a tool that never ends cannot fail", "say `for` how long it runs");
    }
    let length = step.name.as_ref().map_or(0, |name| name.chars().count());
    if tool && !(1..=100).contains(&length) {
        return wrong(&at("name"), format!("a tool's name of {length} characters"), "1 to 100 characters");
    }
    Ok(())
}

/// Every tool ends before its run does, unless the run ends without an answer.
fn tools(steps: &[AgentStep], key: &str, last: &AgentStep) -> Verdict {
    for (number, step) in steps.iter().enumerate().filter(|(_, step)| step.kind == StepKind::Tool) {
        let at = format!("{key}.{number}.for");
        match step.lasts {
            Some(_) if step.end_us() > last.at.us() => {
                let message = format!("the tool ends after its run, at {}", Micros::new(step.end_us()));
                return wrong(&at, message, "by the last step; leave `for` out if the tool never ends");
            }
            None if last.kind == StepKind::Answer => {
                return wrong(
                    &at,
                    "the tool never ends",
                    "say `for` how long: an answer waits for all tools",
                );
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}
