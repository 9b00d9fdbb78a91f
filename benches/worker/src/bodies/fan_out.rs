//! One message to a thousand users.

use router::{Authority, Config, ConnId, Input};
use serde_json::value::RawValue;

use super::{Body, Core, Tally};

const RECIPIENTS: u32 = 1_000;

/// Room for a batch, so that nobody has to report what was written while the clock runs.
const WINDOW_FRAMES: u32 = 128;

const DATA: &str = r#"{"text":"the service restarts at noon"}"#;

pub(super) fn corpus() -> String {
    format!("{DATA} to {RECIPIENTS}")
}

/// Broadcasts under the right to send to all.
#[derive(Debug)]
pub(super) struct Broadcasts {
    core: Core,
    authority: Authority,
    conns: Vec<ConnId>,
    data: Box<RawValue>,
}

impl Broadcasts {
    pub(super) fn new() -> Self {
        let mut core = Core::new(Config { socket_window_frames: WINDOW_FRAMES, ..Core::config() });
        let authority = core.router.take_authority().expect("it was not taken before");
        let conns = (0..RECIPIENTS).map(|user| core.connect(user)).collect();
        let data = RawValue::from_string(DATA.to_owned()).expect("valid JSON");
        Self { core, authority, conns, data }
    }
}

impl Body for Broadcasts {
    fn batch(&self) -> usize {
        32
    }

    fn prepare(&mut self, _: usize) {}

    fn step(&mut self, _: usize) {
        let input = Input::Broadcast { authority: &self.authority, kind: "system_notice", data: &self.data };
        self.core.give(input);
    }

    fn settle(&mut self, units: usize, tally: &mut Tally) {
        let sends = tally.sends;
        self.core.account(units, tally);
        assert_eq!(tally.sends - sends, units as u64 * u64::from(RECIPIENTS), "everybody is sent to");
        for conn in &self.conns {
            self.core.give(Input::Written { conn: *conn, frames: WINDOW_FRAMES });
        }
        self.core.forget();
    }
}
