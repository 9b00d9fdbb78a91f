//! A router as a benchmark drives it: inputs counted, due deadlines served, effects added up.

use router::{AgentEvent, Config, ConnId, Connect, Effect, Effects, Input, Instant, Router, RunRef, Ticket};
use simulator::service::Costs;

use super::Body;
use crate::{fnv::Fnv, workloads::Message};

/// Start of every benchmark on the router's clock.
const EPOCH: Instant = Instant::from_micros(1_700_000_000_000_000);

/// Message ids and run events that the router keeps per user.
pub(super) const KEPT_MAX: u32 = 16;

/// Deadlines in a row that one input may bring due.
const DUE_MAX: u32 = 1_000;

/// What units amounted to; the same in every run of the same code.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Whether every frame is hashed, which takes time.
    pub is_deep: bool,
    /// Units that were done.
    pub units: u64,
    /// Inputs that the router needed for them: what came from outside and the deadlines that it asked for.
    pub hops: u64,
    /// Effects it asked for.
    pub effects: u64,
    /// Frames among them, one for every recipient.
    pub sends: u64,
    /// Bytes of the frames it encoded and of the texts it handed on: each is a copy.
    pub copied_bytes: u64,
    hash: Fnv,
}

impl Tally {
    /// A hash of every effect, in hexadecimal digits; it says nothing unless the tally is deep.
    pub fn digest(&self) -> String {
        self.hash.hex()
    }

    /// Counts as the simulator does, so that both mean the same.
    fn add(&mut self, effects: &Effects) {
        let mut costs = Costs::default();
        costs.add_effects(effects);
        self.effects += costs.effects;
        self.sends += costs.sends;
        self.copied_bytes += costs.copied_bytes;
        if self.is_deep {
            effects.iter().for_each(|effect| self.digest_of(effect, effects));
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "whatever else a revision asks for has bytes that are not ours to know"
    )]
    fn digest_of(&mut self, effect: &Effect, effects: &Effects) {
        let (name, text) = match effect {
            Effect::Send { frame, .. } => ("send", effects.frame(*frame).as_str()),
            Effect::Refused { frame, .. } => ("refused", effects.frame(*frame).as_str()),
            Effect::StartRun(request) => ("start", request.text()),
            _ => ("other", ""),
        };
        self.hash.text(name);
        self.hash.text(text);
    }
}

/// Does units until everything that keeps a memory is full.
pub(super) fn fill(body: &mut dyn Body, units: usize) {
    for _ in 0..units.div_ceil(body.batch()) {
        let batch = body.batch();
        body.prepare(batch);
        (0..batch).for_each(|unit| body.step(unit));
        body.settle(batch, &mut Tally::default());
    }
}

/// A router and what belongs to it.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) router: Router,
    pub(super) effects: Effects,
    now: Instant,
    hops: u64,
}

impl Core {
    pub(super) fn new(config: Config) -> Self {
        let router = Router::new(config).expect("the limits are valid");
        Self { router, effects: Effects::new(), now: EPOCH, hops: 0 }
    }

    /// Limits under which no benchmark is refused anything, and whose memory of what was is full after a few units per
    /// user: a state that grows would make later slots slower, and more work cheaper or dearer than it is.
    pub(super) fn config() -> Config {
        Config {
            rejects_max: u32::MAX,
            rate_per_s: 1_000_000,
            rate_burst: 1_000_000,
            dedupe_ids_max: KEPT_MAX,
            recovery_frames_max: KEPT_MAX,
            ..Config::default()
        }
    }

    /// One input, and the deadlines that are due after it: a shell serves them before it sleeps.
    pub(super) fn give(&mut self, input: Input<'_>) {
        self.hops += 1;
        self.router.handle(self.now, input, &mut self.effects);
        for _ in 0..DUE_MAX {
            if self.router.next_deadline().is_none_or(|(at, _)| at > self.now) {
                return;
            }
            self.hops += 1;
            self.router.handle(self.now, Input::Tick, &mut self.effects);
        }
    }

    pub(super) fn advance(&mut self, micros: u64) {
        self.now = self.now.after(micros);
    }

    /// Adds up what was done since the last call, and forgets it.
    pub(super) fn account(&mut self, units: usize, tally: &mut Tally) {
        tally.units += units as u64;
        tally.hops += std::mem::take(&mut self.hops);
        tally.add(&self.effects);
        self.effects.clear();
    }

    /// Forgets what putting back took.
    pub(super) fn forget(&mut self) {
        self.hops = 0;
        self.effects.clear();
    }

    /// A connection of a user, whose welcome is written.
    pub(super) fn connect(&mut self, user: u32) -> ConnId {
        self.effects.clear();
        let name = format!("user-{user:07}");
        self.give(Input::Connect(Connect::new(Ticket(u64::from(user)), &name)));
        let conn = self.accepted().expect("the limits allow the connection");
        self.give(Input::Written { conn, frames: 128 });
        self.forget();
        conn
    }

    /// A run that the user of the connection asked for and whose agent has started.
    pub(super) fn start_run(&mut self, conn: ConnId, user: u32) -> RunRef {
        let mut message = Message::new();
        self.give(Input::Text { conn, text: message.patched(user, 1) });
        let run = self.effects.iter().find_map(|effect| {
            let Effect::StartRun(request) = effect else { return None };
            Some(request.run)
        });
        let run = run.expect("a message starts a run");
        self.give(Input::Agent { run, event: AgentEvent::Started { agent: "agent", task: "" } });
        self.give(Input::Written { conn, frames: 128 });
        self.forget();
        run
    }

    fn accepted(&self) -> Option<ConnId> {
        self.effects.iter().find_map(|effect| {
            let Effect::Accepted { conn, .. } = effect else { return None };
            Some(*conn)
        })
    }
}
