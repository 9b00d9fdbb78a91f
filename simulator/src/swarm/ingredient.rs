//! What can be left out of every scenario of the swarm, to see which conditions need it.

use std::fmt;

use super::room;
use crate::scenario::{CountWeights, Counts, FaultKind, Host, Micros, Scenario, Share, Weight};

/// Longer than any seed's sessions.
const NEVER: Micros = Micros::new(86_400_000_000);

macro_rules! operations {
    ($($variant:ident $name:literal $about:literal |$scenario:ident| $leave_out:expr;)*) => {
        /// Something besides single kinds of fault that a seed may draw.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Operation { $(#[doc = $about] $variant,)* }

        impl Operation {
            /// All of them.
            pub const ALL: &'static [Operation] = &[$(Operation::$variant,)*];

            /// The name on the command line.
            pub const fn name(self) -> &'static str {
                match self { $(Operation::$variant => $name,)* }
            }

            fn leave_out(self, scenario: &mut Scenario) {
                match self { $(Operation::$variant => { let $scenario = scenario; $leave_out })* }
            }
        }
    };
}

operations! {
    Faults "faults" "faults of every kind" |scenario| scenario.faults.clear();
    Disconnects "disconnects" "connections that are lost by plan" |scenario| {
        scenario.network.disconnect_share = Share::new(0.0);
    };
    SlowReaders "slow_readers" "clients that do not read for a time, by plan" |scenario| {
        scenario.slow_reader.share = Share::new(0.0);
    };
    Notices "notices" "events of the host" |scenario| scenario.host = Host::default();
    Tabs "tabs" "users with several tabs" |scenario| {
        scenario.users.tabs = CountWeights::new(&[(Counts::new(1, 1), 1)]);
    };
    SetUp "set_up" "connections that take time to be set up" |scenario| scenario.limits.ready_after = None;
    Stops "stops" "runs that their users stop" |scenario| scenario.session.stop_share = Share::new(0.0);
    Malformed "malformed" "messages that are none" |scenario| scenario.session.mix.malformed = Weight::new(0);
    Foreign "foreign" "messages that name another user" |scenario| {
        scenario.session.mix.foreign = Weight::new(0);
    };
    Unknown "unknown" "messages of unknown types" |scenario| scenario.session.mix.unknown = Weight::new(0);
    Quality "quality" "questions of quality" |scenario| scenario.session.mix.quality = Weight::new(0);
    ParallelTools "parallel_tools" "tools that are open at once" |scenario| {
        scenario.agent.parallel_share = Share::new(0.0);
    };
    ToolErrors "tool_errors" "tools that fail" |scenario| scenario.agent.tool_error_share = Share::new(0.0);
    AgentErrors "agent_errors" "agents that fail" |scenario| scenario.agent.agent_error_share = Share::new(0.0);
    SilentAgents "silent_agents" "agents that fall silent" |scenario| {
        scenario.agent.timeout_share = Share::new(0.0);
    };
    UnrulyAgents "unruly_agents" "agents that report what is to be refused" |scenario| {
        scenario.agent.unruly_share = Share::new(0.0);
    };
    DeafAgents "deaf_agents" "agents that do not hear that their run was ended" |scenario| {
        scenario.agent.deaf_share = Share::new(0.0);
    };
    Deadlines "deadlines" "runs with a deadline" |scenario| scenario.limits.agent_deadline = Some(NEVER);
    Heartbeats "heartbeats" "a server that asks silent clients for a sign of life" |scenario| {
        scenario.limits.heartbeat_after = Some(NEVER);
    };
    RateLimit "rate_limit" "a bound to how fast a user sends" |scenario| {
        (scenario.limits.rate_per_s, scenario.limits.rate_burst) = (Some(1_000_000), Some(1_000_000));
    };
    RunLimit "run_limit" "a bound to the open runs of a user" |scenario| {
        scenario.limits.runs_per_user_max = Some(10_000);
    };
    ParallelRuns "parallel_runs" "several open runs of a user" |scenario| {
        scenario.limits.runs_per_user_max = Some(1);
    };
    OutboundLimit "outbound_limit" "a bound to what waits behind a socket" |scenario| {
        (scenario.limits.outbound_frames_max, scenario.limits.outbound_bytes_max) =
            (Some(room::FRAMES), Some(room::BYTES));
    };
    RecoveryLimit "recovery_limit" "a bound to what is kept for who comes back" |scenario| {
        (scenario.limits.recovery_frames_max, scenario.limits.recovery_bytes_max) =
            (Some(room::FRAMES), Some(room::BYTES));
    };
}

/// Something that a seed may draw, and that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingredient {
    /// One kind of fault.
    Fault(FaultKind),
    /// Something else.
    Operation(Operation),
}

impl Ingredient {
    /// All of them, faults first.
    pub fn all() -> impl Iterator<Item = Self> {
        let faults = FaultKind::ALL.into_iter().map(Ingredient::Fault);
        faults.chain(Operation::ALL.iter().copied().map(Ingredient::Operation))
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|ingredient| ingredient.name() == name)
    }

    /// Its name on the command line; that of a fault is the one in scenario files.
    pub const fn name(self) -> &'static str {
        match self {
            Ingredient::Fault(kind) => kind.name(),
            Ingredient::Operation(operation) => operation.name(),
        }
    }

    /// Takes it out of a scenario; whatever else was drawn stays.
    pub(super) fn leave_out(self, scenario: &mut Scenario) {
        match self {
            Ingredient::Fault(kind) => scenario.faults.retain(|fault| fault.kind != kind),
            Ingredient::Operation(operation) => operation.leave_out(scenario),
        }
    }
}

impl fmt::Display for Ingredient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
