//! What the store has of one user, and what one script does to it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use router::store::{
    Admit, Admitted, Append, Appended, Attached, Bounds, CURSOR_MAX, Cursor, EVENTS_MAX, Event,
    IN_FLIGHT_MAX, Node, NotAdmitted, NotAppended, OpId, PSEUDO_EPOCH, RAISE_BY, Renew, Renewed, RunId,
    Standing, TakenRun, Wake,
};

use super::{Millis, Sent};

/// What is kept of one user.
#[derive(Clone, Debug, Default)]
pub(super) struct User {
    pub(super) cur: Cursor,
    acked: Cursor,
    log: VecDeque<Event>,
    log_until: Millis,
    /// When all of it is given up.
    until: Millis,
    pub(super) runs: BTreeMap<RunId, Row>,
    pub(super) window: Window,
    /// Until when nodes hear of new events.
    pub(super) listeners: BTreeMap<Node, Millis>,
}

/// A run, or the frames of no run that one node appends.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) epoch: u64,
    pub(super) seq: u64,
    pub(super) lease: Millis,
    /// When the run ended; of frames of no run, when the last came.
    pub(super) ended: Option<Millis>,
    owner: Node,
    taken_by: Option<OpId>,
    note: Vec<u8>,
    /// The last appends: number of the first event, how many, cursor of the first.
    last: VecDeque<(u64, usize, Cursor)>,
}

impl Row {
    fn new(epoch: u64, owner: Node) -> Self {
        let (note, last) = (Vec::new(), VecDeque::new());
        Self { epoch, seq: 0, lease: 0, ended: None, owner, taken_by: None, note, last }
    }
}

/// Message ids seen lately, and the runs that they opened.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    ids: BTreeMap<Arc<str>, (Millis, RunId)>,
    order: BTreeSet<(Millis, Arc<str>)>,
}

impl User {
    /// Gives up what is too old; ahead of every operation.
    pub(super) fn arrive(&mut self, now: Millis) {
        if self.until <= now {
            *self = Self::default();
        } else if self.log_until <= now {
            self.log.clear();
        }
    }

    /// The oldest cursor of the log, one above the last when it is empty; and the last.
    pub(super) fn span(&self) -> (Cursor, Cursor) {
        (self.log.front().map_or(self.cur + 1, |event| event.cursor), self.cur)
    }

    /// Whether this and `other` know the same of events, runs and messages, whoever owns and hears of them.
    pub(super) fn knows_what(&self, other: &Self) -> bool {
        let runs = |user: &Self| -> Vec<(RunId, u64, u64, bool)> {
            let row = |(run, row): (&RunId, &Row)| (run.clone(), row.epoch, row.seq, row.ended.is_some());
            user.runs.iter().map(row).collect()
        };
        self.cur == other.cur && self.window.ids == other.window.ids && runs(self) == runs(other)
    }

    pub(super) fn admit(&mut self, now: Millis, bounds: &Bounds, admit: &Admit) -> Admitted {
        self.forget_ended(now, bounds);
        if let Some(run) = admit.message_id.as_ref().and_then(|id| self.window.find(id, now, bounds)) {
            return self.known(&run, &admit.node);
        }
        if let Some(row) = self.runs.get(&admit.run) {
            let foreign = row.epoch == 1 && row.owner != admit.node;
            if row.epoch == PSEUDO_EPOCH || foreign {
                return Admitted::Refused(NotAdmitted::RunTaken);
            }
            return self.known(&admit.run, &admit.node);
        }
        let open = || self.runs.values().filter(|row| row.ended.is_none());
        if open().count() >= bounds.runs_max as usize {
            return Admitted::Refused(NotAdmitted::Runs);
        }
        let notes: usize = open().map(|row| row.note.len()).sum();
        if notes + admit.note.len() > bounds.notes_bytes_max as usize {
            return Admitted::Refused(NotAdmitted::Quota);
        }
        let row = Row {
            lease: now + bounds.lease_ms,
            note: admit.note.to_vec(),
            ..Row::new(1, admit.node.clone())
        };
        self.runs.insert(admit.run.clone(), row);
        if let Some(id) = &admit.message_id {
            self.window.remember(id, &admit.run, now, bounds);
        }
        self.stay(now, bounds);
        Admitted::New
    }

    pub(super) fn append(
        &mut self,
        now: Millis,
        bounds: &Bounds,
        append: &Append,
        wakes: &mut Vec<Sent>,
    ) -> Appended {
        let (count, pseudo) = (append.frames.len(), append.epoch == PSEUDO_EPOCH);
        if !(1..=EVENTS_MAX).contains(&count) || append.first_seq == 0 {
            return Appended::Refused(NotAppended::Malformed);
        }
        self.forget_ended(now, bounds);
        let fresh = Row::new(PSEUDO_EPOCH, append.node.clone());
        let row = match self.runs.get(&append.run) {
            Some(row) => row,
            None if pseudo => &fresh,
            None => return Appended::NoRun,
        };
        if row.epoch != append.epoch {
            return Appended::Fenced;
        }
        if append.first_seq <= row.seq {
            let same = row.last.iter().find(|(seq, len, _)| (*seq, *len) == (append.first_seq, count));
            return Appended::Known { have: row.seq, first: same.map(|(_, _, cursor)| *cursor) };
        }
        if !pseudo && row.ended.is_some() {
            return Appended::Refused(NotAppended::Ended);
        }
        if append.first_seq > row.seq + 1 {
            return Appended::Gap { have: row.seq };
        }
        if append.frames.iter().any(|frame| frame.len() > bounds.log_bytes_max as usize) {
            return Appended::Refused(NotAppended::TooLarge);
        }
        if self.cur + count as u64 > CURSOR_MAX {
            return Appended::Refused(NotAppended::CursorsUsedUp);
        }
        let row = row.clone();
        let first = self.cur + 1;
        let events = self.write(now, bounds, append);
        self.note_append(now, bounds, append, row, first);
        self.stay(now, bounds);
        let others = self.listeners.iter().filter(|(node, _)| **node != append.node);
        let listeners = others.filter(|(_, until)| **until > now);
        wakes.extend(
            listeners
                .map(|(node, _)| (node.clone(), Wake { user: append.user.clone(), events: events.clone() })),
        );
        Appended::Logged { first }
    }

    pub(super) fn attach(
        &mut self,
        now: Millis,
        bounds: &Bounds,
        node: &Node,
        from: Option<Cursor>,
    ) -> Attached {
        self.listen(now, bounds, node);
        self.stay(now, bounds);
        let from = from.unwrap_or(self.acked).min(CURSOR_MAX);
        let after = self.log.iter().filter(|event| event.cursor > from);
        let events: Vec<Event> = after.take(bounds.fetch_events_max as usize).cloned().collect();
        let upto = match events.last() {
            Some(last) if events.len() == bounds.fetch_events_max as usize => last.cursor,
            Some(_) | None => self.cur.max(from),
        };
        Attached {
            first: self.log.front().map_or(self.cur + 1, |event| event.cursor),
            cur: self.cur,
            acked: self.acked,
            from,
            upto,
            events,
            expired_runs: self.expired_runs(now),
        }
    }

    fn expired_runs(&self, now: Millis) -> u32 {
        self.runs.values().filter(|row| row.ended.is_none() && row.lease <= now).count() as u32
    }

    pub(super) fn detach(&mut self, node: &Node) {
        self.listeners.remove(node);
    }

    pub(super) fn renew(&mut self, now: Millis, bounds: &Bounds, renew: &Renew) -> Renewed {
        if renew.attached {
            self.listen(now, bounds, &renew.node);
        }
        self.forget_ended(now, bounds);
        let standing = |(run, epoch): &(RunId, u64)| match self.runs.get_mut(run) {
            None => Standing::NoRun,
            Some(row) if row.epoch != *epoch => Standing::Fenced,
            Some(row) if row.ended.is_some() => Standing::Ended,
            Some(row) => {
                row.lease = now + bounds.lease_ms;
                Standing::Held
            }
        };
        let runs = renew.runs.iter().map(standing).collect();
        self.stay(now, bounds);
        Renewed { cur: self.cur, expired_runs: self.expired_runs(now), runs }
    }

    pub(super) fn take_over(&mut self, now: Millis, bounds: &Bounds, node: &Node, op: OpId) -> Vec<TakenRun> {
        let mut taken = Vec::new();
        for (run, row) in &mut self.runs {
            let again = row.owner == *node && row.taken_by == Some(op);
            if row.ended.is_some() || !(again || row.lease <= now) {
                continue;
            }
            if !again {
                row.epoch += 1;
                row.owner = node.clone();
                row.taken_by = Some(op);
            }
            row.lease = now + bounds.lease_ms;
            let note = row.note.clone().into();
            taken.push(TakenRun { run: run.clone(), epoch: row.epoch, seq: row.seq, note });
        }
        self.stay(now, bounds);
        taken
    }

    pub(super) fn acknowledge(&mut self, now: Millis, bounds: &Bounds, cursor: Cursor) -> Cursor {
        self.acked = self.acked.max(cursor.min(self.cur));
        self.stay(now, bounds);
        self.acked
    }

    pub(super) fn raise(&mut self, now: Millis, bounds: &Bounds, seen: Cursor) -> (Cursor, bool) {
        let raised = seen > self.cur && seen <= CURSOR_MAX - RAISE_BY;
        if raised {
            self.cur = seen + RAISE_BY;
        }
        self.stay(now, bounds);
        (self.cur, raised)
    }

    /// The user is there: all that is kept is kept longer.
    const fn stay(&mut self, now: Millis, bounds: &Bounds) {
        self.until = now + bounds.user_ttl_ms;
    }

    fn listen(&mut self, now: Millis, bounds: &Bounds, node: &Node) {
        self.listeners.retain(|_, until| *until > now);
        self.listeners.insert(node.clone(), now + bounds.attach_ms);
    }

    fn known(&self, run: &RunId, node: &Node) -> Admitted {
        let row = self.runs.get(run);
        let open = row.is_some_and(|row| row.ended.is_none() && row.epoch != PSEUDO_EPOCH);
        Admitted::Known {
            run: run.clone(),
            epoch: row.map_or(0, |row| row.epoch),
            open,
            mine: open && row.is_some_and(|row| row.owner == *node),
        }
    }

    /// Puts the events behind the log, and takes away what is too much ahead of them.
    fn write(&mut self, now: Millis, bounds: &Bounds, append: &Append) -> Vec<Event> {
        let events: Vec<Event> = (0..)
            .zip(&append.frames)
            .map(|(n, frame)| Event {
                cursor: self.cur + 1 + n,
                run: append.run.clone(),
                seq: append.first_seq + n,
                frame: frame.clone(),
            })
            .collect();
        self.cur += events.len() as u64;
        self.log.extend(events.iter().cloned());
        let mut bytes: usize = self.log.iter().map(|event| event.frame.len()).sum();
        while self.log.len() > bounds.log_events_max as usize || bytes > bounds.log_bytes_max as usize {
            bytes -= self.log.pop_front().map_or(0, |event| event.frame.len());
        }
        self.log_until = now + bounds.log_ttl_ms;
        events
    }

    /// The row of the run after an append.
    fn note_append(&mut self, now: Millis, bounds: &Bounds, append: &Append, mut row: Row, first: Cursor) {
        row.seq += append.frames.len() as u64;
        row.last.push_back((append.first_seq, append.frames.len(), first));
        if row.last.len() > IN_FLIGHT_MAX {
            row.last.pop_front();
        }
        let ends = append.ends || append.epoch == PSEUDO_EPOCH;
        if ends {
            row.ended = Some(now);
            row.note = Vec::new();
        } else if let Some(note) = &append.note {
            row.note = note.to_vec();
        }
        self.runs.insert(append.run.clone(), row);
        if ends {
            self.forget_ended(now, bounds);
            let mut ended: Vec<(Millis, RunId)> =
                self.runs.iter().filter_map(|(run, row)| Some((row.ended?, run.clone()))).collect();
            ended.sort();
            let many = ended.len().saturating_sub(bounds.ended_runs_max as usize);
            for (_, run) in ended.drain(..many) {
                self.runs.remove(&run);
            }
        }
    }

    fn forget_ended(&mut self, now: Millis, bounds: &Bounds) {
        self.runs.retain(|_, row| row.ended.is_none_or(|at| at + bounds.ended_ttl_ms > now));
    }
}

impl Window {
    fn find(&self, id: &Arc<str>, now: Millis, bounds: &Bounds) -> Option<RunId> {
        let (at, run) = self.ids.get(id)?;
        (at + bounds.dedupe_ttl_ms > now).then(|| run.clone())
    }

    fn remember(&mut self, id: &Arc<str>, run: &RunId, now: Millis, bounds: &Bounds) {
        if let Some((before, _)) = self.ids.insert(id.clone(), (now, run.clone())) {
            self.order.remove(&(before, id.clone()));
        }
        self.order.insert((now, id.clone()));
        while self.order.len() > bounds.dedupe_ids_max as usize {
            if let Some((_, oldest)) = self.order.pop_first() {
                self.ids.remove(&oldest);
            }
        }
    }
}
