//! Runs: opened, given to agents, or waiting for one.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use super::{AGENTS, AGENTS_KIND, RUN_COST, Waits};
use crate::{
    audience::UserRef,
    contract::{Effect, Effects, Instant, RunRef, RunRequest},
    queue::{Admission, Lease, Offer, Reason, Retry},
    router::{Router, Run},
    run::Automaton,
    timers::Timer,
};

/// Where a run stands with the agents.
#[derive(Clone, Debug, Default)]
pub(crate) enum Seat {
    /// No bound on agents concerns it; or its message is not taken in yet.
    #[default]
    None,
    /// It waits, under that number.
    Waits(u64),
    /// An agent works on it, under that lease.
    Works(Box<Lease>),
}

/// What a run begins with.
pub(crate) struct Opening {
    pub(crate) owner: UserRef,
    /// The node that took its message in, and which of that node's runs it is.
    pub(crate) node: Arc<str>,
    pub(crate) number: u64,
    pub(crate) thread: Arc<str>,
    pub(crate) request: Arc<str>,
    pub(crate) gated: bool,
    /// The number of its way into the shared log, if it has one already.
    pub(crate) outbox: u64,
}

impl Router {
    /// The number of the next run of this node.
    pub(crate) const fn next_run_number(&mut self) -> u64 {
        self.runs_started += 1;
        self.runs_started
    }

    /// Opens a run. Answers also when the router ends it by itself.
    pub(crate) fn open_run(&mut self, opening: Opening) -> (RunRef, Instant) {
        let Opening { owner, node, number, thread, request, gated, outbox } = opening;
        let run = self.add_run(Run {
            generation: 0,
            owner: Some(owner),
            node,
            number,
            thread,
            request,
            agent: Box::default(),
            automaton: Automaton::default(),
            seq: 0,
            tools: None,
            began: self.now,
            tools_ended: 0,
            tool_errors: 0,
            gated,
            outbox,
            asked: None,
            seat: Seat::None,
        });
        self.audience.user_mut(owner).runs.push(run);
        let allowed_us = self.config.agent_deadline_us;
        let half = mutant!(self.config, HalfDeadline);
        let deadline = self.now.after(if half { allowed_us / 2 } else { allowed_us });
        if !mutant!(self.config, NoAgentDeadline) {
            self.timers.set(deadline, Timer::Run(run));
        }
        self.stats.runs.started += 1;
        self.stats.runs.open += 1;
        (run, deadline)
    }

    /// Whether so many runs wait for an agent that no further one may.
    pub(crate) fn is_crowded(&self) -> bool {
        self.config.agents_max > 0
            && self.queue_stats().runs_waiting >= u64::from(self.config.runs_waiting_max)
    }

    /// Gives a run to an agent, as soon as one is free.
    pub(crate) fn start_agent(&mut self, request: Arc<RunRequest>, out: &mut Effects) {
        let run = request.run;
        let Some(slot) = self.run_mut(run) else { return };
        slot.asked = Some(Arc::clone(&request));
        if matches!(slot.seat, Seat::Works(_)) || self.config.agents_max == 0 {
            out.push(Effect::StartRun(request));
            return;
        }
        // No run waits for another of its user.
        let order = Some(u64::from(run.index) << 32 | u64::from(run.generation));
        let user = Arc::clone(&request.user);
        let offer = Offer { order, ..Offer::new(AGENTS, RUN_COST, Waits::Run(request)) };
        let admission = self.waiting.queue.offer(self.now, &user, offer, &mut Vec::new());
        debug_assert!(
            matches!(admission, Admission::Accepted { .. }),
            "the queue itself has no bound for runs"
        );
        if let (Admission::Accepted { seq }, Some(slot)) = (admission, self.run_mut(run)) {
            slot.seat = Seat::Waits(seq);
        }
        self.waiting.is_stirred = true;
    }

    /// Gives the runs that wait to the agents that are free, users in turn: after each input, when all that it ended has ended.
    #[inline]
    pub(crate) fn employ(&mut self, out: &mut Effects) {
        if core::mem::take(&mut self.waiting.is_stirred) {
            self.hand_out_work(out);
        }
    }

    fn hand_out_work(&mut self, out: &mut Effects) {
        let mut leases = Vec::new();
        loop {
            let is_free = self.config.agents_max == 0 || self.waiting.working < self.config.agents_max;
            if is_free {
                self.waiting.queue.lease_work(self.now, AGENTS_KIND, 1, &mut leases);
            }
            let Some(lease) = leases.pop() else { return };
            let leased = self.waiting.queue.leased(lease).map(|leased| leased.body);
            let Some(Waits::Run(request)) = leased else { return };
            let request = Arc::clone(request);
            match self
                .run_mut(request.run)
                .filter(|slot| matches!(slot.seat, Seat::Waits(seq) if seq == lease.seq()))
            {
                Some(slot) => {
                    slot.seat = Seat::Works(Box::new(lease));
                    self.waiting.working += 1;
                    out.push(Effect::StartRun(request));
                }
                None => self.do_again(&request, lease, out),
            }
        }
    }

    /// A run is over: its agent is free, or it waits no more. With a reason, its message is a dead letter.
    pub(crate) fn leave_seat(
        &mut self,
        user: &Arc<str>,
        seat: Seat,
        asked: Option<Arc<RunRequest>>,
        reason: Option<Reason>,
        out: &mut Effects,
    ) {
        let (now, queue, mut events) = (self.now, &mut self.waiting.queue, Vec::new());
        match (&seat, reason) {
            (Seat::None, None) => return,
            (Seat::None, Some(reason)) => {
                if let Some(asked) = asked {
                    let offer = Offer::new(AGENTS, RUN_COST, Waits::Run(asked));
                    // Without room for one more user, there is none for a letter.
                    let _ = queue.bury_new(now, user, offer, reason, &mut events);
                }
            }
            (Seat::Waits(seq), None) => drop(queue.withdraw(now, user, AGENTS, *seq)),
            (Seat::Waits(seq), Some(reason)) => drop(queue.end(now, user, AGENTS, *seq, reason, &mut events)),
            (Seat::Works(lease), None) => drop(queue.ack(now, **lease)),
            // The agent's fault, and perhaps that of all agents.
            (Seat::Works(lease), Some(reason @ Reason::Expired)) => {
                queue.nack(now, **lease, "the agent took too long", Retry::Never(reason), &mut events);
            }
            (Seat::Works(lease), Some(reason)) => {
                queue.end(now, user, AGENTS, lease.seq(), reason, &mut events);
            }
        }
        self.waiting.working -= u32::from(matches!(seat, Seat::Works(_)));
        self.heed(&events, out);
        self.waiting.is_stirred = true;
    }
}
