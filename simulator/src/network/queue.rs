//! What happens next: a heap of compact events, ordered by time and then by the order in which they were set.

use std::collections::BinaryHeap;

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
    /// The server's socket wrote frames; only where writing takes time.
    Written { link: LinkRef },
}

impl Event {
    /// Whether it is something that the node has to take in.
    pub(crate) const fn is_for_node(self) -> bool {
        match self {
            Event::Up { .. }
            | Event::Gone { .. }
            | Event::Beat { .. }
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

/// The events to come.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Entry>,
    set: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at_us: u64,
    number: u64,
    event: Event,
}

impl Queue {
    pub(crate) fn set(&mut self, at_us: u64, event: Event) {
        self.set += 1;
        self.heap.push(Entry { at_us, number: self.set, event });
    }

    pub(crate) fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|entry| entry.at_us)
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, Event)> {
        self.heap.pop().map(|entry| (entry.at_us, entry.event))
    }
}

impl Ord for Entry {
    /// The earliest is the greatest: the heap gives out the greatest.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at_us, other.number).cmp(&(self.at_us, self.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}

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
}
