//! What keeps that which waits.

use crate::queue::Outlet;

/// What keeps a message while it waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Backend {
    /// This process: it ends with it.
    #[default]
    Memory,
    /// The store that several nodes share: another node goes on with it.
    Store,
}

impl Backend {
    /// Stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Memory => "memory",
            Backend::Store => "store",
        }
    }
}

/// Which back end keeps what waits for an outlet, where `is_shared` says whether several nodes share a store. A pure
/// function of what never changes while a router lives, so nothing ever moves from one to the other.
///
/// | | one node | several |
/// |---|---|---|
/// | work of a kind | memory | store: the run table has the message; whoever takes the run over does it |
/// | one connection | memory | memory: it ends with the node as its connection does |
/// | the user | memory | store: the log has it, for whichever node the user comes to |
/// | a log | memory | store |
///
/// What is on its way into the store is in memory, too; nothing of it was accepted, nor shown to anybody.
pub const fn backend(is_shared: bool, outlet: Outlet) -> Backend {
    match outlet {
        Outlet::Worker(_) | Outlet::User | Outlet::Log(_) if is_shared => Backend::Store,
        Outlet::Worker(_) | Outlet::User | Outlet::Log(_) | Outlet::Connection(_) => Backend::Memory,
    }
}
