//! What happens next: compact events, ordered by time and then by the order in which they were set.

use std::collections::VecDeque;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The next user arrives.
    Arrive,
    /// The user's next action.
    Act { user: u32 },
    /// The oldest thing on its way to the server arrives.
    Up { link: LinkRef },
    /// The oldest thing on its way to the client arrives.
    Down { link: LinkRef },
    /// The client reads again.
    ReadOn { link: LinkRef },
    /// The server notices that the connection is gone.
    Gone { link: LinkRef },
    /// A tab that was closed by the server tries again.
    Retry { user: u32, tab: u8 },
    /// The agent's next step. Runs of a node that died have the names of the next one's; `node` tells them apart.
    Beat { run: u32, generation: u32, node: u32 },
    /// The host does something for a user.
    Host { user: u32 },
    /// The server's socket wrote frames; only where writing takes time.
    Written { link: LinkRef },
    /// Something that others were allowed to overtake arrives.
    Late { link: LinkRef, number: u32 },
    /// The next of the faults that have a time.
    Strike,
    /// The node takes in again what waits.
    Resume,
    /// The node is told to drain.
    Drain,
    /// A node that was told to drain has had its time.
    Evict { node: u32 },
    /// A careful tab looks whether there is something to do.
    Care { user: u32, tab: u8 },
    /// What the user had in mind must be done by now.
    Rest { user: u32 },
}

impl Event {
    /// Whether it is something that the node has to take in.
    pub(crate) const fn is_for_node(self) -> bool {
        match self {
            Event::Up { .. }
            | Event::Gone { .. }
            | Event::Beat { .. }
            | Event::Host { .. }
            | Event::Drain
            | Event::Written { .. } => true,
            Event::Arrive
            | Event::Act { .. }
            | Event::Down { .. }
            | Event::ReadOn { .. }
            | Event::Retry { .. }
            | Event::Late { .. }
            | Event::Strike
            | Event::Resume
            | Event::Evict { .. }
            | Event::Care { .. }
            | Event::Rest { .. } => false,
        }
    }
}

/// A link, and how often its slot had been used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkRef {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// Bits of a time that one level tells apart.
const LEVEL_BITS: u32 = 6;
/// Slots of a level.
const SLOTS: usize = 1 << LEVEL_BITS;
/// Levels that a whole time takes.
const LEVELS: usize = u64::BITS.div_ceil(LEVEL_BITS) as usize;

/// Slots with at most as many events are searched for the earliest, and not emptied into lower levels.
const SEARCHED_MAX: usize = 12;
/// After all times.
const NEVER: u64 = u64::MAX;
/// So many events are handled soon.
pub(crate) const SOON_MAX: usize = 64;

/// The events to come: a radix heap. Times never run backwards, so an event stands at the level of the highest digit
/// (base 64) in which its time differs from a base that no event is earlier than, in the slot of that digit. A crowded slot
/// that becomes the first is emptied, in order, into lower slots, which are empty then, and the base moves there: events of
/// one time stay in the order in which they were set.
#[derive(Debug)]
pub(crate) struct Queue {
    slots: Vec<VecDeque<Entry>>,
    /// A bit for each slot of a level that holds something.
    occupied: [u64; LEVELS],
    base_us: u64,
    /// Where the earliest event stands; at [`NEVER`] if there is none.
    next: Next,
    /// The events before that time have been told of by [`upcoming`](Self::upcoming).
    told_us: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at_us: u64,
    event: Event,
}

/// Where the earliest event stands.
#[derive(Clone, Copy, Debug)]
struct Next {
    at_us: u64,
    level: usize,
    slot: usize,
    position: usize,
}

impl Default for Queue {
    fn default() -> Self {
        let slots = vec![VecDeque::new(); LEVELS * SLOTS];
        let next = Next { at_us: NEVER, level: 0, slot: 0, position: 0 };
        Self { slots, occupied: [0; LEVELS], base_us: 0, next, told_us: 0 }
    }
}

impl Queue {
    /// Sets an event. Its time is not before that of the last one given out.
    // Inline, and its like below: what was stored in parts a moment ago and is copied as a whole, the processor waits for.
    #[inline]
    pub(crate) fn set(&mut self, at_us: u64, event: Event) {
        let place = self.put(Entry { at_us: at_us.clamp(self.base_us, NEVER - 1), event });
        if place.at_us < self.next.at_us {
            self.next = place;
        }
    }

    #[inline]
    pub(crate) fn next_at(&self) -> Option<u64> {
        (self.next.at_us < NEVER).then_some(self.next.at_us)
    }

    /// The events that come next, [`SOON_MAX`] at most and in no order, when all those that it told of before have come;
    /// those set meanwhile are not among them. Nothing if they stand among too many.
    #[inline]
    pub(crate) fn upcoming(&mut self) -> Option<impl Iterator<Item = Event> + '_> {
        let Next { at_us, level, slot, .. } = self.next;
        if at_us < self.told_us || level == 0 || at_us == NEVER {
            return None;
        }
        let slots = &self.slots[level * SLOTS..][slot..SLOTS];
        let (mut events, mut told) = (0, 0);
        while let Some(entries) = slots.get(told)
            && events + entries.len() <= SOON_MAX
        {
            (events, told) = (events + entries.len(), told + 1);
        }
        let bits = level as u32 * LEVEL_BITS;
        self.told_us = ((at_us >> bits) + told as u64) << bits;
        (told > 0).then(|| slots[..told].iter().flatten().map(|entry| entry.event))
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(u64, Event)> {
        let crowded = self.slots[self.next.level * SLOTS + self.next.slot].len() > SEARCHED_MAX;
        if crowded && self.next.level > 0 {
            self.move_down(self.next);
            self.find();
        }
        let next = self.next;
        let slot = &mut self.slots[next.level * SLOTS + next.slot];
        let Entry { at_us, event } = *slot.get(next.position)?;
        if next.position == 0 {
            slot.pop_front();
        } else {
            slot.remove(next.position);
        }
        if slot.is_empty() {
            self.occupied[next.level] &= !(1 << next.slot);
        }
        self.find();
        Some((at_us, event))
    }

    #[inline]
    fn put(&mut self, entry: Entry) -> Next {
        let differs = entry.at_us ^ self.base_us;
        let level = ((u64::BITS - (differs | 1).leading_zeros() - 1) / LEVEL_BITS) as usize;
        let slot = (entry.at_us >> (level as u32 * LEVEL_BITS)) as usize % SLOTS;
        self.occupied[level] |= 1 << slot;
        let entries = &mut self.slots[level * SLOTS + slot];
        entries.push_back(entry);
        Next { at_us: entry.at_us, level, slot, position: entries.len() - 1 }
    }

    /// Empties the slot of the earliest event into the levels below.
    fn move_down(&mut self, Next { at_us, level, slot, .. }: Next) {
        self.base_us = at_us;
        self.occupied[level] &= !(1 << slot);
        let mut entries = std::mem::take(&mut self.slots[level * SLOTS + slot]);
        for entry in entries.drain(..) {
            self.put(entry);
        }
        // Its memory is used again.
        self.slots[level * SLOTS + slot] = entries;
    }

    /// Finds the first one of the earliest time, in the first slot of the lowest level that holds any.
    fn find(&mut self) {
        let next = &mut self.next;
        next.at_us = NEVER;
        let Some(level) = self.occupied.iter().position(|slots| *slots != 0) else { return };
        (next.level, next.slot) = (level, self.occupied[level].trailing_zeros() as usize);
        let (head, tail) = self.slots[level * SLOTS + next.slot].as_slices();
        // A slot of the lowest level holds one time.
        let searched = if level == 0 { 1 } else { usize::MAX };
        for (entries, start) in [(head, 0), (tail, head.len())] {
            for (entry, position) in entries.iter().take(searched).zip(start..) {
                if entry.at_us < next.at_us {
                    (next.at_us, next.position) = (entry.at_us, position);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_times_come_in_the_order_in_which_they_were_set() {
        let mut queue = Queue::default();
        for (at_us, user) in [(5, 0), (3, 1), (5, 2), (3, 3), (4, 4)] {
            queue.set(at_us, Event::Act { user });
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        let user = |user| Event::Act { user };
        assert_eq!(order, [(3, user(1)), (3, user(3)), (4, user(4)), (5, user(0)), (5, user(2))]);
    }

    /// Against a list that is sorted anew each time, with pauses from none to a day.
    #[test]
    fn events_come_as_from_a_sorted_list() {
        let mut prng = crate::prng::Prng::stream(1, crate::prng::Domain::Schedule, 0);
        let (mut queue, mut list) = (Queue::default(), Vec::new());
        let (mut now_us, mut users, mut all_told) = (0, 0.., 0);
        for _ in 0..20_000 {
            for _ in 0..prng.below(4) {
                let at_us = now_us + (prng.next_u64() >> prng.range(27..=64).min(63)) % 86_400_000_000;
                let user = users.next().unwrap();
                queue.set(at_us, Event::Act { user });
                list.push((at_us, user));
            }
            list.sort_by_key(|(at_us, _)| *at_us);
            assert_eq!(queue.next_at(), list.first().map(|(at_us, _)| *at_us));
            let mut told: Vec<_> = queue.upcoming().into_iter().flatten().collect();
            let mut first: Vec<_> =
                list[..told.len()].iter().map(|(_, user)| Event::Act { user: *user }).collect();
            for events in [&mut told, &mut first] {
                events.sort_by_key(|event| if let Event::Act { user } = *event { user } else { u32::MAX });
            }
            assert!(told == first && told.len() <= SOON_MAX, "what is told of is what comes first");
            all_told += told.len();
            // What is due earlier may come between a look and the next event.
            now_us = list.first().map_or(now_us, |(at_us, _)| now_us.midpoint(*at_us));
            if prng.chance(0.6) && !list.is_empty() {
                let (at_us, user) = list.remove(0);
                assert_eq!(queue.pop(), Some((at_us, Event::Act { user })));
                now_us = at_us;
            }
        }
        assert!(list.len() > 100 && users.start > 20_000 && all_told > 0);
    }
}
