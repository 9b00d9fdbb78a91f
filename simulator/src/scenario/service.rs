//! `[service]`: how long the node takes for what it does, in virtual time.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text_value::{text_value, unit_of, with_unit};

const UNITS: [(&str, u64); 3] = [("ns", 1), ("us", 1_000), ("ms", 1_000_000)];
const HELP: &str = "a service time is a whole number and one of the units ns, us, ms, at most 1000ms";
const MAX_NS: u64 = 1_000_000_000;

/// A service time, in nanoseconds; written `"250ns"`, `"2us"`, `"1ms"`; at most 1 s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(u64);

impl Nanos {
    /// A time of `ns` nanoseconds.
    pub const fn new(ns: u64) -> Self {
        Self(ns)
    }

    /// The time in nanoseconds.
    pub const fn ns(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, scale) = unit_of(self.0, &UNITS, 0);
        write!(f, "{}{unit}", self.0 / scale)
    }
}

impl FromStr for Nanos {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        with_unit(text, (&UNITS, MAX_NS), ("service time", "longer than 1000ms", HELP)).map(Self)
    }
}

text_value!(Nanos, "a service time with its unit, such as \"250ns\" or \"2us\"", "^[0-9]+(ns|us|ms)$");

/// `[service]`: makes the node a server with one processor: what it does takes time, and what comes in meanwhile waits for
/// its turn, first come first served. Without this section everything at the node takes no time. In virtual time only: in
/// real time the server has its own.
///
/// The defaults are rounded from the project's own benchmarks (`gate-worker run NAME`, `gate-loopback`), upwards, so that
/// a node has headroom; put your own machine's in their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Service {
    /// To take in one input and decide: a client's frame, an agent's report, a deadline. Default "1us" (routing a message
    /// 0.5 µs, an agent's event 0.2 µs, and half of the sockets' 1.3 µs per frame).
    pub hop: Nanos,
    /// To carry out one effect: hand a frame to one socket, a run to an agent. Default "1us" (the other half of the
    /// sockets' 1.3 µs per frame, and 4 ns of the router's).
    pub effect: Nanos,
    /// To make one frame, however many get it, or to hand on one text. Default "100ns" (replaying a frame of 350 bytes takes
    /// 51 ns).
    pub copy: Nanos,
    /// For each 1,024 bytes of it. Default "1us" (an event of 2.7 KiB that needs escapes takes 2.4 µs).
    pub kib: Nanos,
    /// For each frame that waited in a queue of the router first. Default "100ns" (as `copy`).
    pub queue_pass: Nanos,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            hop: Nanos(1_000),
            effect: Nanos(1_000),
            copy: Nanos(100),
            kib: Nanos(1_000),
            queue_pass: Nanos(100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_times_keep_their_value_through_text() {
        for (text, ns) in [("0ns", 0), ("250ns", 250), ("2us", 2_000), ("1ms", 1_000_000)] {
            let parsed: Nanos = text.parse().unwrap();
            assert_eq!((parsed.ns(), parsed.to_string().as_str()), (ns, text));
        }
        for (text, word) in [("2", "no unit"), ("2s", "`s` is not"), ("1001ms", "longer"), ("1.5us", "whole")]
        {
            let error = text.parse::<Nanos>().unwrap_err();
            assert!(error.contains(word) && error.contains("ns, us, ms"), "{text}: {error}");
        }
    }
}
