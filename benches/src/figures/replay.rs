//! The inputs of a simulated run, recorded once and handed straight to the router: what the router alone costs.

use std::collections::BTreeMap;

use router::{
    Config, ConfigError, ConnId, Connect, Effect, Effects, Input, Instant, Router, RunRef, Stats, Ticket,
    Tier,
};
use router_server::agents::{OwnedEvent, ScriptSource};
use serde_json::Value;
use simulator::{
    scenario::Scenario,
    world::{EPOCH_US, Options, World, router_config},
};

use crate::load::agents::ScenarioScripts;

/// Every input of a run, with its time.
#[derive(Debug)]
pub struct Recording {
    config: Config,
    inputs: Vec<(Instant, Recorded)>,
    /// The router's accounts at the end of the run.
    pub stats: Stats,
}

#[derive(Debug)]
enum Recorded {
    Connect { ticket: Ticket, user: String, tier: Tier, resume: Option<u64> },
    Text { conn: ConnId, text: String },
    Pong { conn: ConnId },
    Written { conn: ConnId, frames: u32 },
    Closed { conn: ConnId },
    Agent { run: RunRef, event: OwnedEvent },
    Tick,
}

impl Recorded {
    fn input(&self) -> Input<'_> {
        match self {
            Recorded::Connect { ticket, user, tier, resume } => {
                Input::Connect(Connect { tier: *tier, resume: *resume, ..Connect::new(*ticket, user) })
            }
            Recorded::Text { conn, text } => Input::Text { conn: *conn, text },
            Recorded::Pong { conn } => Input::Pong { conn: *conn },
            Recorded::Written { conn, frames } => Input::Written { conn: *conn, frames: *frames },
            Recorded::Closed { conn } => Input::Closed { conn: *conn },
            Recorded::Agent { run, event } => Input::Agent { run: *run, event: event.borrow() },
            Recorded::Tick => Input::Tick,
        }
    }
}

impl Recording {
    /// Runs the scenario and records it. The agents' events are not in a trace word for word; they are played
    /// from their scripts again.
    ///
    /// # Errors
    /// The scenario's limits make no sense to the router.
    pub fn of(scenario: &Scenario, seed: u64) -> Result<Self, ConfigError> {
        let config = router_config(scenario);
        let mut recorder = Recorder {
            router: Router::new(config.clone())?,
            effects: Effects::new(),
            scripts: ScenarioScripts::new(scenario, seed),
            conns: BTreeMap::new(),
            runs: BTreeMap::new(),
            inputs: Vec::new(),
        };
        let mut take = |line: &str| recorder.line(line).is_some();
        let options = Options { trace: Some(&mut take), checkers: false, ..Options::default() };
        let result = World::new(scenario.clone(), seed, options)?.run();
        Ok(Self { config, inputs: recorder.inputs, stats: result.stats })
    }

    /// How many inputs there are.
    pub fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// Hands every input to a fresh router; its accounts at the end.
    ///
    /// # Errors
    /// The recorded limits make no sense to the router.
    pub fn play(&self) -> Result<Stats, ConfigError> {
        let mut router = Router::new(self.config.clone())?;
        let mut effects = Effects::new();
        for (now, recorded) in &self.inputs {
            effects.clear();
            router.handle(*now, recorded.input(), &mut effects);
        }
        Ok(router.stats().clone())
    }
}

/// Plays along while it records: the handles that inputs name come out of effects.
struct Recorder {
    router: Router,
    effects: Effects,
    scripts: ScenarioScripts,
    conns: BTreeMap<(u64, u64), ConnId>,
    runs: BTreeMap<(u64, u64), (RunRef, std::vec::IntoIter<OwnedEvent>)>,
    inputs: Vec<(Instant, Recorded)>,
}

impl Recorder {
    /// `None` if the line is not understood, which ends the run.
    fn line(&mut self, line: &str) -> Option<()> {
        let line: Value = serde_json::from_str(line).ok()?;
        let now = Instant::from_micros(EPOCH_US + line["t"].as_u64()?);
        let recorded = self.recorded(&line["in"])?;
        self.effects.clear();
        self.router.handle(now, recorded.input(), &mut self.effects);
        self.inputs.push((now, recorded));
        for effect in self.effects.iter() {
            if let Effect::Accepted { conn, .. } = effect {
                self.conns.insert((conn.index() as u64, u64::from(conn.generation())), *conn);
            }
            if let Effect::StartRun(request) = effect {
                let events: Vec<_> =
                    self.scripts.script(request).beats.into_iter().map(|beat| beat.event).collect();
                let run = request.run;
                let key = (run.index() as u64, u64::from(run.generation()));
                self.runs.insert(key, (run, events.into_iter()));
            }
        }
        Some(())
    }

    fn recorded(&mut self, input: &Value) -> Option<Recorded> {
        let key = |name: &str| Some((input[name][0].as_u64()?, input[name][1].as_u64()?));
        let conn = |name: &str| key(name).and_then(|key| self.conns.get(&key).copied());
        let connect = &input["connect"];
        Some(if connect.is_object() {
            Recorded::Connect {
                ticket: Ticket(connect["ticket"].as_u64()?),
                user: connect["user"].as_str()?.to_owned(),
                tier: Tier::from_name(connect["tier"].as_str()?)?,
                resume: connect["resume"].as_u64(),
            }
        } else if let Some(text) = input["text"].as_str() {
            Recorded::Text { conn: conn("conn")?, text: text.to_owned() }
        } else if let Some(frames) = input["written"].as_u64() {
            Recorded::Written { conn: conn("conn")?, frames: frames as u32 }
        } else if input["pong"].is_array() {
            Recorded::Pong { conn: conn("pong")? }
        } else if input["closed"].is_array() {
            Recorded::Closed { conn: conn("closed")? }
        } else if input["run"].is_array() {
            let (run, events) = self.runs.get_mut(&key("run")?)?;
            Recorded::Agent { run: *run, event: events.next()? }
        } else if input.as_str() == Some("tick") {
            Recorded::Tick
        } else {
            return None;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use simulator::scenario::embedded;

    #[test]
    fn a_replay_does_what_the_run_did() {
        let (_, text) = embedded().iter().find(|(name, _)| *name == "tiny").unwrap();
        let scenario = Scenario::parse("tiny", text).unwrap();
        let recording = Recording::of(&scenario, 3).unwrap();
        let stats = recording.play().unwrap();
        assert!(stats.runs.completed > 0 && stats.runs.open == 0);
        assert_eq!(stats, recording.stats);
    }
}
