//! A second router in the same state, to see what would come of it; and the parts of the state that the router holds itself.

use alloc::boxed::Box;

use super::{Router, Run};
use crate::{
    audience::UserRef, contract::RunRef, fingerprint::Walk, run::Phase, timers::Timer, wire::Writer,
};

impl Run {
    fn fork(&self) -> Self {
        Self {
            asked: self.asked.clone(),
            seat: self.seat.clone(),
            node: self.node.clone(),
            thread: self.thread.clone(),
            request: self.request.clone(),
            agent: self.agent.clone(),
            automaton: self.automaton.clone(),
            tools: self.tools.as_deref().map(|dispatcher| Box::new(dispatcher.fork())),
            ..*self
        }
    }
}

impl Router {
    /// A router in the same state, which goes its own way from here on. The right to cross users stays with the first: the
    /// fork has none to give. `None` while a custom handler is registered: it is the host's, and there is one of it;
    /// for a node of several, whose state is in the store, too; and where agents are bounded: whose turn it is stands in no
    /// fingerprint.
    pub fn fork(&self) -> Option<Self> {
        if self.cluster.is_some() || self.config.agents_max > 0 {
            return None;
        }
        Some(Self {
            cluster: None,
            config: self.config.clone(),
            node: self.node.clone(),
            now: self.now,
            audience: self.audience.clone(),
            routes: self.routes.clone(),
            runs: self.runs.iter().map(Run::fork).collect(),
            free_runs: self.free_runs.clone(),
            runs_started: self.runs_started,
            timers: self.timers.clone(),
            waiting: self.waiting.clone(),
            stats: self.stats.clone(),
            tools: self.tools.fork(),
            writer: Writer::default(),
            desk: self.desk.clone(),
            handlers: self.handlers.fork()?,
            receipts: self.receipts.clone(),
            draining: self.draining.clone(),
            authority: None,
        })
    }

    /// An open run.
    pub(crate) fn digest_run(&self, run: RunRef, walk: &mut Walk<'_>) {
        let Some(state) = self.run(run) else { return walk.flag(false) };
        let Run { generation: _, owner: _, node: _, number, thread, request, agent, automaton, seq, .. } =
            state;
        let Run { tools, began, tools_ended, tool_errors, gated, outbox: _, asked: _, seat: _, .. } = state;
        walk.flag(true);
        walk.run(*number);
        [&**thread, &**request, &**agent].into_iter().for_each(|text| walk.text(text));
        walk.number(match automaton.phase() {
            Phase::Idle => 0,
            Phase::Running => 1,
            Phase::Done => 2,
        });
        walk.len(automaton.open_tools().len());
        for open in automaton.open_tools() {
            walk.text(&open.call);
            walk.text(&open.tool);
            walk.flag(open.named);
        }
        walk.number(*seq);
        walk.time(*began);
        walk.number(u64::from(*tools_ended));
        walk.number(u64::from(*tool_errors));
        walk.flag(*gated);
        walk.flag(tools.is_some());
        if let Some(dispatcher) = tools {
            dispatcher.digest(walk);
        }
    }

    /// Whether what that timer brings about can be seen by the user, and is not about one connection alone.
    pub(crate) fn is_timer_of(&self, timer: Timer, user: UserRef) -> bool {
        match timer {
            Timer::Run(run) | Timer::Tool(run, _) => self.run(run).is_some_and(|run| run.owner == Some(user)),
            Timer::Ask(ask) => ask.user == user,
            Timer::Batch(key) => key.user() == user,
            Timer::Later(..)
            | Timer::Connection(_)
            | Timer::User(_)
            | Timer::Drain
            | Timer::Pulse
            | Timer::Renew(_)
            | Timer::Again
            | Timer::Doubt(_) => false,
        }
    }
}
