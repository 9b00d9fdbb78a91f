//! How frames reach connections: socket window, bounded queue, recovery window, settlement.

use alloc::sync::Arc;

use super::{
    Audience, Conn, ConnState, Member, Owner, Receipts, Sealed, User, receipts::At, user::Ghost, user::Logged,
};
use crate::{
    config::Config,
    contract::{Authority, Close, ConnId, Effect, Effects, Frame, FrameIx, Instant, Missed},
    stats::Stats,
    timers::{Timer, Timers},
    wire::{self, Writer},
};

/// Largest cursor of a client: the largest whole number that every JSON reader keeps exact (RFC 8259 §6).
pub(crate) const CURSOR_MAX: u64 = 1 << 53;
/// Up to here a client's cursor raises ours: what we count on from there can still be resumed.
const RAISE_MAX: u64 = 1 << 52;

/// What a delivery needs of the router besides the audience.
pub(crate) struct Flow<'a> {
    pub(crate) now: Instant,
    pub(crate) config: &'a Config,
    pub(crate) stats: &'a mut Stats,
    pub(crate) timers: &'a mut Timers,
    pub(crate) writer: &'a mut Writer,
    pub(crate) receipts: &'a mut Receipts,
    pub(crate) out: &'a mut Effects,
}

/// What the recovery window notes of an event beside its frame; without a run, run and seq are 0.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// `None`: of interest to every connection of the user.
    pub(crate) thread: Option<Arc<str>>,
    pub(crate) run: u64,
    pub(crate) seq: u64,
}

impl Audience {
    /// Sends a frame that is not a run event to one connection of its owner.
    pub(crate) fn send<'b>(&mut self, to: &Member<'b>, sealed: Sealed<'b>, flow: &mut Flow<'_>) {
        let conn = &mut self.conns[to.index as usize];
        if conn.state != ConnState::Closing {
            offer(conn, to.index, sealed.frame, &mut None, 0, flow);
        }
    }

    /// Sends a frame to one connection of its owner, and books it on a receipt if there is one.
    pub(crate) fn send_counted<'b>(
        &mut self,
        to: &Member<'b>,
        sealed: Sealed<'b>,
        receipt: Option<u64>,
        flow: &mut Flow<'_>,
    ) {
        let Some(receipt) = receipt else { return self.send(to, sealed, flow) };
        let conn = &mut self.conns[to.index as usize];
        if conn.state != ConnState::Closing {
            let share = flow.receipts.share(receipt, false);
            let at = offer_counted(conn, to.index, sealed.frame, &mut None, flow);
            let id = conn.id(to.index);
            flow.book(share, conn, id, at);
        }
    }

    /// Sends one frame to every connection of every user, but one perhaps.
    pub(crate) fn broadcast(
        &mut self,
        _: &Authority,
        frame: &Frame,
        exclude: Option<ConnId>,
        receipt: Option<u64>,
        flow: &mut Flow<'_>,
    ) {
        let spared = exclude.filter(|id| self.conn(*id).is_some()).map(|id| id.index as usize);
        let Some(receipt) = receipt else {
            let mut fan = Fan::new(frame, 0, self.conns.len(), flow);
            for (index, conn) in self.conns.iter_mut().enumerate() {
                if conn.is_open() && spared != Some(index) {
                    fan.offer(conn, index as u32);
                }
            }
            return fan.finish();
        };
        let (share, mut shared) = (flow.receipts.share(receipt, false), None);
        for (index, conn) in self.conns.iter_mut().enumerate() {
            if conn.is_open() && spared != Some(index) {
                let at = offer_counted(conn, index as u32, frame.clone(), &mut shared, flow);
                let id = conn.id(index as u32);
                flow.book(share, conn, id, at);
            }
        }
    }

    /// [`publish`](Self::publish), booked on a receipt if there is one.
    pub(crate) fn publish_counted<'b>(
        &mut self,
        owner: &Owner<'b>,
        sealed: Sealed<'b>,
        entry: Entry,
        receipt: Option<u64>,
        flow: &mut Flow<'_>,
    ) {
        let Some(receipt) = receipt else { return self.publish(owner, sealed, entry, flow) };
        let thread = entry.thread.clone();
        self.publish(owner, sealed, entry, flow);
        let Self { conns, users, .. } = self;
        let user = &mut users[owner.user.index as usize];
        let (cursor, lost) = (user.cursor, user.log_first() > user.cursor);
        let share = flow.receipts.share(receipt, !lost);
        if !lost {
            user.promised.push_back((share, cursor));
        }
        for index in &user.conns {
            let conn = &mut conns[*index as usize];
            if conn.is_open() && conn.wants(thread.as_deref()) {
                // Too slow, and too large for the window: it will never be written.
                let never = lost && conn.taken < cursor;
                let id = conn.id(*index);
                flow.book(share, conn, id, if never { Err(Missed::Gapped) } else { Ok(At::Cursor(cursor)) });
            }
        }
    }

    /// Sends each open connection of the owner the frame that `make` has for it, if any. Answers how many.
    pub(crate) fn send_each<'b>(
        &mut self,
        owner: &Owner<'b>,
        flow: &mut Flow<'_>,
        mut make: impl FnMut(&Conn, ConnId, &mut Flow<'_>) -> Option<Sealed<'b>>,
    ) -> u64 {
        let Self { conns, users, .. } = self;
        let mut sent = 0;
        for index in &users[owner.user.index as usize].conns {
            let conn = &mut conns[*index as usize];
            if conn.is_open()
                && let Some(sealed) = make(conn, conn.id(*index), flow)
            {
                offer(conn, *index, sealed.frame, &mut None, 0, flow);
                sent += 1;
            }
        }
        sent
    }

    /// The cursor that the owner's next run event will carry.
    pub(crate) fn next_cursor(&self, owner: &Owner<'_>) -> u64 {
        self.user(owner.user).cursor + 1
    }

    /// Puts a run event, encoded with [`next_cursor`](Self::next_cursor), into the owner's recovery window and
    /// hands it to all of the owner's open connections that want its thread.
    pub(crate) fn publish<'b>(
        &mut self,
        owner: &Owner<'b>,
        sealed: Sealed<'b>,
        entry: Entry,
        flow: &mut Flow<'_>,
    ) {
        let Self { conns, users, .. } = self;
        let user = &mut users[owner.user.index as usize];
        user.cursor += 1;
        flow.stats.events.offered += 1;
        flow.stats.events.waiting += 1;
        let mut fan = Fan::new(&sealed.frame, user.cursor, user.conns.len(), flow);
        let mut wanted = user.conns.is_empty();
        for index in &user.conns {
            let conn = &mut conns[*index as usize];
            if conn.is_open() && conn.wants(entry.thread.as_deref()) {
                if wanted && mutant!(fan.flow.config, FirstTabOnly) {
                    continue;
                }
                wanted = true;
                fan.offer(conn, *index);
                if user.conns.len() > 1 && mutant!(fan.flow.config, TwiceWithTabs) {
                    fan.offer(conn, *index);
                }
            }
        }
        fan.finish();
        if !wanted {
            user.skip(user.cursor);
        }
        user.log_bytes += sealed.frame.len();
        user.log.push_back(Logged {
            frame: sealed.frame,
            thread: entry.thread,
            run: entry.run,
            seq: entry.seq,
        });
        self.trim_overflow(owner, flow);
    }

    /// Opens a connection: announces a gap if there is one, then replays what came after its position.
    pub(crate) fn attach<'b>(&mut self, owner: &Owner<'b>, member: &Member<'b>, flow: &mut Flow<'_>) {
        let conn = &mut self.conns[member.index as usize];
        conn.state = ConnState::Open;
        match conn.cold.resume {
            Some(cursor) => self.resume(owner, member, cursor, flow),
            // Where it stood when it was accepted: what came during set-up is replayed, too.
            None => {
                let from = conn.cold.acked;
                self.replay(owner, member, from, true, flow);
            }
        }
    }

    /// The client says it has seen everything up to `cursor`: replays what came after.
    pub(crate) fn resume<'b>(
        &mut self,
        owner: &Owner<'b>,
        member: &Member<'b>,
        cursor: u64,
        flow: &mut Flow<'_>,
    ) {
        self.raise(owner, member, cursor, flow);
        let cursor = cursor.min(self.user(owner.user).cursor);
        self.user_mut(owner.user).standing.confirm(cursor);
        let conn = &mut self.conns[member.index as usize];
        conn.cold.acked = cursor;
        if !conn.is_behind() {
            (conn.written, conn.taken) = (cursor, cursor);
        }
        self.replay(owner, member, cursor, true, flow);
        self.acknowledged(owner, flow);
    }

    /// The client confirms everything up to `cursor`.
    pub(crate) fn confirm<'b>(
        &mut self,
        owner: &Owner<'b>,
        member: &Member<'b>,
        cursor: u64,
        flow: &mut Flow<'_>,
    ) {
        let conn = &mut self.conns[member.index as usize];
        let cursor = cursor.min(conn.taken);
        conn.cold.acked = conn.cold.acked.max(cursor);
        self.user_mut(owner.user).standing.confirm(cursor);
        self.acknowledged(owner, flow);
    }

    /// Frames were written: gives the socket as many new ones.
    pub(crate) fn written<'b>(
        &mut self,
        owner: &Owner<'b>,
        member: &Member<'b>,
        frames: u32,
        flow: &mut Flow<'_>,
    ) {
        let conn = &mut self.conns[member.index as usize];
        let count = (frames as usize).min(conn.in_flight.len());
        let before = conn.written;
        conn.written = conn.written.max(conn.in_flight.take(count));
        conn.credit += count as u32;
        conn.cold.last_progress = flow.now;
        conn.cold.last_written = Some(flow.now);
        conn.cold.frames_written += count as u64;
        if !conn.cold.awaited.is_empty() {
            flow.settle_written(conn);
        }
        flow.stats.frames.written += count as u64;
        flow.stats.frames.in_flight -= count as u64;
        let (moved, written, partial) = (conn.written > before, conn.written, conn.partial);
        if !conn.queued.is_empty() || conn.lagging {
            self.pump(owner, member, flow);
        }
        if moved {
            if partial {
                self.heard_in_part(owner, member);
            } else {
                self.user_mut(owner.user).heard(written);
            }
            self.settle(owner, flow);
        }
    }

    /// Asks for a close: whatever still waits behind the socket is given up for this connection.
    pub(crate) fn close(&mut self, id: ConnId, close: Close, flow: &mut Flow<'_>) {
        let Some(conn) = self.conn_mut(id) else { return };
        if conn.state == ConnState::Closing {
            return;
        }
        give_up_queue(conn, flow.config, flow.stats);
        conn.state = ConnState::Closing;
        flow.out.push(Effect::Close { conn: id, close });
    }

    /// The socket is gone. Its user may come back: until then its place in the window is kept.
    pub(crate) fn remove_conn(&mut self, id: ConnId, flow: &mut Flow<'_>) {
        let Some(conn) = self.conn_mut(id) else { return };
        let (user, acked) = (conn.user, conn.cold.acked);
        give_up_queue(conn, flow.config, flow.stats);
        if !mutant!(flow.config, ReceiptLost) {
            flow.miss_all(conn, id);
        }
        flow.stats.frames.dropped += conn.in_flight.len() as u64;
        if !mutant!(flow.config, ForgetInFlight) {
            flow.stats.frames.in_flight -= conn.in_flight.len() as u64;
        }
        self.drop_name(id.index);
        self.conns[id.index as usize].free();
        self.free_conns.push(id.index);
        let kept = flow.config.connections_per_user_max as usize;
        let slot = self.user_mut(user);
        slot.conns.retain(|index| *index != id.index);
        if slot.ghosts.len() >= kept {
            // Only the lowest place decides what is kept.
            let highest = slot.ghosts.iter().enumerate().max_by_key(|(_, ghost)| ghost.acked);
            if let Some((at, _)) = highest {
                slot.ghosts.remove(at);
            }
        }
        slot.ghosts.push(Ghost { acked, until: flow.now.after(flow.config.recovery_ttl_us) });
        if slot.conns.is_empty() && mutant!(flow.config, WindowGoesWithLastTab) {
            slot.log.clear();
            slot.log_bytes = 0;
        }
        self.with_owner(user, |audience, owner| {
            audience.note_unheard(&owner);
            audience.settle(&owner, flow);
        });
    }

    /// Gives up everything in a user's window: nobody came back in time.
    pub(crate) fn expire(&mut self, owner: &Owner<'_>, flow: &mut Flow<'_>) {
        let Self { conns, users, .. } = self;
        let user = &mut users[owner.user.index as usize];
        let cursor = user.cursor;
        miss_gapped(conns, user, cursor, flow);
        let lost = user.cursor - user.settled;
        user.standing.lose(user.delivered.max(user.settled) + 1, user.cursor, true);
        user.empty_window();
        flow.stats.events.expired += lost;
        flow.stats.events.waiting -= lost;
    }

    /// Replays the window from after `from`. `flagged`: as `recovered`; else the very frames.
    fn replay<'b>(
        &mut self,
        owner: &Owner<'b>,
        member: &Member<'b>,
        from: u64,
        flagged: bool,
        flow: &mut Flow<'_>,
    ) {
        let Self { conns, users, .. } = self;
        let mut foreign = None;
        if mutant!(flow.config, ReplayNeighbour) {
            let neighbour = users.get(owner.user.index as usize + 1).and_then(|user| user.log.front());
            foreign = neighbour.map(|logged| logged.frame.clone());
        }
        let user = &mut users[owner.user.index as usize];
        let conn = &mut conns[member.index as usize];
        if flagged && mutant!(flow.config, DropReplay) {
            return;
        }
        let first = user.log_first();
        let mut skipped = None;
        if from < user.cursor && first > from + 1 && !mutant!(flow.config, SilentGap) {
            let frame = wire::gap(flow.writer, flow.now, from + 1, first - 1);
            flow.stats.frames.encoded += 1;
            flow.stats.connections.gaps += 1;
            // Counts as what it stands for, else whoever falls behind over it is told of the same gap again.
            let cursor = if conn.lagging { 0 } else { first - 1 };
            offer(conn, member.index, frame, &mut None, cursor, flow);
        }
        let again = u64::from(mutant!(flow.config, ReplayInclusive) && from > 0);
        let skip = (from + 1 - again).saturating_sub(first) as usize;
        let skip = skip + usize::from(mutant!(flow.config, ReplayOneShort));
        for (n, logged) in user.log.iter().enumerate().skip(skip) {
            let cursor = first + n as u64;
            let logged = if mutant!(flow.config, ReverseReplay) {
                &user.log[user.log.len() - 1 + skip - n]
            } else {
                logged
            };
            if !conn.wants(logged.thread.as_deref()) {
                skipped = skipped.or(Some(cursor));
                continue;
            }
            if conn.lagging {
                break; // the rest is caught up with when there is room
            }
            if flagged {
                let frame = wire::recovered(flow.writer, foreign.as_ref().unwrap_or(&logged.frame));
                foreign = None;
                flow.stats.frames.encoded += 1;
                flow.stats.frames.replayed += 1;
                offer(conn, member.index, frame, &mut None, cursor, flow);
            } else {
                offer(conn, member.index, logged.frame.clone(), &mut None, cursor, flow);
            }
        }
        if let Some(cursor) = skipped.filter(|cursor| *cursor > user.delivered) {
            user.skip(cursor);
        }
    }

    /// Moves waiting frames to the socket; an emptied lagging queue catches up from the window.
    fn pump<'b>(&mut self, owner: &Owner<'b>, member: &Member<'b>, flow: &mut Flow<'_>) {
        let conn = &mut self.conns[member.index as usize];
        if conn.state != ConnState::Open {
            return;
        }
        while conn.credit > 0 {
            let newest = mutant!(flow.config, PumpNewestFirst);
            let queued = if newest { conn.queued.pop_back() } else { conn.queued.pop_front() };
            let Some(queued) = queued else { break };
            conn.queued_bytes -= queued.frame.len() as u32;
            flow.stats.frames.queued -= 1;
            flow.stats.frames.in_flight += 1;
            let ix = flow.out.share(queued.frame);
            flow.out.push(hand_over(conn, member.index, ix, queued.cursor));
        }
        if mutant!(flow.config, ForgetRest) {
            give_up_queue(conn, flow.config, flow.stats);
        }
        if conn.queued.is_empty() {
            conn.queued.shrink_to(16);
            if conn.lagging {
                conn.lagging = false;
                let from = conn.taken;
                if !mutant!(flow.config, LagForgotten) {
                    self.replay(owner, member, from, false, flow);
                }
            }
        }
    }

    /// A client knows cursors that this router never issued (it has lost its memory): goes on above them, and tells the
    /// user's other connections that something is missing; the one that resumes is told by its replay. Others of the user's
    /// clients may know more. Whoever knows more by a whole window has a gap in any case, so that much room is left: else
    /// what comes now would bear cursors that they have seen, and be dropped as repeats.
    pub(crate) fn raise<'b>(
        &mut self,
        owner: &Owner<'b>,
        member: &Member<'b>,
        cursor: u64,
        flow: &mut Flow<'_>,
    ) {
        let (cursor, known) = (cursor.min(RAISE_MAX), self.user(owner.user).cursor);
        if cursor <= known {
            return;
        }
        let raised = cursor + u64::from(flow.config.recovery_frames_max).max(1);
        self.skip_to(owner, raised, Some(member.index), flow);
    }

    /// The next event has a cursor above `to`, and what lies in between is not to be had: says so to the user's connections,
    /// but for one perhaps.
    pub(crate) fn skip_to(&mut self, owner: &Owner<'_>, to: u64, spared: Option<u32>, flow: &mut Flow<'_>) {
        self.expire(owner, flow);
        let Self { conns, users, .. } = self;
        let user = &mut users[owner.user.index as usize];
        let known = user.cursor;
        (user.cursor, user.settled, user.delivered) = (to, to, to);
        let (frame, mut shared) = (wire::gap(flow.writer, flow.now, known + 1, to), None);
        for index in user.conns.iter().filter(|index| Some(**index) != spared) {
            let conn = &mut conns[*index as usize];
            // Who lags behind is told when it catches up.
            if conn.is_open() && !conn.lagging {
                flow.stats.connections.gaps += 1;
                offer(conn, *index, frame.clone(), &mut shared, to, flow);
            }
        }
        flow.stats.frames.encoded += u64::from(shared.is_some());
    }

    /// Drops from the window what every client, here or expected back, has seen.
    fn acknowledged(&mut self, owner: &Owner<'_>, flow: &mut Flow<'_>) {
        let Self { conns, users, .. } = self;
        let user = &mut users[owner.user.index as usize];
        user.ghosts.retain(|ghost| ghost.until > flow.now);
        let here = user.conns.iter().map(|index| conns[*index as usize].cold.acked);
        let Some(seen_by_all) = here.chain(user.ghosts.iter().map(|ghost| ghost.acked)).min() else { return };
        let seen_by_all = user.up_to_unheard(seen_by_all);
        let mut first = user.log_first();
        while first <= seen_by_all
            && let Some(logged) = user.log.pop_front()
        {
            user.log_bytes -= logged.frame.len();
            first += 1;
        }
        miss_gapped(conns, user, first - 1, flow);
        if user.log.is_empty() {
            user.log.shrink_to(8);
        }
        user.delivered = user.delivered.max(seen_by_all);
        self.settle(owner, flow);
    }

    /// Counts as delivered what some connection has and none still waits for; and what left the window because every
    /// client says it has seen it, from wherever.
    fn settle(&mut self, owner: &Owner<'_>, flow: &mut Flow<'_>) {
        let Self { conns, users, .. } = self;
        let user = &mut users[owner.user.index as usize];
        let behind = user.conns.iter().map(|index| &conns[*index as usize]);
        let behind = behind.filter(|conn| conn.is_open() && conn.is_behind()).map(|conn| conn.written);
        let settled = behind.fold(user.delivered, u64::min).max(user.log_first() - 1);
        if settled > user.settled {
            let count = settled - user.settled;
            user.settled = settled;
            flow.stats.events.delivered += count;
            flow.stats.events.waiting -= count;
        }
    }

    fn trim_overflow(&mut self, owner: &Owner<'_>, flow: &mut Flow<'_>) {
        let Self { conns, users, .. } = self;
        let user = &mut users[owner.user.index as usize];
        let (frames, bytes) =
            (flow.config.recovery_frames_max as usize, flow.config.recovery_bytes_max as usize);
        while user.log.len() > frames || user.log_bytes > bytes {
            let cursor = user.log_first();
            let Some(logged) = user.log.pop_front() else { return };
            user.log_bytes -= logged.frame.len();
            if cursor > user.settled {
                if cursor > user.delivered {
                    user.standing.lose(cursor, cursor, false);
                }
                // What left the window before was acknowledged, by a client quicker than the report of its write.
                let acknowledged = cursor - 1 - user.settled;
                user.settled = cursor;
                flow.stats.events.delivered += acknowledged;
                flow.stats.events.gapped += 1;
                flow.stats.events.waiting -= acknowledged + 1;
            }
            miss_gapped(conns, user, cursor, flow);
        }
    }
}

/// One frame on its way to many connections: shared once, counted once.
struct Fan<'f, 'a> {
    frame: &'f Frame,
    cursor: u64,
    shared: Option<FrameIx>,
    /// Connections whose socket took it at once.
    direct: u64,
    flow: &'f mut Flow<'a>,
}

impl<'f, 'a> Fan<'f, 'a> {
    fn new(frame: &'f Frame, cursor: u64, recipients: usize, flow: &'f mut Flow<'a>) -> Self {
        flow.out.reserve(recipients);
        Self { frame, cursor, shared: None, direct: 0, flow }
    }

    // A call for each recipient would keep the count and the list's length in memory, and wait for them.
    #[inline(always)]
    fn offer(&mut self, conn: &mut Conn, index: u32) {
        if conn.credit == 0 || !conn.queued.is_empty() || conn.lagging {
            offer(conn, index, self.frame.clone(), &mut self.shared, self.cursor, self.flow);
            return;
        }
        let frame = match self.shared {
            Some(frame) => frame,
            None => *self.shared.insert(self.flow.out.share(self.frame.clone())),
        };
        self.direct += 1;
        take_over(conn, self.cursor);
        self.flow.out.push_uncounted(conn.id_parts(index), frame);
    }

    fn finish(self) {
        if let Some(frame) = self.shared {
            self.flow.out.count_names(frame, self.direct as u32);
        }
        let frames = &mut self.flow.stats.frames;
        frames.offered += self.direct;
        frames.bytes += self.direct * self.frame.len() as u64;
        frames.in_flight += self.direct;
    }
}

/// One frame outside the recovery window for each open one of these connections.
pub(super) fn fan_out(conns: &mut [Conn], to: &[u32], frame: &Frame, flow: &mut Flow<'_>) {
    let mut fan = Fan::new(frame, 0, to.len(), flow);
    for index in to {
        let conn = &mut conns[*index as usize];
        if conn.is_open() {
            fan.offer(conn, *index);
        }
    }
    fan.finish();
}

/// One frame for one connection: to the socket if it takes one, else behind it, else not at all.
fn offer(
    conn: &mut Conn,
    index: u32,
    frame: Frame,
    shared: &mut Option<FrameIx>,
    cursor: u64,
    flow: &mut Flow<'_>,
) {
    if conn.lagging && cursor > 0 && !mutant!(flow.config, OvertakeLag) {
        return; // it catches up from the window
    }
    let bytes = frame.len() as u32;
    flow.stats.frames.offered += 1;
    flow.stats.frames.bytes += u64::from(bytes);
    if conn.credit > 0 && conn.queued.is_empty() {
        let ix = *shared.get_or_insert_with(|| flow.out.share(frame));
        flow.stats.frames.in_flight += 1;
        flow.out.push(hand_over(conn, index, ix, cursor));
        return;
    }
    let more = usize::from(mutant!(flow.config, QueueOneMore));
    let full = conn.queued.len() >= flow.config.outbound_frames_max as usize + more
        || conn.queued_bytes + bytes > flow.config.outbound_bytes_max;
    if full {
        flow.stats.frames.dropped += 1;
        if !conn.lagging {
            conn.lagging = true;
            // The grace period begins now, however long ago there was something to write.
            conn.cold.last_progress = flow.now;
            let at = flow.now.after(flow.config.slow_reader_grace_us);
            if at < conn.cold.timer_at {
                conn.cold.timer_at = at;
                flow.timers.set(at, Timer::Connection(conn.id(index)));
            }
        }
        return;
    }
    conn.queued_bytes += bytes;
    conn.taken = conn.taken.max(cursor);
    if cursor > 0 && mutant!(flow.config, QueueEventsFirst) {
        conn.queued.push_front(super::conn::Queued { frame, cursor });
    } else {
        conn.queued.push_back(super::conn::Queued { frame, cursor });
    }
    flow.stats.frames.queued += 1;
}

/// [`offer`] of a frame outside the window: which frame of the connection it is, or that there was no room.
fn offer_counted(
    conn: &mut Conn,
    index: u32,
    frame: Frame,
    shared: &mut Option<FrameIx>,
    flow: &mut Flow<'_>,
) -> Result<At, Missed> {
    let dropped = flow.stats.frames.dropped;
    offer(conn, index, frame, shared, 0, flow);
    if flow.stats.frames.dropped > dropped {
        return Err(Missed::Overflow);
    }
    let waiting = conn.in_flight.len() + conn.queued.len();
    Ok(At::Position(conn.cold.frames_written + waiting as u64))
}

/// The window no longer has the events up to `cursor`: whose receipt waits for one of them, waits in vain.
fn miss_gapped(conns: &mut [Conn], user: &mut User, cursor: u64, flow: &mut Flow<'_>) {
    flow.break_promises(user, cursor);
    if flow.receipts.is_empty() {
        return;
    }
    for index in &user.conns {
        let conn = &mut conns[*index as usize];
        let id = conn.id(*index);
        flow.miss_gapped(conn, id, cursor);
    }
}

/// Gives the socket a frame; the caller counts it as in flight.
#[inline]
fn hand_over(conn: &mut Conn, index: u32, frame: FrameIx, cursor: u64) -> Effect {
    take_over(conn, cursor);
    Effect::Send { conn: conn.id(index), frame }
}

/// The socket takes one more frame.
#[inline]
fn take_over(conn: &mut Conn, cursor: u64) {
    conn.credit -= 1;
    conn.taken = conn.taken.max(cursor);
    conn.in_flight.push(cursor);
}

fn give_up_queue(conn: &mut Conn, config: &Config, stats: &mut Stats) {
    stats.frames.queued -= conn.queued.len() as u64;
    if !mutant!(config, GiveUpUncounted) {
        stats.frames.dropped += conn.queued.len() as u64;
    }
    conn.queued.clear();
    conn.queued_bytes = 0;
}
