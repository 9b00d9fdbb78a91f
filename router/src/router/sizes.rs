//! How much the router's tables hold: what a test of leaks compares.

use super::Router;

/// Entries of a router's tables, slots that wait to be reused included: what must not grow with those who are gone.
///
/// Rings of a fixed length are left out: recovery windows, samples of the quality monitor, the audit of tool calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Slots for connections.
    pub connections: usize,
    /// Slots for users.
    pub users: usize,
    /// Slots for runs.
    pub runs: usize,
    /// Deadlines, stale ones included.
    pub timers: usize,
    /// Names of connections.
    pub names: usize,
    /// Users that never connected and have events waiting.
    pub awaited_users: usize,
    /// Topics with a subscriber.
    pub topics: usize,
    /// Subscriptions of all users.
    pub subscriptions: usize,
    /// Open receipts.
    pub receipts: usize,
    /// Custom handlers, those bound to a connection included.
    pub handlers: usize,
    /// Connections that a handler is bound to.
    pub bound_connections: usize,
    /// Batches that wait.
    pub batches: usize,
    /// Answers for later that wait.
    pub later_replies: usize,
    /// Codes of clients' error reports that are counted each for itself.
    pub error_codes: usize,
    /// Quality questions that wait for their answer.
    pub asks: usize,
    /// Agents that the quality monitor tells apart.
    pub agents: usize,
    /// Users with a history of messages between services.
    pub histories: usize,
    /// Users that the toolbox knows.
    pub tool_users: usize,
    /// Pairs of user and tool whose calls are remembered for a rate limit.
    pub tool_windows: usize,
}

impl Router {
    /// How many entries each table holds, freed slots included.
    pub fn sizes(&self) -> Sizes {
        let (connections, users) = self.audience.slots();
        let (topics, subscriptions) = self.audience.subscriptions();
        let (tool_users, tool_windows) = self.tools.sizes();
        let handlers = self.handlers.sizes();
        Sizes {
            connections,
            users,
            runs: self.runs.len(),
            timers: self.timers.len(),
            names: self.audience.names_len(),
            awaited_users: self.audience.awaited_users() as usize,
            topics,
            subscriptions,
            receipts: self.receipts.len(),
            asks: self.desk.len(),
            agents: self.desk.monitor.agents_len(),
            histories: self.routes.histories_len(),
            tool_users,
            tool_windows,
            ..handlers
        }
    }
}
