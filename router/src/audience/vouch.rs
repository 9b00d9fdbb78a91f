//! Who vouches for which events: a connection restricted to some threads says nothing of the others' events by being
//! written what comes after them. All of this is off the path of connections that always wanted everything.

use alloc::collections::VecDeque;

use super::{Audience, Conn, Flow, Member, Owner, User, user::Logged};

/// Events that a connection may have passed over although it wants them now: from the first to the last cursor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passed {
    pub(super) first: u64,
    pub(super) last: u64,
}

impl Conn {
    /// Whether the connection will be written that event, or was.
    fn covers(&self, cursor: u64, event: &Logged) -> bool {
        let passed = self.cold.passed.is_some_and(|passed| (passed.first..=passed.last).contains(&cursor));
        self.in_use() && !passed && self.wants(event.thread.as_deref())
    }

    /// Whether the connection was written that event.
    fn vouches(&self, cursor: u64, event: &Logged) -> bool {
        self.written >= cursor && self.covers(cursor, event)
    }
}

impl User {
    /// The events of the window from that cursor on.
    fn events_from(&self, cursor: u64) -> impl Iterator<Item = (u64, &Logged)> {
        let first = self.log_first();
        let log: &VecDeque<Logged> = &self.log;
        (first..).zip(log).skip(cursor.saturating_sub(first) as usize)
    }
}

impl Audience {
    /// A connection that passed over some events was written more: what follows the last delivered event is delivered
    /// as far as each event was written to a connection that wanted it.
    pub(super) fn heard_in_part(&mut self, owner: &Owner<'_>, member: &Member<'_>) {
        let Self { conns, users, .. } = self;
        let user = &mut users[owner.user.index as usize];
        let nobody = |(cursor, event): &(u64, &Logged)| {
            !user.conns.iter().any(|index| conns[*index as usize].vouches(*cursor, event))
        };
        let unwritten = user.events_from(user.delivered + 1).find(nobody).map(|(cursor, _)| cursor);
        let unheard = user.unheard.and_then(|first| user.events_from(first).find(nobody));
        user.unheard = unheard.map(|(cursor, _)| cursor);
        let end = unwritten.unwrap_or(user.cursor + 1);
        // What left the window before the first that is unwritten is settled one way or the other.
        if user.events_from(user.delivered + 1).next().is_some_and(|(cursor, _)| cursor < end) {
            user.delivered = end - 1;
        }
        let (delivered, first) = (user.delivered, user.log_first());
        let conn = &mut conns[member.index as usize];
        conn.cold.passed = conn.cold.passed.filter(|passed| passed.last > delivered && passed.last >= first);
        conn.partial = conn.filtered || conn.cold.passed.is_some();
    }

    /// Notes the first event that nobody who is here now will be written: it waits for somebody who comes.
    pub(super) fn note_unheard(&mut self, owner: &Owner<'_>) {
        let Self { conns, users, .. } = self;
        let user = &mut users[owner.user.index as usize];
        if !user.conns.iter().any(|index| conns[*index as usize].partial) {
            return;
        }
        let nobody = |(cursor, event): &(u64, &Logged)| {
            !user.conns.iter().any(|index| conns[*index as usize].covers(*cursor, event))
        };
        let unheard = user.events_from(user.delivered + 1).find(nobody).map(|(cursor, _)| cursor);
        if let Some(cursor) = unheard {
            user.skip(cursor);
        }
    }

    /// Adds a thread to those that the connection is restricted to, or takes it away. `false` when it has `max` of them.
    pub(crate) fn restrict<'b>(
        &mut self,
        owner: &Owner<'b>,
        member: &Member<'b>,
        thread: &str,
        on: bool,
        max: usize,
        flow: &mut Flow<'_>,
    ) -> bool {
        let Self { conns, users, .. } = self;
        let (user, conn) = (&users[owner.user.index as usize], &mut conns[member.index as usize]);
        let known = conn.cold.threads.iter().any(|known| **known == *thread);
        if on && !known && conn.cold.threads.len() >= max {
            return false;
        }
        let unwanted = |(_, event): &(u64, &Logged)| !conn.wants(event.thread.as_deref());
        let passed = user.events_from(user.delivered + 1).find(unwanted).map(|(cursor, _)| cursor);
        // A lagging connection catches up with what it wants by then.
        let last = if conn.lagging { conn.taken } else { user.cursor };
        if let Some(first) = passed.filter(|first| *first <= last) {
            let first = conn.cold.passed.map_or(first, |passed| passed.first.min(first));
            conn.cold.passed = Some(Passed { first, last });
        }
        conn.cold.threads.retain(|known| **known != *thread);
        if on {
            conn.cold.threads.push(thread.into());
        }
        conn.filtered = !conn.cold.threads.is_empty();
        conn.partial = conn.filtered || conn.cold.passed.is_some();
        let id = conn.id(member.index);
        flow.miss_unwanted(conn, id, user);
        self.note_unheard(owner);
        true
    }
}
