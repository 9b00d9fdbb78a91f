//! The order of timers: a binary heap as the standard library keeps it.
//!
//! It is not stable: what was pushed at one time for the same time comes out in an order that follows from the heap's
//! shape. Recordings show that order, so it is kept.

/// Values by time.
#[derive(Debug)]
pub struct Heap<T>(Vec<(u64, T)>);

impl<T> Default for Heap<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Heap<T> {
    /// The earliest time.
    pub fn next(&self) -> Option<u64> {
        self.0.first().map(|(at, _)| *at)
    }

    /// `heappush`.
    pub fn push(&mut self, at: u64, value: T) {
        self.0.push((at, value));
        self.up(0, self.0.len() - 1);
    }

    /// `heappop`.
    pub fn pop(&mut self) -> Option<(u64, T)> {
        if self.0.is_empty() {
            return None;
        }
        let first = self.0.swap_remove(0);
        self.down();
        Some(first)
    }

    /// Moves a value towards the root while it is earlier than its parent.
    fn up(&mut self, root: usize, mut at: usize) {
        while at > root {
            let parent = (at - 1) / 2;
            if self.0[at].0 >= self.0[parent].0 {
                break;
            }
            self.0.swap(at, parent);
            at = parent;
        }
    }

    /// Moves the root down to a leaf along the earlier children, of equal ones along the right, then up again.
    fn down(&mut self) {
        let (len, mut at) = (self.0.len(), 0);
        while 2 * at + 1 < len {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let child = if right < len && self.0[left].0 >= self.0[right].0 { right } else { left };
            self.0.swap(at, child);
            at = child;
        }
        if len > 0 {
            self.up(0, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(times: &[u64]) -> Vec<usize> {
        let mut heap = Heap::default();
        for (n, at) in times.iter().enumerate() {
            heap.push(*at, n);
        }
        std::iter::from_fn(|| heap.pop()).map(|(_, n)| n).collect()
    }

    #[test]
    fn times_come_in_order_and_equal_ones_as_the_heap_lies() {
        assert_eq!(order(&[3, 1, 2]), [1, 2, 0]);
        assert_eq!(order(&[5, 5, 5, 5]), [0, 2, 1, 3]);
        assert_eq!(order(&[5, 5, 5, 5, 5]), [0, 2, 4, 1, 3]);
    }
}
