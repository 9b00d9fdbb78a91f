//! How often each method of a facade was called.

use alloc::{vec, vec::Vec};

use serde_json::{Map, Value};

/// Calls of one facade value, by method. Methods never called are there with 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uses {
    facade: &'static str,
    methods: &'static [&'static str],
    counts: Vec<u64>,
}

impl Uses {
    pub(super) fn new(facade: &'static str, methods: &'static [&'static str]) -> Self {
        Self { facade, methods, counts: vec![0; methods.len()] }
    }

    /// Name of the facade.
    pub const fn facade(&self) -> &'static str {
        self.facade
    }

    /// Calls of one method; 0 for a name that is no method of the facade.
    pub fn of(&self, method: &str) -> u64 {
        self.iter().find(|(name, _)| *name == method).map_or(0, |(_, count)| count)
    }

    /// All methods with their calls, in the order in which the facade has them.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.methods.iter().copied().zip(self.counts.iter().copied())
    }

    /// Calls of all methods together. 0 for as long as you watch: the facade is free to delete.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Counts one call.
    pub(super) fn note(&mut self, method: &'static str) {
        let at = self.methods.iter().position(|name| *name == method);
        debug_assert!(at.is_some(), "{method} is not in the list of the facade's methods");
        if let Some(count) = at.and_then(|at| self.counts.get_mut(at)) {
            *count += 1;
        }
    }

    /// `{method: calls}`, for statistics.
    pub(super) fn json(&self) -> Value {
        Value::Object(self.iter().map(|(name, count)| (name.into(), count.into())).collect::<Map<_, _>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_counted_each_for_itself() {
        let mut uses = Uses::new("Facade", &["a", "b"]);
        uses.note("b");
        uses.note("b");
        assert_eq!(uses.iter().collect::<Vec<_>>(), [("a", 0), ("b", 2)]);
        assert_eq!((uses.of("a"), uses.of("b"), uses.of("c"), uses.total()), (0, 2, 0, 2));
        assert_eq!((uses.facade(), uses.json()), ("Facade", serde_json::json!({"a": 0, "b": 2})));
    }
}
