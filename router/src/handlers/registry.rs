//! The registry: custom handlers ahead of the built-in ones, found without a scan.

use alloc::{boxed::Box, string::String, vec::Vec};
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
    entries: Vec<Entry>,
    /// Per type: positions in `entries`, in order. Empty while there is no custom handler.
    by_kind: Vec<Vec<u32>>,
    /// Positions of bound handlers by connection, in order; they are asked first.
    bound: alloc::collections::BTreeMap<ConnId, Vec<u32>>,
    pub(super) built_ins: BuiltIns,
    issued: u64,
}

impl Registry {
    pub(super) const fn new(built_ins: BuiltIns) -> Self {
        let bound = alloc::collections::BTreeMap::new();
        Self { entries: Vec::new(), by_kind: Vec::new(), bound, built_ins, issued: 0 }
    }

    /// Whether the message of a type may have a custom handler at all.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn entry_mut(&mut self, position: usize) -> Option<&mut Entry> {
        self.entries.get_mut(position)
    }

    /// Appends, or inserts before `index`: beyond the end means at the end, a negative index counts from the end,
    /// below the first means at the front.
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
        let len = self.entries.len();
        if len >= count_max as usize {
            return Err(RegisterError::TooMany);
        }
        self.issued += 1;
        let id = HandlerId(self.issued);
        let entry = Entry {
            id,
            name,
            accepts,
            bound_to,
            counts: Counts::default(),
            last_failure: None,
            handler: Some(handler),
        };
        let at = index.map_or(len, |index| position(index, len));
        self.entries.insert(at, entry);
        if at == len {
            self.list(at)
        } else {
            self.rebuild()
        }
        Ok(id)
    }

    /// Takes one registration away; answers its entry.
    pub(super) fn remove(&mut self, id: HandlerId) -> Option<Entry> {
        let at = self.entries.iter().position(|entry| entry.id == id)?;
        let entry = self.entries.remove(at);
        self.rebuild();
        Some(entry)
    }

    /// Takes away what is bound to a connection that is gone; answers the entries.
    pub(super) fn unbind(&mut self, conn: ConnId) -> Vec<Entry> {
        if !self.bound.contains_key(&conn) {
            return Vec::new();
        }
        let (gone, left) = core::mem::take(&mut self.entries)
            .into_iter()
            .partition(|entry: &Entry| entry.bound_to == Some(conn));
        self.entries = left;
        self.rebuild();
        gone
    }

    /// The `n`-th custom handler in line for a message of that type on that connection.
    #[inline]
    pub(super) fn nth(&self, kind: Kind, conn: ConnId, n: usize) -> Option<usize> {
        let mut shared = n;
        if !self.bound.is_empty()
            && let Some(bound) = self.bound.get(&conn)
        {
            let mut own = bound.iter().filter(|at| self.entries[**at as usize].accepts.contains(kind));
            match own.nth(n) {
                Some(at) => return Some(*at as usize),
                None => {
                    shared -=
                        bound.iter().filter(|at| self.entries[**at as usize].accepts.contains(kind)).count();
                }
            }
        }
        self.by_kind.get(kind as usize)?.get(shared).map(|at| *at as usize)
    }

    /// Who is first in line for a type, whoever sends it.
    pub(super) fn find(&self, kind: Kind) -> Option<Found<'_>> {
        let first = self.by_kind.get(kind as usize).and_then(|list| list.first());
        if let Some(entry) = first.and_then(|at| self.entries.get(*at as usize)) {
            return Some(Found::Custom(entry.id, &entry.name));
        }
        self.built_ins.owner(kind).map(Found::BuiltIn)
    }

    /// Types that somebody takes.
    pub(super) fn served(&self) -> impl Iterator<Item = Kind> + '_ {
        Kind::ALL.iter().copied().filter(|kind| self.find(*kind).is_some())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = (Option<HandlerId>, &str)> {
        let custom = self.entries.iter().map(|entry| (Some(entry.id), &*entry.name));
        custom.chain(self.built_ins.iter().map(|built_in| (None, built_in.name())))
    }

    fn rebuild(&mut self) {
        self.by_kind.iter_mut().for_each(Vec::clear);
        self.bound.clear();
        (0..self.entries.len()).for_each(|at| self.list(at));
    }

    fn list(&mut self, at: usize) {
        if self.by_kind.is_empty() {
            self.by_kind.resize_with(Kind::ALL.len(), Vec::new);
        }
        let entry = &self.entries[at];
        match entry.bound_to {
            Some(conn) => self.bound.entry(conn).or_default().push(at as u32),
            None => entry.accepts.iter().for_each(|kind| self.by_kind[kind as usize].push(at as u32)),
        }
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
