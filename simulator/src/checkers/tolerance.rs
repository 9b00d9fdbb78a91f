//! What the checkers forgive where a scenario has faults, all of it in this one table. Everything else stays as strict as
//! without: above all `iso.*`, `deliver.I3`, `wire.*`, `account.*` and `bounds.*` forgive nothing.
//!
//! *Touched* is a user from the moment on when the first rule that concerns it may act; a rule about the node concerns
//! everybody. *Disturbed* is a connection on which a frame was lost, doubled, overtaken or garbled by the network, as the
//! world tells; *crowded* is one whose socket had a full window, as the world tells, too. A *gap* is one that the server announced on that tab, by `recovery_gap`, or by a welcome that
//! names another node than the last one, or is below the tab's own cursor; and, for a touched tab that gets to connect for the first time when runs are
//! under way, what they said before.
//!
//! | rule | is not broken by | if |
//! |---|---|---|
//! | `golden.closed` | a close by the server | touched |
//! | `golden.terminal` | another end than planned | touched |
//! | `golden.incomplete` | fewer or more events than planned, in a run that ended as planned | touched, and a gap, or a planned stop or time-out, or a planned failure and `services_away` |
//! | the same | fewer failed tools than planned, in a run with a tool that the router closed for its time was over | touched, and the node's clock has jumped or drifted |
//! | the same | fewer events than planned, in a run that was to fail and ended with `SHUTDOWN` | touched, and a `deploy` |
//! | `golden.setup` | an answer before the connection is set up | touched, and a `deploy`: a node that drains settles what it holds |
//! | `golden.incomplete` at the end | a run without its end on a tab | a gap on that tab; or its node was replaced since, and another tab has the end |
//! | the same | a run without its end otherwise | never: touched, it is called `live.pending` |
//! | `golden.answer` | an answer missing, doubled, out of order | disturbed |
//! | `golden.answer` | an answer missing | touched and crowded: an answer without a cursor that finds no room is dropped |
//! | `golden.answer` | `TOO_LARGE` ahead of older answers | touched, and the connection answered nothing yet that waits for its set-up |
//! | `golden.answer` | a refusal that crowding explains: `RATE_LIMITED`, `RUN_LIMIT`, `OVERLOADED` | touched |
//! | `golden.answer`, `golden.setup` | `CONNECTION_LIMIT`: older connections are not known to be gone | touched |
//! | `golden.answer` | `SHUTTING_DOWN` | touched, and a `deploy` |
//! | `golden.answer` | `HANDLER_ERROR`, `SERVICE_NOT_READY` to a question | touched, and `services_away` |
//! | `golden.answer` | `duplicate` | the client sent the message again, or disturbed |
//! | `golden.answer` at the end | an answer without a name on its way | a rule concerns the user: it leaves by itself |
//! | `golden.setup` | `TOO_LARGE` before the set-up is over, or a refusal as above | touched: the plan no longer keeps such frames out of it |
//! | `golden.setup` | whatever came before the set-up is over | the node's clock has jumped or drifted |
//! | `golden.late` | an answer after more than 5 s | touched |
//! | `golden.twice` | a second run of one request | the two are of different nodes, whichever is seen first; or the server knows no message again |
//! | the same | a second run of one request | touched, and the request was sent longer ago than the server's clock has ids remembered |
//! | `run.R1`, `run.R3`, `run.R4` | what a run seems to lack | a gap |
//! | `run.R5` | a run without its end | its node was replaced, or a gap |
//! | `deliver.I4` | a frame ahead of a hole, which the client does not take | disturbed |
//! | `deliver.I4` | a welcome below the client's cursor | the node was replaced, or touched, and all tabs were silent for a recovery window since this one's last welcome |
//! | `deliver.I2` | a tab without the newest events of a node | the tab never met that node |
//!
//! A run that ended otherwise than planned and was forgiven is counted (`forgiven`); the objective of the golden path is
//! about all others.

use crate::faults::begins_us;
use crate::plan::Plan;
use crate::scenario::FaultKind;

/// What may be forgiven to one user.
#[derive(Clone, Debug)]
pub(super) struct Tolerance {
    /// From when on the user is touched; `u64::MAX` if never.
    pub(super) from_us: u64,
    pub(super) deploys: bool,
    pub(super) services_away: bool,
    tabs: Vec<Tab>,
    /// When the newest frame was made by the server's clock, on whatever tab: what a network held back says nothing of a server
    /// that has forgotten meanwhile.
    heard_us: u64,
    /// When the latest silence began in which a server may forget the user.
    silent_us: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tab {
    disturbed: bool,
    crowded: bool,
    /// The node of its connection.
    node: u32,
    /// The same, as far as this tab was there.
    heard_us: u64,
    /// Whether it was silent, with all others, for so long that the server may have forgotten the user since its welcome.
    away: bool,
}

impl Tolerance {
    pub(super) fn of(plan: &Plan, user: u32) -> Self {
        let faults = &plan.scenario().faults;
        let has = |kind| faults.iter().any(|fault| fault.kind == kind);
        Self {
            from_us: begins_us(faults, user).unwrap_or(u64::MAX),
            deploys: has(FaultKind::Deploy),
            services_away: has(FaultKind::ServicesAway),
            tabs: Vec::new(),
            heard_us: 0,
            silent_us: None,
        }
    }

    /// A frame came on a tab that the server made at that time by its clock: whether all tabs were silent for so long at some
    /// time, and this one has had no welcome since.
    pub(super) fn silent(&mut self, made_us: u64, tab: u8, for_us: u64, welcome: bool) -> bool {
        let made_us = made_us.max(self.heard_us); // replays were made before
        let before_us = std::mem::replace(&mut self.heard_us, made_us);
        if made_us - before_us >= for_us {
            self.silent_us = Some(before_us);
        }
        let silent_us = self.silent_us;
        let tab = self.tab_mut(tab);
        let heard_us = std::mem::replace(&mut tab.heard_us, made_us);
        let away = tab.away || silent_us.is_some_and(|silent_us| heard_us <= silent_us);
        tab.away = away && !welcome;
        away
    }

    pub(super) const fn touched(&self, at_us: u64) -> bool {
        at_us >= self.from_us
    }

    /// A new connection, on which nothing has happened yet.
    pub(super) fn connecting(&mut self, tab: u8) {
        let tab = self.tab_mut(tab);
        (tab.disturbed, tab.crowded) = (false, false);
    }

    pub(super) fn disturbed(&mut self, tab: u8) {
        self.tab_mut(tab).disturbed = true;
    }

    pub(super) fn is_disturbed(&self, tab: u8) -> bool {
        self.tabs.get(usize::from(tab)).is_some_and(|tab| tab.disturbed)
    }

    /// The tab's connection was accepted by that node.
    pub(super) fn accepted(&mut self, tab: u8, node: u32) {
        self.tab_mut(tab).node = node;
    }

    pub(super) fn node_of(&self, tab: u8) -> u32 {
        self.tabs.get(usize::from(tab)).map_or(0, |tab| tab.node)
    }

    pub(super) fn crowded(&mut self, tab: u8) {
        self.tab_mut(tab).crowded = true;
    }

    /// Whether an answer may have found no room.
    pub(super) fn crowds(&self, at_us: u64, tab: u8) -> bool {
        self.touched(at_us) && self.tabs.get(usize::from(tab)).is_some_and(|tab| tab.crowded)
    }

    /// Whether a refusal may come without having been planned.
    pub(super) fn forgives(&self, at_us: u64, code: &str) -> bool {
        self.touched(at_us)
            && match code {
                "RATE_LIMITED" | "RUN_LIMIT" | "OVERLOADED" => true,
                "SHUTTING_DOWN" => self.deploys,
                "HANDLER_ERROR" | "SERVICE_NOT_READY" => self.services_away,
                _ => false,
            }
    }

    fn tab_mut(&mut self, tab: u8) -> &mut Tab {
        let tab = usize::from(tab);
        if self.tabs.len() <= tab {
            self.tabs.resize(tab + 1, Tab::default());
        }
        &mut self.tabs[tab]
    }
}
