//! The texts of the scripts: bounds and clock first, then what all operations on a user begin with, then the operation.

use router::store::{Bounds, CURSOR_MAX, EVENTS_MAX, IN_FLIGHT_MAX, Op, RAISE_BY};

use super::StoreClock;

const USER: &str = include_str!("scripts/user.lua");

/// Keys live longer than what they hold counts, and are given a new life no more often than this.
const KEEP_EVERY_MS: u64 = 60_000;
const SLACK_MS: u64 = 2 * KEEP_EVERY_MS;

/// A script and the name that a server has for it.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) text: String,
    pub(super) name: String,
}

impl Script {
    fn new(text: String) -> Self {
        let name = redis::Script::new(&text).get_hash().to_owned();
        Self { text, name }
    }
}

/// One script per operation.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) page_max: u32,
    pub(super) admit: Script,
    pub(super) append: Script,
    pub(super) attach: Script,
    pub(super) detach: Script,
    pub(super) renew: Script,
    pub(super) take_over: Script,
    pub(super) acknowledge: Script,
    pub(super) raise: Script,
    pub(super) heartbeat: Script,
    pub(super) release: Script,
    pub(super) forget: Script,
}

impl Scripts {
    // Whoever connects calls this and the check of the bounds. Inlined there, both make a function on which the optimizer may
    // spend more than ten minutes (rustc 1.95, elimination of constraints).
    #[inline(never)]
    pub(super) fn new(bounds: &Bounds, clock: StoreClock) -> Self {
        let head = head(bounds, clock);
        // What needs room asks for it first; what frees it, or keeps runs alive, goes on when memory is full.
        let taking = |body: &str| Script::new(format!("#!lua\n{head}local run = ARGV[2]\n{USER}{body}"));
        let giving =
            |body: &str| Script::new(format!("#!lua flags=allow-oom\n{head}local run\n{USER}{body}"));
        let nodes = |body: &str| Script::new(format!("#!lua flags=allow-oom\n{head}{body}"));
        Self {
            page_max: bounds.page_max,
            admit: taking(include_str!("scripts/admit.lua")),
            append: taking(include_str!("scripts/append.lua")),
            attach: giving(include_str!("scripts/attach.lua")),
            detach: giving(include_str!("scripts/detach.lua")),
            renew: giving(include_str!("scripts/renew.lua")),
            take_over: giving(include_str!("scripts/take_over.lua")),
            acknowledge: giving(include_str!("scripts/acknowledge.lua")),
            raise: giving(include_str!("scripts/raise.lua")),
            heartbeat: nodes(include_str!("scripts/heartbeat.lua")),
            release: nodes(include_str!("scripts/release.lua")),
            forget: nodes(include_str!("scripts/forget.lua")),
        }
    }

    /// The script of an operation; `None` for those that are one plain command.
    pub(super) const fn of(&self, op: &Op) -> Option<&Script> {
        Some(match op {
            Op::Admit(_) => &self.admit,
            Op::Append(_) => &self.append,
            Op::Attach { .. } => &self.attach,
            Op::Detach { .. } => &self.detach,
            Op::Renew(_) => &self.renew,
            Op::TakeOver { .. } => &self.take_over,
            Op::Acknowledge { .. } => &self.acknowledge,
            Op::Raise { .. } => &self.raise,
            Op::Heartbeat { .. } => &self.heartbeat,
            Op::Release { .. } => &self.release,
            Op::Forget { .. } => &self.forget,
            Op::Hold { .. } | Op::Held { .. } => return None,
        })
    }

    pub(super) fn all(&self) -> [&Script; 11] {
        [
            &self.admit,
            &self.append,
            &self.attach,
            &self.detach,
            &self.renew,
            &self.take_over,
            &self.acknowledge,
            &self.raise,
            &self.heartbeat,
            &self.release,
            &self.forget,
        ]
    }
}

fn head(bounds: &Bounds, clock: StoreClock) -> String {
    let numbers = [
        ("LOG_EVENTS", u64::from(bounds.log_events_max)),
        ("LOG_BYTES", u64::from(bounds.log_bytes_max)),
        ("LOG_TTL", bounds.log_ttl_ms),
        ("LOG_KEPT", bounds.log_ttl_ms + SLACK_MS),
        ("USER_TTL", bounds.user_ttl_ms),
        ("USER_KEPT", bounds.user_ttl_ms + SLACK_MS),
        ("KEEP_EVERY", KEEP_EVERY_MS),
        ("SLACK", SLACK_MS),
        ("FETCH_MAX", u64::from(bounds.fetch_events_max)),
        ("LEASE", bounds.lease_ms),
        ("ATTACH", bounds.attach_ms),
        ("ALIVE", bounds.alive_ms),
        ("RUNS_MAX", u64::from(bounds.runs_max)),
        ("NOTES_MAX", u64::from(bounds.notes_bytes_max)),
        ("ENDED_MAX", u64::from(bounds.ended_runs_max)),
        ("ENDED_TTL", bounds.ended_ttl_ms),
        ("DEDUPE_MAX", u64::from(bounds.dedupe_ids_max)),
        ("DEDUPE_TTL", bounds.dedupe_ttl_ms),
        ("PAGE_MAX", u64::from(bounds.page_max)),
        ("EVENTS_MAX", EVENTS_MAX as u64),
        ("IN_FLIGHT", IN_FLIGHT_MAX as u64),
        ("CURSOR_MAX", CURSOR_MAX),
        ("RAISE_BY", RAISE_BY),
    ];
    let names: Vec<&str> = numbers.iter().map(|(name, _)| *name).collect();
    let values: Vec<String> = numbers.iter().map(|(_, value)| value.to_string()).collect();
    let clock = match clock {
        StoreClock::Server => {
            "local time = redis.call('TIME')\n\
             local now = time[1] * 1000 + math.floor(time[2] / 1000)\n\
             local args = #ARGV\n"
        }
        StoreClock::Given => "local now = tonumber(ARGV[#ARGV])\nlocal args = #ARGV - 1\n",
    };
    format!("local {} = {}\n{clock}", names.join(", "), values.join(", "))
}
