//! `bounds.*` and `account.D10`: nothing grows beyond its limit, nothing is left in the end, and the router's
//! own accounts add up. For worlds that can look inside; a load test cannot.

use reports::Finding;

use super::Ledger;

const NAME: &str = "bounds";

/// Limits of a connection, and what was seen of them.
#[derive(Clone, Debug)]
pub struct Bounds {
    socket_window_frames: u32,
    /// Most frames that were handed to one socket and not yet written.
    pub window_peak: u32,
    accounts_broken: bool,
}

/// What a router still holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Users.
    pub users: u64,
    /// Connections.
    pub connections: u64,
    /// Runs.
    pub runs: u64,
    /// Frames for a connection, queued or handed to its socket.
    pub frames: u64,
    /// Inbound frames held back.
    pub inbound: u64,
    /// Events kept for replay.
    pub events: u64,
    /// Whatever else a subject keeps by user, connection or run; a router's is in the fields above.
    pub other: u64,
}

/// What a subject says of itself that is against the contract. The first one is the one that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The rule.
    pub rule: &'static str,
    /// Whom it happened to, if one user.
    pub user: Option<String>,
    /// The run it concerns, if one.
    pub run: Option<String>,
    /// The event or message it concerns, if one.
    pub event: Option<String>,
    /// What is wrong.
    pub detail: String,
}

impl Breach {
    /// Accounts that do not add up.
    pub fn of_accounts(detail: String) -> Self {
        Self { rule: "account.D10", user: None, run: None, event: None, detail }
    }
}

impl Bounds {
    /// A checker for a router that hands at most `socket_window_frames` to one socket.
    pub fn new(socket_window_frames: u32) -> Self {
        Self { socket_window_frames, window_peak: 0, accounts_broken: false }
    }

    /// Whether a socket with so many unwritten frames is given no more.
    pub(crate) const fn is_full(&self, frames: u32) -> bool {
        frames >= self.socket_window_frames
    }

    /// A socket now has `frames` that it has not yet written.
    pub fn window(
        &mut self,
        at_us: u64,
        frames: u32,
        who: &dyn Fn() -> (String, String),
        ledger: &mut Ledger,
    ) {
        self.window_peak = self.window_peak.max(frames);
        if frames == self.socket_window_frames + 1 {
            let detail = format!(
                "{frames} frames unwritten on one socket, at most {} agreed",
                self.socket_window_frames
            );
            let mut finding = Finding::new("bounds.queue", NAME, at_us, detail);
            let (user, connection) = who();
            (finding.user, finding.connection) = (Some(user), Some(connection));
            ledger.push(finding);
        }
    }

    /// Whether some socket held as many unwritten frames as it may.
    pub fn window_is_full(&self) -> bool {
        self.window_peak >= self.socket_window_frames
    }

    /// What the subject says of itself; the first breach is the one that matters.
    pub fn accounts(&mut self, at_us: u64, check: Result<(), Breach>, ledger: &mut Ledger) {
        if let Err(breach) = check
            && !std::mem::replace(&mut self.accounts_broken, true)
        {
            let Breach { rule, user, run, event, detail } = breach;
            ledger.push(Finding { user, run, event, ..Finding::new(rule, NAME, at_us, detail) });
        }
    }

    /// All users left, all runs ended and all recovery windows passed: nothing may be left.
    pub fn finish(&self, at_us: u64, held: Held, ledger: &mut Ledger) {
        if held != Held::default() {
            ledger.push(Finding::new("bounds.memory", NAME, at_us, format!("left in the end: {held:?}")));
        }
    }
}
