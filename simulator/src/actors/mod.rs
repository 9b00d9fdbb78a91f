//! Who acts in a world: users, who play their plans, and agents, who play their scripts.

pub(crate) mod agent;
pub(crate) mod host;
pub(crate) mod tools;
pub(crate) mod user;
