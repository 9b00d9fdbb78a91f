//! The recovery window of a node of several: the end of a log that a shared store keeps, read as far as somebody needs it.

use alloc::vec::Vec;

use super::{Audience, Flow, Owner, UserRef, user::Logged};
use crate::contract::ConnId;

impl Audience {
    /// The window of a user of whom nobody is served yet begins after `cursor`.
    pub(crate) fn rebase(&mut self, user: UserRef, cursor: u64) {
        let user = self.user_mut(user);
        debug_assert!(user.log.is_empty() && user.cursor == user.settled, "let go before");
        (user.cursor, user.settled, user.delivered) = (cursor, cursor, cursor);
        user.unheard = None;
    }

    /// Events that come right before the window: it begins with them. They count nowhere, others have settled them.
    pub(crate) fn put_ahead(&mut self, user: UserRef, events: Vec<Logged>) {
        let user = self.user_mut(user);
        for event in events.into_iter().rev() {
            user.log_bytes += event.frame.len();
            user.log.push_front(event);
        }
    }

    /// The user's last connection here is gone: the store keeps what this window had. Answers up to where it was written.
    pub(crate) fn let_go(&mut self, owner: &Owner<'_>, flow: &mut Flow<'_>) -> u64 {
        let user = self.user(owner.user());
        let (written, kept, cursor) =
            (user.up_to_unheard(user.delivered), user.cursor - user.settled, user.cursor);
        flow.break_promises(self.user_mut(owner.user()), cursor);
        self.user_mut(owner.user()).empty_window();
        flow.stats.events.kept += kept;
        flow.stats.events.waiting -= kept;
        written
    }

    /// It is known what the connection's user missed: the connection stands at its own cursor, or where the user's others
    /// have come to, here or elsewhere.
    pub(crate) fn seat(&mut self, id: ConnId, acknowledged: u64) {
        let Some(conn) = self.conn(id) else { return };
        let user = self.user(conn.user);
        // What the client knows beyond the log was never in it.
        let resume = conn.cold.resume.map(|cursor| cursor.min(user.cursor));
        let at = resume.unwrap_or(user.delivered.max(acknowledged)).min(user.cursor);
        let Some(conn) = self.conn_mut(id) else { return };
        conn.cold.resume = resume;
        (conn.cold.acked, conn.written, conn.taken) = (at, at, at);
        conn.cold.seated = true;
    }
}
