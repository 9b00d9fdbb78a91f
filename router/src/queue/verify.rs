//! Recounting: whether the books are true.

use alloc::{format, string::String};

use super::{Account, Policies, Queue, user::User};

impl<B> Queue<B> {
    /// Walks over everything and compares it with the books and the bounds. For tests and deep checks.
    ///
    /// # Errors
    /// The first thing that does not add up.
    pub fn verify(&self) -> Result<(), String> {
        let (mut all, mut pool, mut remembered, mut letters) = (Account::default(), (0, 0), 0, 0);
        for user in self.users.iter().flatten() {
            let name = &user.name;
            user.account
                .check()
                .map_err(|(left, right)| format!("{name}: {left} offered, {right} booked"))?;
            let (mut messages, mut bytes, mut leased) = (0_u32, 0_u64, 0_u32);
            for way in &user.ways {
                let mut of_way = (0, 0);
                for (_, lane) in way.live_lanes() {
                    if lane.is_over() {
                        return Err(format!("{name}: a lane of {:?} that is over", way.outlet));
                    }
                    if let Some(pair) = out_of_order(lane) {
                        return Err(format!("{name}: {} stands before {}", pair.0, pair.1));
                    }
                    of_way.0 += lane.entries.len() as u32;
                    of_way.1 += lane.leased;
                    bytes += lane.entries.iter().map(|entry| u64::from(entry.bytes)).sum::<u64>();
                }
                if let Some(lane) = way.forgotten() {
                    return Err(format!("{name}: a lane of {:?} is in nobody's turn: {lane}", way.outlet));
                }
                if of_way != (way.messages, way.leased) {
                    return Err(format!("{name}: {:?} holds {of_way:?}, not {}", way.outlet, way.messages));
                }
                let policy = self.policies.of(way.outlet);
                if way.outlet != super::Outlet::User && way.messages > policy.room(true) {
                    return Err(format!("{name}: {} messages in {:?}", way.messages, way.outlet));
                }
                messages += of_way.0;
                leased += of_way.1;
            }
            if (messages, bytes) != (user.messages, user.bytes) {
                return Err(format!("{name}: {messages} messages of {bytes} bytes, not {}", user.messages));
            }
            self.check_bounds(user)?;
            let here = (u64::from(messages - leased), u64::from(leased));
            if here != (user.account.waiting, user.account.leased) {
                return Err(format!("{name}: {here:?} wait and are leased, not {:?}", user.account));
            }
            let (more, more_bytes) = self.above_floor(messages, bytes);
            pool = (pool.0 + more, pool.1 + more_bytes);
            remembered += user.dedupe.len() as u64;
            letters += user.dead.len() as u64;
            all.waiting += here.0;
            all.leased += here.1;
        }
        self.account.check().map_err(|(left, right)| format!("{left} offered, {right} booked"))?;
        let counted = (all.waiting, all.leased, pool.0, pool.1, remembered, letters);
        let booked = (
            self.account.waiting,
            self.account.leased,
            self.pool_messages,
            self.pool_bytes,
            self.remembered,
            self.letters,
        );
        if counted != booked {
            return Err(format!(
                "waiting, leased, pool, pool bytes, ids, letters: {counted:?}, not {booked:?}"
            ));
        }
        if pool.0 > self.limits.pool_messages_max || pool.1 > self.limits.pool_bytes_max {
            return Err(format!("the pool holds {pool:?}"));
        }
        let most = (
            self.limits.users_max as usize,
            self.limits.dedupe_total_max,
            u64::from(self.limits.dead_letters_total_max),
        );
        let here = (self.names.len(), remembered, letters);
        if here.0 > most.0 || here.1 > most.1 || here.2 > most.2 {
            return Err(format!("users, ids, letters: {here:?} of {most:?}"));
        }
        Ok(())
    }

    /// Whether one user keeps to what one user may have.
    fn check_bounds(&self, user: &User<B>) -> Result<(), String> {
        let limits = &self.limits;
        let Policies { worker, connection, user: own, log, breaker: _ } = &self.policies;
        let headroom =
            [worker, connection, own, log].map(|policy| policy.headroom_messages).into_iter().max();
        let room = limits.user_messages_max.saturating_add(headroom.unwrap_or_default());
        let (ids, letters) = (user.dedupe.len(), user.dead.len());
        if user.messages > room
            || user.bytes > limits.user_bytes_max
            || ids > limits.dedupe_ids_max as usize
            || letters > limits.dead_letters_max as usize
        {
            let (messages, bytes) = (user.messages, user.bytes);
            return Err(format!(
                "{}: {messages} messages, {bytes} bytes, {ids} ids, {letters} letters",
                user.name
            ));
        }
        Ok(())
    }
}

/// The first two messages of a lane of which the later stands first; redriven and moved ones keep their old number.
fn out_of_order<B>(lane: &super::lane::Lane<B>) -> Option<(u64, u64)> {
    let seqs = lane.entries.iter().filter(|entry| !entry.redriven && !entry.moved).map(|entry| entry.seq);
    seqs.clone().zip(seqs.skip(1)).find(|(one, next)| one > next)
}
