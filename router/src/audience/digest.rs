//! What of users and connections can change what happens next. A new field has its place here, or among what is left out:
//! random walks (`tests/core/fingerprint.rs`) look for one that was forgotten.

use super::{Audience, Conn, ConnState, Receipts, User, UserRef, conn::Cold, receipts::At, user::MESSAGE};
use crate::{config::Config, fingerprint::Walk};

impl Audience {
    pub(crate) fn digest_user(
        &self,
        user: UserRef,
        config: &Config,
        receipts: &Receipts,
        walk: &mut Walk<'_>,
    ) {
        self.user(user).digest(config, receipts, walk);
        let topics = self.topics.of(user);
        walk.len(topics.len());
        topics.iter().for_each(|topic| walk.text(topic));
    }

    /// What slots still hold that nobody has any more: nothing, unless something was forgotten.
    pub(crate) fn digest_free_slots(&self, walk: &mut Walk<'_>) {
        for (place, index) in self.free_conns.iter().rev().enumerate() {
            let conn = &self.conns[*index as usize];
            let left =
                conn.in_flight.len() + conn.queued.len() + conn.cold.held as usize + conn.cold.awaited.len();
            if left > 0 || conn.cold.name.is_some() || !conn.cold.threads.is_empty() {
                walk.len(place);
                conn.digest_frames(walk);
            }
        }
        for (place, index) in self.free_users.iter().rev().enumerate() {
            let user = &self.users[*index as usize];
            if !user.log.is_empty() || !user.conns.is_empty() || !user.runs.is_empty() {
                walk.len(place);
                user.digest_log(walk);
            }
        }
    }
}

impl User {
    fn digest(&self, config: &Config, receipts: &Receipts, walk: &mut Walk<'_>) {
        let Self { tier, tokens, refilled, cursor, settled, delivered, unheard, id, .. } = self;
        let Self { ghosts, idle_since, audited, audits_suppressed, threads, promised, awaited, due, .. } =
            self;
        walk.text(id);
        walk.number(*tier as u64);
        let full = u64::from(config.rate_burst) * MESSAGE;
        let earned = walk.now.since(*refilled).saturating_mul(u64::from(config.rate_per_s));
        walk.number(tokens.saturating_add(earned).min(full));
        walk.optional_text(self.thread().map(|thread| &**thread));
        for number in [*threads, *cursor, *settled, *delivered, unheard.unwrap_or_default()] {
            walk.number(number);
        }
        self.dedupe.digest(config.dedupe(), walk);
        self.digest_log(walk);
        walk.len(ghosts.len());
        for ghost in ghosts {
            walk.number(ghost.acked);
            walk.time(ghost.until);
        }
        // Neither counts while somebody is here: both are set anew when the last one leaves.
        if self.is_idle() {
            walk.time(*idle_since);
            walk.time(*due);
        }
        walk.age(audited.unwrap_or_default(), config.audit_interval_us);
        walk.number(*audits_suppressed);
        walk.flag(*awaited);
        walk.len(promised.len());
        for (share, cursor) in promised {
            walk.len(receipts.place(share.receipt));
            walk.number(u64::from(share.part));
            walk.number(*cursor);
        }
    }

    fn digest_log(&self, walk: &mut Walk<'_>) {
        walk.len(self.log.len());
        for logged in &self.log {
            walk.optional_text(logged.thread.as_deref());
            walk.run(logged.run);
            walk.number(logged.seq);
            walk.frame(&logged.frame);
        }
    }
}

impl Conn {
    pub(crate) fn digest(&self, config: &Config, receipts: &Receipts, walk: &mut Walk<'_>) {
        let Self { state, partial, lagging, missed, credit, last_inbound, written, taken, .. } = self;
        let Cold { number, acked, resume, threads, ready_at, expires_at, last_heartbeat, .. } = &*self.cold;
        let Cold { last_progress, timer_at, held, held_bytes, rejects, name, .. } = &*self.cold;
        let Cold { frames_written, last_written, awaited, passed, .. } = &*self.cold;
        walk.connection(*number);
        for flag in [*state == ConnState::SettingUp, *state == ConnState::Closing, *partial, *lagging] {
            walk.flag(flag);
        }
        for number in [u64::from(*missed), u64::from(*credit), *written, *taken, *acked] {
            walk.number(number);
        }
        walk.time(*last_inbound);
        walk.time(last_written.unwrap_or_default().max(*last_inbound));
        walk.time(*last_heartbeat);
        walk.time(*timer_at);
        walk.optional_text(name.as_deref());
        walk.len(threads.len());
        threads.iter().for_each(|thread| walk.text(thread));
        walk.flag(expires_at.is_some());
        walk.time(expires_at.unwrap_or(walk.now));
        // Each counts in one state only, and is set when that begins.
        if *state == ConnState::SettingUp {
            walk.number(resume.map_or(0, |cursor| cursor + 1));
            walk.time(*ready_at);
            walk.len(*held_bytes);
        }
        if *lagging {
            walk.time(*last_progress);
        }
        walk.number(u64::from(*held));
        let recent = rejects.iter().filter(|at| walk.now.since(**at) < config.reject_window_us);
        let recent: alloc::vec::Vec<_> = recent.copied().collect();
        walk.len(recent.len());
        recent.into_iter().for_each(|at| walk.time(at));
        let (first, last) = passed.map_or((0, 0), |passed| (passed.first, passed.last));
        walk.number(first);
        walk.number(last);
        walk.len(awaited.len());
        for owed in awaited {
            walk.len(receipts.place(owed.receipt));
            walk.number(u64::from(owed.part));
            match owed.at {
                At::Position(at) => walk.number(at.wrapping_sub(*frames_written) << 1),
                At::Cursor(at) => walk.number(at << 1 | 1),
            }
        }
        self.digest_frames(walk);
    }

    fn digest_frames(&self, walk: &mut Walk<'_>) {
        walk.len(self.in_flight.len());
        self.in_flight.iter().for_each(|cursor| walk.number(cursor));
        walk.len(self.queued.len());
        for queued in &self.queued {
            walk.number(queued.cursor);
            walk.frame(&queued.frame);
        }
    }
}
