//! A client that comes back and is sent what it missed.

use router::{AgentEvent, Config, ConnId, Connect, Effect, Input, Ticket};

use super::{Body, Core, Tally};

/// Events that a client missed.
const MISSED: u32 = 100;

pub(super) fn corpus() -> String {
    format!("{MISSED} events of one run")
}

/// Connections with `resume` of one user whose recovery window is full.
#[derive(Debug)]
pub(super) struct Reconnects {
    core: Core,
    ticket: u64,
}

impl Reconnects {
    pub(super) fn new() -> Self {
        let config = Config {
            socket_window_frames: 2 * MISSED,
            outbound_frames_max: 4 * MISSED,
            recovery_frames_max: 2 * MISSED,
            ..Core::config()
        };
        let mut core = Core::new(config);
        let first = core.connect(0);
        let run = core.start_run(first, 0);
        core.give(Input::Closed { conn: first });
        for step in 1..MISSED {
            let event = AgentEvent::Thinking { reasoning: "comparing the cost", step: Some(step) };
            core.give(Input::Agent { run, event });
        }
        core.forget();
        Self { core, ticket: 1_000_000 }
    }
}

impl Body for Reconnects {
    fn batch(&self) -> usize {
        4
    }

    fn prepare(&mut self, _: usize) {}

    fn step(&mut self, _: usize) {
        self.ticket += 1;
        let connect = Connect { resume: Some(0), ..Connect::new(Ticket(self.ticket), "user-0000000") };
        self.core.give(Input::Connect(connect));
    }

    fn settle(&mut self, units: usize, tally: &mut Tally) {
        let conns: Vec<ConnId> = self
            .core
            .effects
            .iter()
            .filter_map(|effect| if let Effect::Accepted { conn, .. } = effect { Some(*conn) } else { None })
            .collect();
        let sends = tally.sends;
        self.core.account(units, tally);
        // The welcome comes first.
        let each = u64::from(MISSED) + 1;
        assert_eq!(tally.sends - sends, units as u64 * each, "everything that was missed is sent");
        for conn in conns {
            self.core.give(Input::Closed { conn });
        }
        self.core.forget();
    }
}
