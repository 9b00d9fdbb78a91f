//! A whole small chat back end made of the old parts' models, in the order in which they stood behind each other.
//!
//! ```text
//! socket ─► endpoint ─► routing ─► agents ─► (agent) ─► validate ─► tools ─► emit ─► deliver ─► socket
//!           accept,     frame →    context   reports    automaton   engine   bridge  registry, window,
//!           set-up,     handler →  of a run                                          recovery queue,
//!           loop        acts                                                         reconnect
//! ```
//!
//! **The way of a message.** `endpoint` takes a frame from a socket; before the set-up is over it waits there. The
//! receive loop hands one frame after the other to `routing`, which reads it, finds the handler of its type and says
//! what is to happen: a reply, a start, a stop, a confirmation. `agents` makes the context of a run and starts its
//! agent; `emit` makes the run's emitter.
//!
//! **The way of an event.** What the agent reports is admitted by `emit` (it must name nobody else) and by
//! `validate` (it must be the next letter of the run's word), passes `tools` (calls and their ends), becomes a frame
//! with the ids of its run in `emit`, and goes to all connections of the run's user by `deliver`, which keeps it for
//! those who come back. Every stage works on what is handed to it and reports what it did; `common` holds the
//! switches, limits, clock, alarms and accounts that all of them use.
//!
//! With every hazard off this is what was intended, in the canonical wire form: no checker has a word to say. With a
//! hazard on, its stage goes wrong as the old part did:
//!
//! | stage | hazards |
//! |---|---|
//! | `endpoint` | the receive loop, modes, set-up, identities: H18, H21, H28, G1, G16, G19, G32 |
//! | `quality` | the quality router: Q |
//! | `services` | the core router between services: C |
//! | `routing` | what is read and what is refused: H7, H8, H12, H22, G0, G2 to G4, G17, G21 |
//! | `messages` | types, handlers, replies, figures, by the message router's model: H1 to H6, H13, H14, H22, H25, H28 |
//! | `agents` | contexts, supervisor, stop: G18, G20, G22, G27 |
//! | `validate` | the order of a run: G28, G29 |
//! | `tools` | dispatchers, engine, permissions: T |
//! | `emit` | contexts, fields, the pool, the bridge: G5 to G9, G13 to G15, G23, G25, G26 |
//! | `deliver` | registry, recovery: G10 to G12, G24, G31 |
//! | `reach` | event router, scoped router, broadcast service, manager: E, S, B, M |
//!
//! **To add a hazard:** ask `common.has(Hazard::X)` at the place where the old part went wrong, with a comment that says
//! how; let `accounts.breach` or `held` tell what only the server can see; give the hazard its row in
//! [`shown`](crate::legacy::shown), with the rule that names it; run the tests `hazards`, and write `docs/hazards.md` anew
//! with `goldenpath hazards --page`.
//!
//! It is a model: memory and speed matter little, and there is no drain, no rate and no JSON-RPC. A world hands in
//! nothing of that.

mod agents;
mod common;
mod deliver;
mod emit;
mod endpoint;
mod messages;
mod quality;
mod reach;
mod routing;
mod services;
mod tools;
mod validate;
mod wire;

use std::rc::Rc;

use router::{
    Close, Config, ConnId, Connect, Effect, Effects, ErrorCode, Input, Instant, OwnedEvent, QualityRequest,
    Refusal, RefusedEvent, Rule, RunRef,
};
use serde_json::json;
use serde_json::value::RawValue;

use self::agents::{Agents, Context, Ending};
use self::common::{Alarm, Common, Outcome};
use self::deliver::Deliver;
use self::emit::Emit;
use self::endpoint::{Endpoint, Mode, Read};
use self::routing::{Act, Inbound, Routing};
use self::services::Services;
use self::tools::Tools;
use crate::checkers::bounds::{Breach, Held};
use crate::legacy::{Hazard, Hazards};
use crate::world::Subject;

/// How long the old bridge waited for a connection, over all its retries, microseconds.
const BRIDGE_PATIENCE_US: u64 = 3_000_000;

/// A chat back end of the old kind; drive it as a [`Subject`].
#[derive(Debug)]
pub struct LegacyServer {
    common: Common,
    endpoint: Endpoint,
    routing: Routing,
    agents: Agents,
    tools: Tools,
    emit: Emit,
    deliver: Deliver,
    services: Services,
}

impl LegacyServer {
    /// A server with these limits and these of the old defects.
    pub fn new(limits: Config, hazards: Hazards) -> Self {
        Self {
            deliver: Deliver::new(hazards),
            common: Common::new(limits, hazards),
            endpoint: Endpoint::default(),
            routing: Routing::new(hazards),
            agents: Agents::default(),
            tools: Tools::new(hazards),
            emit: Emit::default(),
            services: Services::new(hazards),
        }
    }

    fn connect(&mut self, connect: &Connect<'_>, out: &mut Effects) {
        let common = &mut self.common;
        let Some((conn, user, mode)) = self.endpoint.accept(common, connect, out) else { return };
        self.routing.connected(common, conn, (&user, connect.tier), mode);
        self.deliver.connect(common, conn, &user, connect.resume, out);
    }

    fn closed(&mut self, conn: ConnId) {
        let Some(unread) = self.endpoint.gone(conn) else { return };
        for _ in 0..unread {
            self.common.accounts.outcome(Outcome::Unhandled);
        }
        self.routing.disconnected(&self.common, conn);
        self.deliver.disconnect(&mut self.common, conn);
    }

    /// The receive loop of a connection: on until nothing is left to read, or it waits.
    fn read(&mut self, conn: ConnId, out: &mut Effects) {
        while let Some(Read { user, mode, text }) = self.endpoint.next(conn) {
            // G19: the answers of the other modes are of types that cannot be built.
            // H28: likewise, as their constructor says.
            let now = self.common.now;
            let unanswered = mode != Mode::Main && !messages::can_answer(mode, now, self.common.hazards());
            if (mode != Mode::Main && self.common.has(Hazard::G19)) || unanswered {
                self.common.accounts.outcome(Outcome::HandlerError);
                return self.endpoint.close(conn, Close::Unregistered, out);
            }
            let frame = Inbound { conn, user: &user, text: &text };
            let routed = self.routing.route(&mut self.common, &frame);
            self.common.accounts.outcome(routed.outcome);
            for act in routed.acts {
                self.act(conn, act, out);
            }
        }
    }

    fn act(&mut self, conn: ConnId, act: Act, out: &mut Effects) {
        let common = &mut self.common;
        match act {
            Act::Reply(text) => self.deliver.reply(common, conn, &text, out),
            Act::Confirm { user, cursor } => self.deliver.confirm(common, &user, cursor),
            Act::Close(close) => self.endpoint.close(conn, close, out),
            Act::Tell { user, text } => self.deliver.tell(common, &user, &text, out),
            Act::Start(ask) => {
                self.services.announce(common, &ask);
                let context = self.agents.start(common, ask, out);
                self.emit.acquire(common, &context);
                self.deliver.begin(&context);
                self.endpoint.started(common, conn, context.run);
            }
            Act::Stop { user, run_id } => {
                let runs = self.agents.of_user(&user, run_id.as_deref());
                let ids: Vec<String> = runs.iter().map(|context| context.run_id.clone()).collect();
                self.deliver.reply(common, conn, &wire::stopped(&ids, &user, common.now), out);
                // G18: that was all.
                if common.has(Hazard::G18) {
                    return;
                }
                for context in runs {
                    self.cut_short(&context, Ending::Stopped, out);
                }
            }
        }
    }

    /// What an agent reports.
    fn report(&mut self, run: RunRef, event: OwnedEvent, out: &mut Effects) -> Result<(), Refusal> {
        let mut context = self.agents.context(run).ok_or(Refusal::Rule(Rule::R6))?;
        self.emit.admit(&self.common, &context, &event)?;
        let over = Agents::is_over(&event);
        if let OwnedEvent::Started { .. } = event {
            context = self.agents.begin(&self.common, context);
            self.emit.begin(&context);
        }
        let answer =
            if let OwnedEvent::Completed { response, .. } = &event { Some(response.clone()) } else { None };
        let events = self.agents.report(&mut self.common, run, event)?;
        self.emit_all(&context, events, out);
        // G22: the handler that waited for the agent reports the end once more.
        if let Some(answer) = answer.filter(|_| self.common.has(Hazard::G22)) {
            let text = json!({ "type": "agent_completed", "payload": { "response": answer } }).to_string();
            self.deliver.tell(&self.common, &context.user, &text, out);
        }
        if over {
            self.over(&context, out);
        }
        Ok(())
    }

    /// Ends a run that did not end by itself.
    fn cut_short(&mut self, context: &Rc<Context>, ending: Ending, out: &mut Effects) {
        let events = self.agents.end(context.run, ending, out);
        self.emit_all(context, events, out);
        self.over(context, out);
    }

    /// The way of a run's events to its user.
    fn emit_all(&mut self, context: &Rc<Context>, events: Vec<OwnedEvent>, out: &mut Effects) {
        let common = &mut self.common;
        for event in events {
            // G27: the bridge waits for a connection, and then raises into the agent.
            let raises = matches!(
                event,
                OwnedEvent::Started { .. }
                    | OwnedEvent::ToolExecuting { .. }
                    | OwnedEvent::ToolCompleted { .. }
            );
            if raises && common.has(Hazard::G27) && !self.deliver.is_connected(&context.user) {
                common.alarm(BRIDGE_PATIENCE_US, Alarm::GiveUp(context.run));
            }
            let connected = self.deliver.is_connected(&context.user);
            if let OwnedEvent::Failed { .. } = event {
                self.routing.alert(common);
            }
            for emitted in self.tools.pass(common, context, connected, event) {
                for event in self.emit.emit(common, context, emitted) {
                    self.deliver.publish(common, event, out);
                }
            }
        }
    }

    /// A run said its last word.
    fn over(&mut self, context: &Rc<Context>, out: &mut Effects) {
        self.agents.remove(context.run);
        self.tools.clean_up(&mut self.common, context);
        self.emit.release(&self.common, context.run);
        self.deliver.idle(&mut self.common, &context.user);
        if let Some(conn) = self.endpoint.ended(context.run) {
            self.read(conn, out);
        }
    }

    fn wake(&mut self, alarm: Alarm, out: &mut Effects) {
        let common = &mut self.common;
        match alarm {
            Alarm::Ready(conn) => {
                self.endpoint.set_up(conn);
                self.read(conn, out);
            }
            Alarm::Heartbeat(conn) => {
                if let Some(text) = self.endpoint.heartbeat(common, conn, out) {
                    self.deliver.reply(common, conn, &text, out);
                }
            }
            Alarm::Deadline(run) => {
                if let Some(context) = self.agents.context(run) {
                    self.cut_short(&context, Ending::TimedOut, out);
                }
            }
            Alarm::Tool(run, call) => {
                // The engine gives a tool up and reports its end in the agent's place.
                if let Some(event) = self.tools.overdue(run, &call) {
                    _ = self.report(run, event, out);
                }
            }
            Alarm::Quality(number) => {
                for act in self.routing.quality_due(common, number) {
                    if let Act::Tell { user, text } = act {
                        self.deliver.tell(common, &user, &text, out);
                    }
                }
            }
            Alarm::Replay(conn, resume) => self.deliver.replay(common, conn, resume, out),
            Alarm::GiveUp(run) => {
                let context = self.agents.context(run);
                if let Some(context) = context.filter(|context| !self.deliver.is_connected(&context.user)) {
                    self.cut_short(&context, Ending::Unheard, out);
                }
            }
            Alarm::Forget(user) => {
                if self.agents.of_user(&user, None).is_empty() && self.deliver.forget(common, &user) {
                    self.routing.forget(&user);
                    self.services.forget(&user);
                }
            }
        }
    }
}

impl Subject for LegacyServer {
    fn handle(&mut self, now: Instant, input: Input<'_>, out: &mut Effects) {
        self.common.now = self.common.now.max(now);
        self.deliver.advance(&mut self.common, out);
        while let Some(alarm) = self.common.due() {
            self.wake(alarm, out);
        }
        let common = &mut self.common;
        match input {
            Input::Connect(connect) => self.connect(&connect, out),
            Input::AuthFailed { ticket } => Endpoint::unauthenticated(common, ticket, out),
            Input::Text { conn, text } => {
                if self.endpoint.receive(common, conn, text) {
                    self.read(conn, out);
                }
            }
            Input::Binary { conn } => {
                common.accounts.received += 1;
                common.accounts.outcome(Outcome::Rejected);
                let text = wire::error(ErrorCode::BinaryRefused, "", common.now);
                self.deliver.reply(common, conn, &text, out);
            }
            Input::Pong { conn } => self.endpoint.alive(common, conn),
            Input::Violation { conn, .. } => self.endpoint.close(conn, Close::Protocol, out),
            Input::Written { conn, frames } => self.deliver.written(common, conn, frames, out),
            Input::Closed { conn } => self.closed(conn),
            Input::Agent { run, event } => {
                if let Err(why) = self.report(run, event.into(), out) {
                    out.push(Effect::AgentRefused(RefusedEvent { run, why }));
                }
            }
            // Nothing of a host, and no tool that is run for an agent: there is none behind this server.
            Input::Tool { .. }
            | Input::Quality { .. }
            | Input::QualityNews { .. }
            | Input::Flush
            | Input::Deliver(_)
            | Input::Unregister { .. }
            | Input::Stored(_)
            | Input::Woken(_)
            | Input::Store(_)
            | Input::Redrive { .. }
            | Input::SweepIdle
            | Input::Drain
            | Input::Tick => {}
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.common.next_alarm().into_iter().chain(self.deliver.next()).min()
    }

    fn check(&self) -> Result<(), Breach> {
        self.common.accounts.check(self.endpoint.held())?;
        self.tools.check(self.common.now)
    }

    fn verify(&self) -> Result<(), Breach> {
        self.check()
    }

    fn held(&self) -> Held {
        let [users, frames, events] = self.deliver.held();
        Held {
            users,
            connections: self.endpoint.len(),
            runs: self.agents.len(),
            frames,
            inbound: self.endpoint.held(),
            events,
            other: self.routing.kept() + self.tools.active() + self.emit.alive() + self.deliver.tables(),
        }
    }

    fn pool(&self, _now: Instant) -> (u64, u64) {
        self.deliver.pool()
    }

    fn fresh(&self, number: u32) -> Self {
        let mut server = Self::new(self.common.limits.clone(), self.common.hazards());
        server.agents.number_from(u64::from(number) << 32);
        server
    }

    /// The old parts know no message again.
    fn dedupes(&self) -> bool {
        false
    }

    /// It asks nobody: its own quality service answers at once.
    fn answer(&self, _request: &QualityRequest, _now: Instant) -> Option<Box<RawValue>> {
        None
    }
}

#[cfg(test)]
mod tests;
