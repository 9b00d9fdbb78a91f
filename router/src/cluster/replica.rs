//! What a node has of a user's log: the recovery window is the end of it, and grows as events arrive.

use alloc::{collections::BTreeMap, vec::Vec};

use super::{Cluster, Why, record};
use crate::{
    audience::{Entry, Logged, UserRef, fingerprint},
    contract::{ConnId, Effects, Instant, UserId},
    router::Router,
    store::{Attached, Cursor, Event, Op, OpId, Renew, Renewed, Standing, Wake},
    timers::Timer,
    wire,
};

/// Events that came ahead of their turn and are kept; what comes beyond is read from the log.
const EARLY_MAX: usize = 64;
/// Up to here a client's cursor raises the store's: what is counted on from there can still be resumed.
const RAISE_MAX: Cursor = 1 << 52;
/// A user to whom nothing happened for so long is a quiet one.
const QUIET_US: u64 = 10_000_000;

/// A user with connections or runs here.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) name: UserId,
    /// The store's cursors are known to go on from ours: not after it was away, until it said so.
    pub(super) is_checked: bool,
    /// The store tells this node of new events, and the window is what was read of the log.
    is_attached: bool,
    /// The request that reads on from the window's end.
    fetching: Option<OpId>,
    /// There is more to read when it is answered.
    is_behind: bool,
    /// The greatest cursor that this node has heard of.
    heard: Cursor,
    /// The greatest cursor that was acknowledged by anybody, as of the last attach.
    acknowledged: Cursor,
    /// Up to where this node has told the store that events were written.
    told: Cursor,
    early: BTreeMap<Cursor, Event>,
    joining: Vec<Joiner>,
    back: Option<Back>,
    pub(super) outboxes: Vec<u64>,
    /// The hint that runs of the user may be here.
    pub(super) hold: Option<OpId>,
    /// The store has it.
    pub(super) is_held: bool,
    is_timed: bool,
    active_at: Instant,
}

/// A connection that waits to be told what its user missed.
#[derive(Debug)]
struct Joiner {
    conn: ConnId,
    resume: Option<Cursor>,
    /// It is being set up; else it asked to resume in the middle.
    opens: bool,
    /// What could be read for it was read.
    is_filled: bool,
    /// It was told that the store cannot be reached.
    is_degraded: bool,
}

/// A read of what lies before the window.
#[derive(Debug)]
struct Back {
    op: OpId,
    conn: ConnId,
    events: Vec<Event>,
}

impl Replica {
    fn new(name: UserId, now: Instant) -> Self {
        Self {
            name,
            is_checked: true,
            is_attached: false,
            fetching: None,
            is_behind: false,
            heard: 0,
            acknowledged: 0,
            told: 0,
            early: BTreeMap::new(),
            joining: Vec::new(),
            back: None,
            outboxes: Vec::new(),
            hold: None,
            is_held: false,
            is_timed: false,
            active_at: now,
        }
    }

    fn joiner(&mut self, conn: ConnId) -> Option<&mut Joiner> {
        self.joining.iter_mut().find(|joiner| joiner.conn == conn)
    }
}

impl Router {
    /// The user's replica, made if it is not there.
    pub(super) fn replica(&mut self, user: UserRef) -> Option<&mut Replica> {
        let name = &self.audience.user(user).id;
        let cluster = self.cluster.as_deref_mut()?;
        Some(cluster.replicas.entry(user).or_insert_with(|| Replica::new(name.clone(), self.now)))
    }

    pub(super) fn known_replica(&mut self, user: UserRef) -> Option<&mut Replica> {
        self.cluster.as_deref_mut()?.replicas.get_mut(&user)
    }

    /// A new connection: it is opened when it is known what its user missed.
    pub(crate) fn join(&mut self, conn: ConnId, out: &mut Effects) {
        let Some(state) = self.audience.conn_mut(conn) else { return };
        state.cold.seated = false;
        let (user, resume) = (state.user, state.cold.resume);
        self.line_up(user, Joiner { conn, resume, opens: true, is_filled: false, is_degraded: false }, out);
    }

    /// An open connection says up to where its client has seen.
    pub(crate) fn resume_from_log(&mut self, conn: ConnId, cursor: Cursor, out: &mut Effects) {
        let Some(user) = self.audience.conn(conn).map(|state| state.user) else { return };
        let resume = Some(cursor);
        self.line_up(user, Joiner { conn, resume, opens: false, is_filled: false, is_degraded: true }, out);
    }

    fn line_up(&mut self, user: UserRef, joiner: Joiner, out: &mut Effects) {
        let is_up = self.is_store_up();
        let Some(replica) = self.replica(user) else { return };
        replica.joining.retain(|waiting| waiting.conn != joiner.conn || waiting.opens);
        replica.joining.push(joiner);
        if replica.is_attached {
            self.seat_joiners(user, out);
        } else if replica.fetching.is_none() {
            self.attach_user(user, out);
        }
        if !is_up {
            self.degrade(user, out);
        }
        self.time_renewal(user);
    }

    /// Registers this node for the user's events, and reads what the connections that wait have missed.
    fn attach_user(&mut self, user: UserRef, out: &mut Effects) {
        let Some(replica) = self.known_replica(user) else { return };
        let cursors: Option<Vec<Cursor>> = replica.joining.iter().map(|joiner| joiner.resume).collect();
        let from = cursors.and_then(|cursors| cursors.into_iter().min());
        self.ask_attach(user, from, out);
    }

    fn ask_attach(&mut self, user: UserRef, from: Option<Cursor>, out: &mut Effects) {
        let Some(op) = self.attach_op(user, from) else { return };
        let id = self.ask_store(op, Why::Attach(user), out);
        if let Some(replica) = self.known_replica(user) {
            replica.fetching = Some(id);
        }
    }

    fn attach_op(&self, user: UserRef, from: Option<Cursor>) -> Option<Op> {
        let cluster = self.cluster.as_deref()?;
        let name = cluster.replicas.get(&user)?.name.clone();
        Some(Op::Attach { user: name, node: cluster.me.clone(), from })
    }

    /// Reads on from the end of the window.
    pub(super) fn fetch(&mut self, user: UserRef, out: &mut Effects) {
        let cursor = self.audience.user(user).cursor;
        let Some(replica) = self.known_replica(user).filter(|replica| replica.is_attached) else { return };
        if replica.fetching.is_some() {
            replica.is_behind = true;
            return;
        }
        self.stats.cluster.fetches += 1;
        self.ask_attach(user, Some(cursor), out);
    }

    /// The log, as far as it was read.
    pub(super) fn attached(&mut self, user: UserRef, op: OpId, attached: &Attached, out: &mut Effects) {
        let cursor = self.audience.user(user).cursor;
        let Some(replica) = self.known_replica(user).filter(|replica| replica.fetching == Some(op)) else {
            self.stats.cluster.stale_answers += 1;
            return;
        };
        let resumes = replica.joining.iter().filter_map(|joiner| joiner.resume);
        let shown = resumes.map(|cursor| cursor.min(RAISE_MAX)).fold(replica.heard, Cursor::max);
        if attached.cur < shown {
            // Somebody saw more than there is: the store lost its tail. What comes now must lie above.
            return self.raise_store(user, shown, out);
        }
        replica.fetching = None;
        replica.heard = attached.cur;
        replica.acknowledged = attached.acked;
        let is_more = attached.upto < attached.cur || core::mem::take(&mut replica.is_behind);
        if !core::mem::replace(&mut replica.is_attached, true) {
            self.audience.rebase(user, attached.from);
        } else if attached.from > cursor {
            // The window was let go and begun anew since.
            return self.fetch(user, out);
        }
        for event in &attached.events {
            self.arrive_from_log(user, event, out);
        }
        self.skip(user, attached.upto, out);
        self.arrive_early(user, out);
        if attached.expired_runs > 0 {
            self.take_over_of(user, out);
        }
        if is_more {
            return self.fetch(user, out);
        }
        self.seat_joiners(user, out);
    }

    /// An event that was read: those before it are here, or are gone.
    fn arrive_from_log(&mut self, user: UserRef, event: &Event, out: &mut Effects) {
        if event.cursor > self.audience.user(user).cursor {
            self.skip(user, event.cursor - 1, out);
            self.put(user, event, out);
        }
    }

    /// What lies between the window's end and `to` is not to be had any more.
    fn skip(&mut self, user: UserRef, to: Cursor, out: &mut Effects) {
        if to > self.audience.user(user).cursor {
            let (audience, mut flow) = self.flow(out);
            audience.with_owner(user, |audience, owner| audience.skip_to(&owner, to, None, &mut flow));
        }
    }

    /// New events of a user, by hearsay.
    pub(crate) fn woken(&mut self, wake: &Wake, out: &mut Effects) {
        if self.cluster.is_none() {
            return;
        }
        self.stats.cluster.wakes += 1;
        let Some(user) = self.audience.find(&wake.user) else { return };
        for event in &wake.events {
            self.arrive(user, event, out);
        }
    }

    /// An event that the log has: it goes to the connections if it is the next one.
    pub(super) fn arrive(&mut self, user: UserRef, event: &Event, out: &mut Effects) {
        let (at, now) = (self.audience.user(user).cursor, self.now);
        let is_truth = mutant!(self.config, WakeIsTruth);
        let Some(replica) = self.known_replica(user) else { return };
        replica.heard = replica.heard.max(event.cursor);
        replica.active_at = now;
        if !replica.is_attached {
            return;
        }
        if event.cursor <= at {
            self.stats.cluster.repeats += 1;
        } else if event.cursor == at + 1 {
            self.put(user, event, out);
            self.arrive_early(user, out);
        } else if is_truth {
            self.skip(user, event.cursor - 1, out);
            self.put(user, event, out);
        } else {
            if replica.early.len() < EARLY_MAX {
                replica.early.insert(event.cursor, event.clone());
            }
            self.fetch(user, out);
        }
    }

    /// Those that came ahead of their turn, now that it is theirs.
    fn arrive_early(&mut self, user: UserRef, out: &mut Effects) {
        loop {
            let at = self.audience.user(user).cursor;
            let Some(replica) = self.known_replica(user) else { return };
            replica.early = replica.early.split_off(&(at + 1));
            let Some(event) = replica.early.remove(&(at + 1)) else { return };
            self.put(user, &event, out);
        }
    }

    /// The next event: into the window, and to the connections.
    fn put(&mut self, user: UserRef, event: &Event, out: &mut Effects) {
        let Some((thread, text)) = record::read_event(&event.frame) else {
            self.stats.cluster.unreadable += 1;
            return self.skip(user, event.cursor, out);
        };
        self.stats.frames.encoded += 1;
        let (audience, mut flow) = self.flow(out);
        audience.with_owner(user, |audience, owner| {
            let frame = wire::placed(flow.writer, text, event.cursor);
            let entry = Entry { thread: thread.map(Into::into), run: run_key(&event.run), seq: event.seq };
            audience.publish(&owner, owner.seal(frame), entry, &mut flow);
        });
    }

    /// Opens the connections of whom it is known what they missed, and reads for those of whom it is not.
    fn seat_joiners(&mut self, user: UserRef, out: &mut Effects) {
        let Some(replica) = self.known_replica(user).filter(|replica| replica.is_attached) else { return };
        let conns: Vec<ConnId> = replica.joining.iter().map(|joiner| joiner.conn).collect();
        for conn in conns {
            let (cursor, first) = {
                let state = self.audience.user(user);
                (state.cursor, state.log_first())
            };
            let Some(replica) = self.known_replica(user) else { return };
            let (reads, reads_back) = (replica.fetching.is_some(), replica.back.is_some());
            let Some(joiner) = replica.joiner(conn) else { continue };
            let at = joiner.resume.unwrap_or(cursor);
            if at > cursor && !joiner.is_filled {
                // It comes from a node that was ahead of this one.
                joiner.is_filled = true;
                self.fetch(user, out);
            } else if at + 1 < first && !joiner.is_filled {
                if !reads_back {
                    self.read_before(user, conn, at, Vec::new(), out);
                }
            } else if !reads || at <= cursor {
                self.seat(user, conn, out);
            }
        }
    }

    fn seat(&mut self, user: UserRef, conn: ConnId, out: &mut Effects) {
        let Some(replica) = self.known_replica(user) else { return };
        let Some(place) = replica.joining.iter().position(|joiner| joiner.conn == conn) else { return };
        let (joiner, acknowledged) = (replica.joining.remove(place), replica.acknowledged);
        if joiner.opens {
            self.audience.seat(conn, acknowledged);
            self.welcome(conn, false, out);
            if self.audience.conn(conn).is_some_and(|state| state.cold.ready_at <= self.now) {
                self.open(conn, out);
            } else {
                self.arm(conn);
            }
        } else if let Some(cursor) = joiner.resume {
            self.in_flow(conn, out, |audience, owner, member, flow| {
                let known = audience.user(owner.user()).cursor;
                audience.resume(owner, member, cursor.min(known), flow);
            });
        }
    }

    /// Reads what lies between `from` and the beginning of the window.
    fn read_before(
        &mut self,
        user: UserRef,
        conn: ConnId,
        from: Cursor,
        events: Vec<Event>,
        out: &mut Effects,
    ) {
        let Some(op) = self.attach_op(user, Some(from)) else { return };
        let op = self.ask_store(op, Why::Back(user), out);
        if let Some(replica) = self.known_replica(user) {
            replica.back = Some(Back { op, conn, events });
        }
    }

    /// What lies before the window, as far as it was read.
    pub(super) fn read_back(&mut self, user: UserRef, op: OpId, attached: &Attached, out: &mut Effects) {
        let first = self.audience.user(user).log_first();
        let back = self.known_replica(user).and_then(|replica| replica.back.take_if(|back| back.op == op));
        let Some(Back { conn, mut events, .. }) = back else {
            self.stats.cluster.stale_answers += 1;
            return;
        };
        events.extend(attached.events.iter().filter(|event| event.cursor < first).cloned());
        if attached.upto + 1 < first && attached.upto > attached.from && attached.upto < attached.cur {
            return self.read_before(user, conn, attached.upto, events, out);
        }
        self.put_ahead(user, events);
        if let Some(joiner) = self.known_replica(user).and_then(|replica| replica.joiner(conn)) {
            joiner.is_filled = true;
        }
        self.seat_joiners(user, out);
    }

    /// Lengthens the window at its beginning by those that come right before it.
    fn put_ahead(&mut self, user: UserRef, events: Vec<Event>) {
        let (mut next, mut ahead) = (self.audience.user(user).log_first(), Vec::new());
        for event in events.iter().rev() {
            let Some((thread, text)) = record::read_event(&event.frame) else { break };
            if event.cursor + 1 != next {
                break;
            }
            next = event.cursor;
            let frame = wire::placed(&mut self.writer, text, event.cursor);
            self.stats.frames.encoded += 1;
            let (run, seq) = (run_key(&event.run), event.seq);
            ahead.push(Logged { frame, thread: thread.map(Into::into), run, seq });
        }
        ahead.reverse();
        self.audience.put_ahead(user, ahead);
    }

    /// The store cannot be reached: those who wait are told that they wait.
    pub(super) fn degrade(&mut self, user: UserRef, out: &mut Effects) {
        let Some(replica) = self.known_replica(user) else { return };
        let waiting = replica.joining.iter_mut().filter(|joiner| !joiner.is_degraded);
        let untold: Vec<ConnId> = waiting
            .map(|joiner| {
                joiner.is_degraded = true;
                joiner.conn
            })
            .collect();
        for conn in untold {
            self.welcome(conn, true, out);
        }
    }

    /// A connection of the user is gone.
    pub(crate) fn left(&mut self, user: UserRef, conn: ConnId, out: &mut Effects) {
        let Some(Cluster { replicas, asked, .. }) = self.cluster.as_deref_mut() else { return };
        let Some(replica) = replicas.get_mut(&user) else { return };
        replica.joining.retain(|joiner| joiner.conn != conn);
        let is_last = self.audience.user(user).conns.is_empty();
        if let Some(back) = replica.back.take_if(|back| is_last || back.conn == conn) {
            asked.remove(&back.op);
        }
        if !is_last {
            return self.seat_joiners(user, out);
        }
        if let Some(op) = replica.fetching.take() {
            // Whether it was carried out or not, nobody waits for it; detaching comes after it.
            asked.remove(&op);
        }
        replica.is_behind = false;
        replica.early.clear();
        let was_attached = core::mem::take(&mut replica.is_attached);
        let name = replica.name.clone();
        if was_attached {
            let (audience, mut flow) = self.flow(out);
            let written = audience.with_owner(user, |audience, owner| audience.let_go(&owner, &mut flow));
            self.acknowledge(user, written, out);
        }
        if let Some(node) = self.cluster.as_deref().map(|cluster| cluster.me.clone()) {
            self.ask_store(Op::Detach { user: name, node }, Why::Notice, out);
        }
    }

    /// Tells the store up to where events were written here.
    fn acknowledge(&mut self, user: UserRef, cursor: Cursor, out: &mut Effects) {
        let Some(replica) = self.known_replica(user).filter(|replica| cursor > replica.told) else { return };
        replica.told = cursor;
        let op = Op::Acknowledge { user: replica.name.clone(), cursor };
        self.ask_store(op, Why::Notice, out);
    }

    /// Sees to it that the user's leases are renewed.
    pub(super) fn time_renewal(&mut self, user: UserRef) {
        let now = self.now;
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let Some(replica) = cluster.replicas.get_mut(&user).filter(|replica| !replica.is_timed) else {
            return;
        };
        replica.is_timed = true;
        let is_quiet = replica.outboxes.is_empty() && now.since(replica.active_at) >= QUIET_US;
        let settings = &cluster.settings;
        let pause_us = if is_quiet { settings.renew_quiet_us } else { settings.renew_us };
        self.timers.set(now.after(pause_us), Timer::Renew(user));
    }

    pub(crate) fn renew_due(&mut self, user: UserRef, out: &mut Effects) {
        let now = self.now;
        let Some(replica) = self.known_replica(user) else { return };
        replica.is_timed = false;
        let (is_attached, is_wanted) = (replica.is_attached, !replica.joining.is_empty());
        if replica.outboxes.is_empty() {
            let is_quiet = now.since(replica.active_at) >= QUIET_US;
            let is_idle = !is_attached && !is_wanted;
            if (is_quiet || is_idle)
                && let Some(hold) = replica.hold.take()
            {
                replica.is_held = false;
                let name = replica.name.clone();
                self.release(name, hold, out);
            }
            if is_idle {
                if let Some(cluster) = self.cluster.as_deref_mut() {
                    cluster.replicas.remove(&user);
                }
                return;
            }
        }
        if is_attached {
            let state = self.audience.user(user);
            let written = state.up_to_unheard(state.delivered);
            self.acknowledge(user, written, out);
        }
        self.renew(user, out);
        self.time_renewal(user);
    }

    fn renew(&mut self, user: UserRef, out: &mut Effects) {
        let Some(cluster) = self.cluster.as_deref() else { return };
        let Some(replica) = cluster.replicas.get(&user) else { return };
        let open =
            replica.outboxes.iter().filter_map(|number| Some((*number, cluster.outboxes.get(number)?)));
        let leased: Vec<_> = open.filter(|(_, outbox)| outbox.is_leased()).collect();
        if !replica.is_attached && leased.is_empty() && replica.is_checked {
            return;
        }
        let op = Op::Renew(Renew {
            user: replica.name.clone(),
            node: cluster.me.clone(),
            attached: replica.is_attached,
            runs: leased.iter().map(|(_, outbox)| (outbox.run.clone(), outbox.epoch)).collect(),
        });
        let outboxes = leased.iter().map(|(number, outbox)| (*number, outbox.epoch)).collect();
        self.ask_store(op, Why::Renew(user, outboxes), out);
    }

    /// How runs and log stand with the store.
    pub(super) fn renewed(
        &mut self,
        user: UserRef,
        outboxes: &[(u64, u64)],
        renewed: &Renewed,
        out: &mut Effects,
    ) {
        for ((number, epoch), standing) in outboxes.iter().zip(&renewed.runs) {
            if self.epoch_of(*number) != Some(*epoch) {
                continue; // it is over, or goes on under another
            }
            match standing {
                Standing::Held => {}
                // The answer to its last append tells it, too, and what became of the events.
                Standing::Ended => {}
                Standing::NoRun => self.admit_again(*number, out),
                Standing::Fenced => self.fenced(*number, out),
            }
        }
        let cursor = if self.audience.knows(user) { self.audience.user(user).cursor } else { return };
        let Some(replica) = self.known_replica(user) else { return };
        if renewed.cur < replica.heard {
            let heard = replica.heard;
            return self.raise_store(user, heard, out);
        }
        let was_checked = core::mem::replace(&mut replica.is_checked, true);
        replica.heard = renewed.cur;
        if renewed.expired_runs > 0 {
            self.take_over_of(user, out);
        }
        if renewed.cur > cursor {
            self.fetch(user, out);
        }
        if !was_checked {
            self.go_on(user, out);
        }
    }

    /// Requests and events of the user that waited for the store to be the one we know.
    fn go_on(&mut self, user: UserRef, out: &mut Effects) {
        self.ask_again(out);
        let outboxes = self.known_replica(user).map(|replica| replica.outboxes.clone());
        for number in outboxes.unwrap_or_default() {
            self.fly(number, out);
        }
    }

    pub(super) fn not_renewed(&mut self, user: UserRef) {
        // The next one will tell.
        self.time_renewal(user);
    }

    /// The store has less than was shown: its cursors must go on above.
    fn raise_store(&mut self, user: UserRef, seen: Cursor, out: &mut Effects) {
        let Some(Cluster { replicas, asked, .. }) = self.cluster.as_deref_mut() else { return };
        let Some(replica) = replicas.get_mut(&user) else { return };
        replica.is_checked = false;
        if let Some(op) = replica.fetching.take() {
            asked.remove(&op);
        }
        if mutant!(self.config, SkipRaise) {
            replica.heard = 0;
            return self.raised(user, false, out);
        }
        let op = Op::Raise { user: replica.name.clone(), seen };
        self.ask_store(op, Why::Raise(user), out);
    }

    /// The cursors go on above. `now`: they did not before; else there was no need, or another node was faster.
    pub(super) fn raised(&mut self, user: UserRef, now: bool, out: &mut Effects) {
        self.stats.cluster.store_regressed += u64::from(now);
        let Some(replica) = self.known_replica(user) else { return };
        replica.is_checked = true;
        let (is_attached, is_wanted) = (replica.is_attached, !replica.joining.is_empty());
        if is_attached {
            self.fetch(user, out);
        } else if is_wanted {
            self.attach_user(user, out);
        }
        self.go_on(user, out);
    }

    /// The store can be reached again: whether it is as we knew it is asked of every user.
    pub(super) fn check_all(&mut self, out: &mut Effects) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let users: Vec<UserRef> = cluster.replicas.keys().copied().collect();
        for user in users {
            if let Some(replica) = self.known_replica(user) {
                replica.is_checked = false;
            }
            self.renew(user, out);
        }
    }

    /// Wakes may have been missed.
    pub(super) fn catch_up_all(&mut self, out: &mut Effects) {
        let Some(cluster) = self.cluster.as_deref() else { return };
        let users: Vec<UserRef> = cluster.replicas.keys().copied().collect();
        for user in users {
            self.fetch(user, out);
        }
    }
}

/// What stands for a run in the window: events of no run have 0.
pub(crate) fn run_key(run: &str) -> u64 {
    if run.starts_with('_') { 0 } else { fingerprint(run.as_bytes()) | 1 }
}
