//! `[[fault]]`: what goes wrong, as ordered rules.
//!
//! A rule is scoped in time (`during`) and in users (`users`, `share`). For every frame on its way the first rule that
//! matches it decides; `pass` ends the chain for what it matches. The rules about clients and about the node are no
//! verdicts on frames and take effect each for itself.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::share::Share;
use super::text_value::{ends, text_value};
use super::time::{Micros, MicrosRange};

/// One rule of `[[fault]]`. In virtual time only: a load test has the faults of its real network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What it does.
    pub kind: FaultKind,
    /// When, from the start of the run; written `"10s..20s"`. What lasts ends with it, what happens once happens at a
    /// time drawn from it. The end of the last rule is when the network is healed.
    pub during: MicrosRange,
    /// Which users, by their number from 0; written `"0..3"` (both ends included) or `"2"`. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<UserRange>,
    /// Share of what it matches: of frames for the verdicts on single frames, of the users for what lasts or concerns
    /// clients, and the chance to happen at all for what concerns the node. Default 1.
    #[serde(default = "Fault::default_share")]
    pub share: Share,
    /// Which way, for verdicts on frames, `cut` and `clog`. Default "both".
    #[serde(default, skip_serializing_if = "Way::is_both")]
    pub way: Way,
    /// How long or how much: the delay of `delay` and `reorder`, the length of `stall`, `pause`, `crash` (until the node is
    /// back), the width of `jump`, the drift of `skew` (microseconds gained per second). Default: a value of each kind's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<MicrosRange>,
}

impl Fault {
    /// A rule of that kind and time for everybody.
    pub const fn new(kind: FaultKind, during: MicrosRange) -> Self {
        Self { kind, during, users: None, share: Share::new(1.0), way: Way::Both, by: None }
    }

    /// How long or how much, given or by default.
    pub fn by(&self) -> MicrosRange {
        self.by.unwrap_or_else(|| self.kind.default_by())
    }

    /// Whether it concerns the user of that number.
    pub fn concerns(&self, user: u32) -> bool {
        self.users.is_none_or(|users| (users.low..=users.high).contains(&user))
    }

    const fn default_share() -> Share {
        Share::new(1.0)
    }
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Lets the frame through; the rules behind it are not asked.
    Pass,
    /// The frame, and with it all behind it on its connection, comes later.
    Delay,
    /// The frame never arrives; nobody is told.
    Lose,
    /// The frame arrives twice.
    Duplicate,
    /// The frame comes later, and others of its connection may overtake it.
    Reorder,
    /// A byte of the frame is another, so that it is no JSON any more: whoever receives it can notice.
    Corrupt,
    /// Nothing passes that way while it lasts, and nobody is told: no frame, no upgrade, no close. One-way if `way` says so.
    Cut,
    /// What is sent that way while it lasts arrives when it is over.
    Clog,
    /// The same, but each user is clogged and freed at times of its own, so that they come back in another order.
    SwizzleClog,
    /// The client's end dies and the server is not told; the client comes back by a new connection.
    HalfOpen,
    /// The client does not read for a time.
    Stall,
    /// All connections are lost at one moment, and all clients come back at once, without waiting.
    Avalanche,
    /// The node takes in nothing for a time, then everything that came.
    Pause,
    /// The node dies with all it had in memory, and comes back empty after a time. Its clients' connections break.
    Crash,
    /// The node is told to drain; when it has, a new one takes its place, and its clients come back all at once.
    Deploy,
    /// The node's clock jumps ahead.
    Jump,
    /// The node's clock runs fast.
    Skew,
    /// What the router asks others for fails: questions of quality, the start of an agent.
    ServicesAway,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [FaultKind; 18] = [
        FaultKind::Pass,
        FaultKind::Delay,
        FaultKind::Lose,
        FaultKind::Duplicate,
        FaultKind::Reorder,
        FaultKind::Corrupt,
        FaultKind::Cut,
        FaultKind::Clog,
        FaultKind::SwizzleClog,
        FaultKind::HalfOpen,
        FaultKind::Stall,
        FaultKind::Avalanche,
        FaultKind::Pause,
        FaultKind::Crash,
        FaultKind::Deploy,
        FaultKind::Jump,
        FaultKind::Skew,
        FaultKind::ServicesAway,
    ];

    /// The name in scenario files.
    pub const fn name(self) -> &'static str {
        match self {
            FaultKind::Pass => "pass",
            FaultKind::Delay => "delay",
            FaultKind::Lose => "lose",
            FaultKind::Duplicate => "duplicate",
            FaultKind::Reorder => "reorder",
            FaultKind::Corrupt => "corrupt",
            FaultKind::Cut => "cut",
            FaultKind::Clog => "clog",
            FaultKind::SwizzleClog => "swizzle_clog",
            FaultKind::HalfOpen => "half_open",
            FaultKind::Stall => "stall",
            FaultKind::Avalanche => "avalanche",
            FaultKind::Pause => "pause",
            FaultKind::Crash => "crash",
            FaultKind::Deploy => "deploy",
            FaultKind::Jump => "jump",
            FaultKind::Skew => "skew",
            FaultKind::ServicesAway => "services_away",
        }
    }

    /// Whether it is a verdict on frames: the first such rule that matches a frame decides.
    pub const fn is_verdict(self) -> bool {
        !self.is_of_clients() && !self.is_of_node()
    }

    /// Whether it befalls clients.
    pub const fn is_of_clients(self) -> bool {
        matches!(self, FaultKind::HalfOpen | FaultKind::Stall | FaultKind::Avalanche)
    }

    /// Whether it befalls the node, and with it everybody.
    pub const fn is_of_node(self) -> bool {
        matches!(
            self,
            FaultKind::Pause
                | FaultKind::Crash
                | FaultKind::Deploy
                | FaultKind::Jump
                | FaultKind::Skew
                | FaultKind::ServicesAway
        )
    }

    /// Whether a verdict strikes users for as long as it lasts, rather than frame by frame.
    pub const fn lasts(self) -> bool {
        matches!(self, FaultKind::Cut | FaultKind::Clog | FaultKind::SwizzleClog)
    }

    /// Whether a client may never learn that a frame was meant for it.
    pub const fn takes_frames(self) -> bool {
        matches!(self, FaultKind::Lose | FaultKind::Cut | FaultKind::Corrupt | FaultKind::Reorder)
    }

    /// Whether `by` means something.
    pub const fn has_by(self) -> bool {
        self.default_by().high.us() > 0
    }

    /// What a rule without `by` means.
    pub const fn default_by(self) -> MicrosRange {
        match self {
            FaultKind::Delay => MicrosRange::new(50_000, 500_000),
            FaultKind::Reorder => MicrosRange::new(5_000, 100_000),
            FaultKind::Stall => MicrosRange::new(1_000_000, 5_000_000),
            FaultKind::Pause => MicrosRange::new(100_000, 2_000_000),
            FaultKind::Crash => MicrosRange::new(500_000, 5_000_000),
            FaultKind::Jump => MicrosRange::new(1_000_000, 10_000_000),
            FaultKind::Skew => MicrosRange::new(1_000, 50_000),
            FaultKind::Pass
            | FaultKind::Lose
            | FaultKind::Duplicate
            | FaultKind::Corrupt
            | FaultKind::Cut
            | FaultKind::Clog
            | FaultKind::SwizzleClog
            | FaultKind::HalfOpen
            | FaultKind::Avalanche
            | FaultKind::Deploy
            | FaultKind::ServicesAway => MicrosRange::new(0, 0),
        }
    }
}

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// To the server.
    Up,
    /// To the client.
    Down,
    /// Either way.
    #[default]
    Both,
}

impl Way {
    /// Whether frames to the server are meant.
    pub fn up(self) -> bool {
        self != Way::Down
    }

    /// Whether frames to the client are meant.
    pub fn down(self) -> bool {
        self != Way::Up
    }

    fn is_both(&self) -> bool {
        *self == Way::Both
    }
}

/// Users by number, both ends included; written `"0..3"`, or `"2"` for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserRange {
    /// The first.
    pub low: u32,
    /// The last; never below `low`.
    pub high: u32,
}

impl fmt::Display for UserRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.low == self.high {
            write!(f, "{}", self.low)
        } else {
            write!(f, "{}..{}", self.low, self.high)
        }
    }
}

impl FromStr for UserRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const HELP: &str = "users are numbered from 0: \"2\" for one, \"0..3\" for several";
        let number = |part: &str| {
            part.parse::<u32>().map_err(|_| format!("`{part}` is not the number of a user\n{HELP}"))
        };
        let (low, high) = ends(text);
        let (low, high) = (number(low)?, number(high)?);
        if low > high {
            return Err(format!("the range `{text}` is empty\nwrite the smaller number first"));
        }
        Ok(Self { low, high })
    }
}

text_value!(UserRange, "users by number, such as \"2\" or \"0..3\"", "^[0-9]+(\\.\\.[0-9]+)?$");

/// When the last rule ends: from then on everything works.
pub fn healed_at(faults: &[Fault]) -> Micros {
    faults.iter().map(|fault| fault.during.high).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_listed_under_the_name_it_is_written_with() {
        for kind in FaultKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        let names: std::collections::BTreeSet<_> = FaultKind::ALL.map(FaultKind::name).into_iter().collect();
        assert_eq!(names.len(), FaultKind::ALL.len());
    }

    #[test]
    fn users_are_numbers_or_ranges() {
        for text in ["2", "0..3"] {
            assert_eq!(text.parse::<UserRange>().unwrap().to_string(), text);
        }
        for (text, word) in [("3..1", "empty"), ("x", "number of a user"), ("-1", "number of a user")] {
            assert!(text.parse::<UserRange>().unwrap_err().contains(word), "{text}");
        }
    }
}
