//! The node among others: signs of life, and the runs of those that gave none.

use alloc::{sync::Arc, vec::Vec};

use super::{
    Why,
    outbox::{Outbox, Unlogged, ends_run},
    record,
    record::Note,
};
use crate::{
    audience::UserRef,
    contract::{Effects, RequestText, RunRequest, ToolStatus, UserId},
    router::Router,
    run,
    store::{Hint, Node, Nodes, Op, OpId, TakenRun},
    timers::Timer,
    waiting::Opening,
    wire::{self, EventHead, Own},
};

/// How a run ends whose node died after somebody saw it begin.
const NODE_LOST: Own<'_> = Own::Error {
    code: "NODE_LOST",
    message: "The server that worked on this is gone; ask again",
    is_retryable: true,
};

/// The runs of a dead node are being looked for.
#[derive(Debug)]
pub(super) struct Taking {
    dead: Node,
    /// Users whose runs were asked for and not yet answered.
    left: usize,
    hints: Vec<Hint>,
    is_last_page: bool,
}

impl Router {
    /// This node is alive; who else is?
    pub(crate) fn pulse(&mut self, out: &mut Effects) {
        let Some(cluster) = self.cluster.as_deref() else { return };
        let (node, pause_us) = (cluster.me.clone(), cluster.settings.pulse_us);
        if self.now.since(cluster.alive_at) >= cluster.settings.bounds.alive_ms * 1_000 {
            self.hold_anew(out);
        }
        self.ask_store(Op::Heartbeat { node }, Why::Pulse, out);
        self.timers.set(self.now.after(pause_us), Timer::Pulse);
    }

    /// This node was silent for so long that others may have taken it for dead, and its hints away.
    fn hold_anew(&mut self, out: &mut Effects) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let mut users = Vec::new();
        for (user, replica) in &mut cluster.replicas {
            (replica.hold, replica.is_held) = (None, false);
            if !replica.outboxes.is_empty() {
                users.push(*user);
            }
        }
        for user in users {
            self.hold_runs(user, out);
        }
    }

    pub(super) fn nodes(&mut self, nodes: &Nodes, out: &mut Effects) {
        let now = self.now;
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        cluster.alive_at = now;
        // After the store was away all leases have run out at once, and their owners are about to renew them. And who has
        // just died may have renewed its leases right before.
        let lease_us = cluster.settings.bounds.lease_ms * 1_000;
        let has_watched = self.now.since(cluster.up_since) >= lease_us;
        cluster.dead.retain(|node, _| nodes.dead.contains(node));
        for node in &nodes.dead {
            cluster.dead.entry(node.clone()).or_insert(self.now);
        }
        let long_dead = cluster.dead.iter().find(|(_, since)| self.now.since(**since) >= lease_us);
        if let Some((dead, _)) = long_dead.filter(|_| has_watched && cluster.taking.is_none()) {
            cluster.taking =
                Some(Taking { dead: dead.clone(), left: 0, hints: Vec::new(), is_last_page: false });
            let op = Op::Held { node: dead.clone(), after: OpId::default() };
            self.ask_store(op, Why::Held, out);
        }
    }

    /// Users of whom a dead node may own runs.
    pub(super) fn hinted(&mut self, hints: &[Hint], out: &mut Effects) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let (me, page_max) = (cluster.me.clone(), cluster.settings.bounds.page_max as usize);
        let Some(taking) = &mut cluster.taking else { return };
        taking.hints = hints.to_vec();
        taking.left = hints.len() + 1;
        taking.is_last_page = hints.len() < page_max;
        for hint in hints {
            let (node, user) = (me.clone(), hint.user.clone());
            let hold =
                self.ask_store(Op::Hold { node: node.clone(), user: user.clone() }, Why::Hold(None), out);
            let op = Op::TakeOver { user: user.clone(), node };
            self.ask_store(op, Why::TakeOver(user, Some(hold)), out);
        }
        self.took(out);
    }

    /// The runs of one user of the page were taken, or nobody's were to be had.
    pub(super) fn took(&mut self, out: &mut Effects) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let Some(taking) = &mut cluster.taking else { return };
        taking.left -= 1;
        if taking.left > 0 {
            return;
        }
        let (dead, hints) = (taking.dead.clone(), core::mem::take(&mut taking.hints));
        let (is_last, last) = (taking.is_last_page, hints.last().map(|hint| hint.hold));
        if is_last {
            cluster.taking = None;
        }
        for Hint { user, hold } in hints {
            self.ask_store(Op::Release { node: dead.clone(), user, hold }, Why::Notice, out);
        }
        if is_last {
            self.ask_store(Op::Forget { node: dead }, Why::Notice, out);
        } else {
            let op = Op::Held { node: dead, after: last.unwrap_or_default() };
            self.ask_store(op, Why::Held, out);
        }
    }

    /// The user has open runs whose owner gave no sign of life.
    pub(super) fn take_over_of(&mut self, user: UserRef, out: &mut Effects) {
        let Some(cluster) = self.cluster.as_deref() else { return };
        if self.now.since(cluster.up_since) < cluster.settings.bounds.lease_ms * 1_000 {
            return;
        }
        let (node, name) = (cluster.me.clone(), self.audience.user(user).id.clone());
        self.hold_runs(user, out);
        let op = Op::TakeOver { user: name.clone(), node };
        self.ask_store(op, Why::TakeOver(name, None), out);
    }

    /// Runs that are this node's now. `hold`: the hint that was written for them.
    pub(super) fn taken_over(
        &mut self,
        name: &UserId,
        hold: Option<OpId>,
        runs: &[TakenRun],
        out: &mut Effects,
    ) {
        let known = self.audience.find(name);
        if let Some(hold) = hold {
            // A later hold takes the place of an earlier one.
            let own =
                known.and_then(|user| self.known_replica(user)).and_then(|replica| replica.hold.as_mut());
            match own {
                Some(own) => *own = hold.max(*own),
                None if runs.is_empty() => self.release(name.clone(), hold, out),
                None => {}
            }
        }
        for run in runs {
            let note = Note::read(&run.note);
            let tier = note.as_ref().map(|note| note.tier).unwrap_or_default();
            // The first of several runs makes the user known.
            let user = self.audience.find(name).unwrap_or_else(|| self.await_user(name, tier));
            if let Some(hold) = hold
                && let Some(replica) = self.replica(user)
            {
                (replica.hold, replica.is_held) = (replica.hold.max(Some(hold)), true);
            }
            if let Some(number) = self.outbox_of(user, &run.run) {
                if self.goes_on(number, run.epoch) {
                    continue;
                }
                self.fenced(number, out);
            }
            self.stats.cluster.taken_over += 1;
            let mut outbox = Outbox::new(user, name.clone(), run.run.clone(), run.epoch, run.seq);
            outbox.note = run.note.clone();
            let number = self.open_outbox(outbox, out);
            match note {
                Some(Note { asked: Some(_), .. }) if run.seq == 0 && self.is_draining() => {
                    self.end_lost(user, number, run, None, out);
                }
                Some(note) if run.seq == 0 && note.asked.is_some() => {
                    self.run_again(user, number, run, note, out);
                }
                note => self.end_lost(user, number, run, note, out),
            }
        }
    }

    /// A run that this node has: its lease had run out, or it was taken before and the answer got lost.
    fn outbox_of(&self, user: UserRef, run: &str) -> Option<u64> {
        let cluster = self.cluster.as_deref()?;
        let known = &cluster.replicas.get(&user)?.outboxes;
        let is_it = |number: &u64| cluster.outboxes.get(number).is_some_and(|outbox| *outbox.run == *run);
        known.iter().copied().find(is_it)
    }

    /// No event of the run is in the log: its message is worked on as if it had come here.
    fn run_again(&mut self, user: UserRef, number: u64, taken: &TakenRun, note: Note, out: &mut Effects) {
        let Note { thread, request, tier, asked, .. } = note;
        let Some(asked) = asked else { return };
        let (node, run_number) = run::parts(&taken.run).unwrap_or_default();
        let node: Arc<str> = node.into();
        let (run, deadline) = self.open_run(Opening {
            owner: user,
            node: node.clone(),
            number: run_number,
            thread: thread.clone(),
            request: request.clone(),
            gated: asked.gated,
            outbox: number,
        });
        if let Some(outbox) =
            self.cluster.as_deref_mut().and_then(|cluster| cluster.outboxes.get_mut(&number))
        {
            outbox.open = Some(run);
        }
        let request = Arc::new(RunRequest {
            run,
            user: self.audience.user(user).copied_id(),
            tier,
            thread_id: thread,
            request_id: request,
            kind: asked.kind,
            text: RequestText::Unescaped(asked.text),
            payload: asked.payload,
            deadline,
            node,
            number: run_number,
        });
        self.start_agent(request, out);
    }

    /// Somebody saw the run begin: it is not done twice, but ended for them.
    fn end_lost(
        &mut self,
        user: UserRef,
        number: u64,
        taken: &TakenRun,
        note: Option<Note>,
        out: &mut Effects,
    ) {
        self.stats.cluster.run_lost += 1;
        if mutant!(self.config, LostUnsaid) {
            return;
        }
        let mut note = note.unwrap_or_else(|| Note {
            thread: "".into(),
            request: "".into(),
            tier: self.audience.user(user).tier,
            agent: Default::default(),
            open: Vec::new(),
            asked: None,
        });
        let mut seq = taken.seq;
        // This node may die over it, too: the next one is told what is left to close.
        let mut left = core::mem::take(&mut note.open).into_iter();
        while let Some((call, tool)) = left.next() {
            note.open = left.as_slice().to_vec();
            let status = ToolStatus::Cancelled;
            let own = Own::ToolCompleted { call: &call, tool: &tool, status, results: "{}", duration_ms: 0 };
            seq += 1;
            self.emit_for(user, number, taken, &note, seq, &own, out);
        }
        self.emit_for(user, number, taken, &note, seq + 1, &NODE_LOST, out);
    }

    #[expect(clippy::too_many_arguments, reason = "a run that is no run of this router's")]
    fn emit_for(
        &mut self,
        user: UserRef,
        number: u64,
        taken: &TakenRun,
        note: &Note,
        seq: u64,
        own: &Own<'_>,
        out: &mut Effects,
    ) {
        let (node, run) = run::parts(&taken.run).unwrap_or_default();
        let head = EventHead {
            user: &self.audience.user(user).id,
            thread: &note.thread,
            node,
            run,
            request: &note.request,
            agent: &note.agent,
            now: self.now,
            seq,
            cursor: None,
            tier: note.tier,
        };
        let frame_max = self.config.outbound_frame_bytes_max as usize;
        let frame = wire::event(&mut self.writer, &head, own, frame_max, &self.config.sanitise);
        self.stats.frames.encoded += 1;
        let record = record::event(Some(&note.thread), frame.as_str());
        let ends = ends_run(own);
        let left = (!ends).then(|| note.encode(&mut self.writer));
        self.emit(number, Unlogged { record, note: left, ends }, out);
    }

    /// From here on this node may own runs of the user.
    pub(super) fn hold_runs(&mut self, user: UserRef, out: &mut Effects) {
        let Some(replica) = self.replica(user).filter(|replica| replica.hold.is_none()) else { return };
        let name = replica.name.clone();
        let Some(node) = self.cluster.as_deref().map(|cluster| cluster.me.clone()) else { return };
        let hold = self.ask_store(Op::Hold { node, user: name }, Why::Hold(Some(user)), out);
        if let Some(replica) = self.replica(user) {
            replica.hold = Some(hold);
        }
    }

    /// The hint is written: what may open a run may be asked.
    pub(super) fn holding(&mut self, user: Option<UserRef>, out: &mut Effects) {
        if let Some(replica) = user.and_then(|user| self.known_replica(user)) {
            replica.is_held = replica.hold.is_some();
            self.ask_again(out);
        }
    }

    pub(super) fn release(&mut self, user: UserId, hold: OpId, out: &mut Effects) {
        let Some(node) = self.cluster.as_deref().map(|cluster| cluster.me.clone()) else { return };
        self.ask_store(Op::Release { node, user, hold }, Why::Notice, out);
    }
}
