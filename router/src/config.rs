//! Every limit of the router, in one place, with its unit last in its name.

use alloc::string::String;
use core::fmt;

use crate::cluster::ClusterConfig;
use crate::dedupe::Reach;
use crate::handlers::Profile;
use crate::wire::sanitise::Sanitise;

/// One second in microseconds.
const SECOND: u64 = 1_000_000;

/// Limits and timings. The defaults are the product's; [`Config::validate`] says which values make sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// A planted defect, for tests of tests.
    #[cfg(feature = "mutants")]
    pub mutant: Option<crate::Mutant>,
    /// Names this router incarnation in the ids it issues; two incarnations never share it.
    pub node: String,
    /// Several nodes share their users by a store; `None` for one node alone.
    pub cluster: Option<ClusterConfig>,
    /// Announced in each welcome: tokens are signed with a development key.
    pub development: bool,
    /// Whether an agent back end is there; without one, chat is answered `AGENT_UNAVAILABLE`.
    pub agents_available: bool,
    /// Set-up of a connection: until then its messages are held, afterwards handled in order.
    pub ready_after_us: u64,
    /// Messages held per connection during set-up.
    pub held_frames_max: u32,
    /// Bytes held per connection during set-up.
    pub held_bytes_max: u32,
    /// Bytes held during set-up, over all connections.
    pub held_bytes_total_max: u64,
    /// Agents at work at once; further runs wait for their turn, which goes from user to user. 0: no bound, none waits.
    pub agents_max: u32,
    /// Runs that may wait for an agent, over all users; a further message is refused with `OVERLOADED`.
    pub runs_waiting_max: u32,
    /// Messages per user that ended without being worked on, kept for operators; the oldest leaves.
    pub dead_letters_per_user_max: u32,
    /// Those of all users; the oldest leaves.
    pub dead_letters_max: u32,
    /// How long one is kept.
    pub dead_letter_ttl_us: u64,
    /// Shortest time between two notices of dead letters to one user.
    pub dead_letter_notice_us: u64,
    /// Longest inbound text; a longer one is refused and the connection lives.
    pub inbound_bytes_max: u32,
    /// Longest inbound message the transport lets through; a longer one closes with 1009.
    pub transport_bytes_max: u32,
    /// Longest outbound frame; longer agent output is cut and says so.
    pub outbound_frame_bytes_max: u32,
    /// What is taken out of agents' values, and where.
    pub sanitise: Sanitise,
    /// Deepest nesting of containers in an inbound frame; at most 64.
    pub nesting_max: u32,
    /// Connections per user; a further one is refused.
    pub connections_per_user_max: u32,
    /// Open runs per user; a further one is refused.
    pub runs_per_user_max: u32,
    /// Topics one user can subscribe to.
    pub topics_per_user_max: u32,
    /// Deliveries whose receipt is open; a further one is sent, and its receipt says that nobody counts.
    pub receipts_max: u32,
    /// Users that never connected and have events waiting for them; one more is refused as unknown.
    pub awaited_users_max: u32,
    /// A connection is idle when nothing was read from it nor written to it for this time.
    pub idle_us: u64,
    /// Inbound messages per user and second, sustained.
    pub rate_per_s: u32,
    /// Inbound messages per user at once.
    pub rate_burst: u32,
    /// Rejected frames per connection within [`reject_window_us`](Self::reject_window_us); at this many it is closed.
    pub rejects_max: u32,
    /// Window of [`rejects_max`](Self::rejects_max).
    pub reject_window_us: u64,
    /// Frames handed to a socket and not yet reported written.
    pub socket_window_frames: u32,
    /// Frames waiting per connection behind the socket window.
    pub outbound_frames_max: u32,
    /// Bytes waiting per connection behind the socket window.
    pub outbound_bytes_max: u32,
    /// How long a full connection may go without progress before it is closed.
    pub slow_reader_grace_us: u64,
    /// Silence after which a connection gets a heartbeat and a ping.
    pub heartbeat_us: u64,
    /// Unanswered heartbeats after which a connection is closed.
    pub heartbeats_missed_max: u32,
    /// A run is ended after this time.
    pub agent_deadline_us: u64,
    /// A tool call is given up after this time.
    pub tool_deadline_us: u64,
    /// Runs of one user that may have a tool dispatcher at once; a further one's calls are refused.
    pub tool_dispatchers_per_user_max: u32,
    /// Tool calls of one user in flight, over all runs and tools.
    pub tool_calls_in_flight_per_user_max: u32,
    /// Tool calls of one user within a minute, over all runs and tools.
    pub tool_calls_per_user_per_min: u32,
    /// Tools that a run may have beside those of the catalogue.
    pub tool_own_per_run_max: u32,
    /// Longest parameters of a tool call, and longest result.
    pub tool_value_bytes_max: u32,
    /// More tool dispatchers at once than this are reported as degraded health.
    pub tool_dispatchers_healthy_max: u32,
    /// Newest run events kept per user for replay.
    pub recovery_frames_max: u32,
    /// Bytes of run events kept per user for replay.
    pub recovery_bytes_max: u32,
    /// How long they are kept after the user's last connection or run ended.
    pub recovery_ttl_us: u64,
    /// Routes between services.
    pub routes_max: u32,
    /// Handlers of one route.
    pub route_handlers_max: u32,
    /// Middleware before the routes.
    pub middleware_max: u32,
    /// Newest messages between services kept per user; 0 keeps none.
    pub route_history_messages_max: u32,
    /// Bytes of messages between services kept per user.
    pub route_history_bytes_max: u32,
    /// Message ids remembered per user against repeats.
    pub dedupe_ids_max: u32,
    /// How long a message id is remembered.
    pub dedupe_ttl_us: u64,
    /// How long a connection may outlive its token.
    pub token_grace_us: u64,
    /// How long accepted work may take once the drain began.
    pub drain_deadline_us: u64,
    /// Shortest time between two audit records of one user.
    pub audit_interval_us: u64,
    /// Whether quality messages are served; if not, they are merely acknowledged.
    pub quality_enabled: bool,
    /// Whether the embedded monitor sees the runs; a host with a monitor of its own may turn it off.
    pub quality_monitor: bool,
    /// How long a client waits for quality services, all questions of its message together.
    pub quality_deadline_us: u64,
    /// Quality messages per user that wait for a service; a further one is refused.
    pub quality_asks_per_user_max: u32,
    /// Longest answer of a quality service, and of all those in one report; a longer one counts as failed. A quarter
    /// of [`outbound_frame_bytes_max`](Self::outbound_frame_bytes_max) is the most in any case.
    pub quality_answer_bytes_max: u32,
    /// Agents that the embedded monitor tells apart, that for all further ones included.
    pub quality_agents_max: u32,
    /// Newest runs per agent that the embedded monitor's figures are about.
    pub quality_samples_max: u32,
    /// Which types are recognised and which built-in handlers are on from the start.
    pub profile: Profile,
    /// Custom handlers that may be registered.
    pub custom_handlers_max: u32,
    /// Answers that a custom handler may give to one message.
    pub handler_replies_max: u32,
    /// Answers for later that may wait per connection; further ones are dropped and counted.
    pub later_replies_per_connection_max: u32,
    /// After this time since the first input, a critical type without a handler is an error.
    pub ready_grace_us: u64,
    /// Codes of clients' error reports that are counted each for itself.
    pub error_codes_max: u32,
    /// Messages of a batch; at this many it goes out. At most 64.
    pub batch_messages_max: u32,
    /// Longest time a message waits for its batch.
    pub batch_wait_us: u64,
    /// A message of this priority or above takes its batch out at once.
    pub batch_urgent_priority: i64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            #[cfg(feature = "mutants")]
            mutant: None,
            node: String::from("n0"),
            cluster: None,
            development: false,
            agents_available: true,
            ready_after_us: 0,
            held_frames_max: 100,
            held_bytes_max: 64 * 1024,
            held_bytes_total_max: 256 << 20,
            agents_max: 0,
            runs_waiting_max: 100_000,
            dead_letters_per_user_max: 100,
            dead_letters_max: 10_000,
            dead_letter_ttl_us: 7 * 86_400 * SECOND,
            dead_letter_notice_us: 60 * SECOND,
            inbound_bytes_max: 8192,
            transport_bytes_max: 64 * 1024,
            outbound_frame_bytes_max: 256 * 1024,
            sanitise: Sanitise::default(),
            nesting_max: 64,
            connections_per_user_max: 8,
            runs_per_user_max: 16,
            topics_per_user_max: 16,
            receipts_max: 10_000,
            awaited_users_max: 10_000,
            idle_us: 300 * SECOND,
            rate_per_s: 30,
            rate_burst: 100,
            rejects_max: 20,
            reject_window_us: 10 * SECOND,
            socket_window_frames: 32,
            outbound_frames_max: 1000,
            outbound_bytes_max: 4 * 1024 * 1024,
            slow_reader_grace_us: 10 * SECOND,
            heartbeat_us: 25 * SECOND,
            heartbeats_missed_max: 2,
            agent_deadline_us: 60 * SECOND,
            tool_deadline_us: 30 * SECOND,
            tool_dispatchers_per_user_max: 10,
            tool_calls_in_flight_per_user_max: 10,
            tool_calls_per_user_per_min: 100,
            tool_own_per_run_max: 64,
            tool_value_bytes_max: 1024 * 1024,
            tool_dispatchers_healthy_max: 100,
            recovery_frames_max: 200,
            recovery_bytes_max: 1024 * 1024,
            recovery_ttl_us: 120 * SECOND,
            routes_max: 1024,
            route_handlers_max: 64,
            middleware_max: 64,
            route_history_messages_max: 100,
            route_history_bytes_max: 256 * 1024,
            dedupe_ids_max: 1000,
            dedupe_ttl_us: 600 * SECOND,
            token_grace_us: 60 * SECOND,
            drain_deadline_us: 30 * SECOND,
            audit_interval_us: SECOND,
            quality_enabled: true,
            quality_monitor: true,
            quality_deadline_us: 10 * SECOND,
            quality_asks_per_user_max: 4,
            quality_answer_bytes_max: 64 * 1024,
            quality_agents_max: 64,
            quality_samples_max: 256,
            profile: Profile::STANDARD,
            custom_handlers_max: 4096,
            handler_replies_max: 16,
            later_replies_per_connection_max: 64,
            ready_grace_us: 10 * SECOND,
            error_codes_max: 64,
            batch_messages_max: 10,
            batch_wait_us: SECOND / 10,
            batch_urgent_priority: 100,
        }
    }
}

/// A limit that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The field's name.
    pub field: &'static str,
    /// What was expected.
    pub expected: &'static str,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limit `{}`: expected {}", self.field, self.expected)
    }
}

impl core::error::Error for ConfigError {}

impl Config {
    /// The window of message ids.
    pub(crate) const fn dedupe(&self) -> Reach {
        Reach { ids_max: self.dedupe_ids_max, ttl_us: self.dedupe_ttl_us }
    }

    /// Says which field is out of range, if one is.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let rules: &[(bool, &'static str, &'static str)] = &[
            (
                !self.node.is_empty() && self.node.bytes().all(|b| b.is_ascii_alphanumeric()),
                "node",
                "1 or more ASCII letters and digits",
            ),
            ((1..=64).contains(&self.nesting_max), "nesting_max", "1 to 64"),
            ((64..=65_535).contains(&self.inbound_bytes_max), "inbound_bytes_max", "64 to 65535"),
            (
                self.transport_bytes_max >= self.inbound_bytes_max,
                "transport_bytes_max",
                "at least inbound_bytes_max",
            ),
            (self.outbound_frame_bytes_max >= 16 * 1024, "outbound_frame_bytes_max", "at least 16 KiB"),
            (self.connections_per_user_max > 0, "connections_per_user_max", "at least 1"),
            (self.runs_per_user_max > 0, "runs_per_user_max", "at least 1"),
            (self.rate_per_s > 0 && self.rate_burst > 0, "rate_per_s, rate_burst", "at least 1"),
            ((1..=4096).contains(&self.socket_window_frames), "socket_window_frames", "1 to 4096"),
            (self.outbound_frames_max > 0, "outbound_frames_max", "at least 1"),
            (
                self.heartbeat_us > 0 && self.heartbeats_missed_max > 0,
                "heartbeat_us, heartbeats_missed_max",
                "above 0",
            ),
            (self.agent_deadline_us > 0, "agent_deadline_us", "above 0"),
            (self.tool_deadline_us > 0, "tool_deadline_us", "above 0"),
            (self.quality_deadline_us > 0, "quality_deadline_us", "above 0"),
            (
                self.quality_agents_max > 0 && self.quality_samples_max > 0,
                "quality_agents_max, quality_samples_max",
                "at least 1",
            ),
            ((1..=64).contains(&self.batch_messages_max), "batch_messages_max", "1 to 64"),
            (self.cluster.is_none() || self.node.len() <= 64, "node", "at most 64 letters and digits"),
            (
                self.cluster.as_ref().is_none_or(|cluster| cluster.bounds.check().is_ok()),
                "cluster.bounds",
                "bounds that make sense",
            ),
        ];
        match rules.iter().find(|(holds, ..)| !holds) {
            Some((_, field, expected)) => Err(ConfigError { field, expected }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_limit_is_named() {
        assert_eq!(Config::default().validate(), Ok(()));
        let error = Config { nesting_max: 65, ..Config::default() }.validate().expect_err("refused");
        assert_eq!(error.field, "nesting_max");
    }
    #[test]
    fn a_limit_is_taken_at_its_edge_and_refused_beyond_it() {
        type Set = fn(&mut Config, u32);
        let table: [(&str, Set, &[u32], &[u32]); 20] = [
            ("nesting_max", |c, n| c.nesting_max = n, &[1, 64], &[0, 65]),
            ("inbound_bytes_max", |c, n| c.inbound_bytes_max = n, &[64, 65_535], &[63, 65_536]),
            ("transport_bytes_max", |c, n| c.transport_bytes_max = n, &[8_192], &[8_191]),
            ("outbound_frame_bytes_max", |c, n| c.outbound_frame_bytes_max = n, &[16_384], &[16_383]),
            ("connections_per_user_max", |c, n| c.connections_per_user_max = n, &[1], &[0]),
            ("runs_per_user_max", |c, n| c.runs_per_user_max = n, &[1], &[0]),
            ("rate_per_s, rate_burst", |c, n| c.rate_per_s = n, &[1], &[0]),
            ("rate_per_s, rate_burst", |c, n| c.rate_burst = n, &[1], &[0]),
            ("socket_window_frames", |c, n| c.socket_window_frames = n, &[1, 4096], &[0, 4097]),
            ("outbound_frames_max", |c, n| c.outbound_frames_max = n, &[1], &[0]),
            ("heartbeat_us, heartbeats_missed_max", |c, n| c.heartbeat_us = n.into(), &[1], &[0]),
            ("heartbeat_us, heartbeats_missed_max", |c, n| c.heartbeats_missed_max = n, &[1], &[0]),
            ("agent_deadline_us", |c, n| c.agent_deadline_us = n.into(), &[1], &[0]),
            ("tool_deadline_us", |c, n| c.tool_deadline_us = n.into(), &[1], &[0]),
            ("quality_deadline_us", |c, n| c.quality_deadline_us = n.into(), &[1], &[0]),
            ("quality_agents_max, quality_samples_max", |c, n| c.quality_agents_max = n, &[1], &[0]),
            ("quality_agents_max, quality_samples_max", |c, n| c.quality_samples_max = n, &[1], &[0]),
            ("batch_messages_max", |c, n| c.batch_messages_max = n, &[1, 64], &[0, 65]),
            ("node", |c, n| c.node = "n0"[n as usize..].into(), &[0, 1], &[2]),
            ("node", |c, n| c.node = ["n", "n-0", "n 0"][n as usize].into(), &[0], &[1, 2]),
        ];
        for (field, set, good, bad) in table {
            let with = |n: u32| {
                let mut config = Config { inbound_bytes_max: 8_192, ..Config::default() };
                set(&mut config, n);
                config.validate().err().map(|error| error.field)
            };
            for n in good {
                assert_eq!(with(*n), None, "{field} {n}");
            }
            for n in bad {
                assert_eq!(with(*n), Some(field), "{n}");
            }
        }
    }
}
