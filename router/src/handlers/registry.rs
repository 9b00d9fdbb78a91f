//! The registry: custom handlers ahead of the built-in ones, found without a scan.

use alloc::{boxed::Box, collections::BTreeMap, string::String, vec::Vec};
use core::fmt;

use super::{BuiltIn, BuiltIns, Handler, KindSet, stats::Counts};
use crate::{contract::ConnId, message::Kind};

/// Longest name of a custom handler, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// One registration of a custom handler; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandlerId(pub(super) u64);

/// Who would take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'r> {
    /// A custom handler: its registration and its name.
    Custom(HandlerId, &'r str),
    /// A built-in one.
    BuiltIn(BuiltIn),
}

impl Found<'_> {
    /// The name in statistics.
    pub const fn name(&self) -> &str {
        match self {
            Found::Custom(_, name) => name,
            Found::BuiltIn(built_in) => built_in.name(),
        }
    }
}

/// Why a handler was not registered; the registry is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterError {
    /// As many as allowed are registered.
    TooMany,
    /// A name has 1 to 128 bytes.
    Name,
    /// The connection it is to be bound to is not there.
    NoConnection,
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RegisterError::TooMany => "too many handlers are registered",
            RegisterError::Name => "a handler's name has 1 to 128 bytes",
            RegisterError::NoConnection => "the connection is not there",
        })
    }
}

impl core::error::Error for RegisterError {}

/// A registered custom handler.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: HandlerId,
    pub(super) name: Box<str>,
    pub(super) accepts: KindSet,
    /// Serves this connection only, and goes with it.
    pub(super) bound_to: Option<ConnId>,
    pub(super) counts: Counts,
    pub(super) last_failure: Option<Box<str>>,
    /// Taken out while it works.
    pub(super) handler: Option<Box<dyn Handler>>,
}

/// Custom handlers in their order, a table of them per type, and which built-in ones are on.
#[derive(Debug)]
pub(super) struct Registry {
    entries: BTreeMap<HandlerId, Entry>,
    /// Those for every connection, in order.
    order: Vec<HandlerId>,
    /// Per type: those of `order` that accept it, in order. Empty while there is none.
    by_kind: Vec<Vec<HandlerId>>,
    /// Those bound to one connection, in order; they are asked first.
    bound: BTreeMap<ConnId, Vec<HandlerId>>,
    pub(super) built_ins: BuiltIns,
    issued: u64,
}

impl Registry {
    pub(super) const fn new(built_ins: BuiltIns) -> Self {
        Self {
            entries: BTreeMap::new(),
            order: Vec::new(),
            by_kind: Vec::new(),
            bound: BTreeMap::new(),
            built_ins,
            issued: 0,
        }
    }

    /// Whether no custom handler is registered.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The same, if nobody is registered: a handler is the host's, and there is one of it.
    pub(super) fn fork(&self) -> Option<Self> {
        self.is_empty().then(|| Self { issued: self.issued, ..Self::new(self.built_ins) })
    }

    /// Registrations, and connections that one is bound to.
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.entries.len(), self.bound.len())
    }

    /// All custom handlers in the order in which they are asked: bound ones first.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.bound.values().flatten().chain(&self.order).filter_map(|id| self.entries.get(id))
    }

    pub(super) fn entry_mut(&mut self, id: HandlerId) -> Option<&mut Entry> {
        self.entries.get_mut(&id)
    }

    /// Appends, or inserts before `index`: beyond the end means at the end, a negative index counts from the end,
    /// below the first means at the front. One that is bound to a connection is appended to those bound to it.
    pub(super) fn insert(
        &mut self,
        index: Option<i64>,
        handler: Box<dyn Handler>,
        bound_to: Option<ConnId>,
        count_max: u32,
    ) -> Result<HandlerId, RegisterError> {
        let (name, accepts): (Box<str>, KindSet) = (handler.name().into(), handler.accepts());
        if !(1..=NAME_BYTES_MAX).contains(&name.len()) {
            return Err(RegisterError::Name);
        }
        if self.entries.len() >= count_max as usize {
            return Err(RegisterError::TooMany);
        }
        self.issued += 1;
        let id = HandlerId(self.issued);
        let (counts, handler) = (Counts::default(), Some(handler));
        self.entries.insert(id, Entry { id, name, accepts, bound_to, counts, last_failure: None, handler });
        if let Some(conn) = bound_to {
            self.bound.entry(conn).or_default().push(id);
            return Ok(id);
        }
        let len = self.order.len();
        let at = index.map_or(len, |index| position(index, len));
        self.order.insert(at, id);
        if at == len {
            self.list(id)
        } else {
            self.rebuild()
        }
        Ok(id)
    }

    /// Takes one registration away; answers its entry.
    pub(super) fn remove(&mut self, id: HandlerId) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        match entry.bound_to {
            Some(conn) => {
                if let Some(list) = self.bound.get_mut(&conn) {
                    list.retain(|bound| *bound != id);
                    if list.is_empty() {
                        self.bound.remove(&conn);
                    }
                }
            }
            None => {
                self.order.retain(|listed| *listed != id);
                self.rebuild();
            }
        }
        Some(entry)
    }

    /// Takes away what is bound to a connection that is gone; answers the messages that came to it.
    pub(super) fn unbind(&mut self, conn: ConnId) -> u64 {
        let Some(list) = self.bound.remove(&conn) else { return 0 };
        list.iter().filter_map(|id| self.entries.remove(id)).map(|entry| entry.counts.total()).sum()
    }

    /// The `n`-th custom handler in line for a message of that type on that connection.
    #[inline]
    pub(super) fn nth(&self, kind: Kind, conn: ConnId, n: usize) -> Option<HandlerId> {
        let mut shared = n;
        if !self.bound.is_empty()
            && let Some(bound) = self.bound.get(&conn)
        {
            let accepts = |id: &HandlerId| self.entries.get(id).is_some_and(|e| e.accepts.contains(kind));
            let own = bound.iter().filter(|id| accepts(id));
            match own.clone().nth(n) {
                Some(id) => return Some(*id),
                None => shared -= own.count(),
            }
        }
        self.by_kind.get(kind as usize)?.get(shared).copied()
    }

    /// Who is first in line for a type, whoever sends it.
    pub(super) fn find(&self, kind: Kind) -> Option<Found<'_>> {
        let first = self.by_kind.get(kind as usize).and_then(|list| list.first());
        if let Some(entry) = first.and_then(|id| self.entries.get(id)) {
            return Some(Found::Custom(entry.id, &entry.name));
        }
        self.built_ins.owner(kind).map(Found::BuiltIn)
    }

    /// Types that somebody takes, whoever sends them.
    pub(super) fn served(&self) -> impl Iterator<Item = Kind> + '_ {
        Kind::ALL.iter().copied().filter(|kind| self.find(*kind).is_some())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = (Option<HandlerId>, &str)> {
        let custom = self.entries().map(|entry| (Some(entry.id), &*entry.name));
        custom.chain(self.built_ins.iter().map(|built_in| (None, built_in.name())))
    }

    fn rebuild(&mut self) {
        self.by_kind.iter_mut().for_each(Vec::clear);
        for at in 0..self.order.len() {
            self.list(self.order[at]);
        }
    }

    /// Appends a handler to the lists of the types it accepts.
    fn list(&mut self, id: HandlerId) {
        if self.by_kind.is_empty() {
            self.by_kind.resize_with(Kind::ALL.len(), Vec::new);
        }
        let accepts = self.entries.get(&id).map_or(KindSet::NONE, |entry| entry.accepts);
        accepts.iter().for_each(|kind| self.by_kind[kind as usize].push(id));
    }
}

/// Where an index of a list of `len` points to; see [`Registry::insert`].
fn position(index: i64, len: usize) -> usize {
    match usize::try_from(index) {
        Ok(index) => index.min(len),
        Err(_) => len.saturating_sub(usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX)),
    }
}

/// Keeps the beginning of a failure's cause.
pub(super) fn kept(cause: &str) -> Box<str> {
    String::from(crate::wire::cut(cause, 256)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_taken_as_lists_take_it() {
        for (index, len, at) in [
            (0, 3, 0),
            (2, 3, 2),
            (9, 3, 3),
            (-1, 3, 2),
            (-3, 3, 0),
            (-9, 3, 0),
            (-1, 0, 0),
            (i64::MIN, 2, 0),
        ] {
            assert_eq!(position(index, len), at, "{index} of {len}");
        }
    }
}
