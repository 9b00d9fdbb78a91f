//! A queue that mostly holds one thing or none. The first stands in place, so that it costs no memory of its own, no way there,
//! and no wait for a place that was not written for long.

use std::collections::VecDeque;

/// Oldest first.
#[derive(Clone, Debug)]
pub(crate) struct Few<T> {
    /// Empty only if `rest` is.
    first: Option<T>,
    rest: VecDeque<T>,
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self { first: None, rest: VecDeque::new() }
    }
}

impl<T> Few<T> {
    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    pub(crate) fn front(&self) -> Option<&T> {
        self.first.as_ref()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.rest)
    }

    #[inline]
    pub(crate) fn push_back(&mut self, thing: T) {
        if self.first.is_none() {
            self.first = Some(thing);
        } else {
            self.rest.push_back(thing);
        }
    }

    pub(crate) fn push_front(&mut self, thing: T) {
        if let Some(first) = self.first.replace(thing) {
            self.rest.push_front(first);
        }
    }

    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        let first = self.first.take();
        if !self.rest.is_empty() {
            self.first = self.rest.pop_front();
        }
        first
    }

    /// Before the thing at `at`, or at the end if there are not so many.
    pub(crate) fn insert(&mut self, at: usize, thing: T) {
        match at.checked_sub(1) {
            None => self.push_front(thing),
            Some(_) if self.first.is_none() => self.first = Some(thing),
            Some(at) => self.rest.insert(at.min(self.rest.len()), thing),
        }
    }

    pub(crate) fn remove(&mut self, at: usize) -> Option<T> {
        match at.checked_sub(1) {
            None => self.pop_front(),
            Some(at) => self.rest.remove(at),
        }
    }

    /// Gives up all, and the memory that they took.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_does_what_a_deque_does(steps in prop::collection::vec((0..7_u8, 0..5_usize), 0..200)) {
            let (mut few, mut deque) = (Few::default(), VecDeque::new());
            for (number, (step, at)) in steps.into_iter().enumerate() {
                match step {
                    0 | 1 => {
                        few.push_back(number);
                        deque.push_back(number);
                    }
                    2 => {
                        few.push_front(number);
                        deque.push_front(number);
                    }
                    3 => {
                        few.insert(at, number);
                        deque.insert(at.min(deque.len()), number);
                    }
                    4 => prop_assert_eq!(few.remove(at), deque.remove(at)),
                    _ => prop_assert_eq!(few.pop_front(), deque.pop_front()),
                }
                prop_assert_eq!(few.front(), deque.front());
                prop_assert_eq!(few.len(), deque.len());
                prop_assert!(few.iter().eq(&deque));
            }
            few.clear();
            prop_assert_eq!((few.len(), few.front()), (0, None));
        }
    }
}
