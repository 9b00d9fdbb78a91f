//! What every stage has at hand: the switches, the limits, the clock, its alarms and its accounts.

use std::collections::BTreeMap;

use router::{Config, ConnId, Effect, Effects, Instant, RunRef, UserId};

use crate::checkers::bounds::Breach;
use crate::legacy::{Hazard, Hazards};

/// What every stage has at hand.
#[derive(Debug)]
pub(super) struct Common {
    hazards: Hazards,
    pub(super) limits: Config,
    pub(super) now: Instant,
    alarms: BTreeMap<(Instant, u64), Alarm>,
    set: u64,
    pub(super) accounts: Accounts,
}

/// What a stage wants to be woken for. An alarm that is no longer wanted is not taken back: who gets it looks whether
/// it still means something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Alarm {
    /// The connection's set-up is over.
    Ready(ConnId),
    /// The connection may have been silent for too long.
    Heartbeat(ConnId),
    /// What the connection's user missed is sent to it now: its client had this cursor.
    Replay(ConnId, Option<u64>),
    /// An agent that waited for a connection of its user gives up.
    GiveUp(RunRef),
    /// Something of the quality router's has waited long enough.
    Quality(u64),
    /// The tool of a call has taken too long.
    Tool(RunRef, String),
    /// The run has taken too long.
    Deadline(RunRef),
    /// Nobody came back for what is kept for the user.
    Forget(UserId),
}

impl Common {
    pub(super) fn new(limits: Config, hazards: Hazards) -> Self {
        Self {
            hazards,
            limits,
            now: Instant::default(),
            alarms: BTreeMap::new(),
            set: 0,
            accounts: Accounts::default(),
        }
    }

    /// Whether the legacy's wrong way is to be gone.
    pub(super) fn has(&self, hazard: Hazard) -> bool {
        self.hazards.has(hazard)
    }

    /// All of them.
    pub(super) const fn hazards(&self) -> Hazards {
        self.hazards
    }

    /// Wakes a stage in `after_us` microseconds.
    pub(super) fn alarm(&mut self, after_us: u64, alarm: Alarm) {
        self.set += 1;
        self.alarms.insert((self.now.after(after_us), self.set), alarm);
    }

    /// The earliest alarm.
    pub(super) fn next_alarm(&self) -> Option<Instant> {
        self.alarms.first_key_value().map(|((at, _), _)| *at)
    }

    /// An alarm that is due.
    pub(super) fn due(&mut self) -> Option<Alarm> {
        let first = self.alarms.first_entry().filter(|first| first.key().0 <= self.now)?;
        Some(first.remove())
    }
}

/// What became of an inbound frame: exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Handled,
    Unhandled,
    HandlerError,
    Rejected,
}

/// The server's own accounts. Every frame that comes in ends in one outcome; nothing is called delivered that was not
/// handed to a socket.
#[derive(Clone, Debug, Default)]
pub(super) struct Accounts {
    pub(super) received: u64,
    outcomes: [u64; 4],
    /// Deliveries that a stage reported to the one before it.
    pub(super) claimed: u64,
    /// Frames of events handed to sockets.
    pub(super) handed: u64,
    /// What clients confirmed, and what was closed for it.
    pub(super) confirmations: u64,
    pub(super) confirmed: u64,
    breach: Option<Breach>,
}

impl Accounts {
    pub(super) fn outcome(&mut self, outcome: Outcome) {
        self.outcomes[outcome as usize] += 1;
    }

    /// Something that only the server itself can see is against the contract; the first is kept.
    pub(super) fn breach(&mut self, breach: impl FnOnce() -> Breach) {
        self.breach.get_or_insert_with(breach);
    }

    /// Whether they add up. `waiting`: frames received and held back.
    pub(super) fn check(&self, waiting: u64) -> Result<(), Breach> {
        if let Some(breach) = &self.breach {
            return Err(breach.clone());
        }
        let ended: u64 = self.outcomes.iter().sum();
        if self.received != ended + waiting {
            let [handled, unhandled, errors, rejected] = self.outcomes;
            return Err(Breach::of_accounts(format!(
                "{} frames received, {handled} handled, {unhandled} unhandled, {errors} failed, \
                 {rejected} rejected, {waiting} waiting",
                self.received
            )));
        }
        if self.claimed > self.handed {
            let detail = format!("{} deliveries reported, {} frames handed over", self.claimed, self.handed);
            return Err(Breach { rule: "account.D16", ..Breach::of_accounts(detail) });
        }
        if self.confirmed != self.confirmations {
            let detail = format!("{} confirmations, {} closed", self.confirmations, self.confirmed);
            return Err(Breach { rule: "account.confirmed", ..Breach::of_accounts(detail) });
        }
        Ok(())
    }
}

/// Writes a frame to a connection.
pub(super) fn send(out: &mut Effects, conn: ConnId, text: &str) {
    let frame = out.text(text);
    out.push(Effect::Send { conn, frame });
}
