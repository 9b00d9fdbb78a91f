//! Dead letters: kept for those who ask, told to whom they were for, and sent again on request.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use super::{
    Admission, DeadLetter, Event, Offer, Outlet, Queue, Reason, Refusal,
    lane::{Entry, Failures},
};
use crate::{contract::Instant, fingerprint::Walk};

impl<B> Queue<B> {
    /// The dead letters of a user, the oldest first.
    pub fn dead_letters(&self, user: &str) -> impl Iterator<Item = &DeadLetter<B>> {
        self.user(user).into_iter().flat_map(|user| user.dead.iter())
    }

    /// Dead letters of all users.
    pub const fn letters_len(&self) -> u64 {
        self.letters
    }

    /// The dead letters of all users, in no order that means anything.
    pub fn all_dead_letters(&self) -> impl Iterator<Item = (&Arc<str>, &DeadLetter<B>)> {
        self.users.iter().flatten().flat_map(|user| user.dead.iter().map(|letter| (&user.name, letter)))
    }

    /// Keeps a message that never waited here and ended undelivered elsewhere: offered and dead at once. Answers its
    /// number.
    ///
    /// # Errors
    /// That is no user, or there is no room for one more.
    pub fn bury_new(
        &mut self,
        now: Instant,
        user: &str,
        offer: Offer<'_, B>,
        reason: Reason,
        events: &mut Vec<Event>,
    ) -> Result<u64, Refusal> {
        let index = self.user_or_new(user)?;
        self.last_seq += 1;
        let seq = self.last_seq;
        let user_account = self.users[index as usize].as_deref_mut().map(|user| &mut user.account);
        for account in [Some(&mut self.account), user_account].into_iter().flatten() {
            account.offered += 1;
            account.dead += 1;
        }
        let Offer { outlet, priority, order, protected, bytes, body, .. } = offer;
        let entry = Entry::new(seq, now, priority, protected, bytes, body);
        self.bury_entry(now, index, outlet, order, entry, reason, events);
        self.rest(index);
        Ok(seq)
    }

    /// What of a user's letters decides what comes next: how many there are, of how many the user was not told, and when
    /// that may be.
    pub(crate) fn digest_letters(&self, user: &str, walk: &mut Walk<'_>) {
        let Some(user) = self.user(user) else { return walk.flag(false) };
        walk.flag(true);
        walk.len(user.dead.len());
        for letter in &user.dead {
            walk.time(self.letter_until(letter));
        }
        walk.number(u64::from(user.untold));
        walk.time(user.notice_at.max(walk.now));
    }

    /// Lets a dead letter wait again, under its number, with all its attempts and the account of what went wrong before.
    /// A letter that waits again already is a duplicate; one that is not there at all is refused as one.
    pub fn redrive(&mut self, now: Instant, user: &str, seq: u64) -> Option<Admission> {
        let &index = self.names.get(user)?;
        let state = self.users[index as usize].as_ref()?;
        let Some(at) = state.dead.iter().position(|letter| letter.seq == seq) else {
            let lanes = state.ways.iter().flat_map(|way| way.live_lanes());
            let waits = lanes.into_iter().flat_map(|(_, lane)| &lane.entries);
            let again = waits.into_iter().any(|entry| entry.redriven && entry.seq == seq);
            return again.then_some(Admission::Duplicate { first: seq });
        };
        let letter = &state.dead[at];
        if let Err(refusal) = self.has_room(index, letter) {
            return Some(Admission::Refused(refusal));
        }
        let user = self.users[index as usize].as_mut()?;
        let letter = user.dead.remove(at)?;
        self.letters -= 1;
        user.account.dead -= 1;
        self.account.dead -= 1;
        let way = user.way_or_new(letter.outlet);
        let DeadLetter { outlet: _, priority, order, protected, bytes, failures, body, .. } = letter;
        let failures = (!failures.is_empty()).then(|| Box::new(Failures { attempts: 0, texts: failures }));
        let waits = Entry::new(seq, now, priority, protected, bytes, body);
        let entry = Entry { redriven: true, failures, ..waits };
        self.push(now, index, way, priority, order, entry);
        Some(Admission::Accepted { seq })
    }

    /// Takes a dead letter out of the keeping: somebody has dealt with it. `None`: there is no such letter.
    pub fn discard(&mut self, user: &str, seq: u64) -> Option<DeadLetter<B>> {
        let &index = self.names.get(user)?;
        let dead = &mut self.users[index as usize].as_mut()?.dead;
        let at = dead.iter().position(|letter| letter.seq == seq)?;
        let letter = dead.remove(at)?;
        self.letters -= 1;
        self.rest(index);
        Some(letter)
    }

    fn has_room(&self, index: u32, letter: &DeadLetter<B>) -> Result<(), Refusal> {
        let user = self.users[index as usize].as_ref().ok_or(Refusal::InvalidUser)?;
        let way = user.way(letter.outlet).map(|way| &user.ways[way]);
        if way.is_some_and(|way| way.standing == super::Standing::Closed) {
            return Err(Refusal::Closed);
        }
        let room = self.policies.of(letter.outlet).room(letter.protected);
        let bytes = user.bytes + u64::from(letter.bytes);
        if way.is_some_and(|way| way.messages >= room)
            || user.messages >= self.limits.user_messages_max
            || bytes > self.limits.user_bytes_max
        {
            return Err(Refusal::UserQuota);
        }
        self.pool_takes(user, user.messages + 1, bytes)
    }

    /// A message that is in no lane any more ends, and is kept.
    #[expect(clippy::too_many_arguments, reason = "where it stood, and what becomes of it")]
    pub(super) fn bury_entry(
        &mut self,
        now: Instant,
        index: u32,
        outlet: Outlet,
        order: Option<u64>,
        entry: Entry<B>,
        reason: Reason,
        events: &mut Vec<Event>,
    ) {
        let Some(user) = &self.users[index as usize] else { return };
        let Entry { seq, offered_at, bytes, priority, protected, failures, body, .. } = entry;
        events.push(Event::DeadLettered { user: user.name.clone(), outlet, seq, reason });
        let failures = failures.map(|failures| failures.texts).unwrap_or_default();
        let dead_at = now;
        let letter = DeadLetter {
            seq,
            outlet,
            priority,
            order,
            protected,
            bytes,
            offered_at,
            dead_at,
            reason,
            failures,
            body,
        };
        self.keep_letter(now, index, letter, events);
    }

    fn keep_letter(&mut self, now: Instant, index: u32, letter: DeadLetter<B>, events: &mut Vec<Event>) {
        let (most, until) = (self.limits.dead_letters_max as usize, self.letter_until(&letter));
        let notifies = self.policies.of(letter.outlet).notifies;
        let Some(user) = &mut self.users[index as usize] else { return };
        let (seq, generation) = (letter.seq, user.generation);
        if most > 0 {
            user.dead.push_back(letter);
            self.letters += 1;
            if user.dead.len() > most
                && let Some(oldest) = user.dead.pop_front()
            {
                self.letters -= 1;
                events.push(Event::LetterDropped { user: user.name.clone(), seq: oldest.seq });
            }
            self.buried.push_back((index, generation, seq));
        }
        user.untold += u32::from(notifies);
        let told = (user.notice_at <= now).then(|| (user.name.clone(), user.untold));
        let notice_at = user.notice_at;
        match told {
            _ if !notifies => {}
            Some((user, letters)) => self.notify(now, index, user, letters, events),
            None => self.arm_user(index, notice_at),
        }
        self.arm_user(index, until);
        self.forget_oldest_letters(events);
    }

    pub(super) fn notify(
        &mut self,
        now: Instant,
        index: u32,
        name: Arc<str>,
        letters: u32,
        events: &mut Vec<Event>,
    ) {
        if let Some(user) = &mut self.users[index as usize] {
            user.untold = 0;
            user.notice_at = now.after(self.limits.notice_every_us);
        }
        events.push(Event::Notice { user: name, letters });
    }

    /// Until when a letter is kept.
    pub(super) fn letter_until(&self, letter: &DeadLetter<B>) -> Instant {
        letter.dead_at.after(self.policies.of(letter.outlet).dead_ttl_us)
    }

    /// Forgets a user's letters that were kept long enough.
    pub(super) fn forget_letters(&mut self, now: Instant, index: u32) {
        loop {
            let Some(user) = &self.users[index as usize] else { return };
            let Some(letter) = user.dead.front().filter(|letter| self.letter_until(letter) <= now) else {
                return;
            };
            let seq = letter.seq;
            if let Some(user) = &mut self.users[index as usize] {
                user.dead.retain(|letter| letter.seq != seq);
                self.letters -= 1;
            }
        }
    }

    /// Bounds the letters of all users, and the list of their numbers.
    fn forget_oldest_letters(&mut self, events: &mut Vec<Event>) {
        let most = u64::from(self.limits.dead_letters_total_max);
        while self.letters > most {
            let Some((index, generation, seq)) = self.buried.pop_front() else { return };
            let Some(user) = self.user_at(index, generation) else { continue };
            let before = user.dead.len();
            user.dead.retain(|letter| letter.seq != seq);
            let forgotten = before - user.dead.len();
            if forgotten > 0 {
                events.push(Event::LetterDropped { user: user.name.clone(), seq });
            }
            self.letters -= forgotten as u64;
            // Of whom there is nothing else, nothing is kept.
            self.rest(index);
        }
        // Numbers of letters that are gone are swept once they are the larger part.
        if self.buried.len() as u64 > 2 * most + 16 {
            let users = &self.users;
            self.buried.retain(|(index, generation, seq)| {
                let user = users[*index as usize].as_ref().filter(|user| user.generation == *generation);
                user.is_some_and(|user| user.dead.iter().any(|letter| letter.seq == *seq))
            });
        }
    }
}
