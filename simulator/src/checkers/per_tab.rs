//! One value for each tab of a user. Most users have one tab: the first value stands in place, so that it costs no memory of
//! its own and no way there.

/// Values by tab; a tab that was never named has the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PerTab<T> {
    first: Option<T>,
    more: Vec<T>,
}

impl<T: Default> PerTab<T> {
    /// Defaults for that many tabs.
    pub(super) fn of(tabs: u8) -> Self {
        let mut all = Self { first: None, more: Vec::new() };
        if let Some(last) = tabs.checked_sub(1) {
            all.at(last);
        }
        all
    }

    /// The value of a tab, and of all tabs below it from now on.
    #[inline]
    pub(super) fn at(&mut self, tab: u8) -> &mut T {
        let first = self.first.get_or_insert_default();
        match usize::from(tab) {
            0 => first,
            tab => {
                if self.more.len() < tab {
                    self.more.resize_with(tab, T::default);
                }
                &mut self.more[tab - 1]
            }
        }
    }

    /// The value of a tab that was named before.
    pub(super) fn get(&self, tab: u8) -> Option<&T> {
        match usize::from(tab) {
            0 => self.first.as_ref(),
            tab => self.more.get(tab - 1),
        }
    }

    /// The same, to change it.
    pub(super) fn get_mut(&mut self, tab: u8) -> Option<&mut T> {
        match usize::from(tab) {
            0 => self.first.as_mut(),
            tab => self.more.get_mut(tab - 1),
        }
    }

    /// The values, from the first tab to the last one named.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.more)
    }

    /// The same, to change them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.first.iter_mut().chain(&mut self.more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tab_that_was_named_brings_those_below_it() {
        let mut tabs = PerTab::<u32>::default();
        assert_eq!((tabs.get(0), tabs.iter().count()), (None, 0));
        *tabs.at(2) = 7;
        assert_eq!(tabs.iter().copied().collect::<Vec<_>>(), [0, 0, 7]);
        assert_eq!((tabs.get(2), tabs.get(3)), (Some(&7), None));
        assert_eq!(PerTab::<u32>::of(0), PerTab::default());
        assert_eq!(PerTab::<u32>::of(3).iter().count(), 3);
    }
}
