//! Events of agents, each to one connection.

use router::{AgentEvent, ConnId, Input, RunRef};

use super::{
    Body, Core, Tally,
    core::{KEPT_MAX, fill},
};

/// Users with one open run each.
const USERS: u32 = 50;

/// What the agents say.
#[derive(Debug)]
pub(super) struct Speech {
    /// Said this many times in one event.
    words: &'static str,
    times: usize,
}

/// About as long as a thought is.
pub(super) const THINKING: Speech =
    Speech { words: "comparing the cost of the last month with the forecast", times: 1 };

/// 2 KiB in which every eighth character or so needs an escape.
pub(super) const LONG: Speech =
    Speech { words: "line one\n\"quoted\"\tcolumn\\path\u{1}\u{e9}\u{4e2d}\n", times: 52 };

impl Speech {
    pub(super) fn corpus(&self) -> String {
        self.words.repeat(self.times)
    }
}

/// `agent_thinking` from the agent's report to the frame.
#[derive(Debug)]
pub(super) struct Events {
    core: Core,
    text: String,
    open: Vec<(ConnId, RunRef)>,
    batch: Vec<(ConnId, RunRef)>,
    at: usize,
}

impl Events {
    pub(super) fn new(speech: &Speech) -> Self {
        let mut core = Core::new(Core::config());
        let open = (0..USERS)
            .map(|user| {
                let conn = core.connect(user);
                (conn, core.start_run(conn, user))
            })
            .collect();
        let mut body = Self { core, text: speech.corpus(), open, batch: Vec::new(), at: 0 };
        fill(&mut body, 2 * (USERS * KEPT_MAX) as usize);
        body
    }
}

impl Body for Events {
    fn batch(&self) -> usize {
        64
    }

    fn prepare(&mut self, units: usize) {
        self.batch.clear();
        for _ in 0..units {
            self.batch.push(self.open[self.at]);
            self.at = (self.at + 37) % self.open.len();
        }
    }

    fn step(&mut self, unit: usize) {
        let event = AgentEvent::Thinking { reasoning: &self.text, step: None };
        self.core.give(Input::Agent { run: self.batch[unit].1, event });
    }

    fn settle(&mut self, units: usize, tally: &mut Tally) {
        let sends = tally.sends;
        self.core.account(units, tally);
        assert_eq!(tally.sends - sends, units as u64, "every event is sent once");
        for (conn, _) in &self.batch {
            self.core.give(Input::Written { conn: *conn, frames: 128 });
        }
        self.core.forget();
    }
}
