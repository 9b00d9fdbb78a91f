//! Who handles what: the host's handlers ahead of the built-in ones, the first that wants a message has it.

use std::collections::BTreeMap;

use super::{custom::Handler, handlers::BuiltIn, socket::Conn};
use crate::legacy::{
    Hazard, Hazards,
    message_types::MessageType,
    python::{Raised, Value},
};

/// A handler of the host that is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HandlerId(u64);

/// Whose a handler is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub user: String,
    /// The connection that registered it.
    pub conn: Conn,
}

/// Who was found for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A handler of the host.
    Custom(HandlerId),
    /// A built-in one.
    BuiltIn(BuiltIn),
}

struct Registered {
    handler: Box<dyn Handler>,
    owner: Option<Owner>,
}

/// The two lists.
pub(super) struct Registry {
    known: BTreeMap<HandlerId, Registered>,
    custom: Vec<HandlerId>,
    built_in: Vec<BuiltIn>,
    issued: u64,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("custom", &self.custom).field("built_in", &self.built_in).finish()
    }
}

impl Registry {
    pub(super) fn new() -> Self {
        let built_in = BuiltIn::REGISTERED.to_vec();
        Self { known: BTreeMap::new(), custom: Vec::new(), built_in, issued: 0 }
    }

    /// Makes a handler known. It stands in no list yet.
    fn know(&mut self, handler: Box<dyn Handler>, owner: Option<Owner>) -> HandlerId {
        self.issued += 1;
        let id = HandlerId(self.issued);
        self.known.insert(id, Registered { handler, owner });
        id
    }

    pub(super) fn add(&mut self, handler: Box<dyn Handler>, owner: Option<Owner>) -> HandlerId {
        let id = self.know(handler, owner);
        self.custom.push(id);
        id
    }

    pub(super) fn insert(&mut self, index: i64, handler: Box<dyn Handler>) -> HandlerId {
        let id = self.know(handler, None);
        self.place(index, id);
        id
    }

    /// A handler that is in the list already once more; at the end without an index.
    pub(super) fn again(&mut self, index: Option<i64>, id: HandlerId) -> bool {
        let known = self.known.contains_key(&id);
        match index {
            _ if !known => {}
            Some(index) => self.place(index, id),
            None => self.custom.push(id),
        }
        known
    }

    /// An index beyond the end means the end, a negative one counts from there.
    fn place(&mut self, index: i64, id: HandlerId) {
        let len = self.custom.len() as i64;
        let at = if index < 0 { (len + index).max(0) } else { index.min(len) };
        self.custom.insert(at as usize, id);
    }

    /// Takes the first entry of a handler out of the list.
    pub(super) fn remove(&mut self, id: HandlerId) {
        if let Some(at) = self.custom.iter().position(|known| *known == id) {
            self.custom.remove(at);
        }
        if !self.custom.contains(&id) {
            self.known.remove(&id);
        }
    }

    /// Takes a built-in handler out of the list, for good.
    pub(super) fn remove_built_in(&mut self, which: BuiltIn) {
        self.built_in.retain(|built_in| *built_in != which);
    }

    /// A connection is gone. H4: its handlers stay.
    pub(super) fn closed(&mut self, conn: Conn, hazards: Hazards) {
        if hazards.has(Hazard::H4) {
            return;
        }
        let known = &self.known;
        let gone = |id: &HandlerId| {
            let owner = known.get(id).and_then(|registered| registered.owner.as_ref());
            owner.is_some_and(|owner| owner.conn == conn)
        };
        let ids: Vec<HandlerId> = self.custom.iter().copied().filter(gone).collect();
        ids.into_iter().for_each(|id| self.remove(id));
    }

    /// The first that wants a message of a user. One that cannot say is passed over.
    ///
    /// H3: whose a handler is, nobody asks.
    pub(super) fn find(
        &mut self,
        kind: MessageType,
        user: Option<&Value>,
        hazards: Hazards,
    ) -> Option<Found> {
        for id in &self.custom {
            let Some(Registered { handler, owner }) = self.known.get_mut(id) else { continue };
            let owned = owner.as_ref().zip(user);
            let foreign = owned.is_some_and(|(owner, user)| user.as_str() != Some(&owner.user));
            if foreign && !hazards.has(Hazard::H3) {
                continue;
            }
            if handler.can_handle(kind).is_ok_and(|answer| answer.truthy()) {
                return Some(Found::Custom(*id));
            }
        }
        self.built_in.iter().find(|built_in| built_in.accepts(kind)).map(|found| Found::BuiltIn(*found))
    }

    pub(super) fn handler(&mut self, id: HandlerId) -> Option<&mut dyn Handler> {
        let registered = self.known.get_mut(&id)?;
        Some(registered.handler.as_mut())
    }

    pub(super) fn owner(&self, id: HandlerId) -> Option<&Owner> {
        self.known.get(&id)?.owner.as_ref()
    }

    /// All in order, with their names.
    pub(super) fn order(&self) -> impl Iterator<Item = (Found, &str)> {
        let custom = self.custom.iter().map(|id| {
            let name = self.known.get(id).map_or("", |registered| registered.handler.name());
            (Found::Custom(*id), name)
        });
        custom.chain(self.built_in.iter().map(|built_in| (Found::BuiltIn(*built_in), built_in.name())))
    }

    /// A host's handler's own figures.
    pub(super) fn figures(&self, id: HandlerId) -> Option<Value> {
        self.known.get(&id)?.handler.figures()
    }
}

/// What registering something raises that is no handler.
pub fn no_handler(type_name: &str) -> Raised {
    Raised::kind(format!(
        "Handler {type_name} does not implement MessageHandler protocol. Handler must have 'can_handle' and \
         'handle_message' methods. Raw functions are not supported - use a proper handler class instead."
    ))
}
