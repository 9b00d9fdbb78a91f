//! The named conditions, each of which a sweep must come across sometimes.

use router::Stats;

use super::Ending;

macro_rules! conditions {
    ($($variant:ident $name:literal $about:literal;)*) => {
        /// Something that must happen in some seed of a sweep.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Condition { $(#[doc = $about] $variant,)* }

        impl Condition {
            /// All of them, in the order in which reports list them.
            pub const ALL: &'static [Condition] = &[$(Condition::$variant,)*];

            /// The name in reports.
            pub const fn name(self) -> &'static str {
                match self { $(Condition::$variant => $name,)* }
            }

            /// What it is, in a few words.
            pub const fn about(self) -> &'static str {
                match self { $(Condition::$variant => $about,)* }
            }
        }
    };
}

conditions! {
    Reconnect "reconnect" "a client came back with its cursor";
    ReconnectMidRun "reconnect_mid_run" "a client came back while a run of its user was open";
    LostMidRun "lost_mid_run" "a connection was lost while a run of its user was open";
    NobodyThere "nobody_there" "an agent spoke while its user had no connection";
    Replay "replay" "frames were replayed to a client that came back";
    Repeat "repeat" "a client dropped a frame by its cursor rule";
    Gap "gap" "a gap was announced to a client";
    Gapped "gapped" "an event was given up for newer ones before anybody had it";
    Expired "expired" "events were given up because nobody came back in time";
    SetUpHeld "setup_held" "a frame was held during the set-up of its connection";
    SeveralTabs "several_tabs" "an event went to several connections of its user";
    FullWindow "full_window" "a socket held as many unwritten frames as it may";
    FullOutbound "full_outbound" "a frame was left out because the queue behind a socket was full";
    SlowReaderClosed "slow_reader_closed" "a connection was closed because its reader was too slow";
    HeartbeatSent "heartbeat" "a silent client was asked for a sign of life";
    UnresponsiveClosed "unresponsive_closed" "a connection was closed because its client gave no sign of life";
    AbuseClosed "abuse_closed" "a connection was closed for too many rejected frames";
    ParallelTools "parallel_tools" "several tools of one run were open at once";
    ToolsOutOfOrder "tools_out_of_order" "a tool ended before one of its run that had begun earlier";
    ToolFailed "tool_failed" "a tool ended with an error";
    FailedInTool "failed_in_tool" "an agent failed while a tool was open";
    ParallelRuns "parallel_runs" "two runs of one user were at work at once";
    StopMidRun "stop_mid_run" "a run was stopped while its agent worked";
    StopMidTool "stop_mid_tool" "a run was stopped while a tool was open";
    AgentDeadline "agent_deadline" "a run was ended by its deadline";
    DeadlineMidTool "deadline_mid_tool" "a run was ended by its deadline while a tool was open";
    DuplicateMessage "duplicate_message" "a repeated message was answered without a second run";
    RateLimit "rate_limit" "a message was refused because its user sent too fast";
    RunLimit "run_limit" "a message was refused because its user had too many runs";
    ConnectionLimit "connection_limit" "a connection was refused because its user had too many";
    BadFrame "bad_frame" "a frame that is no JSON was refused";
    TooLarge "too_large" "a frame was refused for its size";
    ForeignMessage "foreign_message" "a message that names another user was refused";
    ForeignEvent "foreign_event" "an event that names another user was refused";
    BrokenOrder "broken_order" "an event was refused because the order of a run forbids it";
    UnknownType "unknown_type" "a message of an unknown type was acknowledged";
    Confirmation "confirmation" "a client confirmed what it had received";
    QualityAnswered "quality_answered" "a question of quality was answered";
    QualityNews "quality_news" "subscribers were told news of quality";
    QualityFailed "quality_failed" "a question of quality failed";
    Drain "drain" "the node was told to drain";
    Drained "drained" "a drain came to its end";
    DrainRefused "drain_refused" "a message was refused because the node drains";
    ShutDownRun "shut_down_run" "a run was ended by the end of a drain";
    CrashWithRuns "crash_with_runs" "a node died with open runs";
    UnknownCursor "unknown_cursor" "a client knew more than the node that it came to";
    LateEvent "late_event" "an agent spoke of a run that had ended";
}

/// Conditions met by one seed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Met(u128);

impl Met {
    #[inline]
    pub(super) fn set(&mut self, condition: Condition) {
        self.0 |= 1 << condition as u32;
    }

    #[inline]
    pub(super) fn set_if(&mut self, holds: bool, condition: Condition) {
        self.0 |= u128::from(holds) << condition as u32;
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Condition> {
        Condition::ALL.iter().copied().filter(move |condition| self.0 >> *condition as u32 & 1 == 1)
    }
}

const _: () = assert!(Condition::ALL.len() <= u128::BITS as usize, "a bit for each");

/// What the accounts tell in the end.
pub(super) fn finish(met: &mut Met, ending: Ending<'_>) {
    met.set_if(ending.window_full, Condition::FullWindow);
    met.set_if(ending.repeats > 0, Condition::Repeat);
    let Some(stats) = ending.stats else { return };
    account(met, stats);
}

/// What a router counted by itself; also asked when a node goes, with its accounts.
pub(super) fn account(met: &mut Met, stats: &Stats) {
    let counts = [
        (stats.frames.replayed, Condition::Replay),
        (stats.connections.gaps, Condition::Gap),
        (stats.events.gapped, Condition::Gapped),
        (stats.events.expired, Condition::Expired),
        (stats.connections.slow, Condition::SlowReaderClosed),
        (stats.connections.heartbeats, Condition::HeartbeatSent),
        (stats.inbound.duplicates, Condition::DuplicateMessage),
        (stats.inbound.unknown, Condition::UnknownType),
        (stats.events.refused_foreign, Condition::ForeignEvent),
        (stats.events.confirmations, Condition::Confirmation),
        (stats.quality.answered, Condition::QualityAnswered),
        (stats.quality.failed + stats.quality.timed_out, Condition::QualityFailed),
    ];
    for (count, condition) in counts {
        met.set_if(count > 0, condition);
    }
    met.set_if(stats.by_rule().next().is_some(), Condition::BrokenOrder);
    for (code, _) in stats.by_code() {
        let condition = match code {
            "RATE_LIMITED" => Condition::RateLimit,
            "RUN_LIMIT" => Condition::RunLimit,
            "CONNECTION_LIMIT" => Condition::ConnectionLimit,
            "JSON_PARSE_ERROR" => Condition::BadFrame,
            "TOO_LARGE" => Condition::TooLarge,
            "FOREIGN_USER_ID" => Condition::ForeignMessage,
            "SHUTTING_DOWN" => Condition::DrainRefused,
            _ => continue,
        };
        met.set(condition);
    }
}
