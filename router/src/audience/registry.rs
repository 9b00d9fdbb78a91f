//! Who is here: connections by user and by name, and how long each has been idle.

use alloc::{sync::Arc, vec::Vec};

use super::{Audience, Conn, ConnState, User, UserRef};
use crate::contract::{ConnId, Instant, UserId};

/// A live connection, as the registry knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its handle.
    pub conn: ConnId,
    /// The name it was connected under.
    pub name: Option<Arc<str>>,
    /// The first thread that its run events are restricted to.
    pub thread: Option<Arc<str>>,
    /// Time since something was last read from it or successfully written to it, microseconds.
    pub idle_us: u64,
}

/// How much of the registry is in use. Closing connections are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// Users with a live connection.
    pub users: u64,
    /// Live connections.
    pub connections: u64,
    /// Those that are not idle.
    pub active: u64,
    /// Those that were written a frame within the idle time.
    pub served: u64,
}

impl Pool {
    /// Share of the live connections that were written a frame within the idle time, in percent; `None` when there is
    /// no connection.
    pub fn efficiency_percent(&self) -> Option<f64> {
        (self.connections > 0).then(|| self.served as f64 * 100.0 / self.connections as f64)
    }
}

impl Conn {
    /// Served or being set up: neither gone nor being closed.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.state, ConnState::SettingUp | ConnState::Open)
    }

    /// Time since the last sign of life. Heartbeats that could not be written, and failed writes, are none.
    fn idle_us(&self, now: Instant) -> u64 {
        now.since(self.last_inbound.max(self.cold.last_written.unwrap_or_default()))
    }
}

impl Audience {
    /// The live connections of a user, in the order in which they were opened.
    pub(crate) fn connections(&self, user: UserRef, now: Instant) -> impl Iterator<Item = Connection> + '_ {
        self.user(user).conns.iter().filter_map(move |index| {
            let conn = self.conn_at(*index);
            conn.is_live().then(|| Connection {
                conn: conn.id(*index),
                name: conn.cold.name.clone(),
                thread: conn.cold.threads.first().cloned(),
                idle_us: conn.idle_us(now),
            })
        })
    }

    /// Whether the connection is live and that user's.
    pub(crate) fn owns(&self, user: UserRef, id: ConnId) -> bool {
        self.conn(id).is_some_and(|conn| conn.is_live() && conn.user == user)
    }

    /// The live connection of exactly that name.
    pub(crate) fn named(&self, name: &str) -> Option<ConnId> {
        let index = *self.by_name.get(name)?;
        let conn = self.conn_at(index);
        conn.is_live().then(|| conn.id(index))
    }

    /// Gives a connection its name; an older holder of it keeps only its own memory of it.
    pub(super) fn give_name(&mut self, index: u32, name: &str) {
        let name: Arc<str> = name.into();
        self.conns[index as usize].cold.name = Some(name.clone());
        self.by_name.insert(name, index);
    }

    /// Forgets the name of a connection that goes, if it is still its.
    pub(super) fn drop_name(&mut self, index: u32) {
        if let Some(name) = self.conns[index as usize].cold.name.take()
            && self.by_name.get(&name) == Some(&index)
        {
            self.by_name.remove(&name);
        }
    }

    /// The live connections that have been idle for that long.
    pub(crate) fn idle_conns(&self, now: Instant, idle_us: u64) -> Vec<ConnId> {
        let idle = |conn: &Conn| conn.is_live() && conn.idle_us(now) >= idle_us;
        let all = self.conns.iter().enumerate().filter(|(_, conn)| idle(conn));
        all.map(|(index, conn)| conn.id(index as u32)).collect()
    }

    /// A walk over all connections.
    pub(crate) fn pool(&self, now: Instant, idle_us: u64) -> Pool {
        // Slot after slot, as they lie in memory: a free one has no connections.
        let live = |user: &&User| user.conns.iter().any(|index| self.conn_at(*index).is_live());
        let mut pool = Pool { users: self.users.iter().filter(live).count() as u64, ..Pool::default() };
        for conn in self.conns.iter().filter(|conn| conn.is_live()) {
            let served = conn.cold.last_written.is_some_and(|at| now.since(at) < idle_us);
            pool.connections += 1;
            pool.active += u64::from(conn.idle_us(now) < idle_us);
            pool.served += u64::from(served);
        }
        pool
    }

    /// Users with a live connection, and how many they have, in order of their ids.
    pub(crate) fn live_users(&self) -> impl Iterator<Item = (&UserId, usize)> {
        let live = self.users().filter_map(|user| {
            let live = user.conns.iter().filter(|index| self.conn_at(**index).is_live()).count();
            (live > 0).then_some((&user.id, live))
        });
        let mut live: Vec<_> = live.collect();
        live.sort_unstable();
        live.into_iter()
    }
}
