//! A run's way into the shared log: what its agent said and nobody may see yet.
//!
//! Events wait in the queue, in their order. Up to [`IN_FLIGHT_MAX`] appends of a run are on their way at once, each of up
//! to [`EVENTS_MAX`] events; an answer settles them from the front. One that is in doubt is made again as it was; one that
//! came too early, because the one before it got lost, waits for that one and is put together anew.

use alloc::{collections::VecDeque, format, sync::Arc, vec::Vec};

use bytes::Bytes;

use super::{
    Asked, Cluster, ClusterConfig, Why,
    admit::{FIRST_EPOCH, Sender},
    record,
    record::Note,
};
use crate::{
    audience::UserRef,
    contract::{CancelReason, Effect, Effects, RunRef, RunRequest, UserId},
    queue::{Admission, Lease, Offer, Outlet, Reason},
    router::Router,
    store::{
        Append, Appended, Cursor, EVENTS_MAX, Event, IN_FLIGHT_MAX, NotAppended, Op, OpId, PSEUDO_EPOCH,
        RunId,
    },
    waiting::{Seat, Waits},
    wire::Own,
};

/// An event on its way into the log.
#[derive(Clone, Debug)]
pub(crate) struct Unlogged {
    pub(super) record: Bytes,
    /// What another node must know from here on, if that changed.
    pub(super) note: Option<Bytes>,
    /// The run's last.
    pub(super) ends: bool,
}

/// The way of one run, or of frames of no run, into the log.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) user: UserRef,
    pub(super) name: UserId,
    /// What the store calls the run.
    pub(super) run: RunId,
    pub(super) epoch: u64,
    /// The run, while its agent works here.
    pub(super) open: Option<RunRef>,
    /// The store has the run.
    pub(super) is_admitted: bool,
    /// The message counts as one of which the outcome is not known.
    pub(super) is_in_doubt: bool,
    /// Who waits to hear what became of the message.
    pub(super) sender: Option<Sender>,
    /// What is to be started when the message is taken in.
    pub(super) request: Option<Arc<RunRequest>>,
    /// The last that another node would be told of the run.
    pub(super) note: Bytes,
    /// The store's number of the last event that is settled.
    have: u64,
    /// Events that were on their way at least once, oldest first.
    leases: VecDeque<Lease>,
    flights: VecDeque<Flight>,
    /// Events not settled, and their bytes.
    events: u32,
    bytes: u64,
    has_ended: bool,
    is_paused: bool,
    /// An append came too early: no other goes out before the one that is owed was answered.
    waits_in_turn: bool,
}

/// An append on its way.
#[derive(Debug)]
struct Flight {
    op: OpId,
    count: usize,
    /// What was settled when it was asked for: the store has at least that.
    settled: u64,
    is_logged: bool,
}

impl Outbox {
    pub(super) fn new(user: UserRef, name: UserId, run: RunId, epoch: u64, have: u64) -> Self {
        Self {
            user,
            name,
            run,
            epoch,
            open: None,
            is_admitted: true,
            is_in_doubt: false,
            sender: None,
            request: None,
            note: Bytes::new(),
            have,
            leases: VecDeque::new(),
            flights: VecDeque::new(),
            events: 0,
            bytes: 0,
            has_ended: false,
            is_paused: false,
            waits_in_turn: false,
        }
    }

    /// Whether a lease of the run at the store is this node's to renew.
    pub(super) const fn is_leased(&self) -> bool {
        self.is_admitted && self.epoch != PSEUDO_EPOCH
    }

    fn is_over(&self) -> bool {
        self.events == 0 && self.is_admitted && (self.has_ended || self.epoch == PSEUDO_EPOCH)
    }

    /// Events not settled.
    pub(super) fn unlogged(&self) -> u64 {
        self.events.into()
    }

    /// Whether that append is one that is on its way.
    pub(super) fn has_flight(&self, op: OpId) -> bool {
        self.flights.iter().any(|flight| flight.op == op)
    }

    /// Lets a paused agent go on if there is room for it; how many that were.
    fn resume(&mut self, settings: &ClusterConfig, out: &mut Effects) -> u32 {
        let has_room =
            self.events <= settings.pending_events_max / 2 && self.bytes <= settings.pending_bytes_max / 2;
        if !self.is_paused || !has_room {
            return 0;
        }
        self.is_paused = false;
        if let Some(run) = self.open {
            out.push(Effect::ResumeRun { run });
        }
        1
    }

    fn flown(&self) -> usize {
        self.flights.iter().map(|flight| flight.count).sum()
    }

    /// Takes everything back that is on its way: it will be put together anew, after `have`.
    pub(super) fn rewind(&mut self, have: u64) {
        self.have = have;
        self.flights.clear();
        self.waits_in_turn = false;
    }
}

/// Whether that event is the last of its run.
pub(crate) fn ends_run(own: &Own<'_>) -> bool {
    use crate::run::EventKind;
    match own {
        Own::Given(given) => {
            matches!(
                EventKind::of(given.kind),
                Some(EventKind::Completed | EventKind::Error | EventKind::Death)
            )
        }
        Own::Completed { .. } | Own::Error { .. } => true,
        Own::Started { .. }
        | Own::Thinking { .. }
        | Own::Progress { .. }
        | Own::ToolExecuting { .. }
        | Own::ToolCompleted { .. } => false,
    }
}

impl Router {
    /// Opens a way into the log.
    pub(super) fn open_outbox(&mut self, outbox: Outbox, out: &mut Effects) -> u64 {
        let (user, leased) = (outbox.user, outbox.epoch != PSEUDO_EPOCH);
        self.replica(user);
        if leased {
            self.hold_runs(user, out);
        }
        let Some(cluster) = self.cluster.as_deref_mut() else { return 0 };
        cluster.last_outbox += 1;
        let number = cluster.last_outbox;
        cluster.outboxes.insert(number, outbox);
        if let Some(replica) = cluster.replicas.get_mut(&user) {
            replica.outboxes.push(number);
        }
        self.time_renewal(user);
        number
    }

    /// Events of `user` that belong to no run: their way into the log.
    pub(super) fn pseudo_outbox(&mut self, user: UserRef, out: &mut Effects) -> u64 {
        let open = self.cluster.as_deref().and_then(|cluster| {
            let outboxes = cluster.replicas.get(&user)?.outboxes.iter();
            outboxes.copied().find(|number| {
                cluster.outboxes.get(number).is_some_and(|outbox| outbox.epoch == PSEUDO_EPOCH)
            })
        });
        open.unwrap_or_else(|| {
            let next = self.cluster.as_deref().map_or(0, |cluster| cluster.last_outbox + 1);
            let run = format!("_{}-{next}", self.node).into();
            let name = self.audience.user(user).id.clone();
            self.open_outbox(Outbox::new(user, name, run, PSEUDO_EPOCH, 0), out)
        })
    }

    /// An event of no run, for whichever connections the user has on whichever node.
    pub(crate) fn emit_unbound(
        &mut self,
        user: UserRef,
        thread: Option<&str>,
        text: &str,
        out: &mut Effects,
    ) {
        let number = self.pseudo_outbox(user, out);
        self.emit(number, Unlogged { record: record::event(thread, text), note: None, ends: false }, out);
    }

    /// An event of a run, encoded without its cursor.
    pub(crate) fn emit_of_run(&mut self, run: RunRef, text: &str, ends: bool, out: &mut Effects) {
        let Some(slot) = self.run(run) else { return };
        let (number, record) = (slot.outbox, record::event(Some(&slot.thread), text));
        let note = (!ends).then(|| self.note_of(run)).flatten();
        let known = self.cluster.as_deref().and_then(|cluster| cluster.outboxes.get(&number));
        let note = note.filter(|note| known.is_some_and(|outbox| outbox.note != *note));
        self.emit(number, Unlogged { record, note, ends }, out);
    }

    /// What another node must know of the run from now on, since an event of it will be in the log.
    fn note_of(&mut self, run: RunRef) -> Option<Bytes> {
        let slot = self.run(run)?;
        let note = Note {
            thread: slot.thread.clone(),
            request: slot.request.clone(),
            tier: self.audience.user(slot.owner?).tier,
            agent: slot.agent.clone(),
            open: Note::open_tools(slot.automaton.open_tools()),
            asked: None,
        };
        Some(note.encode(&mut self.writer))
    }

    pub(super) fn emit(&mut self, number: u64, waiting: Unlogged, out: &mut Effects) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        // Whose run is lost says nothing any more.
        let Some(outbox) = cluster.outboxes.get_mut(&number) else { return };
        self.stats.cluster.emitted += 1;
        let (bytes, ends) = (waiting.record.len() as u32, waiting.ends);
        if let Some(note) = &waiting.note {
            outbox.note = note.clone();
        }
        let offer =
            Offer { protected: true, ..Offer::new(Outlet::Log(number), bytes, Waits::Event(waiting)) };
        let admission = self.waiting.queue.offer(self.now, &outbox.name, offer, &mut Vec::new());
        if !matches!(admission, Admission::Accepted { .. }) {
            self.stats.cluster.given_up += 1;
            return;
        }
        self.stats.cluster.pending += 1;
        outbox.events += 1;
        outbox.bytes += u64::from(bytes);
        cluster.pending_bytes += u64::from(bytes);
        outbox.has_ended |= ends;
        let settings = &cluster.settings;
        let full = outbox.events >= settings.pending_events_max
            || outbox.bytes >= settings.pending_bytes_max
            || cluster.pending_bytes >= settings.pending_total_bytes_max;
        if full
            && !outbox.is_paused
            && let Some(run) = outbox.open
        {
            outbox.is_paused = true;
            cluster.paused += 1;
            out.push(Effect::PauseRun { run });
        }
        self.fly(number, out);
    }

    /// Whether another node, or an earlier lease of this one, took the run's message in: its user's limit was asked there.
    pub(crate) fn is_taken_over(&self, run: RunRef) -> bool {
        let epoch = self.run(run).and_then(|run| self.epoch_of(run.outbox));
        epoch.is_some_and(|epoch| epoch > FIRST_EPOCH)
    }

    /// Whether so much of the run waits that nothing more of it is taken from its agent, who was told to pause.
    pub(crate) fn is_overrun(&self, run: RunRef) -> bool {
        const PATIENCE: u32 = 4;
        let Some(cluster) = self.cluster.as_deref() else { return false };
        let outbox = self.run(run).and_then(|run| cluster.outboxes.get(&run.outbox));
        outbox.is_some_and(|outbox| {
            outbox.events >= PATIENCE * cluster.settings.pending_events_max
                || outbox.bytes >= u64::from(PATIENCE) * cluster.settings.pending_bytes_max
        })
    }

    /// Sends what waits on its way.
    pub(super) fn fly(&mut self, number: u64, out: &mut Effects) {
        while let Some(append) = self.next_append(number) {
            let count = append.frames.len();
            if mutant!(self.config, ShowBeforeLogged)
                && let Some(user) = self.outbox_mut(number).map(|outbox| outbox.user)
            {
                self.arrive_own(user, &append, self.audience.user(user).cursor + 1, out);
            }
            let op = self.ask_store(Op::Append(append), Why::Append(number), out);
            let outbox = self.cluster.as_deref_mut().and_then(|cluster| cluster.outboxes.get_mut(&number));
            if let Some(outbox) = outbox {
                let settled = outbox.have;
                outbox.flights.push_back(Flight { op, count, settled, is_logged: false });
            }
        }
    }

    fn next_append(&mut self, number: u64) -> Option<Append> {
        let queue = &mut self.waiting.queue;
        let Cluster { is_up, asked, replicas, outboxes, me, .. } = self.cluster.as_deref_mut()?;
        let outbox = outboxes.get_mut(&number)?;
        let is_checked = replicas.get(&outbox.user).is_none_or(|replica| replica.is_checked);
        let is_parked = |flight: &Flight| asked.get(&flight.op).is_some_and(|asked: &Asked| asked.is_parked);
        outbox.waits_in_turn &= !outbox.flights.is_empty();
        let may_fly = *is_up && is_checked && outbox.is_admitted && !outbox.waits_in_turn;
        if !may_fly || outbox.flights.len() >= IN_FLIGHT_MAX || outbox.flights.iter().any(is_parked) {
            return None;
        }
        let flown = outbox.flown();
        if outbox.leases.len() == flown {
            let mut leases = Vec::new();
            queue.lease(self.now, &outbox.name, Outlet::Log(number), EVENTS_MAX, &mut leases);
            outbox.leases.extend(leases);
        }
        let next = outbox.leases.iter().skip(flown).take(EVENTS_MAX);
        let (mut frames, mut note, mut ends) = (Vec::new(), None, false);
        for event in next.filter_map(|lease| queue.leased(*lease)?.body.event()) {
            frames.push(event.record.clone());
            note = event.note.clone().or(note);
            ends |= event.ends;
        }
        (!frames.is_empty()).then(|| Append {
            user: outbox.name.clone(),
            node: me.clone(),
            run: outbox.run.clone(),
            epoch: outbox.epoch,
            first_seq: outbox.have + flown as u64 + 1,
            frames,
            note,
            ends,
        })
    }

    /// What became of an append.
    pub(super) fn appended(
        &mut self,
        number: u64,
        op: OpId,
        appended: Appended,
        append: &Append,
        out: &mut Effects,
    ) {
        let cluster = self.cluster.as_deref_mut();
        let Some(outbox) = cluster.and_then(|cluster| cluster.outboxes.get_mut(&number)) else { return };
        // What was taken back meanwhile is on its way once more.
        let Some(place) = outbox.flights.iter().position(|flight| flight.op == op) else { return };
        match appended {
            Appended::Logged { first } | Appended::Known { first: Some(first), .. } => {
                outbox.flights[place].is_logged = true;
                let user = outbox.user;
                self.settle_flights(number);
                self.arrive_own(user, append, first, out);
            }
            Appended::Known { have, first: None } => {
                let (user, settled) = (outbox.user, have.saturating_sub(outbox.have) as usize);
                self.settle_events(number, settled);
                if let Some(outbox) = self.outbox_mut(number) {
                    outbox.rewind(have);
                }
                // Where they stand in the log, only the log knows.
                self.fetch(user, out);
            }
            // What was settled is not there any more: the rest follows what is.
            Appended::Gap { have } if have < outbox.flights[place].settled => outbox.rewind(have),
            Appended::Gap { .. } => {
                outbox.flights.truncate(place);
                outbox.waits_in_turn = true;
            }
            Appended::NoRun => return self.admit_again(number, out),
            // Asked for before this node took the run over from itself.
            Appended::Fenced if append.epoch < outbox.epoch => outbox.flights.truncate(place),
            Appended::Fenced => return self.fenced(number, out),
            Appended::Refused(
                NotAppended::Ended
                | NotAppended::TooLarge
                | NotAppended::Malformed
                | NotAppended::CursorsUsedUp,
            ) => return self.lose_outbox(number, out),
        }
        self.fly(number, out);
        self.relieve(number, out);
    }

    /// This node took the run over from itself: it goes on under its new epoch. Not so if there was an epoch in between:
    /// then somebody else had the run meanwhile, and may have put events into the log that nobody here knows of.
    pub(super) fn goes_on(&mut self, number: u64, epoch: u64) -> bool {
        let Some(outbox) = self.outbox_mut(number).filter(|outbox| epoch <= outbox.epoch + 1) else {
            return false;
        };
        outbox.epoch = epoch;
        true
    }

    /// Somebody else has the run, or had it: what this node knows of it holds no more.
    pub(super) fn fenced(&mut self, number: u64, out: &mut Effects) {
        self.settle_admission(number, |stats| &mut stats.admitted);
        self.stats.cluster.fenced += 1;
        if !mutant!(self.config, FencedGoesOn) {
            self.lose_outbox(number, out);
        }
    }

    /// Under which epoch the run is this node's.
    pub(super) fn epoch_of(&self, number: u64) -> Option<u64> {
        Some(self.cluster.as_deref()?.outboxes.get(&number)?.epoch)
    }

    fn outbox_mut(&mut self, number: u64) -> Option<&mut Outbox> {
        self.cluster.as_deref_mut()?.outboxes.get_mut(&number)
    }

    /// The appends at the front that are in the log are done with.
    fn settle_flights(&mut self, number: u64) {
        while let Some(outbox) = self.outbox_mut(number)
            && outbox.flights.front().is_some_and(|flight| flight.is_logged)
            && let Some(flight) = outbox.flights.pop_front()
        {
            outbox.have += flight.count as u64;
            outbox.waits_in_turn = false;
            self.settle_events(number, flight.count);
        }
    }

    /// The oldest events are in the log.
    fn settle_events(&mut self, number: u64, count: usize) {
        let queue = &mut self.waiting.queue;
        let Some(Cluster { outboxes, pending_bytes, .. }) = self.cluster.as_deref_mut() else { return };
        let Some(outbox) = outboxes.get_mut(&number) else { return };
        let settled: Vec<Lease> = outbox.leases.drain(..count.min(outbox.leases.len())).collect();
        for lease in &settled {
            let event = queue.leased(*lease).and_then(|leased| leased.body.event());
            let bytes = event.map_or(0, |event| event.record.len());
            outbox.bytes -= bytes as u64;
            *pending_bytes -= bytes as u64;
        }
        if let Some(last) = settled.last() {
            queue.ack(self.now, *last);
        }
        outbox.events -= settled.len() as u32;
        self.stats.cluster.logged += settled.len() as u64;
        self.stats.cluster.pending -= settled.len() as u64;
    }

    /// Lets paused agents go on when there is room, and the outbox when nothing more will come of it.
    fn relieve(&mut self, number: u64, out: &mut Effects) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let settings = &cluster.settings;
        if cluster.paused > 0 {
            let is_crowded = cluster.pending_bytes > settings.pending_total_bytes_max / 2;
            let resumed: u32 = if is_crowded {
                cluster.is_held_back = true;
                0
            } else if core::mem::take(&mut cluster.is_held_back) {
                // Those who had room while the node as a whole had none.
                cluster.outboxes.values_mut().map(|outbox| outbox.resume(settings, out)).sum()
            } else {
                cluster.outboxes.get_mut(&number).map_or(0, |outbox| outbox.resume(settings, out))
            };
            cluster.paused -= resumed;
        }
        if cluster.outboxes.get(&number).is_some_and(Outbox::is_over) {
            self.close_outbox(number);
        }
    }

    fn close_outbox(&mut self, number: u64) -> Option<Outbox> {
        let cluster = self.cluster.as_deref_mut()?;
        let outbox = cluster.outboxes.remove(&number)?;
        cluster.paused -= u32::from(outbox.is_paused);
        cluster.pending_bytes -= outbox.bytes;
        if let Some(replica) = cluster.replicas.get_mut(&outbox.user) {
            replica.outboxes.retain(|open| *open != number);
        }
        Some(outbox)
    }

    /// The run is not this node's any more, or was never taken in: what waits of it is given up, its agent is stopped.
    pub(super) fn lose_outbox(&mut self, number: u64, out: &mut Effects) {
        let Some(outbox) = self.close_outbox(number) else { return };
        // Whoever owns the run by now says what there is to say: these are no letters for anybody.
        let (outlet, queue) = (Outlet::Log(number), &mut self.waiting.queue);
        let unsaid: Vec<u64> = queue.messages(&outbox.name, outlet).iter().map(|event| event.seq).collect();
        for event in unsaid {
            queue.withdraw(self.now, &outbox.name, outlet, event);
        }
        self.stats.cluster.given_up += u64::from(outbox.events);
        self.stats.cluster.pending -= u64::from(outbox.events);
        self.stats.cluster.in_doubt -= u64::from(outbox.is_in_doubt);
        if let Some(run) = outbox.open.filter(|run| self.run(*run).is_some()) {
            self.stats.runs.lost += 1;
            // A letter that was to be worked on again stays one.
            let is_redriven = self.run(run).is_some_and(|run| matches!(run.seat, Seat::Works(_)));
            let never_began = outbox.request.is_some();
            let letter = (never_began && is_redriven).then_some(Reason::AttemptsExhausted);
            if self.drop_run(run, letter, out) && !never_began {
                out.push(Effect::CancelRun { run, reason: CancelReason::Fenced });
            }
        }
    }

    /// The agent's run is over: what it said may still wait.
    pub(crate) fn detach_outbox(&mut self, number: u64) {
        if let Some(outbox) = self.outbox_mut(number) {
            outbox.open = None;
        }
    }

    /// Events of this node's that the log has just taken.
    fn arrive_own(&mut self, user: UserRef, append: &Append, first: Cursor, out: &mut Effects) {
        for (n, frame) in (0..).zip(&append.frames) {
            let event = Event {
                cursor: first + n,
                run: append.run.clone(),
                seq: append.first_seq + n,
                frame: frame.clone(),
            };
            self.arrive(user, &event, out);
        }
    }
}
