//! `[session]`: what one user sends, how fast, and what it does besides.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::count::Counts;
use super::share::{Share, Weight};
use super::size::TextBytes;
use super::time::{LogNormalPause, Micros, MicrosRange, Pause};

/// `[session]`: what one user sends and when. Users follow an open model: they never wait for an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Session {
    /// Messages per user, of all kinds of the mix. Default "5..8" (legacy tests: 5, 8, 10).
    pub messages: Counts,
    /// Weights of the kinds of message. Kinds that are not named do not occur.
    pub mix: Mix,
    /// Pause before each message. Default { median = "8s", sigma = 0.8, max = "1m" } (assumption).
    pub think_time: Pause,
    /// Size of the text of a message. Default { mu = 3.5, sigma = 0.72, max = "373B" } (measured). Never
    /// below the 20 bytes of the canary.
    pub text_bytes: TextBytes,
    /// Threads per user; each message goes to one of them. Default "1..2".
    pub threads: Counts,
    /// Share of runs that the user stops in mid-run. Default 0.01 (assumption). A run too short to be stopped
    /// safely is not.
    pub stop_share: Share,
    /// Share of users whose first message leaves at the instant of connecting, before the set-up is over.
    /// Default 0.
    pub during_setup: Share,
    /// Pause between the connects of one user's tabs. Default "2ms..8ms".
    pub tab_gap: MicrosRange,
    /// How long a user stays after the last run has ended. Default "1s".
    pub linger: Micros,
}

impl Default for Session {
    fn default() -> Self {
        let eight_seconds =
            LogNormalPause { median: Micros::from_ms(8_000), sigma: 0.8, max: Micros::from_ms(60_000) };
        Self {
            messages: Counts::new(5, 8),
            mix: Mix::default(),
            think_time: Pause::LogNormal(eight_seconds),
            text_bytes: TextBytes::default(),
            threads: Counts::new(1, 2),
            stop_share: Share::new(0.01),
            during_setup: Share::new(0.0),
            tab_gap: MicrosRange::new(2_000, 8_000),
            linger: Micros::from_ms(1_000),
        }
    }
}

/// Weights of the kinds of message. Default: user_message 70, start_agent 10, chat 5, ping 5, heartbeat 5,
/// typing 2, unknown 1, malformed 2 (workload model: agent messages 85 %, ping and heartbeat 10 %, other,
/// unknown and bad 5 %).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// Weight of `user_message`, which starts a run.
    #[serde(default)]
    pub user_message: Weight,
    /// Weight of `start_agent`, which starts a run.
    #[serde(default)]
    pub start_agent: Weight,
    /// Weight of `chat`, which starts a run.
    #[serde(default)]
    pub chat: Weight,
    /// Weight of `ping`.
    #[serde(default)]
    pub ping: Weight,
    /// Weight of `heartbeat`.
    #[serde(default)]
    pub heartbeat: Weight,
    /// Weight of `user_typing`.
    #[serde(default)]
    pub typing: Weight,
    /// Weight of types that the router does not know.
    #[serde(default)]
    pub unknown: Weight,
    /// Weight of bad frames: not JSON, not an object, wrong fields, too large.
    #[serde(default)]
    pub malformed: Weight,
    /// Weight of `chat_message`, an alias of `user_message`.
    #[serde(default, skip_serializing_if = "Weight::is_zero")]
    pub chat_message: Weight,
    /// Weight of messages that name another user of the scenario, which are refused.
    #[serde(default, skip_serializing_if = "Weight::is_zero")]
    pub foreign: Weight,
    /// Weight of questions about quality.
    #[serde(default, skip_serializing_if = "Weight::is_zero")]
    pub quality: Weight,
}

impl Default for Mix {
    fn default() -> Self {
        let [user_message, start_agent, chat, ping, heartbeat, typing, unknown, malformed] =
            [70, 10, 5, 5, 5, 2, 1, 2].map(Weight::new);
        let [chat_message, foreign, quality] = [Weight::new(0); 3];
        Self {
            user_message,
            start_agent,
            chat,
            ping,
            heartbeat,
            typing,
            unknown,
            malformed,
            chat_message,
            foreign,
            quality,
        }
    }
}

impl Mix {
    /// The weights in the order of the fields.
    pub fn weights(self) -> [u32; 11] {
        let Self { user_message, start_agent, chat, ping, heartbeat, typing, unknown, malformed, .. } = self;
        let Self { chat_message, foreign, quality, .. } = self;
        [
            user_message,
            start_agent,
            chat,
            ping,
            heartbeat,
            typing,
            unknown,
            malformed,
            chat_message,
            foreign,
            quality,
        ]
        .map(Weight::get)
    }
}
