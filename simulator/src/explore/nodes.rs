//! The states that were met: a fingerprint each, and which choice led there from which other.

/// States per block: blocks are never moved, so that growing costs no second copy.
const BLOCK: usize = 1 << 16;
/// Slots of the first index.
const SLOTS_MIN: usize = 1 << 12;
/// A slot that is free.
const FREE: u32 = u32::MAX;

/// States by number, in the order in which they were met, and by fingerprint.
#[derive(Debug)]
pub(super) struct Nodes {
    blocks: Vec<Block>,
    len: usize,
    /// Numbers, at a place that the fingerprint names or after it; at most two thirds are taken.
    slots: Vec<u32>,
}

#[derive(Debug)]
struct Block {
    prints: Vec<u128>,
    parents: Vec<u32>,
    choices: Vec<u16>,
}

/// Bytes of one state within a block.
const NODE_BYTES: usize = 16 + 4 + 2;

impl Nodes {
    /// The first state alone.
    pub(super) fn new(print: u128) -> Self {
        let mut nodes = Self { blocks: Vec::new(), len: 0, slots: vec![FREE; SLOTS_MIN] };
        nodes.insert(print, 0, 0);
        nodes
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Bytes in use.
    pub(super) fn bytes(&self) -> u64 {
        (self.blocks.len() * BLOCK * NODE_BYTES + self.slots.len() * 4) as u64
    }

    /// Bytes that one more state may need for a while.
    pub(super) fn growth(&self) -> u64 {
        let block = if self.len == self.blocks.len() * BLOCK { BLOCK * NODE_BYTES } else { 0 };
        let slots = if self.is_crowded() { self.slots.len() * 8 } else { 0 };
        (block + slots) as u64
    }

    /// Takes in a state, unless it is known or numbers have run out; answers its number if it is new.
    pub(super) fn insert(&mut self, print: u128, parent: u32, choice: u16) -> Option<u32> {
        if self.is_crowded() {
            self.grow();
        }
        let mut slot = self.home(print);
        while self.slots[slot] != FREE {
            if self.print(self.slots[slot]) == print {
                return None;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        let number = u32::try_from(self.len).ok().filter(|number| *number != FREE)?;
        self.slots[slot] = number;
        if self.len == self.blocks.len() * BLOCK {
            self.blocks.push(Block {
                prints: Vec::with_capacity(BLOCK),
                parents: Vec::with_capacity(BLOCK),
                choices: Vec::with_capacity(BLOCK),
            });
        }
        let block = &mut self.blocks[self.len / BLOCK];
        block.prints.push(print);
        block.parents.push(parent);
        block.choices.push(choice);
        self.len += 1;
        Some(number)
    }

    /// The state that a state was first reached from, and the choice that led on.
    pub(super) fn origin(&self, number: u32) -> (u32, u16) {
        let block = &self.blocks[number as usize / BLOCK];
        (block.parents[number as usize % BLOCK], block.choices[number as usize % BLOCK])
    }

    /// The choices that lead to a state, from the first one on: no way there is shorter.
    pub(super) fn path(&self, number: u32) -> Vec<u16> {
        let mut path = Vec::new();
        let mut at = number;
        while at != 0 {
            let (parent, choice) = self.origin(at);
            path.push(choice);
            at = parent;
        }
        path.reverse();
        path
    }

    fn print(&self, number: u32) -> u128 {
        self.blocks[number as usize / BLOCK].prints[number as usize % BLOCK]
    }

    const fn is_crowded(&self) -> bool {
        self.len * 3 >= self.slots.len() * 2
    }

    fn home(&self, print: u128) -> usize {
        (print >> 64) as usize & (self.slots.len() - 1)
    }

    fn grow(&mut self) {
        self.slots = vec![FREE; self.slots.len() * 2];
        for number in 0..self.len as u32 {
            let mut slot = self.home(self.print(number));
            while self.slots[slot] != FREE {
                slot = (slot + 1) & (self.slots.len() - 1);
            }
            self.slots[slot] = number;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_found_again_and_their_way_is_kept() {
        let print = |n: u32| u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let mut nodes = Nodes::new(print(0));
        for n in 1..200_000 {
            assert_eq!(nodes.insert(print(n), (n - 1) / 2, (n % 7) as u16), Some(n));
        }
        assert_eq!((nodes.len(), nodes.insert(print(77_777), 0, 0)), (200_000, None));
        // 0 → 1 → 3 → 8 → 17
        assert_eq!(nodes.path(17), [1, 3, 8 % 7, 17 % 7]);
        assert!(nodes.bytes() >= 200_000 * 22 && nodes.bytes() < 200_000 * 40, "{}", nodes.bytes());
    }

    #[test]
    fn different_states_of_one_home_are_told_apart() {
        let mut nodes = Nodes::new(0);
        for n in 1..100_u32 {
            assert_eq!(nodes.insert(u128::from(n), 0, 0), Some(n));
        }
        assert_eq!(nodes.insert(50, 0, 0), None);
    }
}
